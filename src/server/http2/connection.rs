//! One client connection, from its preface to its end.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{self, Builder};
use h2::{Reason, RecvStream};
use http::Request;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::exchange::{self, Ended};
use super::wire::{Watched, Wire};
use crate::config::Limits;
use crate::http1::{Alarm, Stream};
use crate::server::Handler;
use crate::server::drain::Place;
use crate::server::peer::Peer;
use crate::server::shared::Shared;

/// What is sent of an answer ahead of what the socket takes, in bytes a stream.
pub(super) const AHEAD: usize = 64 * 1024;

/// What may come of a request's body ahead of its reader, in bytes. A connection has room for as much of each of its streams, so
/// that bodies which an app leaves unread hold up no other.
const WINDOW: u32 = 128 * 1024;

/// The largest window of a connection (RFC 9113, 6.9.1).
const MOST: u32 = (1 << 31) - 1;

/// The largest frame that is taken.
const FRAME: u32 = 16 * 1024;

/// How long a client that was told of the end may take to say that it has heard it, with nothing under way; and how long what
/// it opened the connection for may take to come.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves a connection to its end: closed by either side, overdue, or drained. `read` is what was read of it before.
pub(in crate::server) async fn serve<H: Handler>(
    shared: Rc<Shared<H>>,
    stream: Stream,
    read: Bytes,
    peer: Rc<Peer>,
) {
    let begun = Instant::now();
    let watched = Watched::default();
    let wire = Wire::new(stream, read, watched.clone());
    let place = shared.drain.enter();
    let Some(http) = shake_hands(&shared, &place, wire).await else {
        tracing::debug!("a connection ended in its preface");
        return shared.drain.leave(&place);
    };
    let mut connection = Connection {
        place,
        peer,
        http,
        watched,
        exchanges: JoinSet::new(),
        resets: 0,
        used: false,
        since: begun,
        told: None,
        alarm: Alarm::new(),
        shared,
    };
    poll_fn(|cx| connection.poll(cx)).await;
}

/// Reads the preface within the time for a head, or soon once the drain has begun.
async fn shake_hands<H: Handler>(
    shared: &Shared<H>,
    place: &Place,
    wire: Wire,
) -> Option<server::Connection<Wire, Bytes>> {
    let mut handshake = pin!(settings(&shared.settings.limits).handshake(wire));
    let late = Instant::now() + *shared.settings.timeouts.head;
    let mut alarm = Alarm::new();
    poll_fn(|cx| {
        // The task's waker stays the same to the connection's end.
        shared.drain.wake_later(place, cx.waker());
        if let Poll::Ready(begun) = handshake.as_mut().poll(cx) {
            return Poll::Ready(begun.ok());
        }
        let drained = shared.drain.since().map(|since| since + FAREWELL);
        let due = drained.map_or(late, |drained| late.min(drained));
        alarm.poll_over(cx, || due).map(|()| None)
    })
    .await
}

/// What is borne with of a client.
fn settings(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    let most = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    builder
        .max_concurrent_streams(limits.h2_streams)
        // Between once and twice the limit a page says what is wrong; past that there is an answer without one.
        .max_header_list_size(most(limits.head.bytes().saturating_mul(2)))
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW.saturating_mul(limits.h2_streams).min(MOST))
        .max_frame_size(FRAME)
        .max_send_buffer_size(AHEAD)
        .max_local_error_reset_streams(Some(limits.h2_resets))
        .max_pending_accept_reset_streams(limits.h2_resets.min(limits.h2_streams as usize))
        .enable_connect_protocol();
    builder
}

/// A connection and what happens on it.
struct Connection<H: Handler> {
    shared: Rc<Shared<H>>,
    peer: Rc<Peer>,
    http: server::Connection<Wire, Bytes>,
    watched: Watched,
    /// The streams whose requests are being answered. They end with the connection.
    exchanges: JoinSet<Ended>,
    /// How many more streams the client has reset than it has let end.
    resets: usize,
    /// Whether it has had a request: the first may take as long as a head, others as long as an idle connection.
    used: bool,
    /// Since when nothing is under way.
    since: Instant,
    /// When the client was told that the connection ends.
    told: Option<Instant>,
    alarm: Alarm,
    place: Place,
}

