//! What waits to be written: incidents, amendments and refusals in the order in which they came.
//!
//! One budget, `incidents.memory`, holds for everything that is in memory: what waits here, and the captures under way that have reserved
//! from it. Where it does not suffice, the bodies of the oldest entries are given up first, then the entries; each is counted. The lock is
//! taken for failures alone, and held for no longer than a few moves in memory.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::desk::Bell;
use super::{Cause, Incident, Losses};
use crate::telemetry::Durations;

/// How many entries are written in one transaction at most.
const BATCH: usize = 128;
/// While incidents come this fast one after the other, they are gathered for a common commit.
const STORM: Duration = Duration::from_millis(5);
/// How long they are gathered: a page waits so much longer, and a commit that is shared costs a tenth.
const GATHER: Duration = Duration::from_millis(1);
/// How many are enough not to wait for more.
const ENOUGH: usize = 64;
/// The part of the memory that captures and bodies cannot take: a row is small, and goes last.
const FOR_ROWS: usize = 8;
/// How many refusals may wait: a flood of them is not worth the memory.
const REFUSALS: usize = 1000;

/// One thing to write.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) incident: Arc<Incident>,
    /// That of the incident, for an amendment too.
    pub(super) ticket: Arc<Ticket>,
    /// Who waits for it.
    pub(super) bell: Option<Arc<Bell>>,
    weight: usize,
    body_weight: usize,
}

/// What an entry becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A new row.
    Incident,
    /// What a capture brought to a row written before.
    Amendment,
    /// A row of the ring of refusals.
    Refusal,
}

/// What has become of an entry, for those who wait for it.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    seq: AtomicI64,
    fate: AtomicU8,
}

/// See [`Ticket`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Waiting,
    Committed,
    GivenUp,
}

/// How many incidents there were, and what had to be given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Incidents recorded.
    pub recorded: u64,
    /// What had to be given up.
    pub lost: Losses,
    by_cause: [u64; Cause::COUNT],
}

/// What all handles share.
#[derive(Debug)]
pub(super) struct Shared {
    limit: usize,
    taken: AtomicUsize,
    /// How long the writer's transactions took.
    pub(super) commits: Durations,
    queue: Mutex<Queue>,
    /// Rung when there is something to do for a writer that is idle.
    work: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Entry>,
    /// The oldest entries, so many of them, have no body left to give up.
    bodiless: usize,
    refusals: usize,
    /// The writer sleeps until so many entries wait; 0 while it works.
    wanted: usize,
    /// When the writer took its last batch.
    taken: Option<Instant>,
    closing: bool,
    counts: Counts,
}

/// What there is to do for the writer.
#[derive(Debug)]
pub(super) enum Next {
    /// These, the oldest first; to be given back by [`Shared::written`] or [`Shared::put_back`].
    Batch(Vec<Entry>),
    /// Nothing came for a while.
    Idle,
    /// Nothing any more.
    Closed,
}

impl Entry {
    pub(super) fn new(
        kind: Kind,
        incident: Arc<Incident>,
        ticket: Arc<Ticket>,
        bell: Option<Arc<Bell>>,
    ) -> Self {
        Self {
            kind,
            weight: incident.weight(),
            body_weight: incident.body_weight(),
            incident,
            ticket,
            bell,
        }
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        self.weight + self.body_weight
    }

    fn give_up_body(&mut self) -> usize {
        Arc::make_mut(&mut self.incident).give_up_body();
        std::mem::take(&mut self.body_weight)
    }

    /// Tells whoever waits what has become of it.
    fn end(&self, fate: Fate) {
        if self.kind == Kind::Incident {
            self.ticket.fate.store(fate as u8, Ordering::Release);
        }
    }
}

impl Ticket {
    pub(super) fn fate(&self) -> Fate {
        match self.fate.load(Ordering::Acquire) {
            fate if fate == Fate::Committed as u8 => Fate::Committed,
            fate if fate == Fate::GivenUp as u8 => Fate::GivenUp,
            _ => Fate::Waiting,
        }
    }

    /// The row's key; 0 as long as it has none.
    pub(super) fn seq(&self) -> i64 {
        self.seq.load(Ordering::Relaxed)
    }

    pub(super) fn set_seq(&self, seq: i64) {
        self.seq.store(seq, Ordering::Relaxed);
    }
}

