//! The walk: pages first, then what provokes failures.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use http::header::{CONTENT_TYPE, LOCATION};

use super::finding::{Finding, found_in};
use super::links;
use super::probes;
use super::side::{Answer, Ask, Side};

/// How many addresses are remembered, so that none is asked for twice.
const MOST_KNOWN: usize = 10_000;

/// How far a walk goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) pages: usize,
    pub(super) pause: Duration,
    pub(super) until: Instant,
}

/// A walk on its way.
pub(super) struct Walk<'a> {
    side: &'a Side,
    bounds: Bounds,
    queue: VecDeque<Ask>,
    known: HashSet<String>,
    pages: Vec<String>,
    findings: Vec<Finding>,
    asked: usize,
    /// Why the first request got no answer.
    unreached: Option<String>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(side: &'a Side, bounds: Bounds) -> Self {
        Self {
            side,
            bounds,
            queue: VecDeque::new(),
            known: HashSet::new(),
            pages: Vec::new(),
            findings: Vec::new(),
            asked: 0,
            unreached: None,
        }
    }

    /// A path to begin at.
    pub(super) fn begin_at(&mut self, path: &str) {
        let slash = if path.starts_with('/') { "" } else { "/" };
        let path = format!("{slash}{path}");
        let Some(target) = links::target(&path, "/", self.side.authority()) else {
            return;
        };
        self.enqueue(&target, "where the walk began".to_owned());
    }

    /// Looks at pages until there are no more, or enough.
    pub(super) fn pages(&mut self) {
        while self.pages.len() < self.bounds.pages
            && !self.is_late()
            && let Some(ask) = self.queue.pop_front()
        {
            let Some(answer) = self.ask(&ask) else {
                continue;
            };
            self.pages.push(ask.target.clone());
            self.follow(&ask.target, &answer);
        }
    }

    /// Why the app cannot be reached at all, where that is so.
    pub(super) fn unreached(&self) -> Option<&str> {
        self.unreached.as_deref().filter(|_| self.pages.is_empty())
    }

    /// Provokes failures.
    pub(super) fn provoke(&mut self) {
        for ask in probes::all(&self.pages) {
            if self.is_late() {
                return;
            }
            self.ask(&ask);
        }
    }

    /// What was found, the worst first; how much was asked; how many addresses were left.
    pub(super) fn end(mut self) -> (Vec<Finding>, usize, usize) {
        self.findings.sort_by_key(Finding::rank);
        (self.findings, self.asked, self.queue.len())
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.bounds.until
    }

    fn enqueue(&mut self, target: &str, why: String) {
        if self.known.len() < MOST_KNOWN && self.known.insert(target.to_owned()) {
            self.queue.push_back(Ask::get(target, why));
        }
    }

    fn follow(&mut self, from: &str, answer: &Answer) {
        let why = || format!("found in {from}");
        let authority = self.side.authority().to_owned();
        let moved = links::target(answer.header(&LOCATION), from, &authority);
        if let Some(target) = moved.filter(|_| answer.status.is_redirection()) {
            self.enqueue(&target, why());
        }
        if answer.header(&CONTENT_TYPE).starts_with("text/html") {
            let page = String::from_utf8_lossy(&answer.body);
            for target in links::found(&page, from, &authority) {
                self.enqueue(&target, why());
            }
        }
    }

    /// Asks, at the walk's pace, and keeps what is found in the answer.
    fn ask(&mut self, ask: &Ask) -> Option<Answer> {
        if self.asked > 0 {
            std::thread::sleep(self.bounds.pause);
        }
        self.asked += 1;
        let answer = self.side.ask(ask);
        let reached = match &answer {
            Ok(answer) if !answer.is_proxys() => None,
            Ok(answer) => Some(format!("status {} stands for it", answer.status)),
            Err(reason) => Some(reason.clone()),
        };
        if self.asked == 1 {
            self.unreached.clone_from(&reached);
        }
        for finding in found_in(ask, answer.as_ref()) {
            match self.findings.iter_mut().find(|known| known.is_as(&finding)) {
                Some(known) => known.add(finding),
                None => self.findings.push(finding),
            }
        }
        answer.ok().filter(|_| reached.is_none())
    }
}
