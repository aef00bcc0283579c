//! A request's body on its way to the app.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use crate::http1::Alarm;

/// How much of a request's body is read and thrown away when nobody wants it any more, and for how long, so that the
/// client hears the answer instead of a reset.
const LINGER: (u64, Duration) = (1024 * 1024, Duration::from_secs(2));

/// How long a request with `Expect: 100-continue` waits for the app's word (RFC 9110, 10.1.1).
const EXPECT_WAIT: Duration = Duration::from_secs(1);

/// Why a request's body did not come whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// The client broke it off.
    Broken,
    /// Nothing came for too long.
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
}

/// A request's body. Clones are handles of one body: one goes to hyper, one stays with the exchange, which sees
/// what became of it and can send it again as long as nothing was taken.
#[derive(Clone, Debug, Default)]
pub struct RequestBody(Option<Rc<Source>>);

#[derive(Debug)]
struct Source {
    incoming: RefCell<Option<Incoming>>,
    /// What was taken and has not left; it comes first.
    returned: RefCell<Option<Bytes>>,
    /// Nothing more comes of `incoming`.
    drained: Cell<bool>,
    limits: BodyLimits,
    taken: Cell<u64>,
    begun: Cell<bool>,
    ended: Cell<bool>,
    fault: Cell<Option<BodyFault>>,
    progress: Cell<Instant>,
    /// Whether the client is the one that is waited for.
    awaited: Cell<bool>,
    pause: RefCell<Alarm>,
    gate: Option<Gate>,
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
    pub fn new(incoming: Incoming, limits: BodyLimits, expects: bool) -> Self {
        if incoming.is_end_stream() {
            return Self(None);
        }
        Self(Some(Rc::new(Source {
            incoming: RefCell::new(Some(incoming)),
            returned: RefCell::new(None),
            drained: Cell::new(false),
            limits,
            taken: Cell::new(0),
            begun: Cell::new(false),
            ended: Cell::new(false),
            fault: Cell::new(None),
            progress: Cell::new(Instant::now()),
            awaited: Cell::new(false),
            pause: RefCell::new(Alarm::new()),
            gate: expects.then(Gate::new),
        })))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
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
            Pin::new(body).poll_frame(cx)
        };
        self.awaited.set(polled.is_pending());
        match polled {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(self.count(frame))),
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(self.fail(BodyFault::Broken)))),
            Poll::Ready(None) => {
                self.progress.set(Instant::now());
                self.drained.set(true);
                self.ended.set(true);
                Poll::Ready(None)
            }
            Poll::Pending => {
                let over = self
                    .pause
                    .borrow_mut()
                    .poll_pause(cx, || None, self.limits.pause);
                over.map(|()| Some(Err(self.fail(BodyFault::Stalled))))
            }
        }
    }

    fn count(&self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyFault> {
        self.progress.set(Instant::now());
        self.pause.borrow_mut().moved();
        let size = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.taken.set(self.taken.get() + size);
        if self
            .limits
            .size
            .is_some_and(|limit| self.taken.get() > limit)
        {
            return Err(self.fail(BodyFault::TooLarge));
        }
        Ok(frame)
    }

    fn fail(&self, fault: BodyFault) -> BodyFault {
        self.fault.set(Some(fault));
        fault
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let asked = self.gate.as_ref().is_none_or(|_| self.begun.get());
        if let Some(incoming) = self.incoming.take()
            && !self.ended.get()
            && self.fault.get().is_none()
            && asked
        {
            linger(incoming);
        }
    }
}

/// Reads on through a request's body that nobody wants, within bounds, so that the client, which may not listen
/// before it has sent everything, gets its answer and can use its connection again.
pub fn linger(mut body: Incoming) {
    if body.is_end_stream() || body.size_hint().lower() > LINGER.0 {
        return;
    }
    let reading = async move {
        let mut left = LINGER.0;
        while let Some(Ok(frame)) =
            std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
        {
            let size = frame.data_ref().map_or(0, |data| data.len() as u64);
            let Some(rest) = left.checked_sub(size) else {
                break;
            };
            left = rest;
        }
    };
    tokio::task::spawn_local(tokio::time::timeout(LINGER.1, reading));
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
