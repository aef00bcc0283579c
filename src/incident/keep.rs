//! Where incidents are kept: the last 1,000 in memory, behind the interface that a store takes over.
//!
//! One budget, `incidents.memory`, holds for everything: the ring, and the captures under way that have reserved from it. Where it does
//! not suffice, the bodies of the oldest incidents are given up first, then their rows; each is counted. The lock is taken for failures
//! alone, and held for no longer than a few moves in memory.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use jiff::Timestamp;

use super::{Amendment, Cause, Incident};
use crate::config;
use crate::request_id::{EPOCH_MILLIS, Lookup, RequestId};

/// How many incidents the ring keeps.
const ROWS: usize = 1000;
/// Bits of a `seq` below its milliseconds.
const SEQ_BITS: u32 = 20;

/// The incidents of this process. Clones are handles on the same.
#[derive(Clone, Debug)]
pub struct Incidents(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    taken: AtomicUsize,
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    rows: VecDeque<Row>,
    last_seq: i64,
    /// The oldest rows, so many of them, have no body left to give up.
    bodiless: usize,
    counts: Counts,
}

#[derive(Debug)]
struct Row {
    incident: Arc<Incident>,
    weight: usize,
    body_weight: usize,
}

/// How many incidents there were, and what had to be given up for lack of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Incidents recorded.
    pub recorded: u64,
    /// Incidents whose body was given up.
    pub given_up_bodies: u64,
    /// Incidents that were given up altogether.
    pub given_up_rows: u64,
    by_cause: [u64; Cause::COUNT],
}

impl Counts {
    /// How many incidents had each cause, in the order of [`Cause::ALL`].
    pub fn by_cause(&self) -> impl Iterator<Item = (Cause, u64)> + '_ {
        Cause::ALL.into_iter().zip(self.by_cause)
    }
}

/// Whether an incident can be looked up from now on, whatever happens to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// It can, as far as the store promises.
    Committed,
    /// The wait was over before the commit; the incident has to be logged in full.
    Unconfirmed,
}

/// An incident on its way into the store. Resolves when it is committed; dropping it cancels the wait, not the commit.
#[must_use = "a page waits for the commit of its incident"]
#[derive(Debug)]
pub struct Commit {
    incident: Arc<Incident>,
}

impl Commit {
    /// The incident as it was recorded, its `seq` set.
    #[must_use]
    pub fn incident(&self) -> &Arc<Incident> {
        &self.incident
    }
}

impl Future for Commit {
    type Output = Confirmation;

    /// What is in the ring is as safe as a ring makes it.
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Confirmation> {
        Poll::Ready(Confirmation::Committed)
    }
}

impl Incidents {
    /// None yet.
    #[must_use]
    pub fn new(incidents: &config::Incidents) -> Self {
        Self(Arc::new(Shared {
            limit: incidents.memory.bytes(),
            taken: AtomicUsize::new(0),
            ring: Mutex::default(),
        }))
    }

    /// The memory that incidents and captures share.
    #[must_use]
    pub fn budget(&self) -> Budget {
        Budget(Arc::clone(&self.0))
    }

    /// Keeps an incident and gives it its `seq`. What a capture had reserved for the body should be free again by now.
    pub fn record(&self, mut incident: Incident) -> Commit {
        let mut ring = self.0.lock();
        incident.seq = ring.next_seq(incident.time);
        let incident = Arc::new(incident);
        ring.count(incident.cause);
        self.0.admit(&mut ring, Arc::clone(&incident));
        Commit { incident }
    }

    /// Adds what the capture brought to an incident recorded before; gives the whole, which is no longer in the ring perhaps.
    pub fn amend(&self, incident: &Incident, amendment: Amendment) -> Arc<Incident> {
        let mut amended = incident.clone();
        amended.amend(amendment);
        let amended = Arc::new(amended);
        let mut ring = self.0.lock();
        self.0.replace(&mut ring, &amended);
        amended
    }

    /// The incidents with this ID, the newest first. The ID is looked for as it stands, then as what a person may have meant by it.
    #[must_use]
    pub fn find(&self, id: &str) -> Vec<Arc<Incident>> {
        let found = self.with_id(id.trim());
        match RequestId::parse(id) {
            Lookup::Exact(meant) if found.is_empty() => self.with_id(meant.as_str()),
            _ => found,
        }
    }

    /// The newest incidents, the newest first.
    #[must_use]
    pub fn newest(&self, limit: usize) -> Vec<Arc<Incident>> {
        let ring = self.0.lock();
        let rows = ring.rows.iter().rev().take(limit);
        rows.map(|row| Arc::clone(&row.incident)).collect()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.lock().counts
    }

