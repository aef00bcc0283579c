//! The incident thread: takes what waits, writes it in groups, and sees to the store's well-being.
//!
//! Whatever is wrong with the file, the thread goes on: what waits stays in the queue within `incidents.memory`, is tried again, and what
//! is wrong is said once, as is its end. A damaged file is set aside and a new one begun.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::queue::{Entry, Next, Shared};
use super::store::{
    Checkpoints, Gate, Limits, Lock, Store, StoreError, Trouble, Written, set_aside,
};
use super::{Losses, trouble::Standing};
use crate::config;
use crate::telemetry::names;

/// How long the thread sleeps when nothing comes: then it looks after the file.
const QUIET: Duration = Duration::from_millis(500);
/// How long it waits before it tries again what failed: twice as long each time, from the first to the second.
const RETRY: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(320)];
/// How long the last entries are tried to be written when the process ends.
const LAST_TRIES: Duration = Duration::from_secs(1);

/// After how many rows, or how many bytes, there is a step of retention at the latest.
const ROWS: u64 = 64;
const BYTES: u64 = 1 << 20;

/// What the thread works with.
pub(super) struct Recorder {
    shared: Arc<Shared>,
    settings: config::Incidents,
    limits: Limits,
    path: PathBuf,
    lock: Option<Lock>,
    open: Option<Open>,
    standing: Standing,
    /// What of the losses the file has counted.
    counted: Losses,
    looked: Instant,
    /// How long to wait after the next failure.
    retry: Duration,
    /// Whether the file was found damaged while it was written.
    damaged: bool,
    /// Rows written since the last step of retention, and about how many bytes.
    written: u64,
    bytes: u64,
}

/// The store and what belongs to it.
struct Open {
    // First: the store's connection is the last to be closed, and decides what becomes of the log.
    checkpoints: Checkpoints,
    gate: Gate,
    store: Store,
}

impl Recorder {
    /// Opens the store. What a person has to see to is an error; anything else is said, and tried again while the proxy runs.
    pub(super) fn start(
        settings: &config::Incidents,
        shared: Arc<Shared>,
    ) -> Result<Self, StoreError> {
        let [shortest, _] = RETRY;
        let mut recorder = Self {
            shared,
            limits: Limits::new(settings),
            path: true_path(&settings.path),
            settings: settings.clone(),
            lock: None,
            open: None,
            standing: Standing::default(),
            counted: Losses::default(),
            looked: Instant::now(),
            retry: shortest,
            damaged: false,
            written: 0,
            bytes: 0,
        };
        match recorder.reopen() {
            Err(error) if error.is_for_a_person() => Err(error),
            Err(error) => {
                recorder.standing.fell(&error);
                Ok(recorder)
            }
            Ok(()) => Ok(recorder),
        }
    }

    /// The time of the newest row, in milliseconds since 2020.
    pub(super) fn newest_millis(&self) -> u64 {
        let newest = |open: &Open| open.store.newest_millis();
        self.open.as_ref().map_or(0, newest)
    }

    /// Works until the queue is closed and all is written, or that has failed for long enough.
    pub(super) fn run(mut self) {
        let mut closing: Option<Instant> = None;
        loop {
            match self.shared.next(QUIET) {
                Next::Closed => break,
                Next::Idle => self.look_after(),
                Next::Batch(batch) => {
                    if self.write(batch) {
                        continue;
                    }
                    let pause = self.next_retry();
                    if self.shared.pause(pause) {
                        // Nothing more comes, and nothing but this thread waits.
                        thread::sleep(pause);
                        let since = closing.get_or_insert_with(Instant::now);
                        self.give_up_after(since.elapsed());
                    }
                }
            }
        }
    }

    /// The process is to end, and has waited that long.
    fn give_up_after(&self, waited: Duration) {
        if waited > LAST_TRIES {
            let count = self.shared.give_up_all();
            tracing::error!(target: names::STORE, count, "incidents that were never stored are given up; the log has them in full");
        }
    }

    fn next_retry(&mut self) -> Duration {
        let [_, longest] = RETRY;
        let now = self.retry;
        self.retry = (now * 2).min(longest);
        now
    }

    /// Writes a batch; false when that failed, and the batch waits again.
    fn write(&mut self, batch: Vec<Entry>) -> bool {
        if let Err(error) = self.be_open().and_then(|()| self.commit(&batch)) {
            self.shared.put_back(batch);
            self.fell(&error);
            return false;
        }
        self.written += batch.len() as u64;
        self.shared.written(batch);
        self.standing.rose();
        [self.retry, _] = RETRY;
        let due = self.written >= ROWS || self.bytes >= BYTES;
        if due && let Err(error) = self.retain() {
            self.fell(&error);
        }
        true
    }

