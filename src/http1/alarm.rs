//! A connection's one timer: for an answer's head, and for the pauses in its body.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Fires when something is overdue. The timer stays set from one exchange to the next, and is looked at when it fires:
/// so an exchange costs no timer, and where nothing has to be waited for, no reading of the clock.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
    /// Since when a pause lasts.
    since: Option<Instant>,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Self {
            timer: None,
            since: None,
        }
    }

    /// Ready when the time that `due` states has come.
    pub(crate) fn poll_over(
        &mut self,
        cx: &mut Context<'_>,
        due: impl Fn() -> Instant,
    ) -> Poll<()> {
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(due())));
        if timer.deadline() > due() {
            timer.as_mut().reset(due());
        }
        while timer.as_mut().poll(cx).is_ready() {
            let due = due();
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }

    /// Something has come.
    pub(crate) fn moved(&mut self) {
        self.since = None;
    }

    /// Ready when nothing has come for so long, and since `other` either.
    pub(crate) fn poll_pause(
        &mut self,
        cx: &mut Context<'_>,
        other: impl Fn() -> Option<Instant>,
        limit: Duration,
    ) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let last = || other().map_or(since, |other| other.max(since));
        self.poll_over(cx, || last() + limit)
    }
}
