//! How many connections to an app the whole process may have, and who waits for one.
//!
//! It outlives the app's settings: what is in flight under former ones counts, whatever the new ones are.
//!
//! A worker that reuses a connection of its own touches nothing here. One that needs a new connection takes a
//! [`Permit`]; past the limit it queues, and asks the worker that holds the oldest idle connection to close that.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

/// A member serves its own waiting requests first, until another's has waited this much longer.
const FAIRNESS: Duration = Duration::from_millis(100);

/// How much room there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Connections that may be open.
    pub(super) connections: usize,
    /// Requests that may wait.
    pub(super) waiting: usize,
}

/// Who waits for itself alone: nothing is handed over to it but the right to a connection.
pub(super) const ALONE: usize = usize::MAX;

/// The connections of one upstream, for the process.
#[derive(Debug)]
pub(super) struct Capacity {
    started: Instant,
    max: AtomicUsize,
    max_waiting: AtomicUsize,
    members: AtomicUsize,
    open: AtomicUsize,
    waiting: AtomicUsize,
    queue: Mutex<VecDeque<Waiter>>,
    tickets: AtomicU64,
    workers: Vec<WorkerIdle>,
}

/// What other workers know of a worker's idle connections. In a cache line of its own: its worker writes it for every request.
#[derive(Debug, Default)]
#[repr(align(128))]
struct WorkerIdle {
    /// Microseconds from the start, plus one, at which the oldest became idle; 0 is none.
    oldest: AtomicU64,
    /// Told to close the oldest. A word that comes while one is still unheard is lost.
    close: Notify,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    member: usize,
    since: Instant,
    grant: oneshot::Sender<Permit>,
}

/// The right to one open connection, given back on drop.
#[derive(Debug)]
pub(super) struct Permit(Arc<Capacity>);

/// A place in the queue, given up on drop.
#[derive(Debug)]
pub(super) struct Ticket {
    capacity: Arc<Capacity>,
    pub(super) number: u64,
    pub(super) grant: oneshot::Receiver<Permit>,
}

/// Who is to get a connection that has just become free.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nobody waits.
    Nobody,
    /// The request of this member's with this ticket; it is out of the queue now.
    Own(u64),
    /// A request of another member's: the connection is to be closed, so that its permit moves on.
    Other,
}

