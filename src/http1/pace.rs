//! Whether the other end keeps the least rate (`server.timeouts.min_rate`).

use std::time::Duration;

use tokio::time::Instant;

/// Over how much waiting the rate is averaged.
const WINDOW: Duration = Duration::from_secs(10);

/// What moves while the other end is waited for. Time in which it has nothing to do does not count, so one that is kept
/// waiting itself is never too slow, and what comes or goes without a wait costs no reading of the clock.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Bytes a second; 0 is any.
    least: u64,
    /// Since when it is waited for.
    since: Option<Instant>,
    waited: Duration,
    moved: u64,
}

/// The other end is slower than the least rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooSlow;

impl Pace {
    /// A pace of at least so many bytes a second.
    pub(crate) fn new(least: u64) -> Self {
        Self {
            least,
            since: None,
            waited: Duration::ZERO,
            moved: 0,
        }
    }

    /// The other end is waited for.
    pub(crate) fn waits(&mut self) {
        if self.least > 0 && self.since.is_none() {
            self.since = Some(Instant::now());
        }
    }

    /// Nothing is waited for any more.
    pub(crate) fn rest(&mut self) {
        *self = Self::new(self.least);
    }

    /// So much has moved, which may have ended a wait.
    pub(crate) fn moved(&mut self, bytes: u64) -> Result<(), TooSlow> {
        let Some(since) = self.since.take() else {
            return Ok(());
        };
        self.waited += since.elapsed();
        self.moved += bytes;
        if self.waited < WINDOW {
            return Ok(());
        }
        let due = self.least.saturating_mul(self.waited.as_secs());
        let slow = self.moved < due;
        (self.waited, self.moved) = (Duration::ZERO, 0);
        if slow { Err(TooSlow) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// How many seconds one is borne with that moves so much each second.
    async fn borne(bytes: u64) -> Option<usize> {
        let mut pace = Pace::new(100);
        for second in 1..=100 {
            pace.waits();
            pace.waits();
            advance(Duration::from_secs(1)).await;
            if pace.moved(bytes) == Err(TooSlow) {
                return Some(second);
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_held_over_ten_seconds_of_waiting() {
        assert_eq!(borne(99).await, Some(10));
        assert_eq!(borne(100).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nothing_is_waited_for_does_not_count() {
        let mut pace = Pace::new(100);
        for _ in 0..100 {
            advance(Duration::from_mins(1)).await;
            assert_eq!(pace.moved(1), Ok(()));
        }
        let mut any = Pace::new(0);
        any.waits();
        advance(Duration::from_mins(1)).await;
        assert_eq!(any.moved(1), Ok(()));
    }
}