    fn commit(&mut self, batch: &[Entry]) -> Result<(), StoreError> {
        let lost = self.shared.counts().lost;
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if open.gate.is_held() {
            return Err(StoreError::new(&self.path, Trouble::Held));
        }
        {
            let _passed = open.gate.pass();
            let begun = Instant::now();
            open.store.write(batch, &lost.since(&self.counted))?;
            self.shared.commits.add(begun.elapsed());
        }
        self.counted = lost;
        let bytes: usize = batch.iter().map(Entry::size).sum();
        self.bytes += bytes as u64;
        open.checkpoints.wrote(bytes as u64);
        Ok(())
    }

    /// A step of retention; true when there is more to do.
    fn retain(&mut self) -> Result<bool, StoreError> {
        let Some(open) = self.open.as_mut().filter(|open| !open.gate.is_held()) else {
            return Ok(false);
        };
        let written = Written {
            rows: std::mem::take(&mut self.written),
            bytes: std::mem::take(&mut self.bytes),
        };
        let step = {
            let _passed = open.gate.pass();
            open.store.retain(&self.limits, Timestamp::now(), written)?
        };
        open.checkpoints.wrote(step.bytes);
        Ok(step.more)
    }

    /// What is done when nothing comes: retention, counts, a look whether the file is still there.
    fn look_after(&mut self) {
        match self.try_look_after() {
            Ok(()) => self.standing.rose(),
            Err(error) => self.fell(&error),
        }
    }

    fn try_look_after(&mut self) -> Result<(), StoreError> {
        self.be_open()?;
        while self.retain()? && !self.shared.is_waiting() {}
        self.note_losses()
    }

    fn note_losses(&mut self) -> Result<(), StoreError> {
        if self.shared.counts().lost == self.counted {
            return Ok(());
        }
        self.commit(&[])
    }

    /// Sees to it that the file is open, and that it is the one that the path leads to.
    fn be_open(&mut self) -> Result<(), StoreError> {
        let looks = self.looked.elapsed() >= QUIET;
        if looks {
            self.looked = Instant::now();
        }
        if let Some(open) = &self.open {
            if !looks || open.store.is_in_place() {
                return Ok(());
            }
            self.open = None;
            // Its lock may be gone with it.
            self.lock = None;
            tracing::warn!(target: names::STORE, path = %self.path.display(), "the store's file is gone, or its log; it is opened anew");
        }
        self.reopen()
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        if self.lock.is_none() {
            self.lock = Some(Lock::take(&self.path)?);
        }
        if self.damaged {
            self.set_aside()?;
            self.damaged = false;
        }
        let store = match Store::open(&self.path, self.settings.sync) {
            Err(error) if matches!(error.kind(), Trouble::Damaged(_)) => {
                self.standing.fell(&error);
                self.set_aside()?;
                Store::open(&self.path, self.settings.sync)?
            }
            store => store?,
        };
        let gate = Gate::default();
        let checkpoints = Checkpoints::start(&self.path, &gate, self.limits.log_size())
            .map_err(|trouble| StoreError::new(&self.path, trouble))?;
        self.open = Some(Open {
            checkpoints,
            gate,
            store,
        });
        Ok(())
    }

    /// Gives a damaged file another name.
    fn set_aside(&self) -> Result<(), StoreError> {
        let aside = match set_aside(&self.path, Timestamp::now()) {
            Ok(aside) => aside,
            // Somebody has taken it away since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StoreError::new(&self.path, error)),
        };
        tracing::error!(target: names::STORE, kept = %aside.display(), "the damaged store is kept under another name, and a new one is begun; `--store` may still read the old one");
        Ok(())
    }

    /// Something failed: says so, if it is new, and decides whether the file has to be opened again.
    fn fell(&mut self, error: &StoreError) {
        self.standing.fell(error);
        match error.kind() {
            Trouble::Full(_) | Trouble::Locked(_) | Trouble::Held => {}
            Trouble::Damaged(_) => {
                // Opening it again may not meet the damage: it is not tried.
                self.open = None;
                self.damaged = true;
            }
            _ => self.open = None,
        }
    }
}

/// The file itself where the path leads to it by links: two names of one store have one lock.
fn true_path(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
