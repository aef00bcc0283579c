//! Workers: what each accepts, what it hands over, and how it ends.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_local;

use super::announced;
use super::hall::{Entrance, Hall, Order};
use super::http1::{self, Handover};
use super::http2;
use super::peer::Peer;
use super::shared::Shared;
use super::socket::{Connection, Loose};
use super::tls::{self, Tls};
use super::{Handler, Listener, Phase, Settings};
use crate::http1::Stream;
use crate::telemetry::Counter;

/// The answer to a connection past the limit, ready to be written: there is no exchange that could make a page.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 58\r\n\
    retry-after: 5\r\ncache-control: no-store\r\nconnection: close\r\n\r\n\
    Too many people are here at once. Please try again soon.\r\n";

/// How long what is to be recorded may take once the time is up.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// A socket on its way to the worker that will serve it; non-blocking, and in no worker's reactor yet.
#[derive(Debug)]
struct Accepted {
    stream: Loose,
    address: SocketAddr,
    door: u64,
    tls: Option<Arc<Tls>>,
    seat: Seat,
}

/// A socket that was accepted, in its worker's reactor.
pub(super) struct Visit {
    pub(super) stream: Connection,
    pub(super) address: SocketAddr,
    /// The number of the listener that it came to.
    pub(super) door: u64,
    pub(super) tls: Option<Arc<Tls>>,
}

/// All workers of a server as each of them sees the others: how busy they are and where to hand a socket over.
#[derive(Debug)]
pub struct Crew {
    open: AtomicUsize,
    max: AtomicUsize,
    /// Connections that there was no room for.
    refused: Counter,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    connections: AtomicUsize,
    inbox: mpsc::UnboundedSender<Accepted>,
}

/// One connection's share of the limit, and of its worker's load. Given back on drop.
#[derive(Debug)]
pub(super) struct Seat {
    crew: Arc<Crew>,
    worker: usize,
}

impl Crew {
    /// A crew of `size` and each member's inbox, for at most `max` connections. The inboxes hold no more than those.
    pub(super) fn assemble(size: usize, max: usize) -> (Arc<Self>, Vec<Inbox>) {
        let (members, inboxes) = (0..size)
            .map(|_| {
                let (inbox, arrivals) = mpsc::unbounded_channel();
                (
                    Member {
                        connections: AtomicUsize::new(0),
                        inbox,
                    },
                    Inbox(arrivals),
                )
            })
            .unzip();
        (
            Arc::new(Self {
                open: AtomicUsize::new(0),
                max: AtomicUsize::new(max),
                refused: Counter::default(),
                members,
            }),
            inboxes,
        )
    }

    /// The connections open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// From now on so many connections may be open. Those that are stay.
    pub(super) fn limit(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// The connections that were turned away because there were too many.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.value()
    }

