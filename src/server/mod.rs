//! The stage that listens: sockets in, requests with their [`Peer`] out, answers back.
//!
//! One OS thread per worker, each with a single-threaded runtime of its own. Every worker accepts from every
//! listener; a worker that has more connections than another hands an accepted socket over before its first byte
//! is read. The stage knows nothing of proxying: it calls one [`Handler`] and serves what that returns.
//!
//! Bounds: connections by [`Settings::max_connections`], each wait of a connection by [`Settings::timeouts`],
//! a request head by [`Settings::limits`], the end by [`Settings::drain`].

mod accept;
mod announced;
mod date;
mod drain;
mod hall;
mod http1;
mod http2;
mod incoming;
mod peer;
mod shared;
mod socket;
mod tls;
mod unreadable;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use ipnet::IpNet;
use tokio::runtime::LocalRuntime;
use tokio::sync::{mpsc, oneshot, watch};

use crate::config;

use hall::Order;

pub use accept::Crew;
pub use incoming::{BodyBroken, Incoming};
pub use peer::Peer;
pub use socket::Socket;
pub use tls::Tls;
pub use unreadable::Unreadable;

/// What a listener calls, once for each request. One lives on every worker and never leaves it.
pub trait Handler: 'static {
    /// The body of its answers.
    type Body: Body<Data = bytes::Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + 'static;

    /// Answers one request. Dropped, at any await, when the client leaves.
    fn handle(
        self: Rc<Self>,
        request: Request<Incoming>,
        peer: Rc<Peer>,
    ) -> impl Future<Output = Response<Self::Body>>;

    /// Answers one that cannot be read; `request` is what is known of it.
    fn refuse(
        self: Rc<Self>,
        request: Request<()>,
        why: Unreadable,
        peer: Rc<Peer>,
    ) -> Response<Self::Body>;

    /// Ends when nothing of this worker's is under way that outlives a connection.
    fn settle(self: Rc<Self>) -> impl Future<Output = ()>;

    /// The time is up: what [`Handler::settle`] waits for is to come to its end with what it has.
    fn hurry(&self);
}

/// What a server needs to know: a part of [`config::Server`], and the part that an admin listener has too.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// The workers' thread name, before their number.
    pub name: &'static str,
    /// Connections open at once; a further one is answered 503 and closed, on a TLS port closed.
    pub max_connections: usize,
    /// How long a client may take.
    pub timeouts: config::ServerTimeouts,
    /// The peers that say by the PROXY protocol whom their connections come from; none where nobody does.
    pub announcing: Option<Arc<[IpNet]>>,
    /// How much it may send.
    pub limits: config::Limits,
    /// How long what is in flight may take to finish.
    pub drain: Duration,
}

/// A bound address, and what is spoken there.
#[derive(Debug)]
pub struct Listener {
    /// Where.
    pub socket: Socket,
    /// How its connections begin; without it they are in the clear.
    pub tls: Option<Arc<Tls>>,
}

impl Listener {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.try_clone()?,
            tls: self.tls.clone(),
        })
    }
}

/// What a server listens on from now on.
#[derive(Debug)]
pub enum Door {
    /// The listener at this place of those that there are, with what is spoken on its new connections.
    Kept(usize, Option<Arc<Tls>>),
    /// Another one.
    Opened(Listener),
}

/// What a server is about to listen on, and how.
pub struct Plan {
    numbers: Vec<u64>,
    addresses: Vec<SocketAddr>,
    orders: Vec<(Order, oneshot::Receiver<()>)>,
    max_connections: usize,
}

/// How long a worker may take to follow an order; it does nothing that could take long.
const OBEDIENCE: Duration = Duration::from_secs(5);

/// A running server. Dropped, it stops without waiting for what is in flight.
pub struct Server {
    stop: watch::Sender<Phase>,
    workers: Vec<JoinHandle<()>>,
    orders: Vec<mpsc::Sender<Order>>,
    addresses: Vec<SocketAddr>,
    /// The listeners' numbers, in their order; each is another one's never.
    numbers: Vec<u64>,
    crew: Arc<Crew>,
    running: mpsc::Receiver<Infallible>,
}

/// How far a server has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It accepts and serves.
    Serving,
    /// It accepts nothing more and finishes what is in flight.
    Draining,
    /// It drops what is left.
    Ended,
}

