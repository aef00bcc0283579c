//! The one body that visitors get: a page, or an app's answer on its way through.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{StatusCode, response};
use http_body::{Frame, SizeHint};

use super::Proxy;
use super::exchange::Exchange;
use super::route::Route;
use crate::telemetry::COUNTERS;
use crate::upstream::{AnswerBody, AnswerFault, Seat};

/// The body of a response.
pub enum Body {
    /// A page, whole; `None` once it is sent.
    Page(Option<Bytes>),
    /// An app's answer, piece by piece as it comes.
    Passing(Box<Passing>),
}

/// A passing answer, watched to its end: one that breaks off aborts the visitor's connection and is recorded.
pub struct Passing {
    body: AnswerBody,
    /// Where it comes from.
    seat: Rc<Seat>,
    proxy: Rc<Proxy>,
    exchange: Rc<Exchange>,
    route: Arc<Route>,
    status: StatusCode,
    /// Only the end of the connection tells the visitor where the answer ends.
    by_close: bool,
    /// The length of a body that a 304 states and does not send. hyper keeps the field only of a body that has it.
    stated: Option<u64>,
    sent: u64,
    /// What broke it off. The server hears of it once what came before has been written.
    fault: Option<AnswerFault>,
    ended: bool,
}

impl Passing {
    pub(super) fn new(
        proxy: &Rc<Proxy>,
        exchange: &Rc<Exchange>,
        route: &Arc<Route>,
        (head, by_close): (&response::Parts, bool),
        (body, seat): (AnswerBody, Rc<Seat>),
    ) -> Box<Self> {
        Box::new(Self {
            body,
            seat,
            proxy: Rc::clone(proxy),
            exchange: Rc::clone(exchange),
            route: Arc::clone(route),
            status: head.status,
            by_close,
            stated: stated(head),
            sent: 0,
            fault: None,
            ended: false,
        })
    }

    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        if let Some(fault) = self.fault.take() {
            return Poll::Ready(Some(Err(fault)));
        }
        let piece = self.body.poll_piece(cx);
        match &piece {
            Poll::Ready(Some(Ok(frame))) => {
                self.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            Poll::Ready(Some(Err(fault))) => {
                self.ended = true;
                if self.by_close {
                    self.exchange.peer.abort();
                }
                if let AnswerFault::Request(_) = fault {
                    COUNTERS.client_gone.add_one();
                } else {
                    let head = (self.status, &*self.seat);
                    self.proxy
                        .broken_off(&self.exchange, &self.route, head, fault);
                }
            }
            Poll::Ready(None) => self.ended = true,
            Poll::Pending => {}
        }
        if let Poll::Ready(Some(Err(fault))) = piece {
            // hyper throws away what it has not written when it hears of an error.
            self.fault = Some(fault);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        piece
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_over() {
            COUNTERS.client_gone.add_one();
        }
        self.proxy
            .log_access(&self.exchange, &self.route, self.status, self.sent);
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = AnswerFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        match &mut *self {
            Self::Page(page) => Poll::Ready(page.take().map(|page| Ok(Frame::data(page)))),
            Self::Passing(passing) => passing.poll_piece(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Page(page) => page.as_ref().is_none_or(Bytes::is_empty),
            Self::Passing(passing) => passing.stated.is_none() && passing.body.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Page(page) => {
                SizeHint::with_exact(page.as_ref().map_or(0, |page| page.len() as u64))
            }
            Self::Passing(passing) => passing
                .stated
                .map_or_else(|| passing.body.size_hint(), SizeHint::with_exact),
        }
    }
}

/// The length that a 304 states.
fn stated(head: &response::Parts) -> Option<u64> {
    if head.status != StatusCode::NOT_MODIFIED {
        return None;
    }
    head.headers
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}
