//! Checkpoints: what the write-ahead log holds is brought into the file, on a thread and a connection of their own, so that no commit
//! waits for it.
//!
//! A checkpoint beside a busy writer never reaches the log's end. Where the log has grown past its bound, the [`Gate`] keeps the writer
//! out while the rest is brought over, so that the log is written from its beginning again; a page waits for that no longer than
//! `commit_wait`. When nothing has been written for a while the log is cut to nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{beside, connect};

/// How much is written between checkpoints at most.
const EVERY: u64 = 4 << 20;
/// A page in the log, with its head.
const FRAME: u64 = 8192 + 24;
/// How much may be left to bring over while the writer waits.
const SHORT: u64 = 2 << 20;
/// How often it is tried to leave no more than that.
const ROUNDS: usize = 6;
/// How long nothing is written before the log is cut to nothing.
const QUIET: Duration = Duration::from_secs(2);

/// Whoever has it writes: the writer for a transaction, a checkpoint for the log's last part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    writes: Arc<Mutex<()>>,
    /// Set while the log has outgrown all bounds, because a reader holds it.
    held: Arc<AtomicBool>,
}

impl Gate {
    /// Waits for the right to write.
    pub(crate) fn pass(&self) -> MutexGuard<'_, ()> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing may be written until a reader lets go of the log.
    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }
}

/// The checkpoints of an open store; they end with this value.
pub(crate) struct Checkpoints {
    bell: Option<SyncSender<()>>,
    /// How much is written between checkpoints.
    every: u64,
    thread: Option<JoinHandle<()>>,
    written: u64,
}

struct Keeper {
    path: PathBuf,
    connection: Connection,
    gate: Gate,
    log_size: u64,
    /// Past this the log may not be written on.
    largest: u64,
}

/// The write-ahead log, in pages.
#[derive(Default)]
struct Log {
    frames: i64,
    /// How many of them are in the file.
    done: i64,
}

impl Log {
    fn bytes(&self) -> u64 {
        bytes(self.frames)
    }

    fn left(&self) -> u64 {
        bytes(self.frames - self.done)
    }
}

fn bytes(frames: i64) -> u64 {
    u64::try_from(frames).unwrap_or(0) * FRAME
}

impl Checkpoints {
    /// Starts the thread; `log_size` bounds the log, in bytes.
    pub(crate) fn start(path: &Path, gate: &Gate, log_size: u64) -> Result<Self, super::Trouble> {
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // A reader that holds the log up is not waited for: the next checkpoint tries again.
        connection.busy_timeout(Duration::from_millis(20))?;
        super::keep_log(&connection, true)?;
        let keeper = Keeper {
            path: beside(path, "-wal"),
            connection,
            gate: gate.clone(),
            log_size,
            // Sixteen times that is `max_size`.
            largest: 8 * log_size,
        };
        // One that rings while another ring waits has nothing to add.
        let (bell, rung) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(move || keeper.run(&rung))?;
        Ok(Self {
            bell: Some(bell),
            every: EVERY.min(log_size / 4),
            thread: Some(thread),
            written: 0,
        })
    }

    /// Tells how many bytes a commit has written, about.
    pub(crate) fn wrote(&mut self, bytes: u64) {
        self.written += bytes;
        if self.written >= self.every {
            self.written = 0;
        }
        if let Some(bell) = self.bell.as_ref().filter(|_| self.written == 0) {
            // Full: it has been told already. Closed: it has ended, and the next store starts another.
            let _ = bell.try_send(());
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.bell = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was logged where it happened.
            let _ = thread.join();
        }
    }
}

impl Keeper {
    fn run(self, rung: &Receiver<()>) {
        loop {
            match rung.recv_timeout(QUIET) {
                Ok(()) => self.checkpoint(),
                Err(RecvTimeoutError::Timeout) if self.log() > 0 => self.cut(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Brings over what there is. Where the log has grown past its bound, more than once, so that little is left for which the writer has
    /// to be kept out.
    fn checkpoint(&self) {
        for _ in 0..ROUNDS {
            let log = self.ask("PASSIVE");
            if log.bytes() < self.log_size {
                return;
            }
            if log.left() < SHORT {
                break;
            }
        }
        self.finish("RESTART");
    }

    /// Cuts the log to nothing.
    fn cut(&self) {
        self.ask("PASSIVE");
        self.finish("TRUNCATE");
    }

    /// Brings over what is left, the writer kept out; and out it stays where a reader has let the log outgrow all bounds.
    fn finish(&self, mode: &str) {
        let _kept_out = self.gate.pass();
        self.ask(mode);
        let held = self.log() > self.largest;
        self.gate.held.store(held, Ordering::Relaxed);
    }

    /// What goes wrong here goes wrong for the writer too, which says it.
    fn ask(&self, mode: &str) -> Log {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let answer = self.connection.query_row(&sql, [], |row| {
            Ok(Log {
                frames: row.get(1)?,
                done: row.get(2)?,
            })
        });
        answer.unwrap_or_else(|error| {
            tracing::debug!(%error, "no checkpoint");
            Log::default()
        })
    }

    /// How long the log is, in bytes.
    fn log(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |found| found.len())
    }
}
