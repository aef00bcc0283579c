//! A scenario of rounds from its beginning to its table: all started and asked, compared only where their answers are equal, measured.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use crate::contender::{Contender, Ground, Peer, Setup};
use crate::fetch::fetch;
use crate::figures::{Figures, Spread, counted, paired};
use crate::page;
use crate::rounds::{self, Pace, Round, float};
use crate::scenario::{Bound, Scenario};
use crate::split::{self, Split};
use crate::verify::verify;

/// What came of a scenario.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) scenario: &'static str,
    pub(crate) answers: String,
    pub(crate) figures: Vec<Figures>,
    pub(crate) ratios: Vec<Ratio>,
    pub(crate) kept: Vec<Kept>,
    /// CPU microseconds of a request by thread, of each of Pardon's lines.
    pub(crate) threads: Vec<(String, Vec<(String, f64)>)>,
    /// What the parts of a kept failure cost.
    pub(crate) split: Option<Split>,
    pub(crate) rounds: Vec<Round>,
}

/// Pardon against the better of a bound's references.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ratio {
    pub(crate) name: String,
    pub(crate) contender: String,
    pub(crate) reference: String,
    pub(crate) pairs: Spread,
    pub(crate) most: Option<f64>,
    /// Microseconds at the 99th percentile, ours and the reference's.
    pub(crate) p99: (f64, f64),
}

/// Whether every page that was served is on record.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Kept {
    pub(crate) contender: String,
    /// Pages that visitors got whole, warm-up and all.
    pub(crate) pages: u64,
    /// Failures that the app sent: some when no visitor waited any more.
    pub(crate) failures: u64,
    /// Failures that were ever written to the store, verification's too, or lines of log that were read.
    pub(crate) records: u64,
    /// Rows in the store at the end, `max_size` allowing.
    pub(crate) rows: Option<u64>,
    /// What the store says it had to give up: pages that did not wait included.
    pub(crate) losses: Option<u64>,
}

impl Outcome {
    /// Those of whom no round counts.
    pub(crate) fn without_rounds(&self) -> impl Iterator<Item = &str> {
        let none = self.figures.iter().filter(|figures| figures.rounds == 0);
        none.map(|figures| figures.contender.as_str())
    }
}

/// Runs a scenario with some of its peers.
pub(crate) fn run(
    ground: &Ground,
    scenario: &Scenario,
    peers: &[Peer],
    pace: Pace,
) -> Result<Outcome> {
    let mut contenders = start(ground, scenario, peers)?;
    let asked = scenario.task.asked();
    let shape = verify(ground, &contenders, scenario.setup, asked)?;
    let rounds = rounds::run(ground, &contenders, scenario.task, pace)?;
    verify(ground, &contenders, scenario.setup, asked)?;
    let figures = figures(&contenders, &rounds)?;
    let threads = threads(&contenders, &rounds);
    let kept = kept(&mut contenders, &rounds, scenario.setup)?;
    drop(contenders);
    let split = (scenario.setup == Setup::Keep).then(|| split::measure(ground));
    Ok(Outcome {
        scenario: scenario.name,
        answers: shape.to_string(),
        ratios: ratios(ground, scenario, peers, (&figures, &rounds)),
        figures,
        kept,
        threads,
        split: split.transpose()?,
        rounds,
    })
}

/// Starts all of them. Pardon comes first: its page is everyone's.
fn start(ground: &Ground, scenario: &Scenario, peers: &[Peer]) -> Result<Vec<Contender>> {
    let mut contenders: Vec<Contender> = Vec::new();
    let (ours, theirs): (Vec<Peer>, Vec<Peer>) = peers.iter().partition(|peer| peer.is_pardon());
    for entrant in ground.line_up(&ours) {
        contenders.push(ground.start(&entrant, scenario.setup)?);
    }
    if !matches!(scenario.setup, Setup::Pass | Setup::Tls) {
        let first = contenders.first().context("no build of Pardon")?;
        page::lay_out(&ground.folder, &fetch(first.port, scenario.task.path)?)?;
    }
    for entrant in ground.line_up(&theirs) {
        contenders.push(ground.start(&entrant, scenario.setup)?);
    }
    Ok(contenders)
}

fn figures(contenders: &[Contender], rounds: &[Round]) -> Result<Vec<Figures>> {
    let each = contenders.iter().map(|contender| {
        let memory = contender.process.peak_memory()?;
        Ok(Figures::of(&contender.name, rounds, memory))
    });
    each.collect()
}

/// What a request cost each of Pardon's lines, by thread.
fn threads(contenders: &[Contender], rounds: &[Round]) -> Vec<(String, Vec<(String, f64)>)> {
    let ours = contenders.iter().filter(|one| one.peer.is_pardon());
    let each = ours.map(|one| (one.name.clone(), by_thread(&one.name, rounds)));
    each.collect()
}

