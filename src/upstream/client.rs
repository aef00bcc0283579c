//! One exchange with an app: a request out, an answer's head back, again where that is safe.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, StatusCode, response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::body::{AnswerBody, RequestBody};
use super::error::{ErrorKind, UpstreamError};
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
    /// From the first attempt to this head.
    pub head_time: Duration,
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

    /// Sends a request and waits for the answer's head. `draft` makes the request's head, once an attempt.
    ///
    /// Dropped, it closes the connection that it was using.
    ///
    /// # Errors
    ///
    /// Each kind of [`ErrorKind`]; `attempts` says how often it was tried.
    pub async fn send(
        &self,
        draft: impl Fn() -> Request<()>,
        body: &RequestBody,
        timeouts: &Timeouts,
    ) -> Result<Answer, UpstreamError> {
        let begun = Instant::now();
        let deadline = begun + timeouts.total;
        let mut tries = Tries::default();
        loop {
            let request = draft();
            let idempotent = is_idempotent(request.method());
            let reuse = tries.reuse(idempotent && body.is_empty());
            match self
                .attempt(request, body, reuse, (timeouts, deadline))
                .await
            {
                Ok((head, body)) => {
                    let attempts = tries.all() + 1;
                    return Ok(Answer {
                        head,
                        body,
                        attempts,
                        head_time: begun.elapsed(),
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
        request: Request<()>,
        body: &RequestBody,
        reuse: Reuse,
        (timeouts, deadline): (&Timeouts, Instant),
    ) -> Result<(response::Parts, AnswerBody), Failed> {
        let unsent = |error| Failed {
            error,
            unsent: true,
            reused: false,
        };
        let taken = timeout_at(deadline, self.pool.take(reuse, timeouts)).await;
        let mut lease = taken
            .map_err(|_| unsent(UpstreamError::new(ErrorKind::TotalTimeout)))?
            .map_err(unsent)?;
        let reused = lease.reused;
        let request = with_body(request, body);
        lease.allowance().begin();
        let sending = lease.sender().try_send_request(request);
        let response = tokio::select! {
            biased;
            sent = sending => sent.map_err(|failed| Failed::sending(failed, body, &lease))?,
            kind = overdue(body, timeouts.head, deadline) => {
                let error = UpstreamError::new(kind);
                return Err(Failed { error, unsent: false, reused });
            }
        };
        lease.allowance().end();
        body.answered();
        receive(response, lease, body, timeouts.body).map_err(|error| Failed {
            error,
            unsent: false,
            reused,
        })
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
        self.counted += u32::from(kind != ErrorKind::Overloaded);
        safe && self.counted < most
    }
}

impl Failed {
    /// What hyper says of a request that it could not carry out.
    fn sending(
        failed: TrySendError<Request<RequestBody>>,
        body: &RequestBody,
        lease: &Lease,
    ) -> Self {
        let mut failed = failed;
        let unsent = failed.take_message().is_some();
        let source = failed.into_error();
        let kind = match body.fault() {
            Some(fault) => ErrorKind::Request(fault),
            None if source.is_parse() || lease.allowance().is_spent() => ErrorKind::Malformed,
            None => ErrorKind::ClosedEarly,
        };
        Self {
            error: UpstreamError::caused_by(kind, source),
            unsent,
            reused: lease.reused,
        }
    }

    /// Whether the request can be sent again without doing anything twice.
    fn is_safe(&self, idempotent: bool, body: &RequestBody) -> bool {
        match self.error.kind() {
            ErrorKind::ConnectFailed | ErrorKind::ConnectTimeout | ErrorKind::DnsFailed => true,
            ErrorKind::ClosedEarly => self.unsent || (idempotent && body.is_whole()),
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

/// Puts a handle of the body to the request, and the gate's opener where it has a gate.
fn with_body(request: Request<()>, body: &RequestBody) -> Request<RequestBody> {
    let mut request = request.map(|()| body.clone());
    if let Some(opener) = body.opener() {
        hyper::ext::on_informational(&mut request, move |interim| {
            if interim.status() == StatusCode::CONTINUE {
                opener.open();
            }
        });
    }
    request
}

/// Ends when the answer's head is overdue: `head` after the last piece of the request, or at the deadline.
async fn overdue(body: &RequestBody, head: Duration, deadline: Instant) -> ErrorKind {
    let begun = Instant::now();
    loop {
        let due = body
            .progress()
            .map_or(begun, |progress| progress.max(begun))
            + head;
        let now = Instant::now();
        if now >= deadline {
            return ErrorKind::TotalTimeout;
        }
        if now >= due {
            return ErrorKind::HeadTimeout;
        }
        sleep_until(due.min(deadline)).await;
    }
}

/// Checks an answer's head, and puts the connection behind its body.
fn receive(
    response: Response<Incoming>,
    mut lease: Lease,
    request: &RequestBody,
    pause: Duration,
) -> Result<(response::Parts, AnswerBody), UpstreamError> {
    let (mut head, incoming) = response.into_parts();
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(malformed("it switched to a protocol that nobody asked for"));
    }
    match framing(&head.headers)? {
        Framing::Plain => {}
        Framing::Doubled => {
            // RFC 9112, 6.3: read as chunked, the length is dropped, the connection is not to be trusted.
            head.headers.remove(CONTENT_LENGTH);
            lease.condemn();
        }
    }
    Ok((
        head,
        AnswerBody::new(incoming, lease, request.clone(), pause),
    ))
}

enum Framing {
    Plain,
    Doubled,
}

/// Refuses framing that two parsers could read in two ways (RFC 9112, 6.1).
fn framing(headers: &HeaderMap) -> Result<Framing, UpstreamError> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(Framing::Plain);
    };
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(malformed("its Transfer-Encoding is not `chunked` alone"));
    }
    Ok(if headers.contains_key(CONTENT_LENGTH) {
        Framing::Doubled
    } else {
        Framing::Plain
    })
}

fn malformed(why: &'static str) -> UpstreamError {
    UpstreamError::caused_by(ErrorKind::Malformed, why)
}
