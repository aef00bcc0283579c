//! A worker's connections to one app: which are idle, which is taken, when one is closed.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use std::time::Duration;

use http_body::SizeHint;
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, timeout_at};

use super::balance::{Seat, Seats};
use super::capacity::{Next, Permit};
use super::connect::{self, Connected};
use super::endpoint::Endpoint;
use super::error::{ErrorKind, UpstreamError};
use super::http1;
use super::http2::{Carrier, Carriers};
use super::keeper::keep_idle;
use super::{Timeouts, Upstream};

/// A request that must not be sent twice goes out only on a connection that was in use this recently: the app will
/// not have begun to close it.
const RECENT: Duration = Duration::from_secs(1);

/// Which idle connections will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reuse {
    /// Any.
    Any,
    /// One used a moment ago.
    Recent,
    /// None: a new one is wanted.
    Never,
}

/// What a request wants a connection for.
#[derive(Debug)]
pub(super) struct Aim<'a> {
    /// The endpoint that it is to go to; afterwards the one that it goes to, or that failed last.
    pub(super) seat: Rc<Seat>,
    /// Those that it had no luck with.
    pub(super) tried: &'a [Rc<Seat>],
    pub(super) reuse: Reuse,
    /// Whether only HTTP/1.1 will do.
    pub(super) http1: bool,
}

/// What a request is sent over.
pub(super) enum Taken {
    Lease(Lease),
    Carrier(Rc<Carrier>),
}

/// A worker's pool. Cheap to clone.
#[derive(Clone)]
pub(super) struct Pool(pub(super) Rc<Shared>);

pub(super) struct Shared {
    pub(super) upstream: Arc<Upstream>,
    pub(super) worker: usize,
    /// Its number among those that share the app's capacity.
    member: usize,
    /// The oldest first, so that the last is the warmest.
    pub(super) idle: RefCell<Vec<Connection>>,
    /// Those that several exchanges share.
    pub(super) carriers: Carriers,
    /// Since when the oldest is idle, as the other workers know it.
    marked: Cell<Option<Instant>>,
    /// Wakes the task that looks after the idle ones.
    pub(super) keeper: RefCell<Waker>,
    /// The app's endpoints, as this worker sees them.
    pub(super) seats: Seats,
    retired: Cell<bool>,
    /// Requests of this worker's that wait for a connection, by ticket.
    waiting: RefCell<HashMap<u64, oneshot::Sender<Connection>>>,
}

/// One connection to the app, and the right to have it. Dropped, it is closed.
#[derive(Debug)]
pub(super) struct Connection {
    /// Boxed, since it is moved from hand to hand.
    pub(super) wire: Box<Wire>,
    pub(super) idle_since: Instant,
}

#[derive(Debug)]
pub(super) struct Wire {
    pub(super) http: http1::Connection,
    pub(super) seat: Rc<Seat>,
    /// Whether an exchange is on it, which counts at its seat.
    busy: bool,
    _open: Open,
    _permit: Permit,
}

/// Counts an open connection among its endpoint's.
#[derive(Debug)]
struct Open(Arc<Endpoint>);

/// A connection that is in use. Dropped, it is closed.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Connection,
    pool: Pool,
    /// Whether it was used before.
    pub(super) reused: bool,
}

impl Pool {
    /// A pool of `worker`'s, with a task that closes what is idle too long or wanted elsewhere.
    pub(super) fn new(upstream: Arc<Upstream>, worker: usize) -> Self {
        let pool = Self(Rc::new(Shared {
            member: upstream.capacity.enroll(),
            upstream,
            worker,
            idle: RefCell::default(),
            carriers: Carriers::default(),
            marked: Cell::new(None),
            keeper: RefCell::new(Waker::noop().clone()),
            seats: Seats::new(worker),
            retired: Cell::new(false),
            waiting: RefCell::default(),
        }));
        spawn_local(keep_idle(Rc::downgrade(&pool.0)));
        pool
    }

    /// The endpoint for a request that had no luck with those in `tried`.
    pub(super) fn pick(&self, tried: &[Rc<Seat>], now: Instant) -> Option<Rc<Seat>> {
        if self.0.seats.renew(&self.0.upstream) {
            self.close_retired();
        }
        self.0.seats.pick(&self.0.upstream, tried, now)
    }

