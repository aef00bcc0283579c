//! One exchange with an app: a request out, an answer's head back, again where that is safe.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, response};
use tokio::time::{Instant, timeout_at};

use super::answer::AnswerBody;
use super::body::RequestBody;
use super::error::{ErrorKind, UpstreamError};
use super::http1::{Broken, Fault, Head};
use super::pool::{Lease, Pool, Reuse};
use super::{Timeouts, Upstream};

/// An app's answer: its head, and its body still on the way.
#[derive(Debug)]
pub struct Answer {
    /// Status, version and headers as they came; `Content-Length` is gone where the body is chunked.
    pub head: response::Parts,
    /// The body.
    pub body: AnswerBody,
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
}

/// How often a request was tried, and on what.
#[derive(Debug, Default)]
struct Tries {
    /// Attempts that count against the most there may be.
    counted: u32,
    /// Whether a reused connection was found closed; from then on only new ones will do.
    stale: bool,
}

/// An attempt that brought no answer.
struct Failed {
    error: UpstreamError,
    /// Not a byte of the request left this process.
    unsent: bool,
    reused: bool,
}

impl Client {
    /// A client of `worker`'s; to be made inside its runtime.
    #[must_use]
    pub fn new(upstream: Arc<Upstream>, worker: usize) -> Self {
        let pool = Pool::new(Arc::clone(&upstream), worker);
        Self { upstream, pool }
    }

    /// The app that it speaks to.
    #[must_use]
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// Sends a request and waits for the answer's head. `begun` is when the exchange began.
    ///
    /// Dropped, it closes the connection that it was using.
    ///
    /// # Errors
    ///
    /// Each kind of [`ErrorKind`]; `attempts` says how often it was tried.
    pub async fn send(
        &self,
        head: &impl Head,
        body: &RequestBody,
        timeouts: &Timeouts,
        begun: Instant,
    ) -> Result<Answer, UpstreamError> {
        let deadline = begun + timeouts.total;
        let idempotent = is_idempotent(head.method());
        let mut tries = Tries::default();
        loop {
            let reuse = tries.reuse(idempotent && body.is_empty());
            match self
                .attempt(head, body, reuse, (timeouts, begun, deadline))
                .await
            {
                Ok((head, body)) => {
                    return Ok(Answer {
                        head,
                        body,
                        attempts: tries.all() + 1,
                        begun,
                    });
                }
                Err(failed) => {
                    let safe = failed.is_safe(idempotent, body);
                    if !tries.count(&failed, safe, self.upstream.attempts) {
                        return Err(failed.error.after(tries.all()));
                    }
                }
            }
        }
    }

    async fn attempt(
        &self,
        head: &impl Head,
        body: &RequestBody,
        reuse: Reuse,
        (timeouts, begun, deadline): (&Timeouts, Instant, Instant),
    ) -> Result<(response::Parts, AnswerBody), Failed> {
        let (mut lease, begun) = if let Some(lease) = self.pool.take_idle(reuse, begun) {
            (lease, begun)
        } else {
            // Boxed, as is all that is rare: the future of a passing request is moved about and stays small.
            let waiting = Box::pin(self.connection(timeouts, deadline));
            // What was spent on it, and on other attempts, is not the app's time.
            (waiting.await.map_err(Failed::unsent)?, Instant::now())
        };
        let mut request = body.clone();
        lease.connection().begin(head, body);
        let answer = poll_fn(|cx| {
            let due = |body: &RequestBody| overdue(body, begun, timeouts.head).min(deadline);
            lease.connection().poll_answer(cx, &mut request, due)
        });
        let head = answer
            .await
            .map_err(|fault| Failed::sending(fault, &mut lease, body, deadline))?;
        body.answered();
        let body = AnswerBody::new(lease, request, timeouts.body);
        Ok((head, body))
    }

    /// A connection that may have to be waited for.
    async fn connection(
        &self,
        timeouts: &Timeouts,
        deadline: Instant,
    ) -> Result<Lease, UpstreamError> {
        timeout_at(deadline, self.pool.take(timeouts))
            .await
            .unwrap_or_else(|_| Err(UpstreamError::new(ErrorKind::TotalTimeout)))
    }
}

impl Tries {
    /// Which connection the next attempt may use. What cannot be sent again uses one whose app is surely there.
    fn reuse(&self, repeatable: bool) -> Reuse {
        match (repeatable, self.stale) {
            (_, true) => Reuse::Never,
            (true, false) => Reuse::Any,
            (false, false) => Reuse::Recent,
        }
    }

    /// How often the request was sent, or tried to.
    fn all(&self) -> u32 {
        self.counted + u32::from(self.stale)
    }

    /// Counts a failure; whether another attempt is left. A connection that the app had closed while it was idle is
    /// no attempt of the app's, and neither is a wait in the queue.
    fn count(&mut self, failed: &Failed, safe: bool, most: u32) -> bool {
        let kind = failed.error.kind();
        if safe && failed.reused && kind == ErrorKind::ClosedEarly && !self.stale {
            self.stale = true;
            return true;
        }
        self.counted += u32::from(kind != ErrorKind::Overloaded && !failed.error.known);
        safe && self.counted < most && !failed.error.known
    }
}

impl Failed {
    /// There was no connection.
    fn unsent(error: UpstreamError) -> Self {
        Self {
            error,
            unsent: true,
            reused: false,
        }
    }

    /// The exchange on a connection came to nothing.
    fn sending(fault: Fault, lease: &mut Lease, body: &RequestBody, deadline: Instant) -> Self {
        if let Some(piece) = lease.connection().take_unsent() {
            body.put_back(piece);
        }
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
            unsent: !lease.has_begun(),
            reused: lease.reused,
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
