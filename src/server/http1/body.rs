//! A request's body, read from its connection by whoever wants it.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::core::Core;
use crate::server::BodyBroken;

/// Reads a request's body as long as its exchange lasts.
#[derive(Debug)]
pub(in crate::server) struct Reader {
    core: Rc<RefCell<Core>>,
    exchange: u64,
}

impl Reader {
    pub(super) fn new(core: &Rc<RefCell<Core>>, exchange: u64) -> Self {
        Self {
            core: Rc::clone(core),
            exchange,
        }
    }

    pub(in crate::server) fn poll_frame(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        self.with(|core| core.poll_body(cx))
            .unwrap_or(Poll::Ready(Some(Err(BodyBroken))))
    }

    pub(in crate::server) fn is_end_stream(&self) -> bool {
        self.with(|core| core.is_read()).unwrap_or_default()
    }

    pub(in crate::server) fn size_hint(&self) -> SizeHint {
        self.with(|core| core.size_hint()).unwrap_or_default()
    }

    fn with<T>(&self, look: impl FnOnce(&mut Core) -> T) -> Option<T> {
        let mut core = self.core.borrow_mut();
        core.is_at(self.exchange).then(|| look(&mut core))
    }
}