    /// An idle connection to this endpoint that will do `now`.
    pub(super) fn take_idle(&self, seat: &Rc<Seat>, reuse: Reuse, now: Instant) -> Option<Lease> {
        if reuse == Reuse::Never {
            return None;
        }
        let mut idle = self.0.idle.borrow_mut();
        let mut found = None;
        while let Some(at) = warmest(&idle, seat) {
            let mut connection = idle.remove(at);
            let rest = now.saturating_duration_since(connection.idle_since);
            if rest >= self.0.upstream.idle_timeout || !connection.wire.http.is_quiet_now() {
                continue;
            }
            if reuse == Reuse::Recent && rest >= RECENT {
                idle.insert(at, connection);
            } else {
                found = Some(connection);
            }
            break;
        }
        self.mark(&idle);
        found.map(|connection| self.lease(connection, true))
    }

    /// A new connection, or one that another request gives back, as soon as there may be one.
    ///
    /// # Errors
    ///
    /// When none can be had: see [`connect::connect`], and `Overloaded`.
    pub(super) async fn take(
        &self,
        aim: &mut Aim<'_>,
        timeouts: &Timeouts,
    ) -> Result<Taken, UpstreamError> {
        if let Some(mut error) = aim.seat.refusals.borrow().answer() {
            error.endpoint = Some(Arc::clone(aim.seat.name()));
            return Err(error);
        }
        if !aim.http1 && self.shares(&aim.seat) {
            return self.share(aim, timeouts).await;
        }
        match self.0.upstream.capacity.try_acquire() {
            Some(permit) => self.open(permit, aim, timeouts).await,
            None => self.wait(aim, timeouts).await,
        }
    }

    /// Connects to the endpoint, and where that fails to the other addresses of its name.
    pub(super) async fn open(
        &self,
        permit: Permit,
        aim: &mut Aim<'_>,
        timeouts: &Timeouts,
    ) -> Result<Taken, UpstreamError> {
        let deadline = Instant::now() + timeouts.connect;
        let mut siblings = self.0.seats.siblings(&aim.seat).into_iter();
        loop {
            let many = siblings.len() + 1;
            let connected = self.connect(&aim.seat, (deadline, many), aim.http1).await;
            let error = match connected {
                Ok(Connected::Http1(stream)) => {
                    let http = http1::Connection::new(stream, self.0.upstream.limits);
                    return Ok(Taken::Lease(self.opened(http, &aim.seat, permit)));
                }
                Ok(Connected::Http2(stream)) => {
                    return self.begin(stream, &aim.seat, permit, deadline).await;
                }
                Err(error) => error,
            };
            let another = error.is_of_the_address() && Instant::now() < deadline;
            let Some(sibling) = siblings.next().filter(|_| another) else {
                return Err(error);
            };
            aim.seat = sibling;
            if let Some(lease) = self.take_idle(&aim.seat, aim.reuse, Instant::now()) {
                return Ok(Taken::Lease(lease));
            }
        }
    }

    /// Connects to one of `many` addresses: one that does not answer leaves their share of the time to the others.
    async fn connect(
        &self,
        seat: &Rc<Seat>,
        (deadline, many): (Instant, usize),
        http1: bool,
    ) -> Result<Connected, UpstreamError> {
        let upstream = &self.0.upstream;
        let _busy = seat.busy();
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(many).unwrap_or(u32::MAX);
        let connecting = connect::connect(upstream, &seat.endpoint, share, http1);
        let connected = timeout_at(deadline, connecting).await;
        let late = |_| Err(UpstreamError::new(ErrorKind::ConnectTimeout));
        let mut error = match connected.unwrap_or_else(late) {
            Ok(http) => return Ok(http),
            Err(error) => error,
        };
        seat.refusals.borrow_mut().count(&error);
        error.endpoint = Some(Arc::clone(seat.name()));
        if error.kind() != ErrorKind::Overloaded {
            upstream.failed(&seat.endpoint);
        }
        Err(error)
    }

    fn opened(&self, http: http1::Connection, seat: &Rc<Seat>, permit: Permit) -> Lease {
        let wire = Wire {
            http,
            seat: Rc::clone(seat),
            busy: false,
            _open: Open::new(&seat.endpoint),
            _permit: permit,
        };
        let connection = Connection {
            wire: Box::new(wire),
            idle_since: Instant::now(),
        };
        self.lease(connection, false)
    }

