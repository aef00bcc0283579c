//! A request's body on its way to the app.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, Sleep, sleep};

use crate::http1::{Alarm, Pace, TooSlow};

/// How long a request with `Expect: 100-continue` waits for the app's word (RFC 9110, 10.1.1).
const EXPECT_WAIT: Duration = Duration::from_secs(1);

/// Why a request's body did not come whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// The client broke it off.
    Broken,
    /// Nothing came for too long, or too little.
    Stalled,
    /// It is larger than the limit.
    TooLarge,
}

/// What bounds a request's body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Between two pieces.
    pub pause: Duration,
    /// Bytes of the whole; `None` is no limit.
    pub size: Option<u64>,
    /// Bytes a second, over ten seconds in which the client is waited for; 0 is any.
    pub least_rate: u64,
}

/// A request's body. Clones are handles of one body: one is sent, one stays with the exchange, which sees
/// what became of it and can send it again as long as nothing was taken.
#[derive(Clone, Debug, Default)]
pub struct RequestBody(Option<Rc<Source>>);

/// A body as the server gives it. Why it breaks off is not told apart: the client did it.
type Incoming = Pin<Box<dyn Body<Data = Bytes, Error = BodyFault>>>;

struct Source {
    incoming: RefCell<Option<Incoming>>,
    /// What was taken and has not left; it comes first.
    returned: RefCell<Option<Bytes>>,
    /// Nothing more comes of `incoming`.
    drained: Cell<bool>,
    /// None for a tunnel, which as a whole has a bound.
    limits: Option<BodyLimits>,
    tunnel: Option<Tunnel>,
    taken: Cell<u64>,
    begun: Cell<bool>,
    ended: Cell<bool>,
    fault: Cell<Option<BodyFault>>,
    progress: Cell<Instant>,
    /// Whether the client is the one that is waited for.
    awaited: Cell<bool>,
    pause: RefCell<Alarm>,
    pace: RefCell<Pace>,
    gate: Option<Gate>,
}

/// What a request asks for that is to become a tunnel.
#[derive(Clone, Debug)]
pub struct Tunnel {
    /// Its `Upgrade` field: the protocols that the app may switch to.
    pub protocols: HeaderValue,
    /// How long nothing may move in either direction.
    pub idle: Duration,
}

/// Holds a body back until the app has said whether it wants it.
#[derive(Debug)]
struct Gate {
    open: Cell<bool>,
    closed: Cell<bool>,
    timer: RefCell<Option<Pin<Box<Sleep>>>>,
}

impl RequestBody {
    /// The body of a client's request; with `expects`, one that is asked for only when the app wants it.
    #[must_use]
    pub fn new(
        incoming: impl Body<Data = Bytes> + 'static,
        limits: BodyLimits,
        expects: bool,
    ) -> Self {
        if incoming.is_end_stream() {
            return Self(None);
        }
        Self::of(incoming, Some(limits), None, expects.then(Gate::new))
    }

    /// No body, but what the client sends once the app has switched to one of these protocols.
    #[must_use]
    pub fn tunnel(incoming: impl Body<Data = Bytes> + 'static, tunnel: Tunnel) -> Self {
        Self::of(incoming, None, Some(tunnel), None)
    }

    fn of(
        incoming: impl Body<Data = Bytes> + 'static,
        limits: Option<BodyLimits>,
        tunnel: Option<Tunnel>,
        gate: Option<Gate>,
    ) -> Self {
        let incoming: Incoming = Box::pin(incoming.map_err(|_| BodyFault::Broken));
        let least_rate = limits.map_or(0, |limits| limits.least_rate);
        Self(Some(Rc::new(Source {
            incoming: RefCell::new(Some(incoming)),
            returned: RefCell::new(None),
            drained: Cell::new(false),
            limits,
            tunnel,
            taken: Cell::new(0),
            begun: Cell::new(false),
            ended: Cell::new(false),
            fault: Cell::new(None),
            progress: Cell::new(Instant::now()),
            awaited: Cell::new(false),
            pause: RefCell::new(Alarm::new()),
            pace: RefCell::new(Pace::new(least_rate)),
            gate,
        })))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// What it asks for, where it is to become a tunnel.
    pub(super) fn wants_tunnel(&self) -> Option<&Tunnel> {
        self.0.as_ref()?.tunnel.as_ref()
    }

    /// When the client's last piece was taken.
    pub(super) fn moved(&self) -> Option<Instant> {
        Some(self.0.as_ref()?.progress.get())
    }

    /// Gives back what was taken of it and has not left. Nothing else was taken.
    pub(super) fn put_back(&self, piece: Bytes) {
        if let Some(source) = &self.0 {
            source.taken.set(0);
            source.begun.set(false);
            source.ended.set(false);
            source
                .returned
                .replace(Some(piece).filter(|piece| !piece.is_empty()));
        }
    }

    /// Whether it can be sent again: nothing of it was taken yet.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.as_ref().is_none_or(|source| !source.begun.get())
    }

