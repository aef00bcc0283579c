//! Whether a second worker costs anything: CPU time of a request beside one worker's, and how the two share connections.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::contender::{Contender, Ground, Peer, Setup};
use crate::extra::{Limit, Measured, label};
use crate::fetch::{ask, connect};
use crate::figures::{Spread, paired};
use crate::load::Load;
use crate::rounds::{self, Pace, Task};

const CONNECTIONS: u32 = 64;
/// How often connections are made anew to see who gets them.
const TIMES: usize = 7;
/// How long they rest between.
const SETTLED: Duration = Duration::from_millis(200);
/// The busier worker's share at most.
const SHARE: f64 = 0.6;

const TASK: Task = Task {
    load: Load::Requests {
        connections: CONNECTIONS,
        close: false,
    },
    path: "/1k",
    status: 200,
};

pub(crate) fn run(ground: &Ground, pace: Pace) -> Result<Measured> {
    let mut measured = Measured {
        name: "two-workers",
        columns: vec!["CPU us/request", "share of the busier"],
        ..Measured::default()
    };
    let ones = ground.line_up(&[Peer::Pardon]);
    let twos = ground.line_up(&[Peer::TwoWorkers]);
    for (place, (one, two)) in ones.iter().zip(&twos).enumerate() {
        let cores = [ground.load_core, ground.proxy_core];
        let both = [
            ground.start(one, Setup::Pass)?,
            ground.start_on(&cores, two, Setup::Pass)?,
        ];
        let found = rounds::run(ground, &both, TASK, pace)?;
        let [single, double] = &both;
        let ratio = paired(&found, &double.name, &single.name);
        let ratio = ratio.context("no round counts")?;
        let share = (0..TIMES).map(|_| busier(double));
        let share = Spread::of(share.collect::<Result<Vec<f64>>>()?);
        for (contender, share) in [(single, Spread::of([1.0])), (double, share)] {
            let own = found
                .iter()
                .filter(|round| round.contender == contender.name);
            let cpu = Spread::of(own.filter(|round| round.number > 0).map(rounds::Round::cpu));
            measured
                .rows
                .push((contender.name.clone(), vec![cpu, share]));
        }
        for (name, value, most) in [
            ("two-workers", ratio.median, 1.0),
            ("two-workers-share", share.median, SHARE),
        ] {
            let name = label(ground, name, place);
            measured.limits.push(Limit { name, value, most });
        }
    }
    Ok(measured)
}

/// The busier worker's share of connections that were opened one after the other.
fn busier(contender: &Contender) -> Result<f64> {
    // Those of the time before are closed by now, on both sides.
    thread::sleep(SETTLED);
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        streams.push(connect(contender.port)?);
    }
    for stream in &mut streams {
        ask(stream, "/1k")?;
    }
    let most = most_watched(contender)?;
    Ok(f64::from(most) / f64::from(CONNECTIONS))
}

/// How many of a proxy's visitors that worker has which has the most: each watches its own with an epoll of its own, and the kernel tells
/// what an epoll watches.
fn most_watched(contender: &Contender) -> Result<u32> {
    let process = format!("/proc/{}", contender.process.pids()[0]);
    let visitors = visitors(contender.port)?;
    let (mut sockets, mut watchers) = (BTreeSet::new(), Vec::new());
    for file in fs::read_dir(format!("{process}/fd"))? {
        let file = file?;
        let number = file.file_name().to_string_lossy().into_owned();
        let target = fs::read_link(file.path())?.to_string_lossy().into_owned();
        if visitors.contains(&target) {
            sockets.insert(number);
        } else if target.ends_with("[eventpoll]") {
            watchers.push(number);
        }
    }
    let watched = watchers.iter().map(|number| {
        let info = fs::read_to_string(format!("{process}/fdinfo/{number}"))?;
        let lines = info.lines().filter_map(|line| line.strip_prefix("tfd:"));
        let mut found = 0;
        for file in lines.filter_map(|line| line.split_whitespace().next()) {
            found += u32::from(sockets.contains(file));
        }
        Ok(found)
    });
    let watched: Vec<u32> = watched.collect::<Result<_>>()?;
    watched.into_iter().max().context("it has no epoll")
}

/// The sockets of the connections to a port, as links to them are written: `socket:[1234]`.
fn visitors(port: u16) -> Result<BTreeSet<String>> {
    let table = fs::read_to_string("/proc/net/tcp")?;
    let local = format!(":{port:04X}");
    let rows = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<&str>>());
    let sockets = rows.filter_map(|row| {
        let is_one = row.get(1)?.ends_with(&local) && *row.get(3)? == "01";
        is_one.then(|| format!("socket:[{}]", row.get(9).copied().unwrap_or_default()))
    });
    Ok(sockets.collect())
}