    fn with_id(&self, id: &str) -> Vec<Arc<Incident>> {
        let ring = self.0.lock();
        let rows = ring.rows.iter().rev();
        rows.filter(|row| row.incident.id.as_str() == id)
            .map(|row| Arc::clone(&row.incident))
            .collect()
    }
}

impl Shared {
    /// No code panics under the lock; a ring that was poisoned all the same is used on.
    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, bytes: usize) -> bool {
        let taken = |before: usize| {
            before
                .checked_add(bytes)
                .filter(|after| *after <= self.limit)
        };
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken)
            .is_ok()
    }

    fn free(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Takes memory for a capture; the bodies of the oldest incidents make room, their rows do not.
    fn take_for_capture(&self, bytes: usize) -> bool {
        if self.take(bytes) {
            return true;
        }
        if bytes > self.limit {
            return false;
        }
        let mut ring = self.lock();
        loop {
            if self.take(bytes) {
                return true;
            }
            match ring.give_up_body() {
                Some(freed) => self.free(freed),
                None => return false,
            }
        }
    }

    /// Takes memory for a row or its body, whatever older ones that costs.
    fn take_for_ring(&self, ring: &mut Ring, bytes: usize, rows_too: bool) -> bool {
        while !self.take(bytes) {
            let freed = match ring.give_up_body() {
                None if rows_too => ring.give_up_row(),
                freed => freed,
            };
            match freed {
                Some(freed) => self.free(freed),
                None => return false,
            }
        }
        true
    }

    fn admit(&self, ring: &mut Ring, incident: Arc<Incident>) {
        if ring.rows.len() >= ROWS
            && let Some(freed) = ring.drop_oldest()
        {
            self.free(freed);
        }
        let weight = incident.weight();
        if !self.take_for_ring(ring, weight, true) {
            ring.counts.given_up_rows += 1;
            return;
        }
        let mut row = Row {
            body_weight: incident.body_weight(),
            incident,
            weight,
        };
        self.admit_body(ring, &mut row);
        ring.rows.push_back(row);
    }

    fn admit_body(&self, ring: &mut Ring, row: &mut Row) {
        if row.body_weight > 0 && !self.take_for_ring(ring, row.body_weight, false) {
            row.give_up_body();
            ring.counts.given_up_bodies += 1;
        }
    }

    fn replace(&self, ring: &mut Ring, amended: &Arc<Incident>) {
        let place = ring
            .rows
            .binary_search_by_key(&amended.seq, |row| row.incident.seq);
        let Some(old) = place.ok().and_then(|place| ring.rows.get_mut(place)) else {
            return;
        };
        // Its weight stays as it was counted: a summary more or less.
        let mut row = Row {
            incident: Arc::clone(amended),
            weight: old.weight,
            body_weight: amended.body_weight(),
        };
        self.free(std::mem::take(&mut old.body_weight));
        self.admit_body(ring, &mut row);
        if let Ok(place) = ring
            .rows
            .binary_search_by_key(&amended.seq, |row| row.incident.seq)
            && let Some(old) = ring.rows.get_mut(place)
        {
            *old = row;
            ring.bodiless = ring.bodiless.min(place);
        }
    }
}

impl Row {
    fn give_up_body(&mut self) -> usize {
        Arc::make_mut(&mut self.incident).give_up_body();
        std::mem::take(&mut self.body_weight)
    }
}

impl Ring {
    /// Milliseconds since 2020 and a count, always above the one before.
    fn next_seq(&mut self, time: Timestamp) -> i64 {
        let epoch = i64::try_from(EPOCH_MILLIS).unwrap_or(0);
        let millis = (time.as_millisecond() - epoch).max(0);
        self.last_seq = (millis << SEQ_BITS).max(self.last_seq + 1);
        self.last_seq
    }

    fn count(&mut self, cause: Cause) {
        self.counts.recorded += 1;
        if let Some(count) = self.counts.by_cause.get_mut(cause as usize) {
            *count += 1;
        }
    }

    /// Gives up the body of the oldest incident that has one; how many bytes that frees.
    fn give_up_body(&mut self) -> Option<usize> {
        while let Some(row) = self.rows.get_mut(self.bodiless) {
            self.bodiless += 1;
            if row.body_weight > 0 {
                self.counts.given_up_bodies += 1;
                return Some(row.give_up_body());
            }
        }
        None
    }

    fn give_up_row(&mut self) -> Option<usize> {
        let freed = self.drop_oldest()?;
        self.counts.given_up_rows += 1;
        Some(freed)
    }

    fn drop_oldest(&mut self) -> Option<usize> {
        let row = self.rows.pop_front()?;
        self.bodiless = self.bodiless.saturating_sub(1);
        Some(row.weight + row.body_weight)
    }
}

/// The memory that incidents and captures share: `incidents.memory`.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

