//! What is measured, of all that there is, and about how long that takes.

use anyhow::{Result, ensure};

use crate::arguments::Arguments;
use crate::contender::Peer;
use crate::extra::{EXTRAS, Extra};
use crate::load::Load;
use crate::rounds::{Pace, float};
use crate::scenario::{QUICK, QUICK_PEERS, SCENARIOS, Scenario};

/// What the command line asks for.
pub(crate) struct Plan {
    /// Each with those who take part.
    pub(crate) scenarios: Vec<(&'static Scenario, Vec<Peer>)>,
    pub(crate) extras: Vec<&'static Extra>,
    pub(crate) pace: Pace,
}

impl Plan {
    /// Everything, or what is named, or what `--quick` stands for.
    pub(crate) fn new(arguments: &Arguments) -> Result<Self> {
        let quick = arguments.quick;
        let is_wanted = |own: &str| {
            let mut named = arguments.scenario.iter();
            if arguments.scenario.is_empty() {
                return !quick || QUICK.contains(&own);
            }
            named.any(|name| own.starts_with(name.as_str()))
        };
        let takes_part = |peer: &&Peer| !quick || QUICK_PEERS.contains(peer);
        let scenarios = SCENARIOS
            .iter()
            .filter(|one| is_wanted(one.name))
            .map(|one| {
                let peers = one.peers.iter().filter(takes_part);
                (one, peers.copied().collect())
            });
        let plan = Self {
            scenarios: scenarios.collect(),
            extras: EXTRAS.iter().filter(|one| is_wanted(one.name)).collect(),
            pace: Pace {
                rounds: arguments.rounds.unwrap_or(if quick { 5 } else { 7 }),
                seconds: arguments.seconds.unwrap_or(if quick { 1 } else { 3 }),
                warm_up: 1,
            },
        };
        ensure!(
            !plan.scenarios.is_empty() || !plan.extras.is_empty(),
            "no scenario has such a name; --list says which there are"
        );
        Ok(plan)
    }

    /// Whether a peer takes part anywhere.
    pub(crate) fn needs(&self, peer: Peer) -> bool {
        let mut scenarios = self.scenarios.iter();
        let mut extras = self.extras.iter();
        scenarios.any(|(_, peers)| peers.contains(&peer))
            || extras.any(|extra| extra.peers.contains(&peer))
    }

    /// Whether wrk is needed.
    pub(crate) fn needs_load(&self) -> bool {
        !self.scenarios.is_empty() || self.extras.iter().any(|extra| extra.has_load)
    }

    /// Whether h2load is needed.
    pub(crate) fn needs_streams(&self) -> bool {
        let mut scenarios = self.scenarios.iter();
        scenarios.any(|(scenario, _)| matches!(scenario.task.load, Load::Streams { .. }))
    }

    /// About how many minutes it takes with so many builds of Pardon.
    pub(crate) fn minutes(&self, builds: usize) -> f64 {
        let scenarios = self.scenarios.iter().map(|(scenario, peers)| {
            let ours = peers.iter().filter(|peer| peer.is_pardon()).count();
            let contenders = peers.len() - ours + ours * builds;
            let seconds = if scenario.task.load.is_timed() {
                f64::from(self.pace.seconds)
            } else {
                0.6
            };
            let rounds = float(self.pace.rounds as u64) * (seconds + 0.1);
            float(contenders as u64) * (rounds + f64::from(self.pace.warm_up) + 0.5)
        });
        let extras = self.extras.iter().map(|extra| {
            let (ours, theirs) = extra.seconds;
            ours * float(builds as u64) + theirs
        });
        (scenarios.sum::<f64>() + extras.sum::<f64>()) / 60.0
    }
}
