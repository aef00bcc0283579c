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
}

/// A request's body did not come whole: the client left, or broke its framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyBroken;

impl Incoming {
    pub(super) fn new(core: &Rc<RefCell<Core>>, exchange: u64) -> Self {
        Self(Some(Reader {
            core: Rc::clone(core),
            exchange,
        }))
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
            .with(|core| core.poll_body(cx))
            .unwrap_or(Poll::Ready(Some(Err(BodyBroken))))
    }

    fn is_end_stream(&self) -> bool {
        let reader = self.0.as_ref();
        reader.is_none_or(|reader| reader.with(|core| core.is_read()).unwrap_or_default())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Some(reader) => reader.with(|core| core.size_hint()).unwrap_or_default(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl fmt::Display for BodyBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request's body did not come whole")
    }
}

impl std::error::Error for BodyBroken {}