    pub(super) async fn wait(
        &self,
        aim: &mut Aim<'_>,
        timeouts: &Timeouts,
    ) -> Result<Taken, UpstreamError> {
        let overloaded = || UpstreamError::new(ErrorKind::Overloaded);
        let capacity = &self.0.upstream.capacity;
        let mut ticket = capacity.queue(self.0.member).ok_or_else(overloaded)?;
        let (sender, handed) = oneshot::channel();
        self.0.waiting.borrow_mut().insert(ticket.number, sender);
        let place = Place {
            pool: self,
            ticket: ticket.number,
        };
        // Only one of the two comes; the other's sender is dropped, which is no answer.
        let permit = tokio::select! {
            Ok(permit) = &mut ticket.grant => permit,
            Ok(connection) = handed => {
                aim.seat.clone_from(&connection.wire.seat);
                return Ok(Taken::Lease(self.lease(connection, true)));
            }
            () = sleep(timeouts.queue) => return Err(overloaded()),
        };
        drop(place);
        // Much may have changed meanwhile.
        if let Some(seat) = self.pick(aim.tried, Instant::now()) {
            aim.seat = seat;
        }
        self.open(permit, aim, timeouts).await
    }

    fn lease(&self, mut connection: Connection, reused: bool) -> Lease {
        connection.wire.begin();
        Lease {
            connection,
            pool: self.clone(),
            reused,
        }
    }

    /// Takes a connection back: for one that waits, or to be idle.
    fn put(&self, mut connection: Connection) {
        connection.wire.end();
        if self.is_retired() || connection.wire.seat.endpoint.is_retired() {
            return;
        }
        // One that waits uses it at once, so that the runtime has not looked at it in between.
        if self.0.upstream.capacity.is_wanted()
            && (!connection.wire.http.is_surely_quiet()
                || self.0.seats.is_wanted_elsewhere(&connection.wire.seat))
        {
            return;
        }
        match self.0.upstream.capacity.next(self.0.member) {
            Next::Nobody => {}
            Next::Other => return drop(connection),
            Next::Own(ticket) => {
                let waiting = self.0.waiting.borrow_mut().remove(&ticket);
                let Some(waiting) = waiting else {
                    return drop(connection);
                };
                match waiting.send(connection) {
                    Ok(()) => return,
                    Err(back) => connection = back,
                }
            }
        }
        let keeper = self.0.keeper.borrow();
        let mut cx = Context::from_waker(&keeper);
        if !connection.wire.http.is_quiet(&mut cx) {
            return;
        }
        connection.idle_since = Instant::now();
        let mut idle = self.0.idle.borrow_mut();
        idle.push(connection);
        self.mark(&idle);
        // A request that began to wait just now has seen no idle connection; it is not to wait for the next look.
        if self.0.upstream.capacity.is_wanted() {
            let oldest = idle.remove(0);
            self.mark(&idle);
            drop(idle);
            drop(oldest);
        }
    }

    /// Closes the idle connections, and from now on each with its exchange. What others want closed is its successor's
    /// matter from now on.
    pub(super) fn retire(&self) {
        let mut idle = self.0.idle.borrow_mut();
        idle.clear();
        self.0.carriers.let_go();
        self.mark(&idle);
        self.0.retired.set(true);
        self.0.keeper.borrow().wake_by_ref();
    }

    pub(super) fn is_retired(&self) -> bool {
        self.0.retired.get()
    }

    pub(super) fn mark(&self, idle: &[Connection]) {
        if self.is_retired() {
            return;
        }
        let oldest = idle.first().map(|connection| connection.idle_since);
        let oldest = [oldest, self.0.carriers.oldest_idle()]
            .into_iter()
            .flatten()
            .min();
        let capacity = &self.0.upstream.capacity;
        if self.0.marked.replace(oldest) != oldest {
            let oldest = oldest.map(Instant::into_std);
            capacity.idle_since(self.0.worker, oldest);
        }
    }
}

/// Where the connection to this endpoint stands that was used last.
fn warmest(idle: &[Connection], seat: &Rc<Seat>) -> Option<usize> {
    let last = idle.len().checked_sub(1)?;
    if idle
        .last()
        .is_some_and(|one| Rc::ptr_eq(&one.wire.seat, seat))
    {
        return Some(last);
    }
    idle.iter()
        .rposition(|one| Rc::ptr_eq(&one.wire.seat, seat))
}

/// A waiting request's place among its worker's.
struct Place<'a> {
    pool: &'a Pool,
    ticket: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.pool.0.waiting.borrow_mut().remove(&self.ticket);
    }
}

impl Lease {
    /// Where it leads to.
    pub(super) fn seat(&self) -> &Rc<Seat> {
        &self.connection.wire.seat
    }

