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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Mutex, mpsc};

    use tokio::task::yield_now;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_questions_are_answered_at_once_and_no_more() {
        let apart = Apart::new(PathBuf::new());
        let (go, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let job = || {
            let wait = Arc::clone(&wait);
            move || wait.lock().unwrap().recv().is_ok()
        };
        let (mut one, mut two) = (Box::pin(apart.run(job())), Box::pin(apart.run(job())));
        tokio::select! {
            biased;
            _ = &mut one => panic!("it waits"),
            _ = &mut two => panic!("it waits"),
            () = yield_now() => {}
        }
        let later = TURN + Duration::from_millis(1);
        let (three, ()) = tokio::join!(apart.run(|| ()), advance(later));
        assert_eq!(three.unwrap_err().status, 503);
        drop(go);
        assert!(one.await.is_ok() && two.await.is_ok());
        assert!(apart.run(|| ()).await.is_ok(), "the turns came back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_takes_too_long_keeps_its_turn_until_it_ends() {
        let apart = Apart::new(PathBuf::new());
        let (go, wait) = mpsc::channel::<()>();
        let job = move || wait.recv().is_ok();
        let later = LONGEST + Duration::from_millis(1);
        let (late, ()) = tokio::join!(apart.run(job), async {
            yield_now().await;
            advance(later).await;
        });
        assert_eq!(late.unwrap_err().status, 503);
        assert_eq!(apart.turns.available_permits(), AT_ONCE - 1);
        drop(go);
        let all = u32::try_from(AT_ONCE).unwrap();
        assert!(apart.turns.acquire_many(all).await.is_ok());
    }

    #[test]
    fn what_nobody_waits_for_is_stopped() {
        let told = Arc::new(AtomicBool::new(false));
        let (handle, stopper) = oneshot::channel();
        let stop = Stop(stopper);
        let seen = Arc::clone(&told);
        drop(handle.send(move || seen.store(true, Ordering::Relaxed)));
        drop(stop);
        assert!(told.load(Ordering::Relaxed));
    }
}
