//! A worker's connections of HTTP/2 to one app: which takes another stream, when one is closed.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use h2::Ping;
use h2::client::{Builder, SendRequest};
use http::uri::Scheme;
use http::{HeaderValue, StatusCode};
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::Instant;

use super::lost::Lost;
use super::pulse::{Pulse, drive};
use super::request::request;
use super::tunnel::is_websocket;
use super::{AHEAD, ALL_WINDOWS, STREAMS, WINDOW};
use crate::http1::Stream;
use crate::upstream::balance::Seat;
use crate::upstream::capacity::Permit;
use crate::upstream::error::{ErrorKind, UpstreamError};
use crate::upstream::http1::{Broken, Fault, Head, Limits};

/// A connection. Dropped, with its last stream, it is closed.
pub(in crate::upstream) struct Carrier {
    sender: SendRequest<Bytes>,
    pub(super) seat: Rc<Seat>,
    pub(super) scheme: Scheme,
    pub(super) limits: Limits,
    pub(super) pulse: Rc<Pulse>,
    idle_since: Cell<Instant>,
    _permit: Permit,
}

/// One stream's place on it.
pub(super) struct Place(pub(super) Rc<Carrier>);

/// Those of a worker.
#[derive(Default)]
pub(in crate::upstream) struct Carriers {
    list: RefCell<Vec<Rc<Carrier>>>,
    room: Rc<Notify>,
    /// Whether one is being connected, and requests that wait for it or for a place.
    connecting: Cell<bool>,
    waiting: Cell<usize>,
}

/// Whoever connects: the others wait for it.
pub(in crate::upstream) struct Connecting<'a>(&'a Carriers);

/// A request that waits.
pub(in crate::upstream) struct Waiting<'a>(&'a Carriers);

impl Carrier {
    fn takes_more(&self) -> bool {
        let most = self.sender.current_max_send_streams().min(STREAMS);
        self.pulse.is_sure() && self.open() < most
    }

    fn open(&self) -> usize {
        self.pulse.open.get()
    }

    fn is_closing(&self) -> bool {
        self.pulse.closing.get()
    }

    /// Takes no more streams: the app leaves.
    pub(in crate::upstream) fn close(&self) {
        self.pulse.close();
    }

    /// Whether the app opens tunnels to these protocols.
    pub(in crate::upstream) fn opens(&self, protocols: &HeaderValue) -> bool {
        self.sender.is_extended_connect_protocol_enabled() && is_websocket(protocols)
    }

    pub(super) fn sender(&self) -> SendRequest<Bytes> {
        self.sender.clone()
    }

    pub(super) fn enter(self: &Rc<Self>) -> Place {
        self.pulse.open.set(self.open() + 1);
        Place(Rc::clone(self))
    }

    /// Where it leads to.
    pub(in crate::upstream) fn seat(&self) -> &Rc<Seat> {
        &self.seat
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self(carrier) = self;
        carrier.idle_since.set(Instant::now());
        carrier.pulse.ended();
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.seat.endpoint.open.fetch_sub(1, Ordering::Relaxed);
        self.pulse.leave();
    }
}

impl Carriers {
    /// One to this endpoint that takes another stream: the busiest, so that the others may become idle.
    pub(in crate::upstream) fn find(&self, seat: &Rc<Seat>) -> Option<Rc<Carrier>> {
        let mut list = self.list.borrow_mut();
        list.retain(|carrier| !carrier.is_closing());
        let fitting =
            |carrier: &&Rc<Carrier>| Rc::ptr_eq(&carrier.seat, seat) && carrier.takes_more();
        let busiest = list
            .iter()
            .filter(fitting)
            .max_by_key(|carrier| carrier.open());
        busiest.cloned()
    }

    /// Whether there is any to this endpoint, full or not.
    pub(in crate::upstream) fn leads_to(&self, seat: &Rc<Seat>) -> bool {
        let list = self.list.borrow();
        let mut own = list
            .iter()
            .filter(|carrier| Rc::ptr_eq(&carrier.seat, seat));
        own.any(|carrier| !carrier.is_closing())
    }

    /// Whether somebody connects, whom the others wait for.
    pub(in crate::upstream) fn are_connecting(&self) -> bool {
        self.connecting.get()
    }

