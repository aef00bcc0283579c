//! Rounds: each contender in turn under load while the others idle, the first of a round another each time.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::contender::{Contender, Ground};
use crate::fetch;
use crate::load::{Done, Load};
use crate::process::{self, Spent};

/// How long a proxy has to come to rest after a round.
const REST: Duration = Duration::from_millis(20);

/// Set by a signal: what runs ends after the round that is under way.
pub(crate) static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How often, and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) rounds: usize,
    pub(crate) seconds: u32,
    pub(crate) warm_up: u32,
}

/// One contender under load once.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) contender: String,
    /// From one on; a warm-up is zero.
    pub(crate) number: usize,
    pub(crate) done: Done,
    /// CPU time in nanoseconds, by thread name.
    pub(crate) spent: Spent,
    /// Connections, requests and lines of log that the origin got in it.
    pub(crate) connections: u64,
    pub(crate) asked: u64,
    pub(crate) lines: u64,
    /// The part of its time in which something else was at work on the proxy's core.
    pub(crate) others: f64,
    /// Why it does not count.
    pub(crate) wrong: Option<String>,
}

impl Round {
    /// CPU time of a request, or of a stream, in microseconds.
    pub(crate) fn cpu(&self) -> f64 {
        let nanos: u64 = self.spent.values().sum();
        float(nanos) / 1e3 / float(self.done.requests.max(1))
    }

    /// Requests, or streams, in a second.
    pub(crate) fn rate(&self) -> f64 {
        float(self.done.requests) * 1e6 / float(self.done.micros.max(1))
    }
}

/// What is asked of each in a round, and the status that has to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    pub(crate) load: Load,
    pub(crate) path: &'static str,
    pub(crate) status: u16,
}

impl Task {
    /// What is asked for once before and after it, to see that all answer alike: not a stream.
    pub(crate) fn asked(self) -> &'static str {
        match self.load {
            Load::Requests { .. } | Load::Streams { .. } | Load::Handshakes => self.path,
            Load::Echo { .. } | Load::Download | Load::Upload => "/tiny",
        }
    }
}

/// Warms all up and runs the rounds.
pub(crate) fn run(
    ground: &Ground,
    contenders: &[Contender],
    task: Task,
    pace: Pace,
) -> Result<Vec<Round>> {
    let mut rounds = Vec::new();
    for contender in contenders {
        rounds.push(round(ground, contender, task, (0, pace.warm_up))?);
    }
    for number in 1..=pace.rounds {
        let turn = contenders.iter().cycle().skip(number % contenders.len());
        for contender in turn.take(contenders.len()) {
            ensure!(!INTERRUPTED.load(Ordering::Relaxed), "interrupted");
            rounds.push(round(ground, contender, task, (number, pace.seconds))?);
        }
    }
    Ok(rounds)
}

fn round(
    ground: &Ground,
    contender: &Contender,
    task: Task,
    (number, seconds): (usize, u32),
) -> Result<Round> {
    let seen = fetch::seen(ground.origin.seen)?;
    let (begun, busy) = (Instant::now(), process::busy(ground.proxy_core)?);
    let before = contender.process.accounts()?;
    let load = task.load;
    let port = if load.is_secure() {
        contender.secure
    } else {
        contender.port
    };
    let done = load.run(port, task.path, seconds, &ground.folder)?;
    // Requests that were under way when the load ended belong to it.
    thread::sleep(REST);
    let spent = contender.process.accounts()?.since(&before);
    let busy = process::busy(ground.proxy_core)? - busy;
    let wall = begun.elapsed().as_secs_f64();
    let after = fetch::seen(ground.origin.seen)?;
    let mut wrong = done.wrong(task.status).unwrap_or_default();
    let spent = spent.unwrap_or_else(|error| {
        // Writing to a string cannot fail.
        _ = write!(wrong, " {error}");
        Spent::new()
    });
    let own: u64 = spent.values().sum();
    Ok(Round {
        others: float(busy.saturating_sub(own)) / 1e9 / wall,
        contender: contender.name.clone(),
        number,
        done,
        spent,
        connections: after.connections - seen.connections,
        asked: after.requests - seen.requests,
        lines: after.lines - seen.lines,
        wrong: (!wrong.is_empty()).then_some(wrong),
    })
}

/// A count to be divided.
#[expect(clippy::cast_precision_loss, reason = "a count to be divided")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
