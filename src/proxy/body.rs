//! The one body that visitors get: a page, or an app's answer on its way through.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Frame, SizeHint};

use super::Proxy;
use super::disguised::{Rest, Watched};
use super::exchange::Exchange;
use super::route::Route;
use super::show::Shown;
use super::trailers;
use crate::telemetry::{COUNTERS, names};
use crate::upstream::{AnswerFault, Seat};

/// The body of a response.
pub enum Body {
    /// A page, whole; `None` once it is sent.
    Page(Option<Bytes>),
    /// An app's answer, piece by piece as it comes.
    Passing(Box<Passing>),
}

/// A passing answer, watched to its end: one that breaks off aborts the visitor's connection and is recorded.
pub struct Passing {
    body: Rest,
    /// Where it comes from.
    seat: Rc<Seat>,
    proxy: Rc<Proxy>,
    exchange: Rc<Exchange>,
    route: Arc<Route>,
    status: StatusCode,
    sent: u64,
    ended: bool,
    /// What looks into it.
    watched: Option<Box<Watched>>,
    /// What its record is made from, where it is a failure that this visitor may see.
    shown: Option<Box<Shown>>,
}

impl Passing {
    pub(super) fn new(
        proxy: &Rc<Proxy>,
        exchange: &Rc<Exchange>,
        route: &Arc<Route>,
        status: StatusCode,
        (body, seat): (Rest, Rc<Seat>),
    ) -> Self {
        Self {
            body,
            seat,
            proxy: Rc::clone(proxy),
            exchange: Rc::clone(exchange),
            route: Arc::clone(route),
            status,
            sent: 0,
            ended: false,
            watched: None,
            shown: None,
        }
    }

    /// Has a copy kept of what passes.
    pub(super) fn show(&mut self, shown: Shown) {
        self.shown = Some(Box::new(shown));
    }

    /// The same, looked into.
    pub(super) fn watched(self, watched: Option<Box<Watched>>) -> Self {
        // It is dropped as a whole: no field can be taken out of it.
        let mut passing = self;
        passing.watched = watched;
        passing
    }

    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        let piece = self.body.poll_piece(cx);
        match &piece {
            Poll::Ready(Some(Ok(frame))) => {
                let data = frame.data_ref().map_or(&b""[..], |data| data);
                self.sent += data.len() as u64;
                if let Some(shown) = &mut self.shown {
                    shown.copy(data);
                }
                if self.looks_bad(data) {
                    self.ended = true;
                    self.body.close();
                    return Poll::Ready(Some(Err(AnswerFault::Withheld)));
                }
            }
            Poll::Ready(Some(Err(fault))) => {
                self.ended = true;
                // One record says it: that it broke off.
                self.watched = None;
                if let AnswerFault::Request(_) = fault {
                    COUNTERS.client_gone.add_one();
                } else if self.status == StatusCode::SWITCHING_PROTOCOLS {
                    // Protocols end as they like.
                    tracing::debug!({ names::REQUEST_ID } = self.exchange.id.as_str(), %fault, "a tunnel broke off");
                } else if let Some(shown) = &mut self.shown {
                    shown.break_off(fault);
                } else {
                    let head = (self.status, &*self.seat);
                    self.proxy
                        .broken_off(&self.exchange, &self.route, head, fault);
                }
            }
            Poll::Ready(None) => {
                self.ended = true;
                self.looks_bad(b"");
            }
            Poll::Pending => {}
        }
        piece
    }

    fn screen(&self, piece: Frame<Bytes>) -> Option<Frame<Bytes>> {
        trailers::screen(piece, &self.proxy.settings.request_id.header)
    }

    /// Looks into a piece; whether the answer is to be broken off for what was found.
    fn looks_bad(&mut self, data: &[u8]) -> bool {
        let Some(watched) = &mut self.watched else {
            return false;
        };
        let policy = &self.route.policy;
        let most = policy.capture.max_body.bytes();
        let found = watched.feed(data, self.body.is_over(), &self.proxy, most);
        watched.aborted = found
            && policy.aborts_disguised()
            && self.proxy.viewer(&self.exchange, &self.route).is_none();
        watched.aborted
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_over() {
            self.proxy.note_cut(&self.exchange);
        }
        if let Some(shown) = &mut self.shown {
            shown.end(self.body.is_over());
        }
        if let Some(watched) = self.watched.take() {
            self.proxy
                .record_disguised(&self.exchange, &self.route, *watched, self.sent);
        }
        self.proxy
            .note_answer(&self.exchange, &self.route, self.status, self.sent);
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
            Self::Passing(passing) => {
                let piece = ready!(passing.poll_piece(cx));
                Poll::Ready(match piece {
                    Some(Ok(piece)) => passing.screen(piece).map(Ok),
                    other => other,
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Page(page) => page.as_ref().is_none_or(Bytes::is_empty),
            Self::Passing(passing) => passing.body.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Page(page) => {
                SizeHint::with_exact(page.as_ref().map_or(0, |page| page.len() as u64))
            }
            Self::Passing(passing) => passing.body.size_hint(),
        }
    }
}
