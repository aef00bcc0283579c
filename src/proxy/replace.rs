//! A failure becomes a page and a record under one ID.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::body::Body;
use super::exchange::Exchange;
use super::failure::{Outcome, Terms, outcome};
use super::route::Route;
use super::{Proxy, headers};
use crate::incident::{self, Amendment, BodyRecord, Cause, Confirmation, Incident, UpstreamRecord};
use crate::intercept::{Capture, Captured, FailedAnswer, Failure};
use crate::page::Notice;
use crate::telemetry::COUNTERS;
use crate::upstream::{self, AnswerFault, UpstreamError};

impl Proxy {
    /// Serves a page in the place of a failure, when its incident is committed or has been waited for long enough.
    pub(super) async fn replace(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        route: &Arc<Route>,
        failure: Failure,
    ) -> Response<Body> {
        match failure {
            Failure::Answered(answer) => self.replace_answer(exchange, route, answer).await,
            Failure::Unanswered(error) => self.replace_error(exchange, route, &error).await,
        }
    }

    async fn replace_answer(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        route: &Arc<Route>,
        answer: FailedAnswer,
    ) -> Response<Body> {
        let mut terms = Terms::new(Cause::UpstreamStatus, Notice::AppFailed, answer.status);
        terms.retry_after = retry_after(route, &answer.headers);
        let mut page = self.page(
            exchange,
            Some(route),
            terms,
            answer.headers.get(CONTENT_TYPE),
        );
        let listed = route.policy.kept(&answer.headers);
        headers::keep(&mut page.headers, &answer.headers, listed);
        let mut draft = self.draft(exchange, Some(route), terms.cause, Some(&page));
        draft.upstream = Some(self.upstream_of_answer(route, &answer));
        let capture = self.capture(exchange, route, answer);
        self.kept(exchange, |ready| {
            Rc::clone(self).keep(draft, capture, ready)
        })
        .await;
        self.respond(exchange, page)
    }

    async fn replace_error(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        route: &Arc<Route>,
        error: &UpstreamError,
    ) -> Response<Body> {
        let terms = match outcome(error.kind()) {
            Outcome::Failed(terms) => terms,
            Outcome::Refused(refusal) => return self.refuse(exchange, Some(route), refusal, None),
        };
        let page = self.page(exchange, Some(route), terms, None);
        let mut draft = self.draft(exchange, Some(route), terms.cause, Some(&page));
        draft.upstream = Some(self.upstream_of_error(route, error));
        self.kept(exchange, |ready| Rc::clone(self).keep_bare(draft, ready))
            .await;
        self.respond(exchange, page)
    }

    /// Serves a page after a panic, and records what it said.
    pub(super) async fn fail(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        panic: &str,
    ) -> Response<Body> {
        let route = self.find(exchange).cloned();
        let page = self.page(exchange, route.as_ref(), Terms::INTERNAL, None);
        let mut draft = self.draft(exchange, route.as_ref(), Terms::INTERNAL.cause, Some(&page));
        draft.name(Some(panic));
        self.kept(exchange, |ready| Rc::clone(self).keep_bare(draft, ready))
            .await;
        self.respond(exchange, page)
    }

    /// Records a passing answer that the app broke off.
    pub(super) fn broken_off(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        route: &Arc<Route>,
        status: StatusCode,
        fault: &AnswerFault,
    ) {
        let mut draft = self.draft(exchange, Some(route), Cause::BrokenOff, None);
        draft.upstream = Some(UpstreamRecord {
            status: Some(status.as_u16()),
            error: Some(upstream::chain(fault)),
            ..self.upstream_record(route)
        });
        let (ready, _) = oneshot::channel();
        drop(
            self.afterwork
                .detached(Rc::clone(self).keep_bare(draft, ready)),
        );
    }