    /// What speaks on it.
    pub(super) fn connection(&mut self) -> &mut http1::Connection {
        &mut self.connection.wire.http
    }

    /// Whether anything of the request has left.
    pub(super) fn has_begun(&self) -> bool {
        self.connection.wire.http.has_begun()
    }

    /// What is known of the length of the answer.
    pub(super) fn size_hint(&self) -> SizeHint {
        self.connection.wire.http.size_hint()
    }

    /// Gives the connection back to its pool at the end of an answer, where it can be used again.
    pub(super) fn give_back(mut self) {
        if self.connection.wire.http.settle() {
            self.pool.put(self.connection);
        }
    }
}

impl Wire {
    fn begin(&mut self) {
        self.busy = true;
        self.seat.begin();
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.busy) {
            self.seat.end();
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.end();
    }
}

impl Open {
    fn new(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(endpoint))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool of worker {}", self.0.worker)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, TcpListener};
    use std::path::Path;

    use socket2::{Domain, Socket, Type};
    use tokio::task::LocalSet;

    use super::*;
    use crate::config;
    use crate::config::units::Period;

    /// An address that takes connections and never accepts one, and what has to be kept for that.
    fn black_hole() -> (SocketAddr, Socket, Vec<std::net::TcpStream>) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&free.into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let patience = Duration::from_millis(50);
        let connect = || std::net::TcpStream::connect_timeout(&address, patience).ok();
        let waiting = std::iter::from_fn(connect).take(8).collect();
        (address, socket, waiting)
    }

    /// An upstream whose name stands for these addresses.
    fn named(addresses: &[SocketAddr]) -> (Arc<Upstream>, Timeouts) {
        let settings = config::Upstream {
            endpoints: vec!["http://app.invalid".parse().unwrap()],
            timeouts: config::UpstreamTimeouts {
                connect: Period(Duration::from_millis(400)),
                ..config::UpstreamTimeouts::default()
            },
            ..config::Upstream::default()
        };
        let upstream = Upstream::build("app", &settings, Path::new(""), 1).unwrap();
        let site = upstream.sites.first().unwrap();
        upstream.roster.place(0, site, addresses, 1);
        (Arc::new(upstream), Timeouts::from(&settings.timeouts))
    }

    #[tokio::test]
    async fn an_address_that_swallows_everything_leaves_time_for_the_next() {
        let (hole, _socket, _waiting) = black_hole();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let there = listener.local_addr().unwrap();
        let (upstream, timeouts) = named(&[hole, there]);
        let taking = async {
            let pool = Pool::new(Arc::clone(&upstream), 0);
            pool.pick(&[], Instant::now()).unwrap();
            let list = upstream.roster.endpoints();
            let is_hole = |seat: &Rc<Seat>| Arc::ptr_eq(&seat.endpoint, &list[0]);
            let picked = |_| pool.pick(&[], Instant::now()).unwrap();
            let seat = (0..2).map(picked).find(is_hole).unwrap();
            let (tried, reuse) = (&[][..], Reuse::Any);
            let http1 = false;
            let mut aim = Aim {
                seat,
                tried,
                reuse,
                http1,
            };
            let Taken::Lease(lease) = pool.take(&mut aim, &timeouts).await.unwrap() else {
                panic!("HTTP/1.1")
            };
            assert_eq!(lease.seat().endpoint.address.to_string(), there.to_string());
            assert_eq!(
                list[0].under_way() + list[1].under_way(),
                1,
                "what is under way"
            );
            let status: Vec<_> = upstream
                .endpoints()
                .iter()
                .map(|e| (e.active, e.idle))
                .collect();
            assert_eq!(status, [(0, 0), (1, 0)]);
        };
        LocalSet::new().run_until(taking).await;
        assert_eq!(list_failures(&upstream), [1, 0]);
    }

    fn list_failures(upstream: &Upstream) -> Vec<u32> {
        let endpoints = upstream.roster.endpoints();
        endpoints.iter().map(|e| e.health.failures()).collect()
    }

    #[tokio::test]
    async fn where_a_name_resolves_no_more_its_last_addresses_stay() {
        let address = "127.0.0.1:80".parse().unwrap();
        let (upstream, _) = named(&[address]);
        let error = upstream.resolve_site(0, Duration::ZERO).await.unwrap_err();
        assert!(error.starts_with("app.invalid: "), "{error}");
        assert_eq!(upstream.roster.endpoints().len(), 1);
        assert_eq!(upstream.resolve().await, Ok(()));
    }
}
