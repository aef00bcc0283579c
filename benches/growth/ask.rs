//! Asks a store what a person asks, each time as a process that has just begun.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};
use pardon::config::units::StatusSet;
use pardon::incident::Cause;
use pardon::incident::store::{Filter, Found, How, Listed, Reader, forget_id};
use pardon::request_id::{IdKey, IdSource};

use crate::dice::Dice;
use crate::failures::{RARE, SELDOM};
use crate::{forget_pages, millis};

/// What is promised for a lookup, in milliseconds.
const LOOKUP: f64 = 5.0;
/// What is promised for a list or the groups.
const LIST: f64 = 200.0;
/// How often each lookup is made.
const LOOKUPS: usize = 100;
/// How often each list is asked for.
const LISTS: usize = 20;
/// How many lines a list has.
const LINES: usize = 50;
const HOURS: [i64; 3] = [1, 24, 24 * 30];

/// A store that is asked, and whether all answers were right.
pub(crate) struct Asked {
    path: PathBuf,
    cold: bool,
    samples: Vec<Listed>,
    newest: Timestamp,
    rows: u64,
    right: bool,
}

impl Asked {
    /// Picks what is looked up.
    pub(crate) fn new(path: &Path, cold: bool) -> Self {
        let reader = Reader::open(path).expect("a store");
        let all = Filter::default();
        let after = |seq| reader.after(seq, &all, 1).expect("a store").pop();
        let first = after(0).expect("a store with something in it").seq;
        let last = reader.newest(&all).expect("a store");
        let mut dice = Dice(millis_of(first));
        let mut pick = || after(first + (dice.below(millis_of(last - first)) << 20).cast_signed());
        let groups = reader.groups(&all, usize::MAX).expect("a store");
        Self {
            path: path.to_owned(),
            cold,
            samples: (0..LOOKUPS).filter_map(|_| pick()).collect(),
            newest: after(last - 1).expect("the newest").time,
            rows: groups.iter().map(|group| group.count).sum(),
            right: true,
        }
    }

    /// Prints how large the store is.
    #[expect(clippy::cast_precision_loss, reason = "a size to be divided")]
    pub(crate) fn size(&self) {
        let size = std::fs::metadata(&self.path).map_or(0, |file| file.len()) as f64;
        let (gigabytes, each) = (size / 1e9, size / self.rows as f64);
        println!(
            "size: {} rows, {gigabytes:.2} GB, {each:.0} bytes a row",
            self.rows
        );
    }

    /// Asks for everything.
    pub(crate) fn all(&mut self) {
        self.lookups();
        self.absent();
        self.lists();
        self.filtered();
        self.groups();
        self.others();
    }

