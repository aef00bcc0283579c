//! How many requests may be sent again: a share of all, so that a sick app is not finished off by its proxy.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// Half of the time that is looked back at.
const HALF: Duration = Duration::from_secs(5);

/// Retries that are always allowed in twice [`HALF`], so that a lone request may be sent again.
const FLOOR: f64 = 10.0;

/// A worker's budget for one upstream: of the requests that it had in the last five to ten seconds.
#[derive(Debug)]
pub(super) struct Budget {
    /// The share of requests that may be sent again; 0 is none at all.
    share: f64,
    /// When the present half is over.
    ends: Cell<Instant>,
    requests: Cell<Count>,
    retries: Cell<Count>,
    /// Whether it was said of the present half that retries are withheld.
    said: Cell<bool>,
}

/// How many in the present half and in the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    now: u32,
    before: u32,
}

impl Budget {
    pub(super) fn new(share: f64) -> Self {
        Self {
            share,
            ends: Cell::new(Instant::now() + HALF),
            requests: Cell::default(),
            retries: Cell::default(),
            said: Cell::new(false),
        }
    }

    /// Counts a request.
    pub(super) fn count(&self, now: Instant) {
        if now >= self.ends.get() {
            self.turn(now);
        }
        self.requests.set(self.requests.get().more());
    }

    /// Whether a request may be sent again; it is counted then.
    pub(super) fn take(&self, now: Instant) -> bool {
        if now >= self.ends.get() {
            self.turn(now);
        }
        let floor = if self.share > 0.0 { FLOOR } else { 0.0 };
        let most = f64::from(self.requests.get().all()) * self.share + floor;
        let allowed = f64::from(self.retries.get().all()) + 1.0 <= most;
        if allowed {
            self.retries.set(self.retries.get().more());
        }
        allowed
    }

    /// Whether it is to be said that retries are withheld: once in each half.
    pub(super) fn is_news(&self) -> bool {
        !self.said.replace(true)
    }

    #[cold]
    fn turn(&self, now: Instant) {
        let long = now >= self.ends.get() + HALF;
        self.requests.set(self.requests.get().turned(long));
        self.retries.set(self.retries.get().turned(long));
        self.ends.set(now + HALF);
        self.said.set(false);
    }
}

impl Count {
    fn all(self) -> u32 {
        self.now.saturating_add(self.before)
    }

    fn more(self) -> Self {
        let now = self.now.saturating_add(1);
        Self { now, ..self }
    }

    /// A new half has begun; `long` after the last.
    fn turned(self, long: bool) -> Self {
        let before = if long { 0 } else { self.now };
        Self { now: 0, before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many retries were allowed.
    fn taken(budget: &Budget, wanted: usize) -> usize {
        let take = |_: &usize| budget.take(Instant::now());
        (0..wanted).filter(take).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_of_the_requests_of_the_last_seconds_is_sent_again() {
        let budget = Budget::new(0.2);
        assert_eq!(taken(&budget, 100), 10, "the floor");
        for _ in 0..1000 {
            budget.count(Instant::now());
        }
        assert_eq!(taken(&budget, 1000), 200, "a fifth more");
        tokio::time::advance(HALF).await;
        assert_eq!(taken(&budget, 1000), 0, "the last half counts");
        tokio::time::advance(HALF).await;
        assert_eq!(taken(&budget, 100), 10, "what is past is past");
        tokio::time::advance(HALF * 100).await;
        assert_eq!(taken(&budget, 100), 10);
    }

    #[test]
    fn a_budget_of_0_is_none() {
        let budget = Budget::new(0.0);
        budget.count(Instant::now());
        assert!(!budget.take(Instant::now()));
    }
}
