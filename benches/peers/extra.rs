//! What is measured otherwise than by CPU time in rounds: memory of idle connections, starts, two workers. Each gives a table, and values
//! beside their limits.

use serde::Serialize;

use anyhow::Result;

use crate::contender::{Ground, Peer};
use crate::figures::Spread;
use crate::rounds::Pace;
use crate::{idle, start, workers};

/// Something to measure.
pub(crate) struct Extra {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Who takes part.
    pub(crate) peers: &'static [Peer],
    /// Whether wrk does.
    pub(crate) has_load: bool,
    pub(crate) run: fn(&Ground, Pace) -> Result<Measured>,
    /// About how many seconds it takes for each build of Pardon, and for all peers together.
    pub(crate) seconds: (f64, f64),
}

pub(crate) const EXTRAS: [Extra; 3] = [
    Extra {
        name: "idle",
        about: "memory of 5,000 idle connections, each of which has had a request",
        peers: &[Peer::Pardon, Peer::Nginx, Peer::Haproxy],
        has_load: false,
        run: idle::run,
        seconds: (13.0, 26.0),
    },
    Extra {
        name: "start",
        about: "from exec to the first answer, memory at rest, size of the binary",
        peers: &[Peer::Pardon, Peer::Nginx, Peer::Haproxy],
        has_load: false,
        run: start::run,
        seconds: (8.0, 16.0),
    },
    Extra {
        name: "two-workers",
        about: "two workers on two cores beside one, on 64 connections, and how they share those",
        peers: &[Peer::Pardon, Peer::TwoWorkers],
        has_load: true,
        run: workers::run,
        seconds: (60.0, 0.0),
    },
];

/// What was measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<(String, Vec<Spread>)>,
    pub(crate) limits: Vec<Limit>,
}

/// A value of Pardon's beside its limit.
#[derive(Debug, Serialize)]
pub(crate) struct Limit {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) most: f64,
}

impl Limit {
    /// How much of the limit it is.
    pub(crate) fn ratio(&self) -> f64 {
        self.value / self.most
    }
}

/// The name of a limit for a build of Pardon: the first has the plain one.
pub(crate) fn label(ground: &Ground, name: &str, place: usize) -> String {
    match ground.builds.get(place) {
        Some(build) if place > 0 => format!("{name}@{}", build.name),
        _ => name.to_owned(),
    }
}
