//! What follows from rounds: the middle and the ends of each figure, and ratios pair by pair.

use serde::Serialize;

use crate::rounds::{Round, float};

/// The middle of some values, and their ends.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of no values all is zero.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or_default();
        let count = values.len();
        Self {
            median: f64::midpoint(at(count.saturating_sub(1) / 2), at(count / 2)),
            least: at(0),
            most: at(count.saturating_sub(1)),
        }
    }
}

/// What a contender did in a scenario.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) contender: String,
    /// Rounds that count.
    pub(crate) rounds: usize,
    /// CPU microseconds of a request.
    pub(crate) cpu: Spread,
    /// Requests in a second.
    pub(crate) rate: Spread,
    /// Microseconds from a request to its answer.
    pub(crate) p50: Spread,
    pub(crate) p99: Spread,
    pub(crate) p999: Spread,
    /// Connections that it opened to the origin for a thousand requests.
    pub(crate) connections: f64,
    /// Peak memory in KiB.
    pub(crate) memory: u64,
}

impl Figures {
    /// From the contender's rounds that count.
    pub(crate) fn of(contender: &str, rounds: &[Round], memory: u64) -> Self {
        let own: Vec<&Round> = counted(rounds, contender).collect();
        let spread = |value: fn(&Round) -> f64| Spread::of(own.iter().map(|round| value(round)));
        let connections: u64 = own.iter().map(|round| round.connections).sum();
        let requests: u64 = own.iter().map(|round| round.done.requests).sum();
        Self {
            contender: contender.to_owned(),
            rounds: own.len(),
            cpu: spread(Round::cpu),
            rate: spread(Round::rate),
            p50: spread(|round| float(round.done.p50)),
            p99: spread(|round| float(round.done.p99)),
            p999: spread(|round| float(round.done.p999)),
            connections: float(connections) * 1e3 / float(requests.max(1)),
            memory,
        }
    }
}

/// The ratio of two contenders' CPU time, within each round in which both count; `None` where there is no such round.
pub(crate) fn paired(rounds: &[Round], ours: &str, theirs: &str) -> Option<Spread> {
    let pair = |round: &Round| {
        let same = |other: &&Round| other.number == round.number;
        let other = counted(rounds, theirs).find(same)?;
        Some(round.cpu() / other.cpu())
    };
    let ratios: Vec<f64> = counted(rounds, ours).filter_map(pair).collect();
    (!ratios.is_empty()).then(|| Spread::of(ratios))
}

/// A contender's rounds that count.
pub(crate) fn counted<'a>(rounds: &'a [Round], contender: &str) -> impl Iterator<Item = &'a Round> {
    let own = rounds
        .iter()
        .filter(move |round| round.contender == contender);
    own.filter(|round| round.number > 0 && round.wrong.is_none())
}
