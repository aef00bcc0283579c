//! How a worker tells its connections that it is about to end.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Poll, Waker};

use tokio::time::Instant;

/// A worker's connections, so that each can be told to finish. A connection asks [`Drain::has_begun`] when it is
/// polled, which costs a load; it is woken once, when the drain begins.
#[derive(Debug, Default)]
pub(super) struct Drain {
    since: Cell<Option<Instant>>,
    open: Cell<usize>,
    wakers: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
    empty: tokio::sync::Notify,
}

/// A connection's place in its worker's [`Drain`].
#[derive(Debug)]
pub(super) struct Place {
    index: usize,
}

impl Drain {
    /// Takes a place for a connection.
    pub(super) fn enter(&self) -> Place {
        self.open.set(self.open.get() + 1);
        let free = self.free.borrow_mut().pop();
        let index = free.unwrap_or_else(|| {
            let mut wakers = self.wakers.borrow_mut();
            wakers.push(None);
            wakers.len() - 1
        });
        Place { index }
    }

    /// Gives a place back.
    pub(super) fn leave(&self, place: &Place) {
        self.set(place, None);
        self.free.borrow_mut().push(place.index);
        self.open.set(self.open.get() - 1);
        if self.open.get() == 0 {
            self.empty.notify_waiters();
        }
    }

    /// Leaves word whom to wake when the drain begins.
    pub(super) fn wake_later(&self, place: &Place, waker: &Waker) {
        self.set(place, Some(waker.clone()));
    }

    /// When it has begun.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since.get()
    }

    /// Whether connections are to finish.
    pub(super) fn has_begun(&self) -> bool {
        self.since.get().is_some()
    }

    /// Whether there is no connection.
    pub(super) fn is_empty(&self) -> bool {
        self.open.get() == 0
    }

    /// Tells all connections to finish.
    pub(super) fn begin(&self) {
        if self.has_begun() {
            return;
        }
        self.since.set(Some(Instant::now()));
        for waker in self.wakers.borrow().iter().flatten() {
            waker.wake_by_ref();
        }
    }

    /// Polls a future to its end, or until the drain begins.
    pub(super) async fn until_begun<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let place = self.enter();
        let mut future = pin!(future);
        let ended = poll_fn(|cx| {
            if self.has_begun() {
                return Poll::Ready(None);
            }
            self.wake_later(&place, cx.waker());
            future.as_mut().poll(cx).map(Some)
        })
        .await;
        self.leave(&place);
        ended
    }

    /// Ends when no connection is left.
    pub(super) async fn empty(&self) {
        while self.open.get() > 0 {
            self.empty.notified().await;
        }
    }

    fn set(&self, place: &Place, waker: Option<Waker>) {
        if let Some(slot) = self.wakers.borrow_mut().get_mut(place.index) {
            *slot = waker;
        }
    }
}
