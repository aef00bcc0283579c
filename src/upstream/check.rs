//! Health checks: a request for a path of the app's, to each endpoint, once for the whole process.
//!
//! An endpoint is well when it answers 2xx or 3xx. Two failures in a row make it sick, one good answer well again; while
//! the last one failed it is asked more often, so that an app's return is seen within a second. A check takes a place among
//! the upstream's connections like a request, so that it is never one too many for the app.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use http::{HeaderName, Method, StatusCode};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::capacity::{ALONE, Permit};
use super::connect::{self, Connected};
use super::endpoint::Endpoint;
use super::error::chain;
use super::http1::{Fault, Head};
use super::{RequestBody, Upstream, health, http1, http2};
use crate::config::{self, HostHeader};
use crate::telemetry::names;

/// How the app can tell a check from a visitor.
const NAME: &str = concat!("Pardon-Health-Check/", env!("CARGO_PKG_VERSION"));

/// Failures in a row that make an endpoint sick: one may be the network's.
const SICK_AFTER: u32 = 2;

/// How often an endpoint is asked whose last check failed, unless the interval is shorter.
const HURRY: Duration = Duration::from_millis(500);

/// How long an answer may take. Health is not to be looked for in the thoughts of an app.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an upstream's endpoints are asked.
#[derive(Debug)]
pub(super) struct Check {
    path: String,
    interval: Duration,
    /// The `Host`, unless it is the endpoint's.
    host: Option<String>,
    connect: Duration,
    queue: Duration,
}

/// A check on its way out.
struct Question<'a> {
    path: &'a str,
    host: &'a str,
}

impl Check {
    /// What the configuration says, if it says that anything is asked.
    pub(super) fn new(settings: &config::Upstream) -> Option<Self> {
        let health = &settings.health;
        (!health.path.is_empty()).then(|| Self {
            path: health.path.clone(),
            interval: *health.interval,
            host: match &settings.host {
                HostHeader::Name(name) => Some(name.clone()),
                HostHeader::Keep | HostHeader::Endpoint => None,
            },
            connect: *settings.timeouts.connect,
            queue: *settings.timeouts.queue,
        })
    }

    /// Until the next check, a tenth more or less, so that many proxies do not ask at once.
    fn pause(&self, failures: u32) -> Duration {
        let pause = if failures > 0 {
            self.interval.min(HURRY)
        } else {
            self.interval
        };
        pause.mul_f64(0.9 + health::chance() / 5.0)
    }

    fn connect_limit(&self, failures: u32) -> Duration {
        // A machine that is down swallows the first packet, and the second comes late: it is asked anew before that.
        if failures > 0 {
            self.connect.min(HURRY)
        } else {
            self.connect
        }
    }
}

/// Asks an endpoint for as long as it is one.
pub(super) async fn attend(upstream: Arc<Upstream>, endpoint: Arc<Endpoint>) {
    let Some(check) = &upstream.check else { return };
    let mut failures = 0;
    while !endpoint.is_retired() {
        if let Some(permit) = place(&upstream, check).await {
            let asked = ask(&upstream, check, &endpoint, check.connect_limit(failures));
            let asked = asked.await;
            drop(permit);
            failures = if asked.is_ok() { 0 } else { failures + 1 };
            note(&upstream, &endpoint, failures, asked);
        }
        sleep(check.pause(failures)).await;
    }
}

/// A place among the connections. Where none comes free requests keep them all, and say how the endpoints are.
async fn place(upstream: &Upstream, check: &Check) -> Option<Permit> {
    let capacity = &upstream.capacity;
    if let Some(permit) = capacity.try_acquire() {
        return Some(permit);
    }
    let mut ticket = capacity.queue(ALONE)?;
    timeout(check.queue, &mut ticket.grant).await.ok()?.ok()
}

fn note(upstream: &Upstream, endpoint: &Endpoint, failures: u32, asked: Result<(), String>) {
    match asked {
        Ok(()) => {
            if endpoint.health.set_sick(None) {
                tracing::info!(
                    { names::UPSTREAM } = &*upstream.name,
                    { names::ENDPOINT } = &*endpoint.name,
                    "the endpoint is healthy again"
                );
            }
        }
        Err(why) if failures >= SICK_AFTER => {
            if endpoint.health.set_sick(Some(&why)) {
                tracing::warn!(
                    { names::UPSTREAM } = &*upstream.name,
                    { names::ENDPOINT } = &*endpoint.name,
                    "the endpoint is not healthy, and gets no requests: {why}"
                );
            }
        }
        Err(_) => {}
    }
}

/// Asks once; what is wrong.
async fn ask(
    upstream: &Upstream,
    check: &Check,
    endpoint: &Endpoint,
    limit: Duration,
) -> Result<(), String> {
    let path = &check.path;
    let connected = timeout(limit, connect::connect(upstream, endpoint, limit, false)).await;
    let connected = connected.map_err(|_| format!("no connection within {limit:?}"))?;
    let connected = connected.map_err(|error| chain(&error))?;
    let question = Question {
        path,
        host: check
            .host
            .as_deref()
            .unwrap_or_else(|| upstream.host_of(endpoint)),
    };
    let due = Instant::now() + PATIENCE;
    let answer = match connected {
        Connected::Http1(stream) => {
            let mut connection = http1::Connection::new(stream, upstream.limits);
            let mut body = RequestBody::default();
            connection.begin(&question, &body);
            let answer = poll_fn(|cx| connection.poll_answer(cx, &mut body, |_| due)).await;
            answer.map(|head| head.status)
        }
        Connected::Http2(stream) => {
            let answer = http2::ask(stream, &question, upstream.limits);
            timeout_at(due, answer).await.unwrap_or(Err(Fault::Late))
        }
    };
    match answer {
        Ok(status) if is_well(status) => Ok(()),
        Ok(status) => Err(format!("GET {path} was answered with {}", status.as_u16())),
        Err(Fault::Late) => Err(format!("GET {path} was not answered within {PATIENCE:?}")),
        Err(Fault::App(broken)) => Err(format!("GET {path}: {}", chain(&broken))),
    }
}

fn is_well(status: StatusCode) -> bool {
    status.is_success() || status.is_redirection()
}

impl Head for Question<'_> {
    fn method(&self) -> &Method {
        &Method::GET
    }

    fn target(&self) -> (&str, Option<&str>) {
        match self.path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (self.path, None),
        }
    }

    fn fields(&self, put: &mut dyn FnMut(&HeaderName, &[&[u8]])) {
        put(&HOST, &[self.host.as_bytes()]);
        put(&USER_AGENT, &[NAME.as_bytes()]);
        put(&ACCEPT, &[b"*/*"]);
        put(&CONNECTION, &[b"close"]);
    }
}
