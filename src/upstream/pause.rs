//! The longest pause between two pieces of a body.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Notices that nothing has come for too long. The timer is made when a body first has to be waited for, so one that
/// comes at once costs none.
#[derive(Debug)]
pub(super) struct Pause {
    limit: Duration,
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Pause {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            waiting: None,
        }
    }

    /// The longest pause.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Something has come.
    pub(super) fn moved(&mut self) {
        if let Some(waiting) = &mut self.waiting {
            waiting.since = Instant::now();
        }
    }

    /// Ready when nothing has come for as long as the limit.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| {
            let since = Instant::now();
            Waiting {
                since,
                timer: Box::pin(sleep_until(since + limit)),
            }
        });
        while waiting.timer.as_mut().poll(cx).is_ready() {
            let due = waiting.since + limit;
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            waiting.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}
