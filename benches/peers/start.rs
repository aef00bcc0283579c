//! How soon a proxy serves, and what it takes for doing nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::contender::{Contender, Ground, Peer, Setup};
use crate::extra::{Limit, Measured, label};
use crate::fetch::fetch;
use crate::figures::Spread;
use crate::rounds::{Pace, float};

/// How long it rests until its memory is read.
const REST: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);

/// What may be needed of each: milliseconds, then MB.
const LIMITS: [(&str, f64); 3] = [
    ("start-time", 50.0),
    ("start-memory", 12.0),
    ("start-binary", 15.0),
];

pub(crate) fn run(ground: &Ground, pace: Pace) -> Result<Measured> {
    let mut measured = Measured {
        name: "start",
        columns: vec!["ms to the first answer", "MB at rest", "MB of binary"],
        ..Measured::default()
    };
    for (place, entrant) in ground
        .line_up(&[Peer::Pardon, Peer::Nginx, Peer::Haproxy])
        .iter()
        .enumerate()
    {
        let mut found = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..pace.rounds {
            let contender = ground.launch(&[ground.proxy_core], entrant, Setup::Pass)?;
            let [time, memory, binary] = &mut found;
            time.push(first_answer(&contender)?);
            thread::sleep(REST);
            memory.push(float(contender.process.resident_memory()?) * 1.024 / 1e3);
            binary.push(float(size(&contender.program)?) / 1e6);
        }
        let spreads: Vec<Spread> = found.into_iter().map(Spread::of).collect();
        if entrant.peer.is_pardon() {
            for ((name, most), spread) in LIMITS.into_iter().zip(&spreads) {
                measured.limits.push(Limit {
                    name: label(ground, name, place),
                    value: spread.median,
                    most,
                });
            }
        }
        measured.rows.push((entrant.name.clone(), spreads));
    }
    Ok(measured)
}

/// Milliseconds from its start to its first answer, which is asked for again and again.
fn first_answer(contender: &Contender) -> Result<f64> {
    while fetch(contender.port, "/tiny").is_err() {
        ensure!(
            contender.launched.elapsed() < PATIENCE,
            "{} does not answer",
            contender.name
        );
    }
    let answered = Instant::now();
    Ok((answered - contender.launched).as_secs_f64() * 1e3)
}

/// Bytes of a program, which may be one of the path's.
fn size(program: &Path) -> Result<u64> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = vec![program.to_owned()];
    places.extend(std::env::split_paths(&path).map(|folder| folder.join(program)));
    let sizes = places.iter().filter_map(|place| fs::metadata(place).ok());
    sizes.map(|found| found.len()).next().context("no binary")
}
