//! The incidents of a process: the handle that its parts share, and the guard that ends the threads behind it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::desk::Desk;
use super::originals::Originals;
use super::queue::{Counts, Shared};
use super::recorder::Recorder;
use super::{Budget, StoreError, Trouble};
use crate::config;
use crate::telemetry::{Spread, names};

/// How long the end of a process waits for its last incidents to be written.
const PATIENCE: Duration = Duration::from_secs(2);

/// The incidents of this process. Clones are handles on the same.
#[derive(Clone, Debug)]
pub struct Incidents {
    shared: Arc<Shared>,
    originals: Originals,
    path: PathBuf,
    newest: u64,
}

/// The threads behind [`Incidents`]. Dropped, it has what waits written, and ends them.
#[derive(Debug)]
pub struct Recording {
    shared: Arc<Shared>,
    ended: Mutex<Receiver<()>>,
}

impl Incidents {
    /// Opens the store and starts its threads. A store that cannot be used now is said in the log and tried again.
    ///
    /// # Errors
    ///
    /// When a person has to see to it: another process writes there, the file is another program's, or of a newer version.
    pub fn start(settings: &config::Incidents) -> Result<(Self, Recording), StoreError> {
        let shared = Arc::new(Shared::new(settings.memory.bytes()));
        let recorder = Recorder::start(settings, Arc::clone(&shared))?;
        let newest = recorder.newest_millis();
        let failed = |error: io::Error| StoreError::new(&settings.path, Trouble::Files(error));
        let originals = Originals::start().map_err(failed)?;
        let (end, ended) = mpsc::sync_channel(1);
        let incidents = Self {
            shared: Arc::clone(&shared),
            originals,
            path: settings.path.clone(),
            newest,
        };
        thread::Builder::new()
            .name("incidents".to_owned())
            .spawn(move || {
                recorder.run();
                // Who does not wait for the end any more does not hear of it.
                let _ = end.send(());
            })
            .map_err(failed)?;
        let ended = Mutex::new(ended);
        Ok((incidents, Recording { shared, ended }))
    }

    /// A worker's desk; to be asked for inside its runtime.
    #[must_use]
    pub fn desk(&self) -> Desk {
        Desk::new(Arc::clone(&self.shared))
    }

    /// Does something that takes long with an original on a thread for that. The receiver gets an error where it panicked.
    pub fn read_apart<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        self.originals.read(job)
    }

    /// The memory that incidents and captures share.
    #[must_use]
    pub fn budget(&self) -> Budget {
        Budget(Arc::clone(&self.shared))
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// How long the transactions took that have written them.
    #[must_use]
    pub fn commits(&self) -> Spread {
        self.shared.commits.read()
    }

    /// How many bytes the store's file and its log have now. May wait for the disk.
    #[must_use]
    pub fn store_bytes(&self) -> u64 {
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        let length = |path: &Path| fs::metadata(path).map_or(0, |about| about.len());
        length(&self.path) + length(Path::new(&log))
    }

    /// The store's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The time of the newest row when the process started, in milliseconds since 2020; 0 where there was none.
    #[must_use]
    pub fn newest_millis(&self) -> u64 {
        self.newest
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.shared.close();
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(PATIENCE).is_err() {
            tracing::error!(target: names::STORE, "the store was not closed in time; what it had not written is in the log only");
        }
    }
}
