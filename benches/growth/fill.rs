//! Fills a store as workers do: each incident handed in at a desk, its commit awaited.

use std::collections::VecDeque;
use std::fs;
use std::time::{Duration, Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};
use pardon::config;
use pardon::incident::{Commit, Confirmation, Desk, Incidents};
use pardon::request_id::{IdKey, IdSource};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::failures::Failures;

/// Over how long the incidents are spread.
const DAYS: i64 = 30;
/// How often it is said how far it is.
const PROGRESS: Duration = Duration::from_secs(10);
/// How many refusals come beside the incidents, about.
const REFUSALS: u64 = 12_000;

/// Fills a store with so many incidents, the last of them from now, and prints what that cost.
pub(crate) fn fill(settings: &config::Incidents, incidents: u64, window: usize) {
    let (recorded, recording) = Incidents::start(settings).expect("a new store");
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let begun = Instant::now();
    LocalSet::new().block_on(&runtime, async {
        let filling = Filling::new(recorded.desk(), incidents, window);
        filling.run().await;
    });
    let (seconds, writer, keeper) = (
        begun.elapsed().as_secs_f64(),
        cpu_micros("incidents"),
        cpu_micros("checkpoints"),
    );
    drop(recording);
    assert!(recorded.counts().lost.is_none(), "something was given up");
    #[expect(clippy::cast_precision_loss, reason = "a count to be divided by")]
    let count = incidents as f64;
    println!(
        "fill: {incidents} rows in {seconds:.1} s, {:.0} rows/s; CPU a row: writer {:.1} us, checkpoints {:.1} us",
        count / seconds,
        writer / count,
        keeper / count
    );
}

/// A fill under way.
struct Filling {
    desk: Desk,
    failures: Failures,
    ids: IdSource,
    incidents: u64,
    window: usize,
    start: Timestamp,
    waiting: VecDeque<Commit>,
    said: Instant,
}

impl Filling {
    fn new(desk: Desk, incidents: u64, window: usize) -> Self {
        Self {
            desk,
            failures: Failures::new(incidents),
            ids: IdSource::new(&IdKey::new().into(), 0),
            incidents,
            window,
            start: Timestamp::now() - SignedDuration::from_hours(24 * DAYS),
            waiting: VecDeque::new(),
            said: Instant::now(),
        }
    }

    async fn run(mut self) {
        let refusal_every = (self.incidents / REFUSALS).max(10);
        for number in 0..self.incidents {
            self.record(number);
            if number % refusal_every == 0 {
                self.refuse(number);
            }
            if self.waiting.len() >= self.window {
                self.wait().await;
                self.say(number);
            }
        }
        while !self.waiting.is_empty() {
            self.wait().await;
        }
    }

    fn record(&mut self, number: u64) {
        let time = self.time(number);
        let id = self.ids.next(SystemTime::from(time));
        let incident = self.failures.incident(number, id, time);
        let (_, commit) = self.desk.record(incident);
        self.waiting.push_back(commit);
    }

    fn refuse(&mut self, number: u64) {
        let time = self.time(number);
        let id = self.ids.next(SystemTime::from(time));
        self.desk.refuse(self.failures.refusal(id, time));
    }

    async fn wait(&mut self) {
        if let Some(oldest) = self.waiting.pop_front() {
            let confirmation = oldest.await;
            assert_eq!(confirmation, Confirmation::Committed);
        }
    }

    fn say(&mut self, number: u64) {
        if self.said.elapsed() >= PROGRESS {
            self.said = Instant::now();
            println!("{number} incidents");
        }
    }

    /// When the incident with this number came.
    fn time(&self, number: u64) -> Timestamp {
        let millis = DAYS.unsigned_abs() * 24 * 3_600_000 * (number + 1) / self.incidents;
        self.start + SignedDuration::from_millis(i64::try_from(millis).unwrap_or(0))
    }
}

/// The time that a thread of ours has spent, as the system counts it.
fn cpu_micros(name: &str) -> f64 {
    let tasks = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let read = |path: &std::path::Path| fs::read_to_string(path).unwrap_or_default();
    tasks
        .map(|task| task.path())
        .filter(|task| read(&task.join("comm")).trim() == name)
        .filter_map(|task| {
            let spent = read(&task.join("schedstat"));
            spent.split(' ').next()?.parse::<f64>().ok()
        })
        .sum::<f64>()
        / 1e3
}
