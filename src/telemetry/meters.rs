//! What is counted of every request. A worker has cells of its own, which it alone writes; whoever asks sums those of all workers.
//!
//! A request that passes costs a few additions in memory that no other worker writes: no lock, no name that is looked up, no
//! allocation. What is rare (pages, failures) goes into small tables of the worker's, under a lock that only a scrape contends for.
//!
//! Bounds: routes, upstreams, causes, formats and statuses are known, and so is how many label sets there can be. No path, host or ID
//! is a label. Routes and upstreams that a reload has taken away go on being said, so that no sum falls, until there are [`MOST`]
//! names; past that those that are gone are counted together as [`GONE`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The bounds of a histogram; one more count is for what is above the last.
const BOUNDS: usize = 15;

/// Upper bounds of a request's duration, in nanoseconds: from an app on the same machine to one that is given up.
const REQUEST: [u64; BOUNDS] = milliseconds([
    1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 10e3, 30e3, 60e3,
]);

/// Upper bounds of a commit's duration, in nanoseconds: around `incidents.commit_wait`.
const COMMIT: [u64; BOUNDS] = milliseconds([
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3,
]);

/// The classes of statuses that requests are counted by. The first and the last are of no ordinary answer.
pub const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];

/// Names of routes, and pairs of an upstream and a cause, that a worker counts by before those that are gone are put together.
const MOST: usize = 1000;

/// What routes and upstreams that are gone are counted as then. No name in a file can be this.
const GONE: &str = "(gone)";

/// A number that one thread alone adds to and any may read.
#[derive(Debug, Default)]
struct Tally(AtomicU64);

