//! One exchange with an app: a request out, an answer's head back, again where that is safe.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode, response};
use tokio::time::{Instant, timeout, timeout_at};

use super::answer::AnswerBody;
use super::balance::Seat;
use super::body::RequestBody;
use super::budget::Budget;
use super::error::{ErrorKind, UpstreamError};
use super::http1::{Broken, Fault, Head};
use super::http2::{Carrier, Exchange};
use super::pool::{Aim, Lease, Pool, Reuse, Taken};
use super::{Timeouts, Upstream};
use crate::config::Protocol;
use crate::telemetry::names;

/// An app's answer: its head, and its body still on the way.
#[derive(Debug)]
pub struct Answer {
    /// Status, version and headers as they came; `Content-Length` is gone where the body is chunked.
    pub head: response::Parts,
    /// The body.
    pub body: AnswerBody,
    /// The endpoint that it comes from.
    pub seat: Rc<Seat>,
    /// How often the request was sent.
    pub attempts: u32,
    /// When the exchange began.
    pub begun: Instant,
}

/// What a worker speaks to an app with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    upstream: Arc<Upstream>,
    pool: Pool,
    budget: Rc<Budget>,
}

/// How often a request was tried, and on what.
#[derive(Debug)]
struct Tries {
    /// Whether the request may be repeated, and has no body.
    repeatable: bool,
    /// Attempts that count against the most there may be.
    counted: u32,
    /// Attempts of which not a byte left this process.
    unsent: u32,
    /// Whether a reused connection was found closed; from then on only new ones will do.
    stale: bool,
    /// The endpoints that failed.
    tried: Vec<Rc<Seat>>,
}

/// Whether there is another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Another {
    No,
    /// At the expense of the budget.
    Retry,
    /// At no expense: the app had closed the connection before.
    Free,
}

/// An attempt that brought no answer.
struct Failed {
    error: UpstreamError,
    /// Where it went.
    seat: Option<Rc<Seat>>,
    /// Not a byte of the request left this process.
    unsent: bool,
    reused: bool,
}

impl Client {
    /// A client of `worker`'s; to be made inside its runtime.
    #[must_use]
    pub fn new(upstream: Arc<Upstream>, worker: usize) -> Self {
        let pool = Pool::new(Arc::clone(&upstream), worker);
        let budget = Rc::new(Budget::new(upstream.retry_budget));
        Self {
            upstream,
            pool,
            budget,
        }
    }