    /// Whether all of it was read.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.as_ref().is_none_or(|source| source.ended.get())
    }

    /// When its last piece was sent; now, as long as the client is the one that is waited for.
    pub(super) fn progress(&self) -> Option<Instant> {
        let source = self.0.as_ref()?;
        Some(if source.awaited.get() {
            Instant::now()
        } else {
            source.progress.get()
        })
    }

    /// The app wants it.
    pub(super) fn open_gate(&self) {
        if let Some(source) = &self.0
            && let Some(gate) = &source.gate
        {
            gate.open.set(true);
        }
    }

    /// The final answer has come: a body not asked for by now is not asked for at all.
    pub(super) fn answered(&self) {
        if let Some(source) = &self.0
            && let Some(gate) = &source.gate
            && !source.begun.get()
        {
            gate.closed.set(true);
        }
    }
}

impl Gate {
    fn new() -> Self {
        Self {
            open: Cell::new(false),
            closed: Cell::new(false),
            timer: RefCell::new(None),
        }
    }

    fn poll_open(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.closed.get() {
            return Poll::Pending;
        }
        if self.open.get() {
            return Poll::Ready(());
        }
        // The body is polled again after each head that was read, so a 100 is seen without a waker.
        let mut timer = self.timer.borrow_mut();
        let timer = timer.get_or_insert_with(|| Box::pin(sleep(EXPECT_WAIT)));
        ready!(timer.as_mut().poll(cx));
        self.open.set(true);
        Poll::Ready(())
    }
}

impl Source {
    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        if let Some(gate) = &self.gate {
            ready!(gate.poll_open(cx));
        }
        let mut incoming = self.incoming.borrow_mut();
        let Some(body) = incoming.as_mut() else {
            return Poll::Ready(None);
        };
        self.begun.set(true);
        if let Some(piece) = self.returned.take() {
            return Poll::Ready(Some(self.count(Frame::data(piece))));
        }
        let polled = if self.drained.get() {
            Poll::Ready(None)
        } else {
            body.as_mut().poll_frame(cx)
        };
        self.awaited.set(polled.is_pending());
        match polled {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(self.count(frame))),
            Poll::Ready(Some(Err(fault))) => Poll::Ready(Some(Err(self.fail(fault)))),
            Poll::Ready(None) => {
                self.progress.set(Instant::now());
                self.drained.set(true);
                self.ended.set(true);
                Poll::Ready(None)
            }
            Poll::Pending => {
                let Some(limits) = &self.limits else {
                    return Poll::Pending;
                };
                self.pace.borrow_mut().waits();
                let over = self
                    .pause
                    .borrow_mut()
                    .poll_pause(cx, || None, limits.pause);
                over.map(|()| Some(Err(self.fail(BodyFault::Stalled))))
            }
        }
    }

    fn count(&self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyFault> {
        self.progress.set(Instant::now());
        self.pause.borrow_mut().moved();
        let size = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.taken.set(self.taken.get() + size);
        if self.pace.borrow_mut().moved(size) == Err(TooSlow) {
            return Err(self.fail(BodyFault::Stalled));
        }
        let most = self.limits.and_then(|limits| limits.size);
        if most.is_some_and(|limit| self.taken.get() > limit) {
            return Err(self.fail(BodyFault::TooLarge));
        }
        Ok(frame)
    }

    fn fail(&self, fault: BodyFault) -> BodyFault {
        self.fault.set(Some(fault));
        fault
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        match &self.0 {
            Some(source) => source.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|source| {
            let incoming = source.incoming.borrow();
            let ended = source.returned.borrow().is_none()
                && incoming.as_ref().is_none_or(Body::is_end_stream);
            if ended {
                source.ended.set(true);
            }
            ended
        })
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Some(source) => {
                let incoming = source.incoming.borrow();
                let hint = incoming
                    .as_ref()
                    .map_or_else(SizeHint::new, Body::size_hint);
                let returned = source.returned.borrow();
                let returned = returned.as_ref().map_or(0, |piece| piece.len() as u64);
                match hint.exact() {
                    Some(rest) => SizeHint::with_exact(rest + returned),
                    None => SizeHint::new(),
                }
            }
            None => SizeHint::with_exact(0),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("taken", &self.taken)
            .field("ended", &self.ended)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for BodyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken => "the client broke the request's body off",
            Self::Stalled => "the request's body stopped coming",
            Self::TooLarge => "the request's body is larger than the limit",
        })
    }
}

impl std::error::Error for BodyFault {}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body of one byte a second.
    struct Drip(Pin<Box<Sleep>>);

    impl Body for Drip {
        type Data = Bytes;
        type Error = BodyFault;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
            ready!(self.0.as_mut().poll(cx));
            let next = Instant::now() + Duration::from_secs(1);
            self.0.as_mut().reset(next);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_given_up() {
        for (least_rate, ends) in [(2, true), (1, false)] {
            let limits = BodyLimits {
                pause: Duration::from_mins(1),
                size: None,
                least_rate,
            };
            let drip = Drip(Box::pin(sleep(Duration::from_secs(1))));
            let mut body = RequestBody::new(drip, limits, false);
            let mut fault = None;
            for _ in 0..30 {
                let piece = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
                if let Some(Err(error)) = piece.await {
                    fault = Some(error);
                    break;
                }
            }
            assert_eq!(
                fault == Some(BodyFault::Stalled),
                ends,
                "{least_rate} a second"
            );
        }
    }
}
