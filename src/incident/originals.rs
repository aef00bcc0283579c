//! The thread on which large originals are decoded, redacted and read: a quarter of a megabyte would hold a worker up for milliseconds.
//!
//! What waits here is bounded by the memory that its captures hold. A job that panics is one body less, and nothing more.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// A handle on the thread; it ends with the last of them.
#[derive(Clone, Debug)]
pub(super) struct Originals(Sender<Job>);

impl Originals {
    pub(super) fn start() -> io::Result<Self> {
        let (sender, jobs) = mpsc::channel();
        thread::Builder::new()
            .name("originals".to_owned())
            .spawn(move || work(&jobs))?;
        Ok(Self(sender))
    }

    /// Does this on the thread. The receiver gets an error where that panicked.
    pub(super) fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (done, result) = oneshot::channel();
        // The thread lives as long as this handle; and who does not wait for the result any more does not want it.
        let _ = self.0.send(Box::new(move || drop(done.send(job()))));
        result
    }
}

fn work(jobs: &Receiver<Job>) {
    for job in jobs {
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("an original could not be read: its reading panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_one_body_less() {
        let originals = Originals::start().unwrap();
        let broken = originals.read(|| -> u8 { panic!("on purpose") });
        let whole = originals.read(|| 7);
        assert!(broken.await.is_err());
        assert_eq!(whole.await, Ok(7));
    }
}