    /// The app that it speaks to.
    #[must_use]
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// Whether it is a clone of the same client.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.budget, &other.budget)
    }

    /// Its app is not in force any more: idle connections close, others with their exchanges.
    pub fn retire(&self) {
        self.pool.retire();
    }

    /// Sends a request and waits for the answer's head. `head` makes the request's for an endpoint, which is given as
    /// `Host` would have it; `begun` is when the exchange began.
    ///
    /// Dropped, it closes the connection that it was using.
    ///
    /// # Errors
    ///
    /// Each kind of [`ErrorKind`]; `attempts` says how often it was tried.
    pub async fn send<'a, H: Head>(
        &'a self,
        (method, head): (&Method, impl Fn(&'a str) -> H),
        body: &RequestBody,
        timeouts: &Timeouts,
        begun: Instant,
    ) -> Result<Answer, UpstreamError> {
        let idempotent = is_idempotent(method);
        let mut tries = Tries::new(idempotent && body.is_empty());
        let spans = (timeouts, begun, begun + timeouts.total);
        self.budget.count(begun);
        loop {
            let failed = match self.attempt(&head, body, &tries, spans).await {
                Ok((head, body, seat)) => {
                    return Ok(Answer {
                        head,
                        body,
                        seat,
                        attempts: tries.all() + 1,
                        begun,
                    });
                }
                Err(failed) => failed,
            };
            let safe = failed.is_safe(idempotent, body);
            Box::pin(self.go_on(failed, safe, &mut tries)).await?;
        }
    }

    async fn attempt<'a, H: Head>(
        &'a self,
        head: &impl Fn(&'a str) -> H,
        body: &RequestBody,
        tries: &Tries,
        (timeouts, begun, deadline): (&Timeouts, Instant, Instant),
    ) -> Result<(response::Parts, AnswerBody, Rc<Seat>), Failed> {
        let reuse = tries.reuse();
        let seat = self.pool.pick(&tries.tried, begun);
        let spans = (timeouts, begun, deadline);
        if self.may_share(body)
            && let Some(carrier) = seat.as_ref().and_then(|seat| self.pool.carrier(seat))
        {
            return Box::pin(self.share(&carrier, head, body, spans)).await;
        }
        let idle = seat.as_ref();
        let idle = idle.and_then(|seat| self.pool.take_idle(seat, reuse, begun));
        let (mut lease, begun) = if let Some(lease) = idle {
            (lease, begun)
        } else {
            // Boxed, as is all that is rare: the future of a passing request is moved about and stays small.
            let http1 = !self.may_share(body);
            let waiting = Box::pin(self.connection(seat, (tries, http1), timeouts, deadline));
            // What was spent on it, and on other attempts, is not the app's time.
            let (taken, begun) = (waiting.await?, Instant::now());
            match taken {
                Taken::Lease(lease) => (lease, begun),
                Taken::Carrier(carrier) => {
                    let spans = (timeouts, begun, deadline);
                    return Box::pin(self.share(&carrier, head, body, spans)).await;
                }
            }
        };
        let mut request = body.clone();
        let host = self.upstream.host_of(&lease.seat().endpoint);
        lease.connection().begin(&head(host), body);
        let answer = poll_fn(|cx| {
            let due = |body: &RequestBody| overdue(body, begun, timeouts.head).min(deadline);
            lease.connection().poll_answer(cx, &mut request, due)
        });
        let head = answer
            .await
            .map_err(|fault| Failed::sending(fault, &mut lease, body, deadline))?;
        body.answered();
        // A failed answer is captured however it goes on.
        let first = if head.status.is_server_error() {
            Ok(None)
        } else {
            lease.connection().take_at_hand()
        };
        let first = first.map_err(|fault| Failed::sending(fault, &mut lease, body, deadline))?;
        let seat = Rc::clone(lease.seat());
        self.upstream.answered(&seat.endpoint, head.status);
        let idle = request.wants_tunnel().map(|tunnel| tunnel.idle);
        let switched = head.status == StatusCode::SWITCHING_PROTOCOLS;
        let pause = idle.filter(|_| switched).unwrap_or(timeouts.body);
        let body = AnswerBody::new(lease, first, request, pause);
        Ok((head, body, seat))
    }

    /// Whether a request may be one of several on a connection of HTTP/2: not one that would go on in another protocol, but
    /// where the app speaks nothing else.
    fn may_share(&self, body: &RequestBody) -> bool {
        match self.upstream.protocol {
            Protocol::Auto => body.wants_tunnel().is_none(),
            Protocol::Http1 => false,
            Protocol::Http2 => true,
        }
    }

    /// An attempt on a connection of HTTP/2.
    async fn share<'a, H: Head>(
        &'a self,
        carrier: &Rc<Carrier>,
        head: &impl Fn(&'a str) -> H,
        body: &RequestBody,
        (timeouts, begun, deadline): (&Timeouts, Instant, Instant),
    ) -> Result<(response::Parts, AnswerBody, Rc<Seat>), Failed> {
        let seat = carrier.seat();
        let tunnel = body.wants_tunnel();
        let mut request = match tunnel {
            // What comes through a tunnel would wait for one for ever.
            Some(tunnel) if !carrier.opens(&tunnel.protocols) => RequestBody::default(),
            _ => body.clone(),
        };
        let host = self.upstream.host_of(&seat.endpoint);
        let exchange = Exchange::begin(carrier, &head(host), &request);
        let mut exchange =
            exchange.map_err(|fault| Failed::on(seat, fault, (true, true), deadline))?;
        let answer = poll_fn(|cx| {
            let due = |body: &RequestBody| overdue(body, begun, timeouts.head).min(deadline);
            exchange.poll_answer(cx, &mut request, due)
        });
        let answer = answer.await;
        let head = answer.map_err(|fault| {
            if let Some(kept) = exchange.take_kept() {
                body.put_back(kept);
            }
            let refused = exchange.is_refused();
            Failed::on(seat, fault, (refused, refused), deadline)
        })?;
        body.answered();
        self.upstream.answered(&seat.endpoint, head.status);
        let idle = tunnel.map(|tunnel| tunnel.idle);
        let switched = head.status == StatusCode::SWITCHING_PROTOCOLS;
        let pause = idle.filter(|_| switched).unwrap_or(timeouts.body);
        let body = AnswerBody::shared(exchange, request, pause);
        Ok((head, body, Rc::clone(seat)))
    }

    /// A connection that may have to be waited for.
    async fn connection(
        &self,
        seat: Option<Rc<Seat>>,
        (tries, http1): (&Tries, bool),
        timeouts: &Timeouts,
        deadline: Instant,
    ) -> Result<Taken, Failed> {
        let mut failed = None;
        let connecting = async {
            let seat = match seat {
                Some(seat) => seat,
                None => self.find(timeouts).await?,
            };
            let mut aim = Aim {
                seat,
                tried: &tries.tried,
                reuse: tries.reuse(),
                http1,
            };
            let taken = self.pool.take(&mut aim, timeouts).await;
            failed = Some(aim.seat);
            taken
        };
        let connected = timeout_at(deadline, connecting).await;
        let late = |_| Err(UpstreamError::new(ErrorKind::TotalTimeout));
        connected
            .unwrap_or_else(late)
            .map_err(|error| Failed::unsent(error, failed))
    }

    /// An endpoint, where none was known or none is healthy.
    async fn find(&self, timeouts: &Timeouts) -> Result<Rc<Seat>, UpstreamError> {
        let resolved = timeout(timeouts.connect, self.upstream.resolve());
        match resolved.await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => return Err(UpstreamError::caused_by(ErrorKind::DnsFailed, &*why)),
            Err(_) => return Err(UpstreamError::new(ErrorKind::ConnectTimeout)),
        }
        let seat = self.pool.pick(&[], Instant::now());
        seat.ok_or_else(|| UpstreamError::caused_by(ErrorKind::NoEndpoint, self.upstream.illness()))
    }

    /// Notes a failed attempt. Ends well where the request is to be sent again.
    ///
    /// # Errors
    ///
    /// The failure, where it is not.
    async fn go_on(
        &self,
        failed: Failed,
        safe: bool,
        tries: &mut Tries,
    ) -> Result<(), UpstreamError> {
        let another = tries.count(&failed, safe, self.upstream.attempts);
        let Failed {
            mut error, seat, ..
        } = failed;
        if another == Another::Free {
            return Ok(());
        }
        self.upstream.unanswered(&error, seat.as_deref());
        error.attempts = tries.all();
        if let Some(seat) = &seat {
            error
                .endpoint
                .get_or_insert_with(|| Arc::clone(seat.name()));
        }
        if another == Another::No {
            return Err(error);
        }
        if !self.budget.take(Instant::now()) {
            if self.budget.is_news() {
                tracing::warn!(
                    { names::UPSTREAM } = &*self.upstream.name,
                    "requests are not sent again for now: `retry.budget` is spent"
                );
            }
            error.withheld = true;
            return Err(error);
        }
        if let Some(seat) = seat {
            self.upstream.settle_name(&seat.endpoint).await;
            tries.tried.push(seat);
        }
        Ok(())
    }
}

