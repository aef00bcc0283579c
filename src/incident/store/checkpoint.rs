//! Checkpoints: what the write-ahead log holds is brought into the file, on a thread and a connection of their own, so that no commit
//! waits for it.
//!
//! A checkpoint beside a busy writer never reaches the log's end. Where the log has grown past its bound, the [`Gate`] keeps the writer
//! out while the rest is brought over and the log is cut to nothing; a page waits for that no longer than `commit_wait`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{beside, connect};

/// How much is written between checkpoints.
const EVERY: u64 = 4 << 20;
/// How long nothing is written before the log is cut to nothing.
const QUIET: Duration = Duration::from_secs(2);

/// Whoever has it writes: the writer for a transaction, a checkpoint for the log's last part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<Mutex<()>>);

impl Gate {
    /// Waits for the right to write.
    pub(crate) fn pass(&self) -> MutexGuard<'_, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The checkpoints of an open store; they end with this value.
pub(crate) struct Checkpoints {
    bell: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    written: u64,
}

struct Keeper {
    path: PathBuf,
    connection: Connection,
    gate: Gate,
    log_size: u64,
}

impl Checkpoints {
    /// Starts the thread; `log_size` bounds the log, in bytes.
    pub(crate) fn start(path: &Path, gate: &Gate, log_size: u64) -> Result<Self, super::Trouble> {
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // A reader that holds the log up is not waited for: the next checkpoint tries again.
        connection.busy_timeout(Duration::from_millis(20))?;
        let keeper = Keeper {
            path: beside(path, "-wal"),
            connection,
            gate: gate.clone(),
            log_size,
        };
        // One that rings while another ring waits has nothing to add.
        let (bell, rung) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(move || keeper.run(&rung))?;
        Ok(Self {
            bell: Some(bell),
            thread: Some(thread),
            written: 0,
        })
    }

    /// Tells how many bytes a commit has written, about.
    pub(crate) fn wrote(&mut self, bytes: u64) {
        self.written += bytes;
        if self.written >= EVERY {
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

    fn checkpoint(&self) {
        self.ask("PASSIVE");
        if self.log() > self.log_size {
            self.cut();
        }
    }

    /// Brings over what is left, the writer kept out, and cuts the log to nothing.
    fn cut(&self) {
        self.ask("PASSIVE");
        let _kept_out = self.gate.pass();
        self.ask("TRUNCATE");
    }

    /// What goes wrong here goes wrong for the writer too, which says it.
    fn ask(&self, mode: &str) {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        if let Err(error) = self.connection.query_row(&sql, [], |_| Ok(())) {
            tracing::debug!(%error, "no checkpoint");
        }
    }

    /// How long the log is, in bytes.
    fn log(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |found| found.len())
    }
}