    /// How the process ends.
    pub(crate) fn verdict(&self) -> ExitCode {
        if self.right {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    /// Asks so often, prints the median and the worst, and remembers if an answer was wrong.
    pub(crate) fn measure(
        &mut self,
        what: &str,
        bound: Option<f64>,
        times: usize,
        mut ask: impl FnMut(usize) -> bool,
    ) {
        let mut took = Vec::with_capacity(times);
        let mut right = true;
        for number in 0..times {
            if self.cold {
                forget_pages(&self.path);
            }
            let begun = Instant::now();
            right &= ask(number);
            took.push(millis(begun));
        }
        took.sort_by(f64::total_cmp);
        let (median, worst) = (took[times / 2], took[times - 1]);
        let bound = bound.map_or(String::new(), |bound| format!(" (bound {bound} ms)"));
        let wrong = if right { "" } else { ": WRONG" };
        println!("{what}: median {median:.2} ms, worst {worst:.2} ms{bound}{wrong}");
        self.right &= right;
    }

    fn lookups(&mut self) {
        let ids: Vec<String> = self.samples.iter().map(|row| row.id.to_string()).collect();
        let path = self.path.clone();
        self.measure("by ID", Some(LOOKUP), ids.len(), |number| {
            found(&path, &ids[number], How::Id)
        });
        let references: Vec<_> = self.referenced();
        self.measure("by reference", Some(LOOKUP), references.len(), |number| {
            found(&path, &references[number], How::Reference)
        });
        for letters in [14, 9, 4] {
            let what = format!("by the first {letters} of an ID");
            self.measure(&what, Some(LOOKUP), ids.len(), |number| {
                let found = look(&path, &ids[number][..letters]);
                matches!(found, Found::Incidents(..) | Found::Beginning(_))
            });
        }
    }

    /// The references of some incidents.
    fn referenced(&self) -> Vec<String> {
        let reader = Reader::open(&self.path).expect("a store");
        let all = Filter::default();
        let near = |row: &Listed| {
            let after = reader.after(row.seq - 1, &all, 200).expect("a store");
            after.into_iter().find_map(|row| row.reference)
        };
        self.samples.iter().filter_map(near).collect()
    }

    fn absent(&mut self) {
        let path = self.path.clone();
        let times: Vec<SystemTime> = self.samples.iter().map(|row| row.time.into()).collect();
        let other = |number: usize| {
            let ids = IdSource::new(&IdKey::new().into(), 0);
            ids.next(times[number]).to_string()
        };
        self.measure(
            "by an ID that is not there",
            Some(LOOKUP),
            times.len(),
            |number| matches!(look(&path, &other(number)), Found::Nothing),
        );
        let typed: Vec<String> = self
            .samples
            .iter()
            .map(|row| mistyped(row.id.as_str()))
            .collect();
        self.measure("by a mistyped ID", Some(LOOKUP), typed.len(), |number| {
            matches!(look(&path, &typed[number]), Found::Mistyped(there) if !there.is_empty())
        });
    }

    fn lists(&mut self) {
        for hours in HOURS {
            let filter = self.since(hours);
            self.list(&format!("list, {hours} h"), &filter, 1);
        }
        let refusals = Filter {
            cause: Some(Cause::Refused),
            ..Filter::default()
        };
        self.list("list, refusals", &refusals, LINES);
    }

    fn filtered(&mut self) {
        let cause = |cause| Filter {
            cause: Some(cause),
            ..self.since(24 * 30)
        };
        let route = |route: &str| Filter {
            route: Some(route.to_owned()),
            ..self.since(24 * 30)
        };
        let status = |status: u16| Filter {
            statuses: Some(StatusSet(vec![status..=status])),
            ..self.since(24 * 30)
        };
        for (what, filter, least) in [
            ("cause of most", cause(Cause::UpstreamStatus), LINES),
            ("cause of 16 in all", cause(RARE), 16),
            ("cause of none", cause(Cause::DnsFailed), 0),
            ("route of many", route("shop"), LINES),
            ("route of 2 an hour", route(SELDOM), LINES),
            ("route that there is not", route("none"), 0),
            ("status of most", status(500), LINES),
            ("status of few", status(501), LINES),
            ("status of none", status(418), 0),
        ] {
            self.list(&format!("list, 30 d, {what}"), &filter, least);
        }
    }

    fn groups(&mut self) {
        let path = self.path.clone();
        for hours in HOURS {
            let filter = self.since(hours);
            self.measure(&format!("groups, {hours} h"), Some(LIST), LISTS, |_| {
                let groups = open(&path).groups(&filter, LINES).expect("a store");
                !groups.is_empty() && groups.iter().all(|group| group.newest.is_some())
            });
        }
        let filter = Filter {
            route: Some(SELDOM.to_owned()),
            ..Filter::default()
        };
        self.measure(
            "groups, 30 d, route of 2 an hour",
            Some(LIST),
            LISTS,
            |_| open(&path).groups(&filter, LINES).expect("a store").len() == 1,
        );
    }

    fn others(&mut self) {
        let (path, all) = (self.path.clone(), Filter::default());
        let rows = self.samples.clone();
        let lately = self.newest - SignedDuration::from_hours(24);
        self.measure("alike, 24 h", Some(LOOKUP), LISTS, |number| {
            let alike = open(&path).alike(rows[number].fingerprint, lately);
            alike.is_ok()
        });
        self.measure("losses", Some(LIST), LISTS, |_| {
            open(&path).losses(None).expect("a store").is_none()
        });
        self.measure("newest and what follows", Some(LIST), LISTS, |_| {
            let reader = open(&path);
            let newest = reader.newest(&all).expect("a store");
            reader
                .after(newest, &all, 1000)
                .expect("a store")
                .is_empty()
        });
        let one = self.samples.pop().expect("a sample").id;
        self.measure("forget one", None, 1, |_| {
            let gone = forget_id(&path, one.as_str()).expect("a store");
            gone.incidents == 1
                && gone.log_cut
                && matches!(look(&path, one.as_str()), Found::Nothing)
        });
    }

    fn list(&mut self, what: &str, filter: &Filter, least: usize) {
        let path = self.path.clone();
        self.measure(what, Some(LIST), LISTS, |_| {
            let rows = open(&path).list(filter, LINES).expect("a store");
            rows.len() >= least && rows.is_sorted_by_key(|row| std::cmp::Reverse(row.seq))
        });
    }

    fn since(&self, hours: i64) -> Filter {
        Filter {
            since: Some(self.newest - SignedDuration::from_hours(hours)),
            ..Filter::default()
        }
    }
}

fn open(path: &Path) -> Reader {
    Reader::open(path).expect("a store")
}

fn look(path: &Path, typed: &str) -> Found {
    open(path).find(typed).expect("a store")
}

fn found(path: &Path, typed: &str, how: How) -> bool {
    let Found::Incidents(found_how, incidents) = look(path, typed) else {
        return false;
    };
    let is_it = |incident: &pardon::incident::Incident| {
        let has = |text: Option<&str>| text == Some(typed);
        let whole = incident
            .body
            .as_ref()
            .is_none_or(|body| body.content.len() as u64 == body.bytes);
        whole && (has(Some(incident.id.as_str())) || has(incident.reference.as_deref()))
    };
    found_how == how && incidents.len() == 1 && incidents.iter().all(is_it)
}

/// The ID with two neighbours swapped that differ.
fn mistyped(id: &str) -> String {
    let mut letters = id.as_bytes().to_vec();
    let differ = |at: &usize| letters[*at] != letters[at + 1];
    let at = (15..18).find(differ).unwrap_or(10);
    letters.swap(at, at + 1);
    String::from_utf8_lossy(&letters).into_owned()
}

fn millis_of(seq: i64) -> u64 {
    (seq >> 20).unsigned_abs()
}
