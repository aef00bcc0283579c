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
}

/// A future that is not lost when it is dropped: it goes on in a task of its own.
pub(super) struct Detached {
    work: Option<Pin<Box<dyn Future<Output = ()>>>>,
    afterwork: Afterwork,
}

impl Afterwork {
    /// Work that is awaited as long as somebody does, and finished in any case.
    pub(super) fn detached(&self, work: impl Future<Output = ()> + 'static) -> Detached {
        Detached {
            work: Some(Box::pin(work)),
            afterwork: self.clone(),
        }
    }

    /// Ends when no work is under way.
    pub(super) async fn done(&self) {
        while self.0.count.get() > 0 {
            self.0.empty.notified().await;
        }
    }
}

impl Future for Detached {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(work) = &mut self.work else {
            return Poll::Ready(());
        };
        let poll = work.as_mut().poll(cx);
        if poll.is_ready() {
            self.work = None;
        }
        poll
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        let open = Rc::clone(&self.afterwork.0);
        open.count.set(open.count.get() + 1);
        let counted = Counted(open);
        spawn_local(async move {
            let _counted = counted;
            work.await;
        });
    }
}

struct Counted(Rc<Open>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
        if self.0.count.get() == 0 {
            self.0.empty.notify_waiters();
        }
    }
}
