//! The deadlines of a client connection: first byte, head, idle, write progress.
//!
//! Events leave a time in a [`Watch`]; one timer a connection looks at it when it fires and is set again for what is
//! then due. So a request costs two clock readings and no timer.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use tokio::time::{Duration, Instant};

use crate::config;

/// What a connection is doing and since when. Shared by its stream (which hyper wants `Send`), its requests and the
/// task that serves it; all of them are on one thread, so relaxed order suffices.
#[derive(Debug)]
pub(crate) struct Watch {
    opened: Instant,
    doing: AtomicU8,
    /// Milliseconds from `opened` to the moment at which `doing` began; [`LATELY`] is after the last look.
    since: AtomicU64,
    /// Milliseconds from `opened`, plus one, to the moment at which a write first found the client not reading; 0 is never.
    blocked: AtomicU64,
    aborted: AtomicBool,
    /// Whether bytes of the last request's body may still come.
    in_body: AtomicBool,
}

/// A moment that nobody has looked at the clock for: a head that comes whole needs none.
const LATELY: u64 = u64::MAX;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Doing {
    /// It waits for a request's first byte.
    Idle = 0,
    /// It reads a request's head.
    Head = 1,
    /// A request is being answered.
    Exchange = 2,
}

impl Watch {
    /// A connection from which a whole head is expected now.
    pub(crate) fn new() -> Self {
        Self {
            opened: Instant::now(),
            doing: AtomicU8::new(Doing::Head as u8),
            since: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            aborted: AtomicBool::new(false),
            in_body: AtomicBool::new(false),
        }
    }

    /// Bytes have come.
    pub(crate) fn received(&self) {
        if self.doing() == Doing::Idle {
            self.doing.store(Doing::Head as u8, Ordering::Relaxed);
            self.since.store(LATELY, Ordering::Relaxed);
        }
    }

    /// There is nothing more to be done for now.
    pub(crate) fn waits(&self) {
        if self.since.load(Ordering::Relaxed) == LATELY && self.doing() == Doing::Head {
            self.since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// A request's head is complete; whether a body follows.
    pub(crate) fn exchange(&self, body: bool) {
        self.doing.store(Doing::Exchange as u8, Ordering::Relaxed);
        self.in_body.store(body, Ordering::Relaxed);
    }

    /// The request's body was read to its end.
    pub(crate) fn body_read(&self) {
        self.in_body.store(false, Ordering::Relaxed);
    }

    /// A request is answered.
    pub(crate) fn idle(&self) {
        self.set(Doing::Idle);
    }

    /// Whether part of a request's head has come, and nothing else is under way.
    pub(crate) fn is_in_head(&self) -> bool {
        self.doing() == Doing::Head && self.blocked.load(Ordering::Relaxed) == 0
    }

    /// The client does not read.
    pub(crate) fn blocked(&self) {
        if self.blocked.load(Ordering::Relaxed) == 0 {
            self.blocked.store(self.now() + 1, Ordering::Relaxed);
        }
    }

    /// The client has read something.
    pub(crate) fn unblocked(&self) {
        self.blocked.store(0, Ordering::Relaxed);
    }

    /// The connection is to be reset when it closes.
    pub(crate) fn abort(&self) {
        self.aborted.store(true, Ordering::Relaxed);
    }

    /// Whether it is to be reset when it closes.
    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    /// Whether it has waited for a request for so long, with nothing to be written, and nothing left to come of the one
    /// before: what comes next is a head.
    pub(crate) fn has_rested(&self, time: Duration) -> bool {
        let spent = self
            .now()
            .saturating_sub(self.since.load(Ordering::Relaxed));
        self.doing() == Doing::Idle
            && self.blocked.load(Ordering::Relaxed) == 0
            && !self.in_body.load(Ordering::Relaxed)
            && Duration::from_millis(spent) >= time
    }

    /// How long the connection may go on before the next look, in `look` at most; `None` when its time is up.
    pub(crate) fn left(
        &self,
        timeouts: &config::ServerTimeouts,
        look: Duration,
    ) -> Option<Duration> {
        let now = self.now();
        let doing = match self.doing() {
            Doing::Idle => Some((self.since.load(Ordering::Relaxed), *timeouts.idle)),
            Doing::Head => Some((self.since.load(Ordering::Relaxed), *timeouts.head)),
            Doing::Exchange => None,
        };
        let blocked = match self.blocked.load(Ordering::Relaxed) {
            0 => None,
            since => Some((since - 1, *timeouts.write)),
        };
        [doing, blocked]
            .into_iter()
            .flatten()
            .try_fold(look, |left, (since, limit)| {
                let spent = Duration::from_millis(now.saturating_sub(since));
                let rest = limit.checked_sub(spent).filter(|rest| !rest.is_zero())?;
                Some(left.min(rest))
            })
    }

    fn set(&self, doing: Doing) {
        self.doing.store(doing as u8, Ordering::Relaxed);
        self.since.store(self.now(), Ordering::Relaxed);
    }

    fn doing(&self) -> Doing {
        match self.doing.load(Ordering::Relaxed) {
            0 => Doing::Idle,
            1 => Doing::Head,
            _ => Doing::Exchange,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::units::Period;

    const LOOK: Duration = Duration::from_secs(10);

    fn timeouts() -> config::ServerTimeouts {
        config::ServerTimeouts {
            head: Period::seconds(10),
            idle: Period::seconds(75),
            write: Period::seconds(30),
            ..config::ServerTimeouts::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_ends_with_the_head_time() {
        let watch = Watch::new();
        assert_eq!(watch.left(&timeouts(), LOOK), Some(Duration::from_secs(10)));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(watch.left(&timeouts(), LOOK), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_may_wait_and_a_begun_head_may_not() {
        let watch = Watch::new();
        watch.exchange(false);
        tokio::time::advance(Duration::from_secs(500)).await;
        assert!(
            watch.left(&timeouts(), LOOK).is_some(),
            "an exchange has deadlines of its own"
        );
        watch.idle();
        tokio::time::advance(Duration::from_secs(70)).await;
        assert_eq!(watch.left(&timeouts(), LOOK), Some(Duration::from_secs(5)));
        watch.received();
        watch.waits();
        tokio::time::advance(Duration::from_secs(9)).await;
        watch.received();
        watch.waits();
        assert_eq!(watch.left(&timeouts(), LOOK), Some(Duration::from_secs(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stops_is_noticed_during_an_exchange() {
        let watch = Watch::new();
        watch.exchange(false);
        watch.blocked();
        tokio::time::advance(Duration::from_secs(29)).await;
        watch.blocked();
        assert_eq!(watch.left(&timeouts(), LOOK), Some(Duration::from_secs(1)));
        watch.unblocked();
        tokio::time::advance(Duration::from_secs(29)).await;
        assert!(watch.left(&timeouts(), LOOK).is_some());
    }
}