    /// Waits until a record is committed or was waited for long enough. The work goes on if the visitor leaves, or if
    /// more of it is left than a page waits for.
    async fn kept<W: Future<Output = ()> + 'static>(
        &self,
        exchange: &Exchange,
        work: impl FnOnce(oneshot::Sender<()>) -> W,
    ) {
        let (ready, page_may_go) = oneshot::channel();
        let mut work = self.afterwork.detached(work(ready));
        tokio::select! {
            biased;
            () = &mut work => {}
            sent = page_may_go => {
                if sent.is_err() {
                    tracing::error!(request_id = %exchange.id, "the incident's work ended without a word");
                }
            }
        }
    }

    /// Captures the body, as long as the page may be held, and records it; what comes later is added to the record. The
    /// log has the whole of it: its line is written when the capture ends.
    async fn keep<R: FnMut(usize) -> bool>(
        self: Rc<Self>,
        mut draft: Incident,
        captured: Capturing<R>,
        ready: oneshot::Sender<()>,
    ) {
        let Capturing {
            mut capture,
            hold,
            kind,
            begun,
        } = captured;
        let whole = tokio::select! {
            biased;
            read = timeout(hold, capture.read()) => read.is_ok(),
            () = self.afterwork.hurried() => false,
        };
        if whole {
            let found = described(&draft, capture.finish(), &kind);
            draft.amend(found);
            let incident = self.commit(draft, begun).await;
            incident::log(&incident, self.settings.log_body);
            // Where nobody waits any more the visitor has left.
            let _ = ready.send(());
            return;
        }
        let found = described(&draft, capture.so_far(), &kind);
        draft.amend(found);
        let incident = self.commit(draft, begun).await;
        let _ = ready.send(());
        tokio::select! {
            biased;
            () = capture.read() => {}
            () = self.afterwork.hurried() => {}
        }
        let found = described(&incident, capture.finish(), &kind);
        let incident = self.incidents.amend(&incident, found);
        incident::log(&incident, self.settings.log_body);
    }

    /// Records a failure that has no body.
    async fn keep_bare(self: Rc<Self>, mut draft: Incident, ready: oneshot::Sender<()>) {
        if draft.summary.is_empty() {
            let upstream = draft.upstream.as_ref();
            let error = upstream.and_then(|upstream| upstream.error.clone());
            draft.name(error.as_deref());
        }
        let begun = Instant::now().checked_sub(draft.duration);
        let incident = self.commit(draft, begun.unwrap_or_else(Instant::now)).await;
        incident::log(&incident, self.settings.log_body);
        let _ = ready.send(());
    }

    /// Records an incident of an exchange that began then, and waits for its commit at most as long as a page may.
    async fn commit(&self, mut incident: Incident, begun: Instant) -> Arc<Incident> {
        incident.duration = begun.elapsed();
        let commit = self.incidents.record(incident);
        let incident = Arc::clone(commit.incident());
        if timeout(self.settings.commit_wait, commit).await != Ok(Confirmation::Committed) {
            COUNTERS.unconfirmed.add_one();
        }
        incident
    }

    fn capture(
        &self,
        exchange: &Exchange,
        route: &Route,
        answer: FailedAnswer,
    ) -> Capturing<impl FnMut(usize) -> bool + use<>> {
        let limits = route.policy.capture.clone();
        let mut reservation = self.incidents.budget().reserve(0);
        let room = move |bytes| reservation.as_mut().is_some_and(|taken| taken.grow(bytes));
        Capturing {
            hold: *limits.hold,
            kind: ContentKind::of(&answer.headers),
            begun: exchange.begun,
            capture: Capture::new(answer.body, &answer.headers, limits, room),
        }
    }
}

/// A capture on its way into a record.
struct Capturing<R> {
    capture: Capture<R>,
    /// How long the page waits for it.
    hold: Duration,
    kind: ContentKind,
    /// When the exchange began.
    begun: Instant,
}

/// What a record says of a body's kind.
#[derive(Clone, Debug)]
struct ContentKind {
    media_type: Option<String>,
    coding: Option<String>,
}

impl ContentKind {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name| {
            let value: &HeaderValue = headers.get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Self {
            media_type: text(CONTENT_TYPE),
            coding: text(CONTENT_ENCODING),
        }
    }
}

/// What a capture says of an incident: the body, and the words that follow from it.
fn described(incident: &Incident, captured: Captured, kind: &ContentKind) -> Amendment {
    // What went wrong with the body says something only where the body says nothing.
    let empty = captured.content.is_empty();
    let trouble = captured.trouble.as_deref().filter(|_| empty);
    let (cause, route) = (incident.cause, &incident.route);
    let media_type = kind.media_type.as_deref();
    let description = incident::describe(cause, route, media_type, &captured.content, trouble);
    Amendment {
        fingerprint: description.fingerprint,
        summary: description.summary,
        error: captured.trouble,
        body: BodyRecord {
            content_type: kind.media_type.clone(),
            content_encoding: kind.coding.clone(),
            bytes: captured.seen,
            kept: captured.content.len() as u64,
            complete: captured.complete,
            decoded: captured.decoded,
            redactions: 0,
            content: captured.content,
        },
    }
}

/// The seconds of a `Retry-After` that the page keeps; a date stays as it is.
fn retry_after(route: &Route, headers: &HeaderMap) -> Option<u32> {
    let mut kept = route.policy.kept(headers);
    let (_, value) = kept.find(|(name, _)| **name == RETRY_AFTER)?;
    value.to_str().ok()?.trim().parse().ok()
}
