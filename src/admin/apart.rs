//! Questions to the disk, asked on threads of their own: neither a request of a visitor nor `/livez` ever waits for one.
//!
//! Bounds: so many at once, so long each; what takes longer is stopped.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::reply::Problem;
use crate::incident::StoreError;
use crate::incident::store::Reader;

/// How many questions are answered at once; the next wait.
const AT_ONCE: usize = 2;
/// How long a question waits for its turn.
const TURN: Duration = Duration::from_secs(2);
/// How long it may take then.
const LONGEST: Duration = Duration::from_secs(10);

/// Where the store is asked.
#[derive(Clone, Debug)]
pub(super) struct Apart {
    path: PathBuf,
    turns: Arc<Semaphore>,
}

/// Stops a question whose answer nobody waits for any more.
struct Stop<S: Fn()>(oneshot::Receiver<S>);

impl Apart {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Asks the store. Dropped, it stops the question.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        bytes: usize,
        question: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let path = self.path.clone();
        let (handle, stopper) = oneshot::channel();
        let _stop = Stop(stopper);
        let answered = self.run(move || {
            let reader = Reader::open(&path)?.at_most(bytes);
            // Nobody may wait for it any more.
            drop(handle.send(reader.stopper()));
            question(&reader)
        });
        answered.await?.map_err(|error| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                error.to_string(),
                error.hint(),
            )
        })
    }

    /// Does something that may wait for the disk.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let busy = || unavailable("too many questions at once", "ask again in a moment");
        let turn = timeout(TURN, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| busy())?;
        // The turn is over with the work, not with the wait for it.
        let working = spawn_blocking(move || {
            let _turn = turn;
            job()
        });
        let slow = |_| {
            unavailable(
                "this takes too long",
                "narrow it: since, status, route, cause",
            )
        };
        let worked = timeout(LONGEST, working).await.map_err(slow)?;
        worked.map_err(|_| {
            let title = "Pardon failed to answer this; the log says more";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, title, "please report it")
        })
    }
}

impl<S: Fn()> Drop for Stop<S> {
    fn drop(&mut self) {
        // What has ended does not mind.
        if let Ok(stop) = self.0.try_recv() {
            stop();
        }
    }
}

fn unavailable(title: &str, hint: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, title, hint)
}
