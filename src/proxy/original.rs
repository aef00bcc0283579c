//! What a capture brought, read: decoded, redacted, and said in one line.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::route::Route;
use crate::incident::{self, Amendment, BodyRecord, Cause, Incident, Redacted};
use crate::intercept::Raw;

/// What is said of a failure whose text was not read, or not yet.
pub(super) const UNREAD: &str = "the app's text was not read to its end";
/// How many bytes a reference has at most.
const REFERENCE: usize = 200;

/// How an original is to be read; may be taken to another thread.
#[derive(Clone)]
pub(super) struct Original {
    route: Arc<Route>,
    media_type: Option<String>,
    coding: Option<String>,
    /// When the exchange began.
    pub(super) begun: Instant,
    /// Why it failed.
    cause: Cause,
}

/// An original that is being read. Nothing comes of one whose reading panicked.
pub(super) enum Reading {
    /// It was small.
    Done(Option<Amendment>),
    /// On another thread.
    Apart(oneshot::Receiver<Amendment>),
}

impl Original {
    /// The original of an answer with these headers.
    pub(super) fn new(route: &Arc<Route>, headers: &HeaderMap, begun: Instant) -> Self {
        let text = |name| {
            let value: &HeaderValue = headers.get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Self {
            route: Arc::clone(route),
            media_type: text(CONTENT_TYPE),
            coding: text(CONTENT_ENCODING),
            begun,
            cause: Cause::UpstreamStatus,
        }
    }

    /// The same, of a failure with another cause.
    pub(super) fn of(self, cause: Cause) -> Self {
        Self { cause, ..self }
    }

    /// What it says of its incident: the body, and the words that follow from it.
    pub(super) fn described(self, raw: Raw) -> Amendment {
        let captured = raw.decoded();
        let text = incident::to_utf8(captured.content, self.media_type.as_deref());
        // From here on nothing sees the secrets.
        let Redacted { text, marks } = self.route.redactor.text(text);
        // What went wrong with the body says something only where the body says nothing.
        let empty = text.is_empty();
        let trouble = captured.trouble.as_deref().filter(|_| empty);
        let media_type = self.media_type.as_deref();
        let route = &self.route.name;
        let found = incident::describe(self.cause, route, media_type, &text, trouble);
        Amendment {
            fingerprint: found.fingerprint,
            // Where a page was read as text, parts that tags had kept apart stand together.
            summary: self.route.redactor.line(&found.summary),
            error: captured.trouble,
            reference: self.reference(&text),
            body: BodyRecord {
                content_type: self.media_type,
                content_encoding: self.coding,
                bytes: captured.seen,
                kept: text.len() as u64,
                complete: captured.complete,
                decoded: captured.decoded,
                redactions: marks,
                content: text,
            },
        }
    }

    /// Gives a draft what has come so far, unless that is too much to be read here.
    pub(super) fn begin(self, draft: &mut Incident, raw: Raw) {
        if raw.is_large() {
            draft.name(Some(UNREAD));
        } else {
            draft.amend(self.described(raw));
        }
    }

    /// The app's own reference, as `reference_pattern` finds it.
    fn reference(&self, content: &[u8]) -> Option<String> {
        let pattern = self.route.policy.reference.as_ref()?;
        let found = pattern.captures(content)?.get(1)?.as_bytes();
        let found = found.get(..REFERENCE).unwrap_or(found);
        Some(String::from_utf8_lossy(found).into_owned())
    }
}

impl Future for Reading {
    type Output = Option<Amendment>;

    /// Not to be polled again when it is ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Done(found) => Poll::Ready(found.take()),
            Self::Apart(receiver) => Pin::new(receiver).poll(cx).map(Result::ok),
        }
    }
}
