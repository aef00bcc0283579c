//! A request's body, read from its connection by whoever wants it.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::core::Core;

/// A request's body. It can be read until the request is answered; dropped unread, what comes of it is thrown away.
#[derive(Debug, Default)]
pub struct Incoming(Option<Reader>);

#[derive(Debug)]
struct Reader {
    core: Rc<RefCell<Core>>,
    exchange: u64,
    part: Part,
}

/// What is read of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Body,
    /// No body, but what comes after a switch is there to be taken.
    Offer,
    /// What comes after the switch.
    Tunnel,
}

/// A request's body did not come whole: the client left, or broke its framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyBroken;

impl Incoming {
    pub(super) fn new(core: &Rc<RefCell<Core>>, exchange: u64) -> Self {
        Self::of(core, exchange, Part::Body)
    }

    /// No body, of a request that asks for another protocol.
    pub(super) fn offer(core: &Rc<RefCell<Core>>, exchange: u64) -> Self {
        Self::of(core, exchange, Part::Offer)
    }

    fn of(core: &Rc<RefCell<Core>>, exchange: u64, part: Part) -> Self {
        Self(Some(Reader {
            core: Rc::clone(core),
            exchange,
            part,
        }))
    }

    /// Takes what the client sends after its connection has switched to another protocol; none where the request asks for
    /// no switch. It brings nothing before the server has begun to write a 101 as the answer, and ends with what the client
    /// sends.
    pub fn tunnel(&mut self) -> Option<Self> {
        let reader = self.0.take_if(|reader| reader.part == Part::Offer)?;
        reader.with(Core::ask)?;
        Some(Self(Some(Reader {
            part: Part::Tunnel,
            ..reader
        })))
    }
}

impl Reader {
    fn with<T>(&self, look: impl FnOnce(&mut Core) -> T) -> Option<T> {
        let mut core = self.core.borrow_mut();
        core.is_at(self.exchange).then(|| look(&mut core))
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = BodyBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        let Some(reader) = &self.0 else {
            return Poll::Ready(None);
        };
        reader
            .with(|core| match reader.part {
                Part::Body => core.poll_body(cx),
                Part::Offer => Poll::Ready(None),
                Part::Tunnel => core.poll_tunnel(cx),
            })
            .unwrap_or(Poll::Ready(Some(Err(BodyBroken))))
    }

    fn is_end_stream(&self) -> bool {
        let reader = self.0.as_ref();
        reader.is_none_or(|reader| match reader.part {
            Part::Body => reader.with(|core| core.is_read()).unwrap_or_default(),
            Part::Offer => true,
            Part::Tunnel => false,
        })
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Some(reader) if reader.part == Part::Body => {
                reader.with(|core| core.size_hint()).unwrap_or_default()
            }
            Some(reader) if reader.part == Part::Tunnel => SizeHint::new(),
            Some(_) | None => SizeHint::with_exact(0),
        }
    }
}

impl fmt::Display for BodyBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request's body did not come whole")
    }
}

impl std::error::Error for BodyBroken {}
