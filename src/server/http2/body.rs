//! A request's body, read from its stream by whoever wants it.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Response, StatusCode};
use http_body::{Frame, SizeHint};

use crate::http1::are_tokens;
use crate::server::BodyBroken;

/// Where an answer goes: to the exchange, which sends it, and to the reader of a body that the client waits to be asked for.
pub(super) type Respond = Rc<RefCell<SendResponse<Bytes>>>;

/// Reads a request's body. The client's window opens as it is read, so a slow reader holds up its own stream alone; dropped,
/// it says that nothing more is wanted as soon as the answer is out (RFC 9113, 8.1).
#[derive(Debug)]
pub(in crate::server) struct Reader {
    stream: RecvStream,
    /// How much is still to come, where that was stated. The frames are held against it as they come.
    left: Option<u64>,
    /// Where to ask for the body, as long as the client waits for that (RFC 9110, 10.1.1).
    unasked: Option<Respond>,
    /// Whether its data has ended: what can still come are trailers.
    ended: bool,
}

impl Reader {
    pub(super) fn new(stream: RecvStream, length: Option<u64>, unasked: Option<Respond>) -> Self {
        Self {
            stream,
            left: length,
            unasked,
            ended: false,
        }
    }

    pub(in crate::server) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        if let Some(respond) = self.unasked.take() {
            ask(&respond);
        }
        if !self.ended {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => return Poll::Ready(Some(self.take(data))),
                Some(Err(_)) => return Poll::Ready(Some(Err(BodyBroken))),
                None => self.ended = true,
            }
        }
        Poll::Ready(match ready!(self.stream.poll_trailers(cx)) {
            Ok(Some(trailers)) if are_tokens(&trailers) => Some(Ok(Frame::trailers(trailers))),
            Ok(None) => None,
            Ok(Some(_)) | Err(_) => Some(Err(BodyBroken)),
        })
    }

    pub(in crate::server) fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    pub(in crate::server) fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }

    fn take(&mut self, data: Bytes) -> Result<Frame<Bytes>, BodyBroken> {
        let size = data.len();
        // It never gives back more than it was given.
        (self.stream.flow_control())
            .release_capacity(size)
            .map_err(|_| BodyBroken)?;
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(size as u64);
        }
        Ok(Frame::data(data))
    }
}

/// Asks a client for its body. Where the answer is out already, or the client has left, it need not be asked.
fn ask(respond: &Respond) {
    let mut asking = Response::new(());
    *asking.status_mut() = StatusCode::CONTINUE;
    drop(respond.borrow_mut().send_informational(asking));
}
