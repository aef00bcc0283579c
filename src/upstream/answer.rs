//! An answer's body on its way back, and the connection that it comes over.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio::task::{AbortHandle, spawn_local};

use super::body::{BodyFault, RequestBody};
use super::http1::{Broken, Fault};
use super::http2::Exchange;
use super::pool::Lease;
use crate::http1::Decoded;

/// Why an answer's body did not come whole.
#[derive(Debug)]
pub enum AnswerFault {
    /// The app broke it off, or its framing is broken.
    Broken(Broken),
    /// Nothing came for this long.
    Stalled(Duration),
    /// It was still under way when the request's own body failed, which is no failure of the app's.
    Request(BodyFault),
    /// What has come of it is such that the rest is not wanted.
    Withheld,
}

/// An answer's body, and the connection that it comes over. At its end the connection goes back to its pool; dropped
/// before that, the connection is closed.
#[derive(Debug)]
pub struct AnswerBody {
    /// What came with the head.
    first: Option<AtHand>,
    connection: Held,
    request: RequestBody,
    pause: Duration,
}

/// What came of a body with the answer's head. Small: every passing answer carries it about.
#[derive(Debug)]
pub(super) enum AtHand {
    Data(Bytes),
    /// The body is empty, and these follow it.
    Trailers(Box<HeaderMap>),
}

/// Who has the connection of an answer.
#[derive(Debug)]
enum Held {
    Own(Lease),
    /// The rest of the request is still on its way, whether or not anybody reads the answer.
    Shared(Rc<RefCell<Lease>>, Upload),
    /// One of several exchanges on its connection.
    Stream(
        Rc<RefCell<Exchange>>,
        #[expect(dead_code, reason = "it ends with this")] Option<Upload>,
    ),
    /// It was given back, or closed.
    None,
}

/// The task that sends the rest of a request; it ends with the answer.
#[derive(Debug)]
struct Upload(AbortHandle);

impl Drop for Upload {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Held {
    fn new(mut lease: Lease, request: &RequestBody) -> Self {
        if lease.connection().is_over() || lease.connection().is_sent() {
            return Self::Own(lease);
        }
        let shared = Rc::new(RefCell::new(lease));
        let (lease, mut request) = (Rc::clone(&shared), request.clone());
        let sending = async move {
            poll_fn(|cx| lease.borrow_mut().connection().poll_rest(cx, &mut request)).await;
        };
        Self::Shared(shared, Upload(spawn_local(sending).abort_handle()))
    }

    fn stream(exchange: Exchange, request: &RequestBody) -> Self {
        let sent = exchange.is_over() || exchange.is_sent();
        let shared = Rc::new(RefCell::new(exchange));
        if sent {
            return Self::Stream(shared, None);
        }
        let (exchange, mut request) = (Rc::clone(&shared), request.clone());
        let sending = async move {
            poll_fn(|cx| exchange.borrow_mut().poll_rest(cx, &mut request)).await;
        };
        let upload = Upload(spawn_local(sending).abort_handle());
        Self::Stream(shared, Some(upload))
    }

    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        request: &RequestBody,
        pause: Duration,
    ) -> Option<Poll<Result<Decoded, Fault>>> {
        Some(match self {
            Self::Own(lease) => lease.connection().poll_body(cx, request, pause),
            Self::Shared(lease, _) => {
                let mut lease = lease.borrow_mut();
                lease.connection().poll_body(cx, request, pause)
            }
            Self::Stream(exchange, _) => exchange.borrow_mut().poll_body(cx, request, pause),
            Self::None => return None,
        })
    }

    fn is_over(&mut self) -> bool {
        match self {
            Self::Own(lease) => lease.connection().is_over(),
            Self::Shared(lease, _) => lease.borrow_mut().connection().is_over(),
            Self::Stream(exchange, _) => exchange.borrow().is_over(),
            Self::None => true,
        }
    }