impl Capacity {
    /// So much room, shared by `workers`.
    pub(super) fn new(room: Room, workers: usize) -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            max: AtomicUsize::new(room.connections),
            max_waiting: AtomicUsize::new(room.waiting),
            members: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            queue: Mutex::default(),
            tickets: AtomicU64::new(0),
            workers: (0..workers).map(|_| WorkerIdle::default()).collect(),
        })
    }

    /// From now on there is so much room. Connections past it end with what they are used for.
    pub(super) fn resize(self: &Arc<Self>, room: Room) {
        self.max.store(room.connections, Ordering::SeqCst);
        self.max_waiting.store(room.waiting, Ordering::SeqCst);
        self.serve_waiting();
    }

    /// The number of another pool that takes connections from here: those that wait in it are told apart by that.
    pub(super) fn enroll(&self) -> usize {
        self.members.fetch_add(1, Ordering::Relaxed)
    }

    /// How many requests may wait.
    pub(super) fn max_waiting(&self) -> usize {
        self.max_waiting.load(Ordering::SeqCst)
    }

    /// A permit, where there is room.
    pub(super) fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        let more = |open: usize| (open < self.max.load(Ordering::SeqCst)).then_some(open + 1);
        self.open
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more)
            .ok()?;
        Some(Permit(Arc::clone(self)))
    }

    /// A place in the queue for a request of `member`'s, where there is one.
    pub(super) fn queue(self: &Arc<Self>, member: usize) -> Option<Ticket> {
        let number = self.tickets.fetch_add(1, Ordering::Relaxed);
        let (sender, grant) = oneshot::channel();
        let waiter = Waiter {
            ticket: number,
            member,
            since: Instant::now(),
            grant: sender,
        };
        let mut queue = self.lock();
        if queue.len() >= self.max_waiting() {
            return None;
        }
        queue.push_back(waiter);
        self.waiting.store(queue.len(), Ordering::SeqCst);
        drop(queue);
        // What became free between the caller's look and the entry above is seen now.
        self.serve_waiting();
        self.close_oldest_idle();
        Some(Ticket {
            capacity: Arc::clone(self),
            number,
            grant,
        })
    }

    /// Who is to get a connection of `member`'s that has become free.
    pub(super) fn next(&self, member: usize) -> Next {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return Next::Nobody;
        }
        let mut queue = self.lock();
        let Some(front) = queue.front() else {
            return Next::Nobody;
        };
        let own = queue.iter().position(|waiter| waiter.member == member);
        match own.and_then(|index| Some((index, queue.get(index)?))) {
            Some((index, own)) if own.since.duration_since(front.since) < FAIRNESS => {
                let ticket = own.ticket;
                queue.remove(index);
                self.waiting.store(queue.len(), Ordering::SeqCst);
                Next::Own(ticket)
            }
            _ => Next::Other,
        }
    }

    /// Leaves word since when `worker`'s oldest idle connection is idle.
    pub(super) fn idle_since(&self, worker: usize, oldest: Option<Instant>) {
        let mark = oldest.map_or(0, |since| {
            let micros = since.saturating_duration_since(self.started).as_micros();
            u64::try_from(micros).map_or(u64::MAX, |micros| micros + 1)
        });
        if let Some(idle) = self.workers.get(worker) {
            idle.oldest.store(mark, Ordering::SeqCst);
        }
    }

    /// Ends when `worker` is to close idle connections, the oldest first: one word may stand for several requests
    /// that wait.
    pub(super) async fn asked_to_close(&self, worker: usize) {
        match self.workers.get(worker) {
            Some(idle) => idle.close.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Whether any request waits.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting() > 0
    }

    /// How many requests wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Asks the worker that holds the oldest idle connection to close that.
    pub(super) fn close_oldest_idle(&self) {
        let held = |idle: &&WorkerIdle| idle.oldest.load(Ordering::SeqCst) > 0;
        let oldest = |idle: &&WorkerIdle| idle.oldest.load(Ordering::SeqCst);
        if let Some(idle) = self.workers.iter().filter(held).min_by_key(oldest) {
            idle.close.notify_one();
        }
    }

    /// Gives what room there is to those that wait.
    fn serve_waiting(self: &Arc<Self>) {
        // A permit is never dropped under the lock: its drop comes here again.
        let mut left = None;
        let mut queue = self.lock();
        while !queue.is_empty() {
            let Some(permit) = left.take().or_else(|| self.try_acquire()) else {
                break;
            };
            let Some(waiter) = queue.pop_front() else {
                left = Some(permit);
                break;
            };
            left = waiter.grant.send(permit).err();
        }
        self.waiting.store(queue.len(), Ordering::SeqCst);
        drop(queue);
        drop(left);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiter>> {
        // No code panics while it holds the lock; if one did, the queue would still be a queue.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
        if self.0.is_wanted() {
            self.0.serve_waiting();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut queue = self.capacity.lock();
        queue.retain(|waiter| waiter.ticket != self.number);
        self.capacity.waiting.store(queue.len(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(connections: usize, waiting: usize) -> Room {
        Room {
            connections,
            waiting,
        }
    }

    #[test]
    fn no_more_than_the_limit_is_open() {
        let capacity = Capacity::new(room(2, 0), 1);
        let (first, second) = (capacity.try_acquire(), capacity.try_acquire());
        assert!(first.is_some() && second.is_some());
        assert!(capacity.try_acquire().is_none());
        assert!(capacity.queue(0).is_none(), "no place to wait");
        drop(first);
        assert!(capacity.try_acquire().is_some());
    }

    #[test]
    fn a_permit_moves_to_the_one_that_waits_longest() {
        let capacity = Capacity::new(room(1, 2), 2);
        let permit = capacity.try_acquire();
        let mut first = capacity.queue(0).unwrap();
        let mut second = capacity.queue(1).unwrap();
        drop(permit);
        let granted = first.grant.try_recv().unwrap();
        assert!(second.grant.try_recv().is_err());
        drop(granted);
        assert!(second.grant.try_recv().is_ok());
    }

    #[test]
    fn a_request_that_leaves_the_queue_takes_nothing_with_it() {
        let capacity = Capacity::new(room(1, 2), 1);
        let permit = capacity.try_acquire();
        let first = capacity.queue(0).unwrap();
        drop(permit);
        drop(first);
        assert!(
            capacity.try_acquire().is_some(),
            "the granted permit came back"
        );
    }

    #[test]
    fn a_worker_serves_its_own_first() {
        let capacity = Capacity::new(room(1, 4), 2);
        let _permit = capacity.try_acquire();
        let _other = capacity.queue(1).unwrap();
        assert_eq!(capacity.next(0), Next::Other);
        let own = capacity.queue(0).unwrap();
        assert_eq!(capacity.next(0), Next::Own(own.number));
        assert_eq!(capacity.next(0), Next::Other);
    }

    #[tokio::test]
    async fn one_that_waits_has_the_oldest_idle_connection_closed() {
        let capacity = Capacity::new(room(1, 4), 2);
        let _permit = capacity.try_acquire();
        let now = Instant::now();
        capacity.idle_since(0, Some(now + Duration::from_secs(1)));
        capacity.idle_since(1, Some(now));
        let _waiting = capacity.queue(0).unwrap();
        tokio::select! {
            biased;
            () = capacity.asked_to_close(0) => panic!("the newer one was asked for"),
            () = capacity.asked_to_close(1) => {}
        }
    }

    #[test]
    fn more_room_is_for_those_that_wait_and_less_is_for_those_that_come() {
        let capacity = Capacity::new(room(1, 2), 1);
        let first = capacity.try_acquire();
        let mut waiting = capacity.queue(0).unwrap();
        capacity.resize(room(2, 0));
        let second = waiting.grant.try_recv().unwrap();
        assert!(capacity.queue(0).is_none(), "no place to wait");
        capacity.resize(room(1, 0));
        drop(first);
        assert!(capacity.try_acquire().is_none(), "one is open still");
        drop(second);
        assert!(capacity.try_acquire().is_some());
    }
}
