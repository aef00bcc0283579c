//! A failed answer that this visitor may see: it passes as it is, is recorded all the same, and no cache may keep it.
//!
//! The record is committed before the head goes out, as that of a page; a copy of the body, at most `capture.max_body` of it, is
//! made as it passes, and read into the record at its end, whatever that is.

use std::rc::Rc;
use std::sync::Arc;

use http::header::{CACHE_CONTROL, EXPIRES, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::Proxy;
use super::body::Body;
use super::exchange::Exchange;
use super::original::{Original, UNREAD};
use super::route::Route;
use super::viewer::Viewer;
use crate::incident::{Cause, Recorded};
use crate::intercept::{Capture, FailedAnswer};
use crate::upstream::{self, AnswerFault};

/// What caches between here and a visitor go by instead of `Cache-Control`.
const FOR_CACHES: [HeaderName; 2] = [
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("surrogate-control"),
];

/// Takes room for more bytes out of the memory that all captures share, while there is some.
type Room = Box<dyn FnMut(usize) -> bool + Send>;

/// What the record of a shown answer is made from. Its end, be it that the visitor has left, settles the record.
pub(super) struct Shown {
    proxy: Rc<Proxy>,
    recorded: Recorded,
    /// Whether it was committed before the visitor saw its ID.
    confirmed: bool,
    /// What is to be read; taken when that begins.
    copied: Option<(Capture<Room>, Original)>,
}

impl Proxy {
    /// Passes a failed answer on to somebody who may see it, and records it.
    pub(super) async fn show(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        route: &Arc<Route>,
        answer: FailedAnswer,
        viewer: Viewer,
    ) -> Response<Body> {
        let cause = match answer.disguised() {
            None => Cause::UpstreamStatus,
            Some(_) => Cause::Disguised,
        };
        self.count_failure(route, cause);
        self.log_shown(exchange, route, viewer);
        let shown = if route.policy.record {
            Some(self.record_shown(exchange, route, &answer, cause).await)
        } else {
            None
        };
        let mut response = self.pass(exchange, route, answer.original());
        keep_to_itself(response.headers_mut());
        if let (Body::Passing(passing), Some(shown)) = (response.body_mut(), shown) {
            passing.show(shown);
        }
        response
    }

    async fn record_shown(
        self: &Rc<Self>,
        exchange: &Exchange,
        route: &Arc<Route>,
        answer: &FailedAnswer,
        cause: Cause,
    ) -> Shown {
        let draft = self.draft(exchange, Some(route), cause, None);
        let mut draft = self.answered(draft, exchange, route, answer);
        draft.name(Some(UNREAD));
        draft.settled = false;
        let mut taken = self.incidents.budget().open();
        let room: Room = Box::new(move |bytes| taken.grow(bytes));
        let capture = Capture::beside(&answer.headers, &route.policy.capture, room);
        let original = Original::new(route, &answer.headers, exchange.begun).of(cause);
        let (recorded, commit) = self.desk.record(draft);
        let mut shown = Shown {
            proxy: Rc::clone(self),
            recorded: recorded.clone(),
            confirmed: false,
            copied: Some((capture, original)),
        };
        let span = self.span(exchange.begun);
        shown.confirmed = self.confirmed(&recorded, commit, span).await;
        shown
    }
}

impl Shown {
    /// Keeps a copy of a piece that passes.
    pub(super) fn copy(&mut self, piece: &[u8]) {
        if let Some((capture, _)) = &mut self.copied {
            capture.copy(piece);
        }
    }

    /// The app broke the answer off.
    pub(super) fn break_off(&mut self, fault: &AnswerFault) {
        if let Some((capture, _)) = &mut self.copied {
            capture.end(Some(upstream::chain(fault)));
        }
    }

    /// Nothing more passes; `whole` says whether all has.
    pub(super) fn end(&mut self, whole: bool) {
        if let Some((capture, _)) = &mut self.copied {
            let left = || "the visitor left before its end".to_owned();
            capture.end((!whole).then(left));
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let Some((capture, original)) = self.copied.take() else {
            return;
        };
        let proxy = Rc::clone(&self.proxy);
        let record = (self.recorded.clone(), self.confirmed);
        let work = proxy.settle_copy(record, original, capture.finish());
        drop(self.proxy.afterwork.detached(work));
    }
}

/// Has no cache keep an answer, and none that does so all the same give it to anybody else.
fn keep_to_itself(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.append(VARY, HeaderValue::from_static("cookie, x-pardon-bypass"));
    headers.remove(EXPIRES);
    for name in &FOR_CACHES {
        headers.remove(name);
    }
}