    /// A seat with `worker`, or with the least busy of the others if that has fewer connections; none past the limit.
    pub(super) fn seat(self: &Arc<Self>, worker: usize) -> Option<Seat> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.max.load(Ordering::Relaxed) {
            self.open.fetch_sub(1, Ordering::Relaxed);
            self.refused.add_one();
            return None;
        }
        let load = |index: usize| {
            self.members.get(index).map_or(usize::MAX, |member| {
                member.connections.load(Ordering::Relaxed)
            })
        };
        let least = (0..self.members.len()).min_by_key(|index| (load(*index), *index != worker));
        let worker = least.unwrap_or(worker);
        if let Some(member) = self.members.get(worker) {
            member.connections.fetch_add(1, Ordering::Relaxed);
        }
        Some(Seat {
            crew: Arc::clone(self),
            worker,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.crew.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(member) = self.crew.members.get(self.worker) {
            member.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Where a worker finds the sockets that others handed over to it.
pub(super) struct Inbox(mpsc::UnboundedReceiver<Accepted>);

/// A worker before it runs.
pub(super) struct Worker {
    pub(super) index: usize,
    pub(super) inbox: Inbox,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) crew: Arc<Crew>,
    pub(super) listeners: Vec<(u64, Listener)>,
    pub(super) settings: Settings,
    pub(super) phase: watch::Receiver<Phase>,
}

impl Worker {
    /// Accepts and serves until the server drains and the last connection has ended or the time is up.
    pub(super) fn run<H: Handler>(self, make: impl FnOnce() -> Rc<H>) -> io::Result<()> {
        let runtime = super::runtime()?;
        let ended = runtime.block_on(async move {
            let (mut phase, mut orders) = (self.phase, self.orders);
            let hall = Rc::new(Hall::new((self.index, self.crew), make(), self.settings));
            for (number, listener) in self.listeners {
                hall.open(number, listener)?;
            }
            spawn_local(receive(self.inbox, Rc::clone(&hall)));
            let following = async {
                while let Some(order) = orders.recv().await {
                    hall.follow(order).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = wait_for(&mut phase, Phase::Draining) => {}
                () = following => {}
            }
            hall.close().await;
            tokio::select! {
                () = hall.empty() => {}
                () = tokio::time::sleep(hall.drain()) => {}
                () = wait_for(&mut phase, Phase::Ended) => {}
            }
            hall.handler.hurry();
            let last = Rc::clone(&hall.handler).settle();
            drop(tokio::time::timeout(LAST_WORDS, last).await);
            Ok(())
        });
        // A name that is being resolved cannot be called off, and is not waited for.
        runtime.shutdown_background();
        ended
    }
}

/// Ends when the server has come as far as `wanted`, or is gone.
async fn wait_for(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    let reached = |phase: &Phase| *phase == wanted || *phase == Phase::Ended;
    // An error says that the server was dropped, which ends it too.
    drop(phase.wait_for(reached).await);
}

/// Accepts from one listener, for this worker and for less busy ones.
pub(super) async fn accept<H: Handler>(door: Rc<Entrance<H>>, hall: Rc<Hall<H>>) {
    let mut failing = false;
    loop {
        match door.listener.accept().await {
            Ok(accepted) => {
                failing = false;
                admit(door.visit(accepted), &hall);
            }
            Err(error) if is_clients(&error) => {}
            Err(error) => {
                // Mostly the file descriptor limit: what is open goes on, and a pause keeps this from spinning.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "cannot accept connections");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Whether an accept failed because of one client that left again.
fn is_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}

/// Finds the worker for a new socket: this one, a less busy one, or none past the limit.
fn admit<H: Handler>(visit: Visit, hall: &Hall<H>) {
    let Some(seat) = hall.crew.seat(hall.index) else {
        return turn_away(visit);
    };
    if seat.worker == hall.index {
        let shared = hall.shared(visit.door);
        begin(visit, seat, shared);
    } else if let Err(error) = hand_over(visit, seat, &hall.crew) {
        tracing::debug!(%error, "a connection ended before it began");
    }
}

/// Says that there is no room, as far as the socket takes it at once. Within TLS it would cost a handshake to say so.
fn turn_away(visit: Visit) {
    if visit.tls.is_some() {
        return;
    }
    let said = visit
        .stream
        .loosen()
        .and_then(|mut stream| stream.say(TOO_MANY));
    if let Err(error) = said {
        tracing::debug!(%error, "no room for a connection, nor for an answer");
    }
}

/// Takes a socket out of this worker's reactor and sends it to another's.
fn hand_over(visit: Visit, seat: Seat, crew: &Arc<Crew>) -> io::Result<()> {
    let stream = visit.stream.loosen()?;
    if let Some(member) = crew.members.get(seat.worker) {
        // Where the other worker has ended, so does this one; the socket closes.
        drop(member.inbox.send(Accepted {
            stream,
            address: visit.address,
            door: visit.door,
            tls: visit.tls,
            seat,
        }));
    }
    Ok(())
}

/// Serves what other workers hand over.
async fn receive<H: Handler>(mut inbox: Inbox, hall: Rc<Hall<H>>) {
    while let Some(Accepted {
        stream,
        address,
        door,
        tls,
        seat,
    }) = inbox.0.recv().await
    {
        match stream.into_reactor() {
            Ok(stream) => {
                let visit = Visit {
                    stream,
                    address,
                    door,
                    tls,
                };
                begin(visit, seat, hall.shared(door));
            }
            Err(error) => tracing::debug!(%error, "a connection ended before it began"),
        }
    }
}

pub(super) fn begin<H: Handler>(mut visit: Visit, seat: Seat, shared: Rc<Shared<H>>) {
    let announcing = shared.settings.announcing.as_deref();
    if !announced::is_expected(announcing, visit.address) {
        return serve(visit, seat, shared);
    }
    spawn_local(async move {
        // Boxed, so that the connection does not hold the room for it.
        let heard = announced::hear(&mut visit.stream, visit.address, &shared);
        if let Some(address) = Box::pin(heard).await {
            serve(Visit { address, ..visit }, seat, shared);
        }
    });
}

/// Serves a connection whose client is known.
fn serve<H: Handler>(visit: Visit, seat: Seat, shared: Rc<Shared<H>>) {
    let Visit {
        stream,
        address,
        tls,
        ..
    } = visit;
    let (tls, stream) = match (tls, stream) {
        (Some(tls), Connection::Tcp(stream)) => (tls, stream),
        (_, stream) => return serve_plainly(stream.into_stream(), address, seat, shared),
    };
    spawn_local(async move {
        // Boxed, so that the connection does not hold the room for its handshake.
        let begun = Box::pin(tls::accept(stream, tls, &shared)).await;
        if let Some((stream, secured)) = begun {
            let http2 = secured.speaks_http2();
            let peer = Rc::new(Peer::new(address, Some(secured)));
            if http2 {
                Box::pin(http2::serve(shared, stream, Bytes::new(), peer)).await;
            } else {
                // Within TLS it never turns out to be another version.
                drop(http1::serve(shared, stream, peer).await);
            }
        }
        drop(seat);
    });
}

/// Serves a connection in the clear.
fn serve_plainly<H: Handler>(
    stream: Stream,
    address: SocketAddr,
    seat: Seat,
    shared: Rc<Shared<H>>,
) {
    let peer = Rc::new(Peer::new(address, None));
    spawn_local(async move {
        let served = http1::serve(Rc::clone(&shared), stream, Rc::clone(&peer));
        if let Some(Handover(stream, read)) = served.await {
            // Boxed, so that a connection of HTTP/1.1 does not hold the room for one of HTTP/2.
            Box::pin(http2::serve(shared, stream, read, peer)).await;
        }
        drop(seat);
    });
}
