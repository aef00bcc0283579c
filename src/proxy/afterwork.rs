//! Work that goes on when the visitor is gone: a capture, a commit.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::sync::Notify;
use tokio::task::spawn_local;

/// A worker's work that outlives its exchanges, counted so that a drain can wait for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Afterwork(Rc<Open>);

#[derive(Debug, Default)]
struct Open {
    count: Cell<usize>,
    empty: Notify,
    hurried: Cell<bool>,
    hurry: Notify,
}

/// A future that is not lost when it is dropped: it goes on in a task of its own.
pub(super) struct Detached {
    work: Option<Counted>,
}

/// Work under way.
struct Counted {
    work: Pin<Box<dyn Future<Output = ()>>>,
    open: Rc<Open>,
}

impl Afterwork {
    /// Work that is awaited as long as somebody does, and finished in any case.
    pub(super) fn detached(&self, work: impl Future<Output = ()> + 'static) -> Detached {
        let open = Rc::clone(&self.0);
        open.count.set(open.count.get() + 1);
        let work = Box::pin(work);
        Detached {
            work: Some(Counted { work, open }),
        }
    }

    /// Ends when no work is under way.
    pub(super) async fn done(&self) {
        while self.0.count.get() > 0 {
            self.0.empty.notified().await;
        }
    }

    /// Tells all work to come to its end with what it has.
    pub(super) fn hurry(&self) {
        self.0.hurried.set(true);
        self.0.hurry.notify_waiters();
    }

    /// Whether work was told to come to its end.
    pub(super) fn is_hurried(&self) -> bool {
        self.0.hurried.get()
    }

    /// Ends when work is to come to its end.
    pub(super) async fn hurried(&self) {
        while !self.0.hurried.get() {
            self.0.hurry.notified().await;
        }
    }
}

impl Future for Detached {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(counted) = &mut self.work else {
            return Poll::Ready(());
        };
        let poll = counted.work.as_mut().poll(cx);
        if poll.is_ready() {
            self.work = None;
        }
        poll
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        if let Some(mut counted) = self.work.take() {
            spawn_local(async move { counted.work.as_mut().await });
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.count.set(self.open.count.get() - 1);
        if self.open.count.get() == 0 {
            self.open.empty.notify_waiters();
        }
    }
}
