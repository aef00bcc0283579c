//! The way of a request: from its head to its passing answer or its page.
//!
//! [`Proxy::handle`] always returns a response, never an error. What a client's disappearance cancels: waiting for the
//! app's head, and a passing answer. What it does not: a capture under way and its incident (see `afterwork`).

mod afterwork;
mod body;
mod disguised;
mod downtime;
mod exchange;
mod failure;
mod forward;
mod glance;
mod headers;
mod keep;
mod original;
mod record;
mod refuse;
mod replace;
mod route;
mod screen;
mod show;
mod standing;
mod trace;
mod trailers;
mod upgrade;
mod viewer;
mod vouched;

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use ipnet::IpNet;

use crate::bypass::Key;
use crate::config;
use crate::incident::{Desk, Incidents};
use crate::intercept::{self, Looked, Verdict};
use crate::maintenance::Board;
use crate::page::Pages;
use crate::request_id::IdSource;
use crate::server::{Incoming, Peer, Unreadable};
use crate::telemetry::Meter;
use crate::upstream::{Answer, BodyLimits, Client, Upstream, UpstreamError};

use afterwork::Afterwork;
use exchange::Exchange;
use refuse::Refusal;
use trace::TraceSource;

pub use body::Body;
pub use downtime::Downtime;
pub use route::{Route, signature_problems};
pub use standing::{Proxies, Worker};

/// What one configuration comes to: the same for all workers, and for an exchange from its beginning to its end.
pub struct Snapshot {
    /// The first that matches wins.
    pub routes: Vec<Arc<Route>>,
    /// The apps, with how each wants its `Host`.
    pub upstreams: Vec<(Arc<Upstream>, config::HostHeader)>,
    /// Pages for requests that no route is for.
    pub pages: Pages,
    /// What is taken out of log lines where no route says it.
    pub redactor: crate::incident::Redactor,
    /// The request ID's header, and whose IDs are kept.
    pub request_id: config::RequestIdHeader,
    /// Whose forwarding fields are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether `Via` is set.
    pub via: bool,
    /// What becomes of a request without a trace.
    pub traceparent: config::Traceparent,
    /// What bounds a request's head.
    pub limits: config::Limits,
    /// What bounds a request's body.
    pub body_limits: BodyLimits,
    /// How long nothing may move in a tunnel.
    pub tunnel_idle: Duration,
    /// The access log's form.
    pub access: config::AccessFormat,
    /// How much of a body the log line holds, in bytes.
    pub log_body: usize,
    /// How long a page waits for its incident's commit.
    pub commit_wait: Duration,
    /// This process's name in its records.
    pub instance: Arc<str>,
    /// What tells tokens that show original answers; none where there is no bypass.
    pub bypass: Option<Key>,
    /// What `pardon maintenance` has ordered.
    pub board: Arc<Board>,
}

/// A worker's proxy under one configuration. An exchange, the body of its answer and what is recorded of it hold the one that the
/// exchange began with; when the last lets go, connections to apps that are not in force any more have closed.
pub struct Proxy {
    settings: Arc<Snapshot>,
    clients: Vec<Client>,
    ids: Rc<IdSource>,
    traces: TraceSource,
    incidents: Incidents,
    desk: Rc<Desk>,
    meter: Meter,
    afterwork: Afterwork,
}

impl Proxy {
    async fn answer(self: &Rc<Self>, exchange: &Rc<Exchange>, body: Incoming) -> Response<Body> {
        if let Err(refusal) = screen::screen(exchange, &self.settings.limits) {
            return self.refuse(exchange, None, refusal);
        }
        let Some(route) = self.find(exchange) else {
            return self.refuse(exchange, None, Refusal::NoRoute);
        };
        if let Some(instead) = self.instead(exchange, route) {
            return instead;
        }
        let answer = self.forward(exchange, route, body).await;
        self.count_retries(route, &answer);
        let sampled = |share| disguised::is_sampled(exchange, share);
        match intercept::judge(answer, &route.policy, &exchange.method, sampled) {
            Verdict::Pass(passed) => self.pass(exchange, route, passed),
            // Boxed, as is all that is rare: the future of a passing request is moved about and stays small.
            Verdict::Look(look) => match Box::pin(look.decide(&route.policy)).await {
                Looked::Pass(passed) => self.pass(exchange, route, passed),
                Looked::Replace(failure) => Box::pin(self.replace(exchange, route, failure)).await,
            },
            Verdict::Replace(failure) => Box::pin(self.replace(exchange, route, failure)).await,
        }
    }