    /// Gives the connection back; one whose request is still on its way is closed.
    fn give_back(&mut self) {
        match std::mem::replace(self, Self::None) {
            Self::Own(lease) => lease.give_back(),
            Self::Shared(lease, upload) => {
                if let Ok(lease) = Rc::try_unwrap(lease) {
                    lease.into_inner().give_back();
                }
                drop(upload);
            }
            Self::Stream(..) | Self::None => {}
        }
    }
}

impl AnswerBody {
    /// `first` is what came with the head, `pause` the longest time between two pieces.
    pub(super) fn new(
        lease: Lease,
        first: Option<AtHand>,
        request: RequestBody,
        pause: Duration,
    ) -> Self {
        let mut body = Self {
            first,
            connection: Held::new(lease, &request),
            request,
            pause,
        };
        if body.first.is_none() {
            body.end_if_over();
        }
        body
    }

    /// One whose connection others share.
    pub(super) fn shared(exchange: Exchange, request: RequestBody, pause: Duration) -> Self {
        let mut body = Self {
            first: None,
            connection: Held::stream(exchange, &request),
            request,
            pause,
        };
        body.end_if_over();
        body
    }

    /// The next piece.
    ///
    /// # Errors
    ///
    /// When it will not come whole. The connection is closed then.
    pub fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        let (request, pause) = (&self.request, self.pause);
        let polled = match self.first.take() {
            Some(AtHand::Data(data)) => Some(Poll::Ready(Ok(Decoded::Data(data)))),
            Some(AtHand::Trailers(trailers)) => Some(Poll::Ready(Ok(Decoded::Trailers(*trailers)))),
            None => self.connection.poll_body(cx, request, pause),
        };
        let Some(polled) = polled else {
            return Poll::Ready(None);
        };
        match ready!(polled) {
            Ok(Decoded::Data(data)) => {
                self.end_if_over();
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Ok(Decoded::Trailers(trailers)) => {
                self.end_if_over();
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            Ok(Decoded::Over | Decoded::More) => {
                self.end_if_over();
                Poll::Ready(None)
            }
            Err(fault) => {
                self.connection = Held::None;
                Poll::Ready(Some(Err(match fault {
                    Fault::App(Broken::Request(fault)) => AnswerFault::Request(fault),
                    Fault::App(broken) => AnswerFault::Broken(broken),
                    Fault::Late => AnswerFault::Stalled(self.pause),
                })))
            }
        }
    }

    /// Whether the body is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.first.is_none() && matches!(self.connection, Held::None)
    }

    /// Closes the connection: nothing more is wanted.
    pub fn close(&mut self) {
        self.first = None;
        self.connection = Held::None;
    }

    /// What is known of its length.
    #[must_use]
    pub fn size_hint(&self) -> SizeHint {
        let rest = match &self.connection {
            Held::Own(lease) => lease.size_hint(),
            Held::Shared(lease, _) => lease.borrow().size_hint(),
            Held::Stream(exchange, _) => exchange.borrow().size_hint(),
            Held::None => SizeHint::with_exact(0),
        };
        let Some(AtHand::Data(first)) = &self.first else {
            return rest;
        };
        let at_hand = first.len() as u64;
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + at_hand);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + at_hand);
        }
        hint
    }

    fn end_if_over(&mut self) {
        if self.connection.is_over() {
            self.connection.give_back();
        }
    }
}

impl fmt::Display for AnswerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(_) => f.write_str("the app broke its answer off"),
            Self::Stalled(pause) => write!(f, "the app sent nothing more for {pause:?}"),
            Self::Request(fault) => write!(f, "{fault}"),
            Self::Withheld => f.write_str("the rest of the answer is not wanted"),
        }
    }
}

impl std::error::Error for AnswerFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Broken(error) => Some(error),
            Self::Stalled(_) | Self::Request(_) | Self::Withheld => None,
        }
    }
}