impl Counts {
    /// How many incidents had each cause, in the order of [`Cause::ALL`].
    pub fn by_cause(&self) -> impl Iterator<Item = (Cause, u64)> + '_ {
        Cause::ALL.into_iter().zip(self.by_cause)
    }

    fn add(&mut self, cause: Cause) {
        self.recorded += 1;
        if let Some(count) = self.by_cause.get_mut(cause as usize) {
            *count += 1;
        }
    }
}

impl Shared {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            taken: AtomicUsize::new(0),
            commits: Durations::of_commits(),
            queue: Mutex::default(),
            work: Condvar::new(),
        }
    }

    /// Puts an entry into the queue, or gives it up at once where there is no room even so.
    pub(super) fn push(&self, entry: Entry) {
        let mut queue = self.lock();
        match entry.kind {
            Kind::Incident => queue.counts.add(entry.incident.cause),
            Kind::Refusal if queue.refusals >= REFUSALS => {
                queue.counts.lost.refusals += 1;
                return;
            }
            Kind::Refusal => queue.refusals += 1,
            Kind::Amendment => {}
        }
        self.admit(&mut queue, entry);
        if queue.wanted > 0 && queue.waiting.len() >= queue.wanted {
            queue.wanted = 0;
            self.work.notify_one();
        }
    }

    /// What there is to write now; waits for it that long.
    pub(super) fn next(&self, patience: Duration) -> Next {
        let mut queue = self.lock();
        if queue.waiting.is_empty() {
            queue = self.sleep(queue, 1, patience);
        }
        if queue.is_storm() {
            queue = self.sleep(queue, ENOUGH, GATHER);
        }
        if queue.waiting.is_empty() {
            return if queue.closing {
                Next::Closed
            } else {
                Next::Idle
            };
        }
        queue.taken = Some(Instant::now());
        let count = queue.waiting.len().min(BATCH);
        queue.bodiless = queue.bodiless.saturating_sub(count);
        let batch: Vec<Entry> = queue.waiting.drain(..count).collect();
        let refusals = |entry: &&Entry| entry.kind == Kind::Refusal;
        queue.refusals -= batch.iter().filter(refusals).count();
        Next::Batch(batch)
    }

    /// Whether something waits to be written.
    pub(super) fn is_waiting(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    /// Waits that long, or until the queue is closed; true when it is.
    pub(super) fn pause(&self, patience: Duration) -> bool {
        let queue = self.lock();
        let open = |queue: &mut Queue| !queue.closing;
        let waited = self.work.wait_timeout_while(queue, patience, open);
        let (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.closing
    }

    /// A batch is committed.
    pub(super) fn written(&self, batch: Vec<Entry>) {
        let mut bells: Vec<Arc<Bell>> = Vec::new();
        let mut freed = 0;
        for entry in batch {
            entry.end(Fate::Committed);
            freed += entry.size();
            if let Some(bell) = entry.bell
                && !bells.iter().any(|known| Arc::ptr_eq(known, &bell))
            {
                bells.push(bell);
            }
        }
        self.free(freed);
        for bell in bells {
            bell.ring();
        }
    }

    /// A batch could not be written: it is the first to be tried again.
    pub(super) fn put_back(&self, batch: Vec<Entry>) {
        let mut queue = self.lock();
        queue.bodiless = 0;
        for entry in batch.into_iter().rev() {
            queue.refusals += usize::from(entry.kind == Kind::Refusal);
            queue.waiting.push_front(entry);
        }
    }

    /// Nothing more will come; the writer ends when all is written.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.work.notify_all();
    }

    /// Gives up all that waits; how many entries that were.
    pub(super) fn give_up_all(&self) -> usize {
        let mut queue = self.lock();
        let mut count = 0;
        while let Some(freed) = queue.give_up_row() {
            self.free(freed);
            count += 1;
        }
        count
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Counts an incident whose page went out before it was written.
    pub(super) fn unconfirmed(&self) {
        self.lock().counts.lost.unconfirmed += 1;
    }

    /// Counts a body that was cut for lack of memory.
    pub(super) fn lost_body(&self) {
        self.lock().counts.lost.bodies += 1;
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes memory for a capture; the bodies of the oldest entries make room, their rows do not.
    pub(super) fn take_for_capture(&self, bytes: usize) -> bool {
        if self.take(bytes, false) {
            return true;
        }
        if bytes > self.limit {
            return false;
        }
        let mut queue = self.lock();
        self.take_from(&mut queue, bytes, false)
    }

    pub(super) fn free(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// No code panics under the lock; a queue that was poisoned all the same is used on.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until so many entries wait, that long at most.
    fn sleep<'a>(
        &self,
        mut queue: MutexGuard<'a, Queue>,
        wanted: usize,
        patience: Duration,
    ) -> MutexGuard<'a, Queue> {
        queue.wanted = wanted;
        let too_few = |queue: &mut Queue| queue.waiting.len() < wanted && !queue.closing;
        let slept = self.work.wait_timeout_while(queue, patience, too_few);
        let (mut queue, _) = slept.unwrap_or_else(PoisonError::into_inner);
        queue.wanted = 0;
        queue
    }

    /// Takes memory if there is so much, of the part for rows too or not.
    fn take(&self, bytes: usize, row: bool) -> bool {
        let limit = if row {
            self.limit
        } else {
            self.limit - self.limit / FOR_ROWS
        };
        let taken = |before: usize| before.checked_add(bytes).filter(|after| *after <= limit);
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken)
            .is_ok()
    }

    /// Takes memory, whatever older entries that costs.
    fn take_from(&self, queue: &mut Queue, bytes: usize, rows_too: bool) -> bool {
        while !self.take(bytes, rows_too) {
            let freed = match queue.give_up_body() {
                None if rows_too => queue.give_up_row(),
                freed => freed,
            };
            match freed {
                Some(freed) => self.free(freed),
                None => return false,
            }
        }
        true
    }

    fn admit(&self, queue: &mut Queue, mut entry: Entry) {
        if !self.take_from(queue, entry.weight, true) {
            queue.lose(&entry);
            return;
        }
        if entry.body_weight > 0 && !self.take_from(queue, entry.body_weight, false) {
            entry.give_up_body();
            queue.counts.lost.bodies += 1;
        }
        queue.waiting.push_back(entry);
    }
}