    /// The answer to a request that is none of the app's business, for now.
    fn instead(&self, exchange: &Exchange, route: &Route) -> Option<Response<Body>> {
        self.last_hop(exchange, route)
            .or_else(|| self.link(exchange, route))
            .or_else(|| self.downtime(exchange, route))
    }

    /// The answer to an OPTIONS request that may go no further (RFC 9110, 7.6.2): that there is somebody here.
    fn last_hop(&self, exchange: &Exchange, route: &Route) -> Option<Response<Body>> {
        if exchange.hops_left()? > 0 {
            return None;
        }
        let mut response = Response::new(Body::Page(None));
        let name = self.settings.request_id.header.clone();
        let headers = response.headers_mut();
        headers.insert(name, exchange.id_value.clone());
        exchange.close_after(headers);
        self.note_answer(exchange, route, StatusCode::OK, 0);
        Some(response)
    }

    fn count_retries(&self, route: &Route, answer: &Result<Answer, UpstreamError>) {
        let attempts = match answer {
            Ok(answer) => answer.attempts,
            Err(error) => error.attempts,
        };
        if attempts > 1 {
            let upstream = self.upstream_record(route).name;
            self.meter.retries(&upstream, attempts - 1);
        }
    }

    fn find(&self, exchange: &Exchange) -> Option<&Arc<Route>> {
        self.settings
            .routes
            .iter()
            .find(|route| route.matches(exchange))
    }
}

impl Proxy {
    /// Answers one request. Dropped, it leaves running what a client's disappearance does not cancel.
    pub async fn handle(
        self: Rc<Self>,
        request: Request<Incoming>,
        peer: Rc<Peer>,
    ) -> Response<Body> {
        let (head, body) = request.into_parts();
        let sources = (&*self.ids, &self.traces);
        let exchange = Rc::new(Exchange::begin(head, peer, sources, &self.settings));
        let mut leaving = Leaving {
            gone: true,
            of: (&self, &exchange),
        };
        let response = match caught(self.answer(&exchange, body)).await {
            Ok(response) => response,
            Err(panic) => Box::pin(self.fail(&exchange, &panic)).await,
        };
        leaving.gone = false;
        response
    }

    /// Answers a request that cannot be read.
    pub fn unreadable(
        self: Rc<Self>,
        request: Request<()>,
        why: Unreadable,
        peer: Rc<Peer>,
    ) -> Response<Body> {
        let (head, ()) = request.into_parts();
        let exchange = Rc::new(Exchange::begin(
            head,
            peer,
            (&self.ids, &self.traces),
            &self.settings,
        ));
        self.refuse(&exchange, None, Refusal::Unreadable(why))
    }
}

/// Notes an exchange that is dropped before there is an answer.
struct Leaving<'a> {
    gone: bool,
    of: (&'a Proxy, &'a Exchange),
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let (proxy, exchange) = self.of;
        if self.gone {
            proxy.note_cut(exchange);
        }
    }
}

pin_project_lite::pin_project! {
    /// Runs a future; a panic in it becomes an error that says what it said.
    struct Caught<F> {
        #[pin]
        future: F,
    }
}

/// See [`Caught`].
fn caught<F: Future>(future: F) -> Caught<F> {
    Caught { future }
}

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, String>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        // After a panic the future is dropped and nothing else that it could have left half done is looked at.
        match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(said(&*panic))),
        }
    }
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_with_its_words() {
        let ended = caught(async { 7 }).await;
        assert_eq!(ended, Ok(7));
        let ended: Result<(), _> = caught(async { panic!("the {} broke", "jar") }).await;
        assert_eq!(ended, Err("the jar broke".to_owned()));
    }
}