impl<H: Handler> Connection<H> {
    /// Drives the connection; ready at its end.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.shared.drain.has_begun() {
                self.tell();
            }
            if self.poll_frames(cx).is_ready() {
                return Poll::Ready(());
            }
            // Last, so that each that goes on is known to be waited for.
            if self.collect(cx) {
                continue;
            }
            let Some(due) = self.due() else {
                return Poll::Pending;
            };
            if self.alarm.poll_over(cx, || due).is_pending() {
                return Poll::Pending;
            }
            if self.told.is_some() || self.watched.stalled().is_some() {
                return Poll::Ready(());
            }
            self.tell();
        }
    }

    /// Lets go of the streams that have ended; whether there were any.
    fn collect(&mut self, cx: &mut Context<'_>) -> bool {
        let before = self.exchanges.len();
        while let Poll::Ready(Some(ended)) = self.exchanges.poll_join_next(cx) {
            // A task that has panicked has said so; its stream was reset.
            if matches!(ended, Ok(Ended::Reset)) {
                self.resets += 1;
            } else {
                self.resets = self.resets.saturating_sub(1);
            }
        }
        if before > 0 && self.exchanges.is_empty() {
            self.since = Instant::now();
        }
        if self.resets > self.shared.settings.limits.h2_resets || self.watched.is_flood() {
            self.resets = 0;
            self.told.get_or_insert_with(Instant::now);
            self.http.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        }
        self.exchanges.len() < before
    }

    /// Reads and writes frames, and begins what they ask for; ready at the connection's end.
    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // A client that resets its streams may begin others before the tasks of those have seen it: these wait.
        while self.exchanges.len() < self.shared.settings.limits.h2_streams as usize {
            let accepted = pin!(self.http.accept()).poll(cx);
            match accepted {
                Poll::Ready(Some(Ok((request, respond)))) => self.begin(request, respond),
                Poll::Ready(Some(Err(error))) => {
                    log(&error);
                    return Poll::Ready(());
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        let closed = self.http.poll_closed(cx);
        closed.map(|closed| closed.unwrap_or_else(|error| log(&error)))
    }

    fn begin(&mut self, request: Request<RecvStream>, respond: server::SendResponse<Bytes>) {
        self.used = true;
        let (shared, peer) = (Rc::clone(&self.shared), Rc::clone(&self.peer));
        let exchange = exchange::serve(shared, peer, request, respond);
        self.exchanges.spawn_local(exchange);
    }

    /// Tells the client to open no more streams here. Those that it has opened by then are served.
    fn tell(&mut self) {
        if self.told.is_none() {
            self.told = Some(Instant::now());
            self.http.graceful_shutdown();
        }
    }

    /// When the connection is over, or is to be told so, if nothing happens.
    fn due(&self) -> Option<Instant> {
        let timeouts = &self.shared.settings.timeouts;
        let stalled = self.watched.stalled();
        let stalled = stalled.map(|since| since + *timeouts.write);
        let half = self.watched.half().map(|since| since + *timeouts.head);
        let quiet = self.exchanges.is_empty().then(|| match self.told {
            // What is left then is on its way to the client.
            Some(told) if self.http.has_streams() => self.since.max(told) + *timeouts.write,
            Some(told) => self.since.max(told) + FAREWELL,
            None if self.used => self.since + *timeouts.idle,
            None => self.since + *timeouts.head,
        });
        [stalled, half, quiet].into_iter().flatten().min()
    }
}

/// Says why a connection ended early. What its client did is no event of ours.
fn log(error: &h2::Error) {
    tracing::debug!(%error, "a connection of HTTP/2 ended");
}

impl<H: Handler> Drop for Connection<H> {
    fn drop(&mut self) {
        self.shared.drain.leave(&self.place);
    }
}
