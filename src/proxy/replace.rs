//! A failure becomes a page and a record under one ID.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use tokio::sync::oneshot;

use super::body::Body;
use super::disguised::evidence;
use super::exchange::Exchange;
use super::failure::{Outcome, Terms, outcome};
use super::route::Route;
use super::{Proxy, headers};
use crate::config;
use crate::config::units::Size;
use crate::incident::{Cause, Incident, UpstreamRecord};
use crate::intercept::{Capture, FailedAnswer, Failure};
use crate::page::Notice;
use crate::upstream::{self, AnswerFault, Seat, UpstreamError};

impl Proxy {
    /// Serves a page in the place of a failure, when its incident is committed or has been waited for long enough.
    pub(super) async fn replace(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        route: &Arc<Route>,
        failure: Failure,
    ) -> Response<Body> {
        match failure {
            Failure::Answered(answer) => match self.viewer(exchange, route) {
                Some(viewer) => self.show(exchange, route, answer, viewer).await,
                None => self.replace_answer(exchange, route, answer).await,
            },
            Failure::Unanswered(error) => self.replace_error(exchange, route, &error).await,
        }
    }

    async fn replace_answer(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        route: &Arc<Route>,
        answer: FailedAnswer,
    ) -> Response<Body> {
        let mut terms = match answer.disguised() {
            None => Terms::new(Cause::UpstreamStatus, Notice::AppFailed, answer.status),
            Some(found) => Terms::new(Cause::Disguised, Notice::AppFailed, found.status),
        };
        terms.retry_after = retry_after(route, &answer.headers, exchange.time);
        self.count_failure(route, terms.cause);
        let mut page = self.page(
            exchange,
            Some(route),
            terms,
            answer.headers.get(CONTENT_TYPE),
        );
        // It passes as the app wrote it, a date as a date.
        page.headers.remove(RETRY_AFTER);
        let listed = route.policy.kept(&answer.headers);
        headers::keep(&mut page.headers, &answer.headers, listed);
        if !route.policy.record {
            self.drain(route, answer).await;
            return self.respond(exchange, page);
        }
        let draft = self.draft(exchange, Some(route), terms.cause, Some(&page));
        let draft = self.answered(draft, exchange, route, &answer);
        let capture = self.capture(exchange, route, answer);
        self.kept(exchange, |ready| {
            Rc::clone(self).keep(draft, capture, ready)
        })
        .await;
        self.respond(exchange, page)
    }

    /// A draft with what its answer's head says.
    pub(super) fn answered(
        &self,
        mut draft: Incident,
        exchange: &Exchange,
        route: &Route,
        answer: &FailedAnswer,
    ) -> Incident {
        draft.upstream = Some(self.upstream_of_answer(route, answer));
        draft.reference = self.reference(exchange, route, &answer.headers);
        if let Some(found) = answer.disguised() {
            draft.evidence = evidence(&found.signs);
        }
        draft
    }

    /// Reads the body of an answer that nobody wants, so that its connection can be used again. What has not come yet is
    /// waited for behind the page.
    async fn drain(&self, route: &Route, answer: FailedAnswer) {
        let limits = config::Capture {
            max_body: Size(0),
            ..route.policy.capture.clone()
        };
        let ahead = answer.ahead().to_vec();
        let mut capture = Capture::new(answer.body, &answer.headers, limits, |_| true);
        capture.begin_with(&ahead);
        let mut draining = self.afterwork.detached(async move { capture.read().await });
        // Mostly it came with the head, and is over at once. What is left goes on when this is dropped.
        poll_fn(|cx| Poll::Ready(Pin::new(&mut draining).poll(cx).is_ready())).await;
    }

    async fn replace_error(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        route: &Arc<Route>,
        error: &UpstreamError,
    ) -> Response<Body> {
        let terms = match outcome(error.kind()) {
            Outcome::Failed(terms) => terms,
            Outcome::Refused(refusal) => return self.refuse(exchange, Some(route), refusal),
        };
        self.count_failure(route, terms.cause);
        let page = self.page(exchange, Some(route), terms, None);
        if !route.policy.record {
            return self.respond(exchange, page);
        }
        let mut draft = self.draft(exchange, Some(route), terms.cause, Some(&page));
        draft.upstream = Some(self.upstream_of_error(route, error));
        if error.withheld {
            // That it was not sent again makes it no other failure.
            draft.name(Some(&route.redactor.line(&error.chain())));
        }
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
        draft.name(Some(&self.settings.redactor(route.as_deref()).line(panic)));
        self.kept(exchange, |ready| Rc::clone(self).keep_bare(draft, ready))
            .await;
        self.respond(exchange, page)
    }

    /// Records a passing answer that the app broke off.
    pub(super) fn broken_off(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        route: &Arc<Route>,
        (status, seat): (StatusCode, &Seat),
        fault: &AnswerFault,
    ) {
        self.count_failure(route, Cause::BrokenOff);
        if !route.policy.record {
            return;
        }
        let mut draft = self.draft(exchange, Some(route), Cause::BrokenOff, None);
        draft.upstream = Some(UpstreamRecord {
            status: Some(status.as_u16()),
            endpoint: Arc::clone(seat.name()),
            error: Some(route.redactor.line(&upstream::chain(fault))),
            ..self.upstream_record(route)
        });
        let (ready, _) = oneshot::channel();
        drop(
            self.afterwork
                .detached(Rc::clone(self).keep_bare(draft, ready)),
        );
    }
}

/// The seconds from now that a `Retry-After` means which the page keeps (RFC 9110, 10.2.3).
fn retry_after(route: &Route, headers: &HeaderMap, now: SystemTime) -> Option<u32> {
    let mut kept = route.policy.kept(headers);
    let (_, value) = kept.find(|(name, _)| **name == RETRY_AFTER)?;
    seconds(value.to_str().ok()?.trim(), now)
}

/// A number of seconds, or those until a date; none of a date that is past.
fn seconds(text: &str, now: SystemTime) -> Option<u32> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let left = date.duration_since(now).ok()?;
    u32::try_from(left.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_wait_is_a_number_or_a_date_to_come() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, expected) in [
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:51:07 GMT", Some(90)),
            ("Sunday, 06-Nov-94 08:51:07 GMT", Some(90)),
            ("Sun, 06 Nov 1994 08:49:36 GMT", None),
            ("Fri, 31 Dec 9999 23:59:59 GMT", None),
            ("99999999999999999999", None),
            ("-5", None),
            ("soon", None),
        ] {
            assert_eq!(seconds(text, now), expected, "{text}");
        }
    }
}