    /// Somebody connects.
    pub(in crate::upstream) fn connect(&self) -> Connecting<'_> {
        self.connecting.set(true);
        Connecting(self)
    }

    /// A place among so many that wait.
    pub(in crate::upstream) fn wait(&self, most: usize) -> Option<Waiting<'_>> {
        if self.waiting.get() >= most {
            return None;
        }
        self.waiting.set(self.waiting.get() + 1);
        Some(Waiting(self))
    }

    /// Begins HTTP/2 on a connection, and waits for the app's settings.
    ///
    /// # Errors
    ///
    /// `Malformed` where the app speaks something else, `ClosedEarly` where it leaves.
    pub(in crate::upstream) async fn begin(
        &self,
        stream: Stream,
        seat: &Rc<Seat>,
        permit: Permit,
        limits: Limits,
    ) -> Result<Rc<Carrier>, UpstreamError> {
        let scheme = scheme(&stream);
        let (sender, mut connection) = builder(limits)
            .handshake::<_, Bytes>(stream)
            .await
            .map_err(failed)?;
        // Its settings come before the answer to this.
        let mut pings = connection.ping_pong();
        let answered = async {
            match &mut pings {
                Some(pings) => pings.ping(Ping::opaque()).await.map(drop),
                None => Ok(()),
            }
        };
        tokio::select! {
            ended = &mut connection => {
                return Err(match ended {
                    Err(error) => failed(error),
                    Ok(()) => UpstreamError::new(ErrorKind::ClosedEarly),
                });
            }
            answered = answered => answered.map_err(failed)?,
        }
        seat.endpoint.open.fetch_add(1, Ordering::Relaxed);
        let pulse = Rc::new(Pulse::new(Rc::clone(&self.room)));
        let carrier = Rc::new(Carrier {
            sender,
            seat: Rc::clone(seat),
            scheme,
            limits,
            pulse: Rc::clone(&pulse),
            idle_since: Cell::new(Instant::now()),
            _permit: permit,
        });
        self.list.borrow_mut().push(Rc::clone(&carrier));
        self.room.notify_waiters();
        spawn_local(drive(connection, pings, pulse));
        Ok(carrier)
    }

    /// Ends when a stream or a connection has ended, or a connection has come.
    pub(in crate::upstream) async fn changed(&self) {
        self.room.notified().await;
    }

    /// Since when the oldest is idle.
    pub(in crate::upstream) fn oldest_idle(&self) -> Option<Instant> {
        let list = self.list.borrow();
        let idle = list.iter().filter(|carrier| carrier.open() == 0);
        idle.map(|carrier| carrier.idle_since.get()).min()
    }

    /// Closes so many idle ones, the oldest first; how many there were.
    pub(in crate::upstream) fn close_idle(&self, most: usize) -> usize {
        let mut closed = 0;
        while closed < most
            && let Some(oldest) = self.oldest_idle()
        {
            self.close_if(|carrier| carrier.idle_since.get() == oldest);
            closed += 1;
        }
        closed
    }

    /// Closes the idle ones of which this is so.
    pub(in crate::upstream) fn close_if(&self, is_due: impl Fn(&Carrier) -> bool) {
        let mut list = self.list.borrow_mut();
        list.retain(|carrier| {
            let over = carrier.open() == 0 && (is_due(carrier) || carrier.is_closing());
            if over {
                carrier.close();
            }
            !over
        });
    }

    /// Has none any more: each closes with its last stream.
    pub(in crate::upstream) fn let_go(&self) {
        let list = self.list.take();
        self.room.notify_waiters();
        drop(list);
    }

    /// Closes those that are idle since this time, or lead to where the app is not any more.
    pub(in crate::upstream) fn close_expired(&self, before: Instant) {
        for carrier in self.list.borrow().iter() {
            if carrier.seat.endpoint.is_retired() {
                carrier.close();
            }
        }
        self.close_if(|carrier| carrier.idle_since.get() <= before);
    }
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.0.connecting.set(false);
        self.0.room.notify_waiters();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}

/// Asks for one answer on a connection of its own, which ends with it; its status.
///
/// # Errors
///
/// What the connection came to.
pub(in crate::upstream) async fn ask(
    stream: Stream,
    head: &impl Head,
    limits: Limits,
) -> Result<StatusCode, Fault> {
    let broken =
        |error: h2::Error| Fault::App(Broken::Closed(Some(io::Error::other(Lost::Told(error)))));
    let scheme = scheme(&stream);
    let request = request(head, scheme, None);
    let request = request.map_err(|why| Fault::App(Broken::Malformed(why)))?;
    let begun = builder(limits).handshake::<_, Bytes>(stream).await;
    let (mut sender, connection) = begun.map_err(broken)?;
    let (answer, _) = sender.send_request(request, true).map_err(broken)?;
    tokio::select! {
        answer = answer => answer.map(|answer| answer.status()).map_err(broken),
        ended = connection => Err(match ended {
            Err(error) => broken(error),
            Ok(()) => Fault::App(Broken::Closed(None)),
        }),
    }
}

fn scheme(stream: &Stream) -> Scheme {
    if stream.is_tls() {
        Scheme::HTTPS
    } else {
        Scheme::HTTP
    }
}

fn builder(limits: Limits) -> Builder {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(ALL_WINDOWS)
        .max_send_buffer_size(AHEAD)
        .max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX));
    builder
}

fn failed(error: h2::Error) -> UpstreamError {
    let kind = if error.is_io() {
        ErrorKind::ClosedEarly
    } else {
        ErrorKind::Malformed
    };
    UpstreamError::caused_by(kind, Arc::new(Lost::Told(error)))
}
