//! A worker's connections to one app: which are idle, which is taken, when one is closed.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::SendRequest;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, spawn_local, yield_now};
use tokio::time::{sleep, timeout};

use super::body::RequestBody;
use super::capacity::{Next, Permit};
use super::connect::{self, Connected};
use super::error::{ErrorKind, UpstreamError};
use super::stream::Allowance;
use super::{Timeouts, Upstream};

/// A request that must not be sent twice goes out only on a connection that was in use this recently: the app will
/// not have begun to close it.
const RECENT: Duration = Duration::from_secs(1);

/// How long a connection may take from the end of an answer to being ready for the next request.
const SETTLE: Duration = Duration::from_secs(1);

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

/// A worker's pool. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Pool(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    upstream: Arc<Upstream>,
    worker: usize,
    /// The oldest first, so that the last is the warmest.
    idle: RefCell<Vec<Connection>>,
    /// Requests of this worker's that wait for a connection, by ticket.
    waiting: RefCell<HashMap<u64, oneshot::Sender<Connection>>>,
    next: Cell<u64>,
}

/// One connection to the app. Dropped, it is closed.
pub(super) struct Connection {
    number: u64,
    sender: SendRequest<RequestBody>,
    allowance: Arc<Allowance>,
    idle_since: Instant,
    driver: AbortHandle,
}

/// A connection that is in use. Dropped, it is closed.
pub(super) struct Lease {
    connection: Connection,
    pool: Pool,
    /// Whether it was used before.
    pub(super) reused: bool,
    usable: bool,
}

impl Pool {
    /// A pool of `worker`'s, with a task that closes what is idle too long or wanted elsewhere.
    pub(super) fn new(upstream: Arc<Upstream>, worker: usize) -> Self {
        let pool = Self(Rc::new(Shared {
            upstream,
            worker,
            idle: RefCell::default(),
            waiting: RefCell::default(),
            next: Cell::new(0),
        }));
        spawn_local(close_idle(Rc::downgrade(&pool.0)));
        pool
    }

    /// A connection, idle or new, as soon as there may be one.
    ///
    /// # Errors
    ///
    /// When none can be had: see [`connect::connect`], and `Overloaded`.
    pub(super) async fn take(
        &self,
        reuse: Reuse,
        timeouts: &Timeouts,
    ) -> Result<Lease, UpstreamError> {
        if let Some(connection) = self.take_idle(reuse) {
            return Ok(self.lease(connection, true));
        }
        if let Some(permit) = self.0.upstream.capacity.try_acquire() {
            return Box::pin(self.open(permit, timeouts)).await;
        }
        // Boxed, as is all that is rare: the future of a passing request is moved about and stays small.
        Box::pin(self.wait(timeouts)).await
    }

    fn take_idle(&self, reuse: Reuse) -> Option<Connection> {
        if reuse == Reuse::Never {
            return None;
        }
        let mut idle = self.0.idle.borrow_mut();
        let mut found = None;
        while let Some(connection) = idle.pop() {
            let rest = connection.idle_since.elapsed();
            if rest >= self.0.upstream.idle_timeout || !connection.sender.is_ready() {
                continue;
            }
            if reuse == Reuse::Recent && rest >= RECENT {
                idle.push(connection);
            } else {
                found = Some(connection);
            }
            break;
        }
        self.mark(&idle);
        found
    }

    async fn open(&self, permit: Permit, timeouts: &Timeouts) -> Result<Lease, UpstreamError> {
        let Connected {
            sender,
            driver,
            allowance,
        } = connect::connect(&self.0.upstream, timeouts).await?;
        let number = self.0.next.replace(self.0.next.get() + 1);
        let pool = Rc::downgrade(&self.0);
        let task = spawn_local(async move {
            // How a connection ends is told to the request that it carries; an idle one may just end.
            drop(driver.await);
            if let Some(pool) = pool.upgrade() {
                Pool(pool).forget(number);
            }
            drop(permit);
        });
        let driver = task.abort_handle();
        let connection = Connection {
            number,
            sender,
            allowance,
            idle_since: Instant::now(),
            driver,
        };
        Ok(self.lease(connection, false))
    }