impl Budget {
    /// Reserves memory for a capture; `None` when there is not so much, even after the bodies of older incidents were given up.
    #[must_use]
    pub fn reserve(&self, bytes: usize) -> Option<Reservation> {
        self.0.take_for_capture(bytes).then(|| Reservation {
            shared: Arc::clone(&self.0),
            bytes,
        })
    }

    /// How many bytes are reserved or kept now.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }
}

/// Memory that a capture holds; free again when this is dropped.
#[derive(Debug)]
pub struct Reservation {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Reservation {
    /// Reserves more; false, and nothing changed, when there is not so much.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let grown = self.shared.take_for_capture(bytes);
        if grown {
            self.bytes += bytes;
        }
        grown
    }

    /// How many bytes are reserved.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shared.free(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::config::units::Size;
    use crate::incident::Fingerprint;
    use crate::incident::record::tests::{body, sample};

    fn within(bytes: u64) -> Incidents {
        Incidents::new(&config::Incidents {
            memory: Size(bytes),
            ..config::Incidents::default()
        })
    }

    fn with_body(id: &str, length: usize) -> Incident {
        Incident {
            body: Some(body(&b"x".repeat(length))),
            ..sample(id)
        }
    }

    fn record(incidents: &Incidents, incident: Incident) -> Arc<Incident> {
        Arc::clone(incidents.record(incident).incident())
    }

    /// The IDs kept, oldest first, with the length of each body.
    fn kept(incidents: &Incidents) -> Vec<(String, usize)> {
        let newest = incidents.newest(usize::MAX);
        let each = newest.iter().rev();
        each.map(|incident| (incident.id.to_string(), incident.body_weight()))
            .collect()
    }

    #[test]
    fn seqs_are_strictly_ordered_even_when_time_is_not() {
        let incidents = within(1 << 20);
        let times = [
            "2024-02-03T04:05:06Z",
            "2024-02-03T04:05:06Z",
            "2023-01-01T00:00:00Z",
            "2024-02-03T04:05:07Z",
            "1999-01-01T00:00:00Z",
        ];
        let seqs: Vec<i64> = times
            .iter()
            .map(|time| {
                let time = time.parse().unwrap();
                record(
                    &incidents,
                    Incident {
                        time,
                        ..sample("a")
                    },
                )
                .seq
            })
            .collect();
        assert!(seqs.is_sorted_by(|one, other| one < other), "{seqs:?}");
        let millis = "2024-02-03T04:05:07Z"
            .parse::<Timestamp>()
            .unwrap()
            .as_millisecond();
        assert_eq!(
            seqs[3] >> SEQ_BITS,
            millis - i64::try_from(EPOCH_MILLIS).unwrap()
        );
    }

    #[test]
    fn an_id_finds_all_its_incidents_however_it_was_typed() {
        let incidents = within(1 << 20);
        let key = Arc::new(crate::request_id::IdKey::new());
        let id = crate::request_id::IdSource::new(&key, 0).next(std::time::SystemTime::now());
        record(
            &incidents,
            Incident {
                id: id.clone(),
                ..sample("own")
            },
        );
        let first = record(&incidents, sample("twice"));
        record(&incidents, sample("other"));
        let second = record(&incidents, sample("twice"));

        let seqs = |text: &str| -> Vec<i64> {
            incidents
                .find(text)
                .iter()
                .map(|incident| incident.seq)
                .collect()
        };
        assert_eq!(seqs("twice"), [second.seq, first.seq]);
        assert_eq!(seqs(" twice\n").len(), 2);
        assert_eq!(seqs("TWICE").len(), 0);
        assert_eq!(seqs("' or 1=1 --").len(), 0);
        assert_eq!(seqs(&id.as_str().to_lowercase().replace('-', " ")).len(), 1);
    }

    #[test]
    fn the_ring_keeps_the_last_thousand() {
        let incidents = within(64 << 20);
        for n in 0..ROWS + 5 {
            record(&incidents, with_body(&format!("id-{n}"), 10));
        }
        assert!(incidents.find("id-4").is_empty());
        assert_eq!(incidents.find("id-5").len(), 1);
        let counts = incidents.counts();
        assert_eq!(counts.recorded, 1005);
        assert_eq!((counts.given_up_bodies, counts.given_up_rows), (0, 0));
        let caused: u64 = counts.by_cause().map(|(_, count)| count).sum();
        assert_eq!(caused, 1005);
        assert_eq!(incidents.newest(3)[0].id.as_str(), "id-1004");
    }

