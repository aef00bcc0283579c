//! What a contender writes to stderr: read on the load's core, as a container engine reads a log, and forgotten but for its beginning.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::process::Process;

/// Bytes of the beginning: enough to say why a program does not start.
const BEGINNING: usize = 2 << 10;

/// A log that is being read.
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Reads it until its writers have ended.
    pub(crate) fn read(process: &mut Process) -> Self {
        let beginning = Arc::new(Mutex::new(Vec::new()));
        if let Some(mut stderr) = process.child().stderr.take() {
            let beginning = Arc::clone(&beginning);
            let mut piece = vec![0; 64 << 10];
            thread::spawn(move || {
                while let Ok(length @ 1..) = stderr.read(&mut piece) {
                    let mut kept = beginning.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = length.min(BEGINNING - kept.len());
                    kept.extend_from_slice(piece.get(..room).unwrap_or_default());
                }
            });
        }
        Self(beginning)
    }

    /// What it began with.
    pub(crate) fn beginning(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).trim().to_owned()
    }
}