    async fn wait(&self, timeouts: &Timeouts) -> Result<Lease, UpstreamError> {
        let overloaded = || UpstreamError::new(ErrorKind::Overloaded);
        let capacity = &self.0.upstream.capacity;
        let mut ticket = capacity.queue(self.0.worker).ok_or_else(overloaded)?;
        let (sender, handed) = oneshot::channel();
        self.0.waiting.borrow_mut().insert(ticket.number, sender);
        let place = Place {
            pool: self,
            ticket: ticket.number,
        };
        // Only one of the two comes; the other's sender is dropped, which is no answer.
        let permit = tokio::select! {
            Ok(permit) = &mut ticket.grant => permit,
            Ok(connection) = handed => return Ok(self.lease(connection, true)),
            () = sleep(timeouts.queue) => return Err(overloaded()),
        };
        drop(place);
        self.open(permit, timeouts).await
    }

    fn lease(&self, connection: Connection, reused: bool) -> Lease {
        Lease {
            connection,
            pool: self.clone(),
            reused,
            usable: true,
        }
    }

    /// Takes a connection back: for one that waits, or to be idle.
    fn put(&self, mut connection: Connection) {
        match self.0.upstream.capacity.next(self.0.worker) {
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

    /// Drops a connection that has ended.
    fn forget(&self, number: u64) {
        let mut idle = self.0.idle.borrow_mut();
        if let Some(index) = idle
            .iter()
            .position(|connection| connection.number == number)
        {
            idle.remove(index);
            self.mark(&idle);
        }
    }

    /// Closes as many idle connections as requests wait, the oldest first. Where it has not as many, the others may be
    /// another worker's.
    fn make_room(&self) {
        let capacity = &self.0.upstream.capacity;
        let mut idle = self.0.idle.borrow_mut();
        let wanted = capacity.waiting();
        let closed = wanted.min(idle.len());
        idle.drain(..closed);
        self.mark(&idle);
        drop(idle);
        if closed < wanted {
            capacity.close_oldest_idle();
        }
    }

    fn close_expired(&self) {
        let mut idle = self.0.idle.borrow_mut();
        let limit = self.0.upstream.idle_timeout;
        idle.retain(|connection| connection.idle_since.elapsed() < limit);
        self.mark(&idle);
    }

    fn mark(&self, idle: &[Connection]) {
        let oldest = idle.first().map(|connection| connection.idle_since);
        self.0.upstream.capacity.idle_since(self.0.worker, oldest);
    }
}

/// Closes what is idle too long, and the oldest idle connections whenever other workers need their places. Ends with
/// the pool.
async fn close_idle(pool: Weak<Shared>) {
    loop {
        let Some(shared) = pool.upgrade() else { return };
        let upstream = Arc::clone(&shared.upstream);
        let worker = shared.worker;
        drop(shared);
        let pause =
            (upstream.idle_timeout / 4).clamp(Duration::from_millis(50), Duration::from_secs(5));
        let asked = timeout(pause, upstream.capacity.asked_to_close(worker))
            .await
            .is_ok();
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
    /// What sends a request on it.
    pub(super) fn sender(&mut self) -> &mut SendRequest<RequestBody> {
        &mut self.connection.sender
    }

    /// How much may come before the head of an answer on it.
    pub(super) fn allowance(&self) -> &Allowance {
        &self.connection.allowance
    }

    /// The connection is to be closed after this answer.
    pub(super) fn condemn(&mut self) {
        self.usable = false;
    }

    /// Gives the connection back to its pool, at the end of an answer.
    pub(super) fn give_back(self) {
        let Self {
            mut connection,
            pool,
            usable,
            ..
        } = self;
        if !usable {
            return;
        }
        if connection.sender.is_ready() {
            return pool.put(connection);
        }
        if connection.sender.is_closed() {
            return;
        }
        spawn_local(async move {
            if let Ok(Ok(())) = timeout(SETTLE, connection.sender.ready()).await {
                pool.put(connection);
            }
        });
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.number)
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({})", self.connection.number)
    }
}
