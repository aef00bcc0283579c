//! A worker's place to hand in incidents, and to wait for their commits.
//!
//! A commit wakes a worker once, however many of its exchanges wait: the writer rings the worker's [`Bell`], and a task of the worker's own
//! looks who is served.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};

use super::queue::{Entry, Fate, Kind, Shared, Ticket};
use super::{Amendment, Incident};

/// What the writer rings when something was committed that a worker waits for.
#[derive(Debug, Default)]
pub(super) struct Bell(Notify);

impl Bell {
    pub(super) fn ring(&self) {
        self.0.notify_one();
    }
}

/// Whether an incident can be looked up from now on, whatever happens to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// It can, as far as the store promises.
    Committed,
    /// It was given up for lack of memory; it has to be logged in full.
    GivenUp,
}

/// A worker's desk; to be made inside its runtime.
#[derive(Debug)]
pub struct Desk {
    shared: Arc<Shared>,
    bell: Arc<Bell>,
    waiting: Waiting,
    usher: AbortHandle,
}

/// The wakers of those who wait, by the address of their ticket.
type Waiting = Rc<RefCell<HashMap<usize, Waker>>>;

/// An incident that was handed in.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The incident as it was handed in.
    pub incident: Arc<Incident>,
    ticket: Arc<Ticket>,
}

/// Resolves when an incident is committed or given up; dropping it cancels the wait, not the commit.
#[must_use = "a page waits for the commit of its incident"]
#[derive(Debug)]
pub struct Commit {
    ticket: Arc<Ticket>,
    waiting: Waiting,
}

impl Desk {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let bell = Arc::new(Bell::default());
        let waiting = Waiting::default();
        let usher = spawn_local(usher(Arc::clone(&bell), Rc::clone(&waiting)));
        Self {
            shared,
            bell,
            waiting,
            usher: usher.abort_handle(),
        }
    }

    /// Hands an incident in. What a capture had reserved for its body should be free again by now.
    pub fn record(&self, incident: Incident) -> (Recorded, Commit) {
        let recorded = Recorded {
            incident: Arc::new(incident),
            ticket: Arc::default(),
        };
        let commit = Commit {
            ticket: Arc::clone(&recorded.ticket),
            waiting: Rc::clone(&self.waiting),
        };
        self.shared.push(Entry::new(
            Kind::Incident,
            Arc::clone(&recorded.incident),
            Arc::clone(&recorded.ticket),
            Some(Arc::clone(&self.bell)),
        ));
        (recorded, commit)
    }

    /// Adds what the capture brought to an incident handed in before; gives the whole. Nobody waits for that commit.
    #[must_use]
    pub fn amend(&self, recorded: &Recorded, amendment: Amendment) -> Arc<Incident> {
        let mut amended = Incident::clone(&recorded.incident);
        amended.amend(amendment);
        let amended = Arc::new(amended);
        self.shared.push(Entry::new(
            Kind::Amendment,
            Arc::clone(&amended),
            Arc::clone(&recorded.ticket),
            None,
        ));
        amended
    }

    /// Hands a refusal in. Nobody waits for its commit.
    pub fn refuse(&self, refusal: Incident) {
        self.shared.push(Entry::new(
            Kind::Refusal,
            Arc::new(refusal),
            Arc::default(),
            None,
        ));
    }

    /// Counts an incident whose page goes out before it is committed.
    pub fn count_unconfirmed(&self) {
        self.shared.unconfirmed();
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.usher.abort();
    }
}

/// Wakes those who wait, each time the bell rings; each looks at its own ticket.
async fn usher(bell: Arc<Bell>, waiting: Waiting) {
    loop {
        bell.0.notified().await;
        let woken = std::mem::take(&mut *waiting.borrow_mut());
        woken.into_values().for_each(Waker::wake);
    }
}

impl Commit {
    fn key(&self) -> usize {
        Arc::as_ptr(&self.ticket).addr()
    }
}

impl Future for Commit {
    type Output = Confirmation;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Confirmation> {
        match self.ticket.fate() {
            Fate::Committed => Poll::Ready(Confirmation::Committed),
            Fate::GivenUp => Poll::Ready(Confirmation::GivenUp),
            // What happens from now on rings the bell, which is heard on this thread: after this waker was put down.
            Fate::Waiting => {
                let waker = cx.waker().clone();
                self.waiting.borrow_mut().insert(self.key(), waker);
                Poll::Pending
            }
        }
    }
}

impl Drop for Commit {
    fn drop(&mut self) {
        self.waiting.borrow_mut().remove(&self.key());
    }
}