impl Queue {
    /// Whether the last batch was taken a moment ago, and there is something again.
    fn is_storm(&self) -> bool {
        let lately = self.taken.is_some_and(|taken| taken.elapsed() < STORM);
        lately && !self.waiting.is_empty()
    }

    /// Gives up the body of the oldest entry that has one; how many bytes that frees.
    fn give_up_body(&mut self) -> Option<usize> {
        while let Some(entry) = self.waiting.get_mut(self.bodiless) {
            self.bodiless += 1;
            if entry.body_weight > 0 {
                self.counts.lost.bodies += 1;
                return Some(entry.give_up_body());
            }
        }
        None
    }

    /// Gives up the oldest entry; how many bytes that frees.
    fn give_up_row(&mut self) -> Option<usize> {
        let entry = self.waiting.pop_front()?;
        self.bodiless = self.bodiless.saturating_sub(1);
        self.lose(&entry);
        Some(entry.size())
    }

    fn lose(&mut self, entry: &Entry) {
        match entry.kind {
            Kind::Incident => self.counts.lost.rows += 1,
            Kind::Amendment => self.counts.lost.bodies += 1,
            Kind::Refusal => {
                self.refusals = self.refusals.saturating_sub(1);
                self.counts.lost.refusals += 1;
            }
        }
        entry.end(Fate::GivenUp);
        if let Some(bell) = &entry.bell {
            bell.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::record::tests::{body, sample};

    fn entry(id: &str, length: usize) -> Entry {
        let incident = Incident {
            body: Some(body(&b"x".repeat(length))),
            ..sample(id)
        };
        Entry::new(Kind::Incident, Arc::new(incident), Arc::default(), None)
    }

    /// What waits, oldest first, with the length of each body.
    fn taken_out(shared: &Shared) -> Vec<(String, usize)> {
        match shared.next(Duration::ZERO) {
            Next::Batch(batch) => {
                let each = batch.iter();
                each.map(|entry| (entry.incident.id.to_string(), entry.incident.body_weight()))
                    .collect()
            }
            other => panic!("{other:?}"),
        }
    }

    fn named(lengths: &[usize], from: usize) -> Vec<(String, usize)> {
        let each = lengths.iter().enumerate();
        each.map(|(n, length)| (format!("id-{}", n + from), *length))
            .collect()
    }

    #[test]
    fn past_the_budget_the_oldest_bodies_go_first_then_rows() {
        let row = sample("id-0").weight();
        let shared = Shared::new(4 * row);
        let first = entry("id-0", row / 2);
        let ticket = Arc::clone(&first.ticket);
        shared.push(first);
        for n in 1..3 {
            shared.push(entry(&format!("id-{n}"), row / 2));
        }
        assert_eq!(shared.counts().lost.bodies, 2);
        shared.push(entry("id-3", row / 2));
        assert_eq!(
            shared.counts().lost.bodies,
            4,
            "an eighth is for rows alone"
        );
        assert_eq!(ticket.fate(), Fate::Waiting);
        shared.push(entry("id-4", row / 2));
        let lost = shared.counts().lost;
        assert_eq!((lost.bodies, lost.rows), (5, 1));
        assert_eq!(ticket.fate(), Fate::GivenUp);
        assert!(shared.taken() <= 4 * row);
        assert_eq!(taken_out(&shared), named(&[0, 0, 0, 0], 1));
    }

    #[test]
    fn captures_do_not_displace_rows() {
        let row = sample("id-0").weight();
        let shared = Shared::new(16 * row);
        while shared.take_for_capture(row) {}
        for n in 0..2 {
            shared.push(entry(&format!("id-{n}"), 0));
        }
        assert_eq!(shared.counts().lost.rows, 0);
    }

    #[test]
    fn captures_and_the_queue_share_one_budget() {
        let row = sample("id-0").weight();
        // Seven eighths of it are for bodies.
        let shared = Shared::new((row + 1000) * 8 / 7 + 1);
        shared.push(entry("id-0", 800));
        assert!(shared.take_for_capture(150));
        assert_eq!(shared.counts().lost.bodies, 0);
        assert!(shared.take_for_capture(300), "an older body makes room");
        assert_eq!(shared.counts().lost.bodies, 1);
        assert!(!shared.take_for_capture(600), "an older row does not");
        assert!(!shared.take_for_capture(usize::MAX));
        assert_eq!(shared.taken(), row + 450);
    }

    #[test]
    fn what_fits_nowhere_is_given_up_at_once() {
        let shared = Shared::new(10);
        let entry = entry("id-0", 0);
        let ticket = Arc::clone(&entry.ticket);
        shared.push(entry);
        assert_eq!(ticket.fate(), Fate::GivenUp);
        assert_eq!(shared.counts().lost.rows, 1);
        assert_eq!(shared.taken(), 0);
        assert!(matches!(shared.next(Duration::ZERO), Next::Idle));
    }

    #[test]
    fn a_batch_that_was_not_written_comes_first_again() {
        let shared = Shared::new(1 << 20);
        for n in 0..3 {
            shared.push(entry(&format!("id-{n}"), 10));
        }
        let Next::Batch(batch) = shared.next(Duration::ZERO) else {
            panic!("a batch");
        };
        shared.push(entry("id-3", 10));
        shared.put_back(batch);
        let Next::Batch(batch) = shared.next(Duration::ZERO) else {
            panic!("a batch");
        };
        let ids: Vec<_> = batch
            .iter()
            .map(|entry| entry.incident.id.as_str())
            .collect();
        assert_eq!(ids, ["id-0", "id-1", "id-2", "id-3"]);
        let tickets: Vec<_> = batch
            .iter()
            .map(|entry| Arc::clone(&entry.ticket))
            .collect();
        shared.written(batch);
        assert!(
            tickets
                .iter()
                .all(|ticket| ticket.fate() == Fate::Committed)
        );
        assert_eq!(shared.taken(), 0);
    }

    #[test]
    fn a_flood_of_refusals_takes_no_more_than_its_share() {
        let shared = Shared::new(64 << 20);
        for _ in 0..REFUSALS + 5 {
            let refusal = Arc::new(Incident {
                body: None,
                ..sample("id-0")
            });
            shared.push(Entry::new(Kind::Refusal, refusal, Arc::default(), None));
        }
        let counts = shared.counts();
        assert_eq!((counts.recorded, counts.lost.refusals), (0, 5));
    }

    #[test]
    fn what_waits_when_it_is_closed_is_still_written() {
        let shared = Shared::new(1 << 20);
        shared.push(entry("id-0", 0));
        shared.close();
        assert!(shared.pause(Duration::from_mins(1)));
        assert_eq!(taken_out(&shared).len(), 1);
        assert!(matches!(shared.next(Duration::from_mins(1)), Next::Closed));
    }
}