    #[test]
    fn past_the_budget_the_oldest_bodies_go_first_then_rows() {
        let row = sample("id-0").weight() as u64;
        let incidents = within(3 * row + 250);
        for n in 0..3 {
            record(&incidents, with_body(&format!("id-{n}"), 100));
        }
        let names = |lengths: [usize; 3], from: usize| -> Vec<(String, usize)> {
            let each = lengths.iter().enumerate();
            each.map(|(n, length)| (format!("id-{}", n + from), *length))
                .collect()
        };
        assert_eq!(kept(&incidents), names([0, 100, 100], 0));
        assert_eq!(incidents.counts().given_up_bodies, 1);
        let oldest = incidents.find("id-0")[0].body.clone().unwrap();
        assert_eq!(
            (oldest.bytes, oldest.kept, oldest.complete),
            (100, 0, false)
        );

        record(&incidents, with_body("id-3", 100));
        assert_eq!(kept(&incidents), names([0, 0, 100], 1));
        let counts = incidents.counts();
        assert_eq!((counts.given_up_bodies, counts.given_up_rows), (3, 1));
        assert!(incidents.budget().taken() as u64 <= 3 * row + 250);
    }

    #[test]
    fn captures_and_the_ring_share_one_budget() {
        let row = sample("id-0").weight();
        let incidents = within(row as u64 + 1000);
        let budget = incidents.budget();
        record(&incidents, with_body("id-0", 800));
        let mut capture = budget.reserve(150).unwrap();
        assert_eq!(incidents.counts().given_up_bodies, 0);
        assert!(capture.grow(300), "an older body makes room");
        assert_eq!(incidents.counts().given_up_bodies, 1);
        assert!(!capture.grow(600), "an older row does not");
        assert!(budget.reserve(usize::MAX).is_none());
        assert_eq!(capture.bytes(), 450);
        assert_eq!(budget.taken(), row + 450);
        drop(capture);
        assert_eq!(budget.taken(), row);
    }

    #[test]
    fn what_fits_nowhere_is_counted_and_still_given_back() {
        let incidents = within(10);
        let commit = incidents.record(sample("id-0"));
        assert_eq!(commit.incident().id.as_str(), "id-0");
        assert!(incidents.newest(1).is_empty());
        assert_eq!(incidents.counts().given_up_rows, 1);
        assert_eq!(incidents.budget().taken(), 0);
    }

    #[test]
    fn a_capture_that_ends_later_amends_the_same_record() {
        let incidents = within(1 << 20);
        let early = record(
            &incidents,
            Incident {
                body: None,
                ..sample("id-0")
            },
        );
        record(&incidents, sample("id-1"));
        let before = incidents.budget().taken();
        let amendment = Amendment {
            body: body(b"ValueError: late"),
            summary: "ValueError: late".to_owned(),
            fingerprint: Fingerprint(7),
            error: Some("it broke off".to_owned()),
        };
        let amended = incidents.amend(&early, amendment.clone());
        let found = &incidents.find("id-0")[0];
        assert_eq!(found.seq, early.seq);
        assert_eq!(found.summary, "ValueError: late");
        assert_eq!(found.body.as_ref().unwrap().content, "ValueError: late");
        let error = &found.upstream.as_ref().unwrap().error;
        assert_eq!(error.as_deref(), Some("it broke off"));
        assert_eq!(incidents.newest(10).len(), 2);
        assert_eq!(incidents.budget().taken(), before + 16);
        assert_eq!(amended.fingerprint, Fingerprint(7));

        let gone = Incident {
            seq: 1,
            ..sample("gone")
        };
        assert_eq!(
            incidents.amend(&gone, amendment).summary,
            "ValueError: late"
        );
        assert!(incidents.find("gone").is_empty());
    }

    #[test]
    fn a_late_body_pushes_out_older_ones_and_is_itself_pushed_out_in_turn() {
        let row = sample("id-0").weight() as u64;
        let incidents = within(2 * row + 150);
        record(&incidents, with_body("id-0", 100));
        let late = record(&incidents, with_body("id-1", 0));
        let amendment = Amendment {
            body: body(&b"y".repeat(120)),
            summary: String::new(),
            fingerprint: Fingerprint(0),
            error: None,
        };
        incidents.amend(&late, amendment);
        assert_eq!(
            kept(&incidents),
            [("id-0".to_owned(), 0), ("id-1".to_owned(), 120)]
        );
        assert!(incidents.budget().reserve(100).is_some());
        assert_eq!(kept(&incidents)[1].1, 0);
        assert_eq!(incidents.budget().taken() as u64, 2 * row);
    }

    #[test]
    fn workers_may_record_at_once() {
        let incidents = within(200_000);
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let incidents = incidents.clone();
                thread::spawn(move || {
                    for n in 0..500 {
                        let held = incidents.budget().reserve(500);
                        record(&incidents, with_body(&format!("{worker}-{n}"), 300));
                        drop(held);
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(incidents.counts().recorded, 2000);
        let rows: usize = incidents
            .newest(ROWS)
            .iter()
            .map(|one| one.weight() + one.body_weight())
            .sum();
        assert_eq!(incidents.budget().taken(), rows);
        assert!(rows <= 200_000);
    }
}