impl Server {
    /// Starts the workers on `listeners`. `make` is called on each worker's own
    /// thread, inside its runtime, with the worker's number.
    ///
    /// # Errors
    ///
    /// When a thread, a runtime or a listener's clone cannot be had.
    pub fn start<H: Handler>(
        listeners: &[Listener],
        settings: &Settings,
        make: impl Fn(usize) -> Rc<H> + Send + Sync + Clone + 'static,
    ) -> io::Result<Self> {
        let addresses = listeners
            .iter()
            .map(|listener| listener.socket.address())
            .collect::<Result<_, _>>()?;
        let (stop, phase) = watch::channel(Phase::Serving);
        let (crew, inboxes) = Crew::assemble(settings.workers, settings.max_connections);
        let (alive, running) = mpsc::channel(1);
        let mut workers = Vec::with_capacity(settings.workers);
        let mut orders = Vec::with_capacity(settings.workers);
        for (index, inbox) in inboxes.into_iter().enumerate() {
            let (order, received) = mpsc::channel(1);
            orders.push(order);
            let opened = (0..).zip(listeners);
            let worker = accept::Worker {
                index,
                inbox,
                orders: received,
                crew: Arc::clone(&crew),
                listeners: opened
                    .map(|(number, listener)| Ok((number, listener.try_clone()?)))
                    .collect::<io::Result<_>>()?,
                settings: settings.clone(),
                phase: phase.clone(),
            };
            let (make, alive) = (make.clone(), alive.clone());
            workers.push(spawn(&format!("{}-{index}", settings.name), move || {
                let _alive: mpsc::Sender<Infallible> = alive;
                worker.run(move || make(index))
            })?);
        }
        Ok(Self {
            stop,
            workers,
            orders,
            numbers: (0..).take(listeners.len()).collect(),
            addresses,
            crew,
            running,
        })
    }

    /// What it takes to listen at `doors`, in their order, and to serve new connections by `settings`, of which `workers` and
    /// `name` stay as they are. Nothing changes until [`Server::follow`].
    ///
    /// # Errors
    ///
    /// When a listener's clone or its address cannot be had, or a place is none.
    pub fn plan(&self, doors: Vec<Door>, settings: &Settings) -> io::Result<Plan> {
        let mut next = self.numbers.iter().max().map_or(0, |last| last + 1);
        let mut plan = Plan {
            numbers: Vec::with_capacity(doors.len()),
            addresses: Vec::with_capacity(doors.len()),
            orders: Vec::with_capacity(self.orders.len()),
            max_connections: settings.max_connections,
        };
        let (mut kept, mut opened) = (Vec::new(), Vec::new());
        for door in doors {
            let (number, address) = match door {
                Door::Kept(place, tls) => {
                    let known = self.numbers.get(place).zip(self.addresses.get(place));
                    let (number, address) = known.ok_or(io::ErrorKind::NotFound)?;
                    kept.push((*number, tls));
                    (*number, *address)
                }
                Door::Opened(listener) => {
                    let (number, address) = (next, listener.socket.address()?);
                    opened.push((number, listener));
                    next += 1;
                    (number, address)
                }
            };
            plan.numbers.push(number);
            plan.addresses.push(address);
        }
        for _ in &self.orders {
            plan.orders.push(Order::new(&kept, &opened, settings)?);
        }
        Ok(plan)
    }

    /// Listens as planned. A listener that is not in the plan accepts what waits at it and closes; its connections are told to
    /// close after what is in flight.
    pub async fn follow(&mut self, plan: Plan) {
        self.crew.limit(plan.max_connections);
        (self.numbers, self.addresses) = (plan.numbers, plan.addresses);
        for (worker, (order, done)) in self.orders.iter().zip(plan.orders) {
            let followed = async {
                // A worker that has ended has said so.
                if worker.send(order).await.is_ok() {
                    drop(done.await);
                }
            };
            if tokio::time::timeout(OBEDIENCE, followed).await.is_err() {
                tracing::warn!("a worker has not taken over its listeners yet");
            }
        }
    }

    /// The addresses that it listens on, in the listeners' order.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The connections open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.crew.open()
    }

    /// The workers, to be asked later how many connections are open.
    #[must_use]
    pub fn crew(&self) -> Arc<Crew> {
        Arc::clone(&self.crew)
    }

    /// Accepts nothing more; idle connections close, what is in flight finishes within [`Settings::drain`].
    pub fn drain(&self) {
        self.stop.send_replace(Phase::Draining);
    }

    /// Ends when all workers have ended: after [`Server::drain`] when nothing is left in flight or its time is up.
    ///
    /// Cancel safe.
    pub async fn ended(&mut self) {
        // Nothing is ever sent; the channel closes with the last worker.
        let _ = self.running.recv().await;
    }

    /// Drops what is left and waits for the workers' ends.
    pub fn end(mut self) {
        self.stop.send_replace(Phase::Ended);
        for worker in self.workers.drain(..) {
            // A worker that panicked has said so on stderr; there is nothing left to do for it.
            drop(worker.join());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(Phase::Ended);
    }
}

/// A named thread with a runtime of its own.
fn spawn(
    name: &str,
    run: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        if let Err(error) = run() {
            tracing::error!(%error, "a worker cannot run");
        }
    })
}

/// A runtime for one worker.
fn runtime() -> io::Result<LocalRuntime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build_local(tokio::runtime::LocalOptions::default())
}