impl Tries {
    fn new(repeatable: bool) -> Self {
        Self {
            repeatable,
            counted: 0,
            unsent: 0,
            stale: false,
            tried: Vec::new(),
        }
    }

    /// Which connection the next attempt may use. What cannot be sent again uses one whose app is surely there.
    fn reuse(&self) -> Reuse {
        match (self.repeatable, self.stale) {
            (_, true) => Reuse::Never,
            (true, false) => Reuse::Any,
            (false, false) => Reuse::Recent,
        }
    }

    /// How often the request was sent, or tried to.
    fn all(&self) -> u32 {
        self.counted + self.unsent
    }

    /// Counts a failure; whether another attempt is left. A connection that the app had closed while it was idle costs the
    /// budget nothing; it is no attempt only where nothing had left on it, for the app may have read what had. A wait in
    /// the queue is none either.
    fn count(&mut self, failed: &Failed, safe: bool, most: u32) -> Another {
        let kind = failed.error.kind();
        if safe && failed.is_stale() && !self.stale {
            self.stale = true;
            if failed.unsent {
                self.unsent += 1;
                return Another::Free;
            }
            self.counted += 1;
            return if self.counted < most {
                Another::Free
            } else {
                Another::No
            };
        }
        let asked = !matches!(kind, ErrorKind::Overloaded | ErrorKind::NoEndpoint);
        self.counted += u32::from(asked && !failed.error.known);
        if safe && self.counted < most && !failed.error.known {
            Another::Retry
        } else {
            Another::No
        }
    }
}

