//! What is read of a request: its body, or what follows the switch to another protocol.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::core::Core;
use crate::server::BodyBroken;

/// Reads a part of a request as long as its exchange lasts.
#[derive(Debug)]
pub(in crate::server) struct Reader {
    core: Rc<RefCell<Core>>,
    exchange: u64,
    part: Part,
}

/// What is read of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Body,
    /// What comes after the switch: nothing before the server has begun to write a 101 as the answer.
    Tunnel,
}

impl Reader {
    pub(super) fn new(core: &Rc<RefCell<Core>>, exchange: u64) -> Self {
        Self {
            core: Rc::clone(core),
            exchange,
            part: Part::Body,
        }
    }

    /// Reads what comes after a switch that a request offers.
    pub(super) fn of_tunnel(core: &Rc<RefCell<Core>>, exchange: u64) -> Self {
        Self {
            part: Part::Tunnel,
            ..Self::new(core, exchange)
        }
    }

    /// Somebody wants it: what comes after a switch is then kept for that.
    pub(in crate::server) fn ask(&self) {
        if self.part == Part::Tunnel {
            self.with(Core::ask);
        }
    }

    pub(in crate::server) fn poll_frame(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        let read = self.with(|core| match self.part {
            Part::Body => core.poll_body(cx),
            Part::Tunnel => core.poll_tunnel(cx),
        });
        read.unwrap_or(Poll::Ready(Some(Err(BodyBroken))))
    }

    pub(in crate::server) fn is_end_stream(&self) -> bool {
        match self.part {
            Part::Body => self.with(|core| core.is_read()).unwrap_or_default(),
            Part::Tunnel => false,
        }
    }

    pub(in crate::server) fn size_hint(&self) -> SizeHint {
        match self.part {
            Part::Body => self.with(|core| core.size_hint()).unwrap_or_default(),
            Part::Tunnel => SizeHint::new(),
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Core) -> T) -> Option<T> {
        let mut core = self.core.borrow_mut();
        core.is_at(self.exchange).then(|| look(&mut core))
    }
}