fn ratios(
    ground: &Ground,
    scenario: &Scenario,
    peers: &[Peer],
    found: (&[Figures], &[Round]),
) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    for (line, peer) in peers.iter().filter(|peer| peer.is_pardon()).enumerate() {
        let entrants = ground.line_up(&[*peer]);
        let names: Vec<&str> = entrants
            .iter()
            .map(|entrant| entrant.name.as_str())
            .collect();
        let suffix = if line == 0 { "" } else { "-rows-alone" };
        for (place, name) in names.iter().enumerate() {
            let build = match ground.builds.get(place) {
                Some(build) if place > 0 => format!("@{}", build.name),
                _ => String::new(),
            };
            for bound in scenario.bounds {
                let label = format!("{}{suffix}{build}", bound.name);
                let reference = reference(bound, found.0).map(|better| better.contender.as_str());
                if reference == Some(name) {
                    continue;
                }
                ratios.extend(ratio(label, (name, reference), bound.most, found));
            }
            if place > 0 {
                // Builds are compared with each other too.
                let label = format!(
                    "{}{suffix}{build}-to-{}",
                    scenario.name, ground.builds[0].name
                );
                ratios.extend(ratio(label, (name, names.first().copied()), None, found));
            }
        }
    }
    ratios
}

/// The ratio of one to another, if both were measured in the same rounds.
fn ratio(
    name: String,
    (ours, theirs): (&str, Option<&str>),
    most: Option<f64>,
    (figures, rounds): (&[Figures], &[Round]),
) -> Option<Ratio> {
    let theirs = theirs?;
    let p99 = |contender: &str| {
        let mut named = figures.iter();
        let found = named.find(|figures| figures.contender == contender)?;
        Some(found.p99.median)
    };
    Some(Ratio {
        name,
        pairs: paired(rounds, ours, theirs)?,
        p99: (p99(ours)?, p99(theirs)?),
        contender: ours.to_owned(),
        reference: theirs.to_owned(),
        most,
    })
}

/// The better one of a bound's references, by its median.
fn reference<'a>(bound: &Bound, figures: &'a [Figures]) -> Option<&'a Figures> {
    let named = |figures: &&Figures| {
        let mut names = bound.reference.iter().map(ToString::to_string);
        figures.rounds > 0 && names.any(|name| name == figures.contender)
    };
    let candidates = figures.iter().filter(named);
    candidates.min_by(|one, other| one.cpu.median.total_cmp(&other.cpu.median))
}

/// Counts what was kept, where something is; Pardon ends for that, so that all is written.
fn kept(contenders: &mut [Contender], rounds: &[Round], setup: Setup) -> Result<Vec<Kept>> {
    let mut kept = Vec::new();
    if !matches!(setup, Setup::Keep | Setup::Storm) {
        return Ok(kept);
    }
    for contender in contenders {
        let mut found = Kept::by_rounds(&contender.name, rounds);
        if contender.peer.is_pardon() {
            contender.process.end();
            found.look_into(&contender.folder.join("pardon.db"))?;
        }
        if found.records > 0 {
            kept.push(found);
        }
    }
    Ok(kept)
}

impl Kept {
    /// By what visitors, app and log have counted.
    fn by_rounds(contender: &str, rounds: &[Round]) -> Self {
        let own = rounds.iter().filter(|round| round.contender == contender);
        let sum = |value: fn(&Round) -> u64| own.clone().map(value).sum();
        Self {
            contender: contender.to_owned(),
            pages: sum(|round| round.done.requests),
            failures: sum(|round| round.asked),
            records: sum(|round| round.lines),
            rows: None,
            losses: None,
        }
    }

    /// By a store of Pardon's.
    fn look_into(&mut self, store: &Path) -> Result<()> {
        let store = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let count = |sql: &str| store.query_row(sql, [], |row| row.get::<_, u64>(0));
        // Retention takes rows of the store, not of its counts by the hour.
        self.records = count("SELECT coalesce(sum(count), 0) FROM group_hours")?;
        self.rows = Some(count("SELECT count(*) FROM incidents")?);
        self.losses = Some(count("SELECT coalesce(sum(count), 0) FROM losses")?);
        Ok(())
    }
}

/// CPU microseconds of a request by thread: the median over the rounds, the largest first.
fn by_thread(contender: &str, rounds: &[Round]) -> Vec<(String, f64)> {
    let own: Vec<&Round> = counted(rounds, contender).collect();
    let names: BTreeSet<&String> = own.iter().flat_map(|round| round.spent.keys()).collect();
    let cost = |name: &String| {
        let each = own.iter().map(|round| {
            let nanos = round.spent.get(name).copied().unwrap_or_default();
            float(nanos) / 1e3 / float(round.done.requests.max(1))
        });
        (name.clone(), Spread::of(each).median)
    };
    let mut threads: Vec<(String, f64)> = names.into_iter().map(cost).collect();
    threads.sort_by(|one, other| other.1.total_cmp(&one.1));
    threads
}