impl Failed {
    /// There was no connection.
    fn unsent(error: UpstreamError, seat: Option<Rc<Seat>>) -> Self {
        Self {
            error,
            seat,
            unsent: true,
            reused: false,
        }
    }

    /// Whether the app had closed the connection while it was idle.
    fn is_stale(&self) -> bool {
        self.reused && self.error.kind() == ErrorKind::ClosedEarly
    }

    /// The exchange on a connection came to nothing.
    fn sending(fault: Fault, lease: &mut Lease, body: &RequestBody, deadline: Instant) -> Self {
        if let Some(piece) = lease.connection().take_unsent() {
            body.put_back(piece);
        }
        let (unsent, reused) = (!lease.has_begun(), lease.reused);
        Self::on(lease.seat(), fault, (unsent, reused), deadline)
    }

    /// The exchange came to nothing: `unsent` where the app has not begun with it, `reused` where its connection is not new.
    fn on(
        seat: &Rc<Seat>,
        fault: Fault,
        (unsent, reused): (bool, bool),
        deadline: Instant,
    ) -> Self {
        let error = match fault {
            Fault::App(Broken::Request(fault)) => UpstreamError::new(ErrorKind::Request(fault)),
            Fault::App(broken @ Broken::Malformed(_)) => {
                UpstreamError::caused_by(ErrorKind::Malformed, broken)
            }
            Fault::App(Broken::Closed(Some(error))) => {
                UpstreamError::caused_by(ErrorKind::ClosedEarly, error)
            }
            Fault::App(Broken::Closed(None)) => UpstreamError::new(ErrorKind::ClosedEarly),
            Fault::Late if Instant::now() >= deadline => {
                UpstreamError::new(ErrorKind::TotalTimeout)
            }
            Fault::Late => UpstreamError::new(ErrorKind::HeadTimeout),
        };
        Self {
            error,
            seat: Some(Rc::clone(seat)),
            unsent,
            reused,
        }
    }

    /// Whether the request can be sent again without doing anything twice.
    fn is_safe(&self, idempotent: bool, body: &RequestBody) -> bool {
        match self.error.kind() {
            ErrorKind::ConnectFailed | ErrorKind::ConnectTimeout | ErrorKind::DnsFailed => true,
            ErrorKind::ClosedEarly => body.is_whole() && (self.unsent || idempotent),
            ErrorKind::TlsFailed
            | ErrorKind::HeadTimeout
            | ErrorKind::Malformed
            | ErrorKind::TotalTimeout
            | ErrorKind::NoEndpoint
            | ErrorKind::Overloaded
            | ErrorKind::Request(_) => false,
        }
    }
}

/// The methods that may be repeated (RFC 9110, 9.2.2).
fn is_idempotent(method: &Method) -> bool {
    use http::method::Method as M;
    [M::GET, M::HEAD, M::OPTIONS, M::TRACE, M::PUT, M::DELETE].contains(method)
}

/// When the answer's head is overdue: `head` after the last piece of the request.
fn overdue(body: &RequestBody, begun: Instant, head: Duration) -> Instant {
    let sent = body.progress();
    sent.map_or(begun, |sent| sent.max(begun)) + head
}
