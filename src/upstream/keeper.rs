//! What closes a pool's idle connections: those that their app has closed, that are idle too long, or that others need the places of.

use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::pool::{Pool, Shared};

impl Pool {
    /// Closes the idle connections that their app has closed. `cx` is woken when there is another.
    pub(super) fn close_ended(&self, cx: &mut Context<'_>) {
        self.0.keeper.borrow_mut().clone_from(cx.waker());
        let mut idle = self.0.idle.borrow_mut();
        idle.retain_mut(|connection| connection.wire.http.is_quiet(cx));
        self.mark(&idle);
    }

    /// Closes as many idle connections as requests wait, the oldest first. Where it has not as many, the others may be
    /// another worker's.
    pub(super) fn make_room(&self) {
        let capacity = &self.0.upstream.capacity;
        let mut idle = self.0.idle.borrow_mut();
        let wanted = capacity.waiting();
        let closed = wanted.min(idle.len());
        idle.drain(..closed);
        let closed = closed + self.0.carriers.close_idle(wanted - closed);
        self.mark(&idle);
        drop(idle);
        if closed < wanted {
            capacity.close_oldest_idle();
        }
    }

    pub(super) fn close_retired(&self) {
        let mut idle = self.0.idle.borrow_mut();
        idle.retain(|connection| !connection.wire.seat.endpoint.is_retired());
        self.0
            .carriers
            .close_if(|carrier| carrier.seat().endpoint.is_retired());
        self.mark(&idle);
    }

    pub(super) fn close_expired(&self) {
        if self.0.seats.renew(&self.0.upstream) {
            self.close_retired();
        }
        let mut idle = self.0.idle.borrow_mut();
        let limit = self.0.upstream.idle_timeout;
        idle.retain(|connection| connection.idle_since.elapsed() < limit);
        if let Some(before) = Instant::now().checked_sub(limit) {
            self.0.carriers.close_expired(before);
        }
        self.mark(&idle);
    }
}

/// Closes what its app has closed or is idle too long, and the oldest idle connections whenever other workers need
/// their places. Ends with the pool, or when it is retired.
pub(super) async fn keep_idle(pool: Weak<Shared>) {
    loop {
        let Some(shared) = pool.upgrade() else { return };
        let upstream = Arc::clone(&shared.upstream);
        let worker = shared.worker;
        drop(shared);
        let pause =
            (upstream.idle_timeout / 4).clamp(Duration::from_millis(50), Duration::from_secs(5));
        let ended = poll_fn(|cx| match pool.upgrade() {
            Some(shared) if !Pool(Rc::clone(&shared)).is_retired() => {
                Pool(shared).close_ended(cx);
                Poll::<()>::Pending
            }
            _ => Poll::Ready(()),
        });
        let asked = tokio::select! {
            () = ended => return,
            () = upstream.capacity.asked_to_close(worker) => true,
            () = sleep(pause) => false,
        };
        let Some(shared) = pool.upgrade() else { return };
        if asked {
            Pool(shared).make_room();
            // The closed ones end, and those that waited for them are served, before the next word is heard.
            yield_now().await;
        } else {
            Pool(shared).close_expired();
        }
    }
}
