//! How an answer, a connection or a tunnel comes to its end.

use std::future::poll_fn;
use std::pin::Pin;

use http_body::Body as _;
use tokio::io::AsyncWrite as _;
use tokio::time::{Instant, timeout};

use super::connection::{Connection, End, LINGER, Sent};
use super::writer::Writer;
use crate::server::Handler;

impl<H: Handler> Connection<H> {
    /// After an answer: makes the connection ready for the next request, which comes after the rest of this one's body.
    pub(super) async fn settle(&mut self, persistent: bool) -> Option<End> {
        let mut read = self.core.borrow().is_read();
        if persistent && !read {
            read = self.discard().await;
            self.waited = true;
        }
        let nothing_follows = self.core.borrow_mut().end();
        if persistent && read {
            // Mostly it was sent at once.
            if std::mem::take(&mut self.waited) {
                self.since = Instant::now();
                self.blocked_at = None;
                self.pace.rest();
            }
            return None;
        }
        Some(if read && nothing_follows {
            self.close().await
        } else {
            End::Unread
        })
    }

    /// Reads the rest of a request's body that nobody wants; whether that was possible.
    pub(super) async fn discard(&self) -> bool {
        let mut budget = LINGER.0;
        let rest = poll_fn(|cx| self.core.borrow_mut().poll_discard(cx, &mut budget));
        timeout(LINGER.1, rest).await.unwrap_or_default()
    }

    /// Says that nothing more comes. With TLS that is a message (RFC 8446, 6.1), which has to find room behind the answer; an
    /// answer that is not whole ends without it.
    pub(super) async fn close(&self) -> End {
        let room = *self.shared.settings.timeouts.write;
        let closed = poll_fn(|cx| Pin::new(&mut Writer(&self.core)).poll_shutdown(cx));
        drop(timeout(room, closed).await);
        End::Closed
    }

    /// Ends a connection on which nothing is under way: where that is seen from its socket's end alone, it is not said.
    pub(super) async fn leave(&self) -> End {
        if self.core.borrow_mut().stream().is_tls() {
            return Box::pin(self.close()).await;
        }
        End::Closed
    }

    /// Says that nothing more comes, and hears the client out, which would miss the answer if it was reset for what it is
    /// still sending (RFC 9112, 9.6).
    pub(super) async fn linger(&mut self) {
        self.close().await;
        let mut left = LINGER.0;
        loop {
            let read = poll_fn(|cx| {
                let mut scratch = self.shared.scratch.room.borrow_mut();
                self.core.borrow_mut().poll_read(cx, &mut scratch)
            });
            match read.await {
                Ok(0) | Err(_) => return,
                Ok(count) => match left.checked_sub(count as u64) {
                    Some(rest) => left = rest,
                    None => return,
                },
            }
        }
    }

    /// The other side of a tunnel has ended: says so, and lets the client come to its end too, which is the body's.
    pub(super) async fn hear_out(&self, mut body: Pin<&mut H::Body>) -> Sent {
        self.close().await;
        loop {
            match poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return Sent::Broken,
                None => return Sent::Whole,
            }
        }
    }
}
