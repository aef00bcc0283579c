//! How an endpoint is: what the exchanges with it say, and what its health checks say.
//!
//! Failures in a row eject it: it is left alone for a pause, after which one request asks whether it is back. Each time it is
//! not, the pause doubles. Health checks are `check.rs`; what they say is kept here.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The first pause, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How long the request that asks whether an endpoint is back may take before another one asks: an endpoint that hangs is
/// not to hold up many.
const ASK: Duration = PAUSE.1;

/// Bit of [`Health::out`]: a request is asking.
const ASKING: u64 = 1;

/// An endpoint's health, as all workers share it. Moments are milliseconds from the upstream's start.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Failures in a row.
    failures: AtomicU32,
    /// How often in a row it was ejected.
    ejections: AtomicU32,
    /// Until when it is out, shifted, and [`ASKING`]; 0 is in.
    out: AtomicU64,
    /// When it came back last.
    back: AtomicU64,
    /// Its health checks fail.
    sick: AtomicBool,
    /// How they failed last.
    why: Mutex<Arc<str>>,
}

impl Health {
    /// Whether it is ejected.
    pub(super) fn is_out(&self) -> bool {
        self.out.load(Ordering::Relaxed) != 0
    }

    /// Whether its health checks fail.
    pub(super) fn is_sick(&self) -> bool {
        self.sick.load(Ordering::Relaxed)
    }

    /// Its health checks fail, or succeed if there is nothing that says how; whether that is new.
    pub(super) fn set_sick(&self, why: Option<&str>) -> bool {
        if let Some(why) = why {
            *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why.into();
        }
        self.sick.swap(why.is_some(), Ordering::Relaxed) != why.is_some()
    }

    /// How its health checks failed last.
    pub(super) fn why(&self) -> Arc<str> {
        Arc::clone(&self.why.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Whether the pause is over, and the caller the one who asks.
    pub(super) fn may_ask(&self, now: u64) -> bool {
        let out = self.out.load(Ordering::Relaxed);
        if out == 0 || now < out >> 1 {
            return false;
        }
        let until = (now + millis(ASK)) << 1 | ASKING;
        self.out
            .compare_exchange(out, until, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// It has answered; whether it was out.
    pub(super) fn succeeded(&self, now: impl FnOnce() -> u64) -> bool {
        if self.failures.load(Ordering::Relaxed) == 0 && !self.is_out() {
            return false;
        }
        self.failures.store(0, Ordering::Relaxed);
        let was_out = self.out.swap(0, Ordering::Relaxed) != 0;
        if was_out {
            self.back.store(now(), Ordering::Relaxed);
        }
        was_out
    }

    /// It has failed; how long it is left alone if that was once too often. `limit` is how many failures in a row that
    /// takes, 0 for any number. `chance` lies between 0 and 1.
    pub(super) fn failed(&self, limit: u32, now: u64, chance: f64) -> Option<Duration> {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        let out = self.out.load(Ordering::Relaxed);
        // What was under way when it was ejected says nothing new.
        let counts = if out == 0 {
            failures >= limit
        } else {
            out & ASKING != 0
        };
        if limit == 0 || !counts {
            return None;
        }
        let pause = self.pause(now).mul_f64(1.0 + chance / 4.0);
        let until = (now + millis(pause)) << 1;
        let ejected = self
            .out
            .compare_exchange(out, until, Ordering::Relaxed, Ordering::Relaxed);
        ejected.is_ok().then_some(pause)
    }

    /// The next pause. An endpoint that was back for no longer than the longest one has not recovered.
    fn pause(&self, now: u64) -> Duration {
        let (first, longest) = PAUSE;
        let back = self.back.load(Ordering::Relaxed);
        if !self.is_out() && now.saturating_sub(back) > millis(longest) {
            self.ejections.store(0, Ordering::Relaxed);
        }
        let ejections = self.ejections.fetch_add(1, Ordering::Relaxed);
        first.saturating_mul(1 << ejections.min(16)).min(longest)
    }
}

/// A number by chance, from 0 to 1: what many proxies do is not to happen at once.
pub(super) fn chance() -> f64 {
    let drawn = RandomState::new().hash_one(0_u8);
    f64::from(u32::try_from(drawn >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many failures at `now`; the pause that the last one brought.
    fn fail(health: &Health, times: u32, now: u64) -> Option<u64> {
        let failed = (0..times).map(|_| health.failed(3, now, 0.0));
        failed.last().flatten().map(millis)
    }

    #[test]
    fn only_failures_in_a_row_eject() {
        let health = Health::default();
        assert_eq!(fail(&health, 2, 0), None);
        health.succeeded(|| 0);
        assert_eq!(fail(&health, 2, 0), None);
        assert!(!health.is_out());
        assert_eq!(fail(&health, 1, 0), Some(1000));
        assert!(health.is_out());
        assert_eq!(Health::default().failed(0, 0, 0.0), None, "0 is never");
    }

    #[test]
    fn one_request_asks_after_the_pause_and_decides() {
        let health = Health::default();
        fail(&health, 3, 0);
        assert!(!health.may_ask(999));
        assert!(health.may_ask(1000) && !health.may_ask(1000), "one");
        assert!(health.succeeded(|| 1001));
        assert!(!health.is_out());
    }

    #[test]
    fn the_pause_grows_up_to_a_limit() {
        let health = Health::default();
        let mut now = 0;
        let mut pauses = vec![fail(&health, 3, now).unwrap()];
        for _ in 0..6 {
            now += pauses.last().unwrap();
            assert!(health.may_ask(now));
            pauses.push(fail(&health, 1, now).unwrap());
        }
        assert_eq!(pauses, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        let spread = Health::default().failed(1, 0, 1.0);
        assert_eq!(spread, Some(Duration::from_millis(1250)));
    }

    #[test]
    fn an_endpoint_that_comes_back_and_fails_again_has_not_recovered() {
        let health = Health::default();
        fail(&health, 3, 0);
        health.succeeded(|| 1000);
        assert_eq!(fail(&health, 3, 20_000), Some(2000));
        health.succeeded(|| 22_000);
        assert_eq!(fail(&health, 3, 60_000), Some(1000), "it had");
    }

    #[test]
    fn late_failures_do_not_lengthen_a_pause() {
        let health = Health::default();
        fail(&health, 3, 0);
        assert_eq!(fail(&health, 50, 10), None);
        assert!(health.may_ask(1000));
    }

    #[test]
    fn a_request_that_asks_and_leaves_is_followed_by_another() {
        let health = Health::default();
        fail(&health, 3, 0);
        assert!(health.may_ask(1000));
        assert!(!health.may_ask(30_999));
        assert!(health.may_ask(31_000));
    }
}
