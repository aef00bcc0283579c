//! What a connection costs that waits for its next request: resident memory before and after some thousands of them.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::contender::{Contender, Ground, Peer, Setup};
use crate::extra::{Limit, Measured, label};
use crate::fetch::{ask, connect};
use crate::figures::Spread;
use crate::rounds::{Pace, float};

const CONNECTIONS: usize = 5_000;
/// Files that a process needs for them, with some to spare.
const FILES: u64 = 6_000;
/// How long they wait until memory is read.
const REST: Duration = Duration::from_secs(3);
/// Each contender is started so often.
const TIMES: usize = 3;
/// KB that a connection of Pardon's may take.
const MOST: f64 = 10.0;

pub(crate) fn run(ground: &Ground, _: Pace) -> Result<Measured> {
    allow_files()?;
    let mut measured = Measured {
        name: "idle",
        columns: vec!["KB a connection"],
        ..Measured::default()
    };
    for (place, entrant) in ground
        .line_up(&[Peer::Pardon, Peer::Nginx, Peer::Haproxy])
        .iter()
        .enumerate()
    {
        let once = |_| connection(&ground.start(entrant, Setup::Pass)?);
        let values: Vec<f64> = (0..TIMES).map(once).collect::<Result<_>>()?;
        let spread = Spread::of(values);
        if entrant.peer.is_pardon() {
            measured.limits.push(Limit {
                name: label(ground, "idle", place),
                value: spread.median,
                most: MOST,
            });
        }
        measured.rows.push((entrant.name.clone(), vec![spread]));
    }
    Ok(measured)
}

/// KB for each connection.
fn connection(contender: &Contender) -> Result<f64> {
    // What a first request brings into memory is not a connection's.
    ask(&mut connect(contender.port)?, "/tiny")?;
    let before = contender.process.resident_memory()?;
    let mut idle = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let mut stream = connect(contender.port)?;
        ask(&mut stream, "/tiny")?;
        idle.push(stream);
    }
    thread::sleep(REST);
    let more = contender.process.resident_memory()?.saturating_sub(before);
    // Those that were closed meanwhile take no memory.
    for stream in idle.iter_mut().step_by(100) {
        ask(stream, "/tiny").context("an idle connection was closed")?;
    }
    Ok(float(more) * 1.024 / float(CONNECTIONS as u64))
}

/// Raises the limit of open files, which the proxies inherit.
fn allow_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let enough = |most: Option<u64>| most.is_none_or(|most| most >= FILES);
    if enough(limit.current) {
        return Ok(());
    }
    ensure!(
        enough(limit.maximum),
        "{FILES} open files are needed; raise the limit with `ulimit -Hn {FILES}`"
    );
    let current = Some(FILES);
    Ok(setrlimit(Resource::Nofile, Rlimit { current, ..limit })?)
}
