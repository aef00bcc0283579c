//! What is counted beside incidents themselves (those are counted by cause where they are kept). One set for the process;
//! nothing here is touched by a request that passes.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    const fn zero() -> Self {
        Self(AtomicU64::new(0))
    }

    /// One more.
    pub fn add_one(&self) {
        self.add(1);
    }

    /// That many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of the process.
#[derive(Debug, Default)]
pub struct Counters {
    /// Visitors who left before their answer was complete.
    pub client_gone: Counter,
    /// Requests that we refused ourselves.
    pub refused: Counter,
    /// Log lines that were dropped: the reader was too slow, or is gone.
    pub log_dropped: Counter,
    /// Requests to the operator's listener that brought no token, a wrong one, or a foreign host name.
    pub admin_denied: Counter,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountersSnapshot {
    /// See [`Counters::client_gone`].
    pub client_gone: u64,
    /// See [`Counters::refused`].
    pub refused: u64,
    /// See [`Counters::log_dropped`].
    pub log_dropped: u64,
    /// See [`Counters::admin_denied`].
    pub admin_denied: u64,
}

/// The counters of this process.
pub static COUNTERS: Counters = Counters {
    client_gone: Counter::zero(),
    refused: Counter::zero(),
    log_dropped: Counter::zero(),
    admin_denied: Counter::zero(),
};

impl Counters {
    /// The counters now.
    #[must_use]
    pub fn snapshot(&self) -> CountersSnapshot {
        CountersSnapshot {
            client_gone: self.client_gone.value(),
            refused: self.refused.value(),
            log_dropped: self.log_dropped.value(),
            admin_denied: self.admin_denied.value(),
        }
    }
}
