//! A passing answer that turns out to be a failure: what of it is kept, and its record.
//!
//! The text is kept from where it is at hand when the failure is found: from the beginning of an answer that is found
//! soon, else from shortly before the first sign.

use std::hash::BuildHasher;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use foldhash::quality::FixedState;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Frame;
use tokio::sync::oneshot;

use super::Proxy;
use super::exchange::Exchange;
use super::original::Original;
use super::route::Route;
use crate::incident::{Cause, Evidence, Reservation, UpstreamRecord};
use crate::intercept::disguise::{Sign, Watch};
use crate::intercept::{Ahead, Raw};
use crate::telemetry;
use crate::upstream::{AnswerBody, AnswerFault};

/// What is kept of a page that stops before its end, in bytes: the last of it.
const END_KEPT: usize = 8 << 10;

/// A passing answer that is looked into.
pub(super) struct Watched {
    watch: Box<Watch>,
    /// The head as the app sent it.
    head: Head,
    /// The memory of what is kept of it, once it is found.
    room: Option<Reservation>,
    /// Whether the answer was broken off for what was found.
    pub(super) aborted: bool,
}

/// What a record says of an answer's head.
pub(super) struct Head {
    status: StatusCode,
    fields: Fields,
    endpoint: Arc<str>,
    attempts: u32,
    took: Duration,
}

/// The body of a passing answer: what was read before it was decided on, then the rest.
pub(super) struct Rest {
    pub(super) ahead: Ahead,
    pub(super) body: AnswerBody,
}

/// Header fields as they may be needed again, which is seldom: one allocation.
struct Fields(Vec<u8>);

impl Fields {
    fn of(headers: &HeaderMap) -> Self {
        let length =
            |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 2;
        let mut lines = Vec::with_capacity(headers.iter().map(length).sum());
        for (name, value) in headers {
            // Neither name nor value has a line's end.
            for part in [name.as_str().as_bytes(), b":", value.as_bytes(), b"\n"] {
                lines.extend_from_slice(part);
            }
        }
        Self(lines)
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in self.0.split(|byte| *byte == b'\n') {
            let mut parts = line.splitn(2, |byte| *byte == b':');
            let name = parts.next().map(HeaderName::from_bytes);
            let value = parts.next().map(HeaderValue::from_bytes);
            if let (Some(Ok(name)), Some(Ok(value))) = (name, value) {
                headers.append(name, value);
            }
        }
        headers
    }
}

impl Head {
    pub(super) fn new(head: &Parts, endpoint: &Arc<str>, attempts: u32, took: Duration) -> Self {
        Self {
            status: head.status,
            fields: Fields::of(&head.headers),
            endpoint: Arc::clone(endpoint),
            attempts,
            took,
        }
    }
}

impl Watched {
    pub(super) fn new(watch: Box<Watch>, head: Head) -> Self {
        Self {
            watch,
            head,
            room: None,
            aborted: false,
        }
    }

    /// Looks at the next piece; whether the answer is now found to be a failure.
    pub(super) fn feed(&mut self, piece: &[u8], last: bool, proxy: &Proxy, most: usize) -> bool {
        self.watch.feed(piece, last);
        let found = self.watch.is_found();
        if found && self.room.is_none() {
            let mut room = proxy.incidents.budget().open();
            let most = if room.grow(most) { most } else { 0 };
            self.watch.keep(most);
            self.room = Some(room);
        }
        found
    }
}

impl Rest {
    pub(super) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        match self.ahead.pop_front() {
            Some(piece) => Poll::Ready(Some(piece)),
            None => self.body.poll_piece(cx),
        }
    }

    /// Closes the connection; nothing more comes.
    pub(super) fn close(&mut self) {
        self.ahead.clear();
        self.body.close();
    }

    pub(super) fn is_over(&self) -> bool {
        self.ahead.is_empty() && self.body.is_over()
    }

    pub(super) fn size_hint(&self) -> http_body::SizeHint {
        let hint = self.body.size_hint();
        let data =
            |piece: &Result<Frame<Bytes>, _>| Some(piece.as_ref().ok()?.data_ref()?.len() as u64);
        let ahead: u64 = self.ahead.iter().filter_map(data).sum();
        let mut whole = http_body::SizeHint::new();
        whole.set_lower(hint.lower() + ahead);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + ahead);
        }
        whole
    }
}

impl Proxy {
    /// Records a passing answer that was found to be a failure, if it was; `seen` bytes of it have passed.
    pub(super) fn record_disguised(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        route: &Arc<Route>,
        watched: Watched,
        seen: u64,
    ) {
        let Watched {
            mut watch,
            head,
            mut room,
            aborted,
        } = watched;
        if !watch.is_found() {
            let rules = route.policy.disguise.as_ref();
            let misses = rules.is_some_and(|rules| rules.misses_end(exchange.uri.path(), &watch));
            if !misses {
                return;
            }
            let mut reserved = self.incidents.budget().open();
            watch.find_unfinished(if reserved.grow(END_KEPT) { END_KEPT } else { 0 });
            room = Some(reserved);
        }
        self.count_failure(route, Cause::Disguised);
        if !route.policy.record {
            return;
        }
        let headers = head.fields.headers();
        let mut draft = self.draft(exchange, Some(route), Cause::Disguised, None);
        draft.upstream = Some(UpstreamRecord {
            status: Some(head.status.as_u16()),
            headers: route.redactor.headers(&headers),
            endpoint: head.endpoint,
            attempts: head.attempts,
            head_ms: Some(telemetry::milliseconds(head.took)),
            ..self.upstream_record(route)
        });
        draft.reference = self.reference(exchange, route, &headers);
        draft.evidence = evidence(watch.signs());
        let original = Original::new(route, &headers, exchange.begun).of(Cause::Disguised);
        let (text, whole) = watch.kept();
        let trouble = aborted.then(|| "the answer was broken off when it was found".to_owned());
        let raw = Raw::of_text(text, seen, whole, trouble);
        let (ready, _) = oneshot::channel();
        let work = Rc::clone(self).keep_text(draft, original, (raw, room), ready);
        drop(self.afterwork.detached(work));
    }
}

/// Whether an exchange is of a sample of this share: by its ID, so that workers need no count.
pub(super) fn is_sampled(exchange: &Exchange, share: f64) -> bool {
    let hash = FixedState::default().hash_one(exchange.id.as_str());
    // The upper half, which a float holds exactly.
    let [_, _, _, _, high @ ..] = hash.to_le_bytes();
    f64::from(u32::from_le_bytes(high)) < share * f64::from(u32::MAX)
}

/// What was found, as records have it.
pub(super) fn evidence(signs: &[Sign]) -> Vec<Evidence> {
    let each = |sign: &Sign| Evidence {
        signature: sign.signature.clone(),
        framework: sign.framework.clone(),
        weight: sign.weight,
        offset: sign.offset,
    };
    signs.iter().map(each).collect()
}