impl Tally {
    /// For the thread that it belongs to: of two additions at once one would be lost.
    fn add(&self, count: u64) {
        let sum = self.value().wrapping_add(count);
        self.0.store(sum, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Durations by how long they were; one thread adds, any reads.
#[derive(Debug)]
#[repr(align(128))]
pub struct Durations {
    bounds: &'static [u64; BOUNDS],
    counts: [Tally; BOUNDS + 1],
    nanos: Tally,
}

/// Durations counted up to a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// Upper bounds in seconds, the last of which is infinite, each with how many are below it and above the one before.
    pub counts: Vec<(f64, u64)>,
    /// All of them together, in seconds.
    pub seconds: f64,
}

impl Durations {
    fn new(bounds: &'static [u64; BOUNDS]) -> Self {
        Self {
            bounds,
            counts: Default::default(),
            nanos: Tally::default(),
        }
    }

    /// For commits of incidents.
    #[must_use]
    pub fn of_commits() -> Self {
        Self::new(&COMMIT)
    }

    /// Adds one.
    pub fn add(&self, duration: Duration) {
        let nanos = duration
            .as_secs()
            .saturating_mul(1_000_000_000)
            .saturating_add(u64::from(duration.subsec_nanos()));
        let place = self.bounds.partition_point(|bound| *bound < nanos);
        if let Some(count) = self.counts.get(place) {
            count.add(1);
        }
        self.nanos.add(nanos);
    }

    /// What was added so far.
    #[must_use]
    pub fn read(&self) -> Spread {
        let bounds = self.bounds.iter().map(|bound| seconds(*bound));
        let bounds = bounds.chain([f64::INFINITY]);
        Spread {
            counts: bounds.zip(self.counts.iter().map(Tally::value)).collect(),
            seconds: seconds(self.nanos.value()),
        }
    }
}

impl Spread {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    fn add(&mut self, other: &Self) {
        for ((_, count), (_, more)) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.seconds += other.seconds;
    }
}

/// What is rare, by its labels.
#[derive(Debug)]
struct Rare<K>(Mutex<BTreeMap<K, u64>>);

impl<K: Ord + Clone> Rare<K> {
    fn add(&self, key: K, count: u64) {
        *self.lock().entry(key).or_default() += count;
    }

    fn sum_into(&self, sum: &mut BTreeMap<K, u64>) {
        for (key, count) in &*self.lock() {
            *sum.entry(key.clone()).or_default() += count;
        }
    }

    /// Puts together what `gone` has another key for, where there is too much.
    fn fold(&self, gone: impl Fn(&K) -> Option<K>) {
        let mut counts = self.lock();
        if counts.len() <= MOST {
            return;
        }
        for (key, count) in std::mem::take(&mut *counts) {
            let key = gone(&key).unwrap_or(key);
            *counts.entry(key).or_default() += count;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, u64>> {
        // Nothing panics under the lock; counts would be counts even so.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Default for Rare<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// A worker's requests of one route, by class.
#[derive(Debug, Default)]
#[repr(align(128))]
struct RouteCells([Tally; CLASSES.len()]);

/// All that one worker counts.
#[derive(Debug)]
struct WorkerCells {
    durations: Durations,
    /// By the route's name, so that a route which outlives its configuration goes on counting where it was.
    routes: Mutex<BTreeMap<Arc<str>, Arc<RouteCells>>>,
    pages: Rare<(u16, &'static str)>,
    failures: Rare<(Arc<str>, &'static str)>,
    retries: Rare<Arc<str>>,
}

impl WorkerCells {
    fn new() -> Self {
        Self {
            durations: Durations::new(&REQUEST),
            routes: Mutex::default(),
            pages: Rare::default(),
            failures: Rare::default(),
            retries: Rare::default(),
        }
    }

    fn routes(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<RouteCells>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn route(&self, name: &Arc<str>) -> Arc<RouteCells> {
        Arc::clone(self.routes().entry(Arc::clone(name)).or_default())
    }

    /// Puts together what is counted of routes that no meter counts any more, and of upstreams that are not among `apps`, where
    /// there is too much. For the thread that the cells belong to.
    fn fold(&self, apps: &[Arc<str>]) {
        let gone: Arc<str> = GONE.into();
        let is_gone = |name: &Arc<str>| !apps.contains(name);
        self.failures
            .fold(|(app, cause)| is_gone(app).then(|| (Arc::clone(&gone), *cause)));
        self.retries
            .fold(|app| is_gone(app).then(|| Arc::clone(&gone)));
        let mut routes = self.routes();
        if routes.len() <= MOST {
            return;
        }
        let sum = Arc::clone(routes.entry(gone).or_default());
        routes.retain(|_, cells| {
            let counted = Arc::strong_count(cells) > 1;
            if !counted {
                for (sum, tally) in sum.0.iter().zip(&cells.0) {
                    sum.add(tally.value());
                }
            }
            counted
        });
    }
}

/// The cells of all workers.
#[derive(Debug)]
pub struct Meters(Box<[Arc<WorkerCells>]>);

/// What a worker counts with: the cells of its routes, found beforehand.
#[derive(Debug)]
pub struct Meter {
    cells: Arc<WorkerCells>,
    routes: Box<[Arc<RouteCells>]>,
    /// For requests that no route is for.
    none: Arc<RouteCells>,
}

impl Meters {
    /// Cells for this many workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Arc::new(WorkerCells::new())).collect())
    }

    /// What `worker` counts with, and no other thread; `routes` are the names of its routes in their order, `apps` those of its
    /// upstreams.
    #[must_use]
    pub fn meter<'a>(
        &self,
        worker: usize,
        routes: impl Iterator<Item = &'a Arc<str>>,
        apps: &[Arc<str>],
    ) -> Meter {
        let cells = self.0.get(worker).map(Arc::clone);
        // More workers than were announced count for themselves.
        let cells = cells.unwrap_or_else(|| Arc::new(WorkerCells::new()));
        let meter = Meter {
            routes: routes.map(|name| cells.route(name)).collect(),
            none: cells.route(&Arc::from("")),
            cells,
        };
        // What this one counts is not gone.
        meter.cells.fold(apps);
        meter
    }

    /// Requests by route and class; the route is empty where none was for them.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<Arc<str>, [u64; CLASSES.len()]> {
        let mut sum: BTreeMap<_, [u64; CLASSES.len()]> = BTreeMap::new();
        for cells in &self.0 {
            for (name, route) in &*cells.routes() {
                let sums = sum.entry(Arc::clone(name)).or_default();
                for (sum, tally) in sums.iter_mut().zip(&route.0) {
                    *sum += tally.value();
                }
            }
        }
        sum
    }

    /// How long requests took.
    #[must_use]
    pub fn durations(&self) -> Spread {
        let mut sum = Durations::new(&REQUEST).read();
        for cells in &self.0 {
            sum.add(&cells.durations.read());
        }
        sum
    }

    /// Pages by status and format.
    #[must_use]
    pub fn pages(&self) -> BTreeMap<(u16, &'static str), u64> {
        self.sum(|cells| &cells.pages)
    }

    /// Failed exchanges by upstream and cause.
    #[must_use]
    pub fn failures(&self) -> BTreeMap<(Arc<str>, &'static str), u64> {
        self.sum(|cells| &cells.failures)
    }

    /// Attempts after the first, by upstream.
    #[must_use]
    pub fn retries(&self) -> BTreeMap<Arc<str>, u64> {
        self.sum(|cells| &cells.retries)
    }

    fn sum<K: Ord + Clone>(&self, of: impl Fn(&WorkerCells) -> &Rare<K>) -> BTreeMap<K, u64> {
        let mut sum = BTreeMap::new();
        for cells in &self.0 {
            of(cells).sum_into(&mut sum);
        }
        sum
    }
}

impl Meter {
    /// Counts a request that was answered; `route` is its route's place among those that the meter was made with.
    pub fn answered(&self, route: Option<usize>, status: u16, took: Duration) {
        let route = route.and_then(|place| self.routes.get(place));
        let RouteCells(classes) = &**route.unwrap_or(&self.none);
        let class = usize::from(status / 100).wrapping_sub(1);
        if let Some(class) = classes.get(class.min(CLASSES.len() - 1)) {
            class.add(1);
        }
        self.cells.durations.add(took);
    }

    /// Counts a page.
    pub fn page(&self, status: u16, format: &'static str) {
        self.cells.pages.add((status, format), 1);
    }

    /// Counts an exchange with an app that failed.
    pub fn failure(&self, upstream: &Arc<str>, cause: &'static str) {
        self.cells.failures.add((Arc::clone(upstream), cause), 1);
    }

    /// Counts attempts after the first.
    pub fn retries(&self, upstream: &Arc<str>, count: u32) {
        let count = u64::from(count);
        self.cells.retries.add(Arc::clone(upstream), count);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a sum of durations is exact to the microsecond for centuries"
)]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    reason = "constants, evaluated when this is compiled"
)]
const fn milliseconds(bounds: [f64; BOUNDS]) -> [u64; BOUNDS] {
    let mut nanos = [0; BOUNDS];
    let mut place = 0;
    while place < BOUNDS {
        nanos[place] = (bounds[place] * 1e6) as u64;
        place += 1;
    }
    nanos
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_up_to_their_bound() {
        let durations = Durations::of_commits();
        for micros in [100, 101, 5_000_000, 5_000_001, 0] {
            durations.add(Duration::from_micros(micros));
        }
        let spread = durations.read();
        let counted: Vec<_> = spread.counts.iter().filter(|it| it.1 > 0).collect();
        assert_eq!(
            counted,
            [&(0.0001, 2), &(0.00025, 1), &(5.0, 1), &(f64::INFINITY, 1)]
        );
        assert_eq!(spread.count(), 5);
        assert!((spread.seconds - 10.000_202).abs() < 1e-9);
    }

    #[test]
    fn bounds_rise() {
        for bounds in [REQUEST, COMMIT] {
            assert!(bounds.is_sorted() && bounds[0] > 0);
        }
    }

    #[test]
    fn all_workers_are_summed_and_a_route_keeps_its_cells() {
        let meters = Meters::new(2);
        let names: [Arc<str>; 2] = ["shop".into(), "blog".into()];
        for worker in 0..2 {
            let meter = meters.meter(worker, names.iter(), &names);
            meter.answered(Some(0), 200, Duration::from_millis(3));
            meter.answered(None, 404, Duration::ZERO);
            meter.page(502, "html");
            meter.failure(&names[0], "head_timeout");
            meter.retries(&names[1], 2);
        }
        let later = meters.meter(1, names[..1].iter(), &names);
        for status in [99, 101, 599, 999] {
            later.answered(Some(0), status, Duration::ZERO);
        }
        let requests = meters.requests();
        assert_eq!(requests["shop"], [1, 2, 0, 0, 1, 2]);
        assert_eq!(requests["blog"], [0; 6]);
        assert_eq!(requests[""], [0, 0, 0, 2, 0, 0]);
        assert_eq!(meters.durations().count(), 8);
        assert_eq!(meters.pages()[&(502, "html")], 2);
        assert_eq!(
            meters.failures()[&(Arc::clone(&names[0]), "head_timeout")],
            2
        );
        assert_eq!(meters.retries()["blog"], 4);
    }
    #[test]
    fn what_is_gone_is_counted_on_and_in_bounded_room() {
        let meters = Meters::new(1);
        let stays: Arc<str> = "stays".into();
        for number in 0..3 * MOST {
            let comes: Arc<str> = format!("route-{number}").into();
            let apps = [Arc::clone(&stays), Arc::clone(&comes)];
            let meter = meters.meter(0, apps.iter(), &apps);
            for (place, app) in apps.iter().enumerate() {
                meter.answered(Some(place), 200, Duration::ZERO);
                meter.failure(app, "malformed");
                meter.retries(app, 1);
            }
        }
        let requests = meters.requests();
        let (failures, retries) = (meters.failures(), meters.retries());
        assert_eq!(requests["stays"][1], 3 * MOST as u64);
        assert_eq!(
            requests.values().map(|it| it[1]).sum::<u64>(),
            6 * MOST as u64
        );
        assert_eq!(
            failures[&(Arc::clone(&stays), "malformed")],
            3 * MOST as u64
        );
        assert_eq!(failures.values().sum::<u64>(), 6 * MOST as u64);
        assert_eq!(retries.values().sum::<u64>(), 6 * MOST as u64);
        for many in [requests.len(), failures.len(), retries.len()] {
            assert!(many <= MOST + 3, "{many}");
        }
    }
}
