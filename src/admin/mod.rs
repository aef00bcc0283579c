//! The operator's listener: `/livez`, `/readyz`, `/metrics`, `/api/incidents`, `/api/reload`. It is the same [`crate::server::Server`] with another
//! function.
//!
//! In goes a request; out comes a whole answer that no browser takes for a page. Life and readiness are anybody's to ask; the rest is for
//! whoever has the token, or without one for this machine alone (`guard.rs`). What asks the disk does so on threads of its own (`apart.rs`).

mod apart;
mod guard;
mod incidents;
mod query;
mod reload;
mod reply;
mod scrape;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::header::{ALLOW, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;

use crate::config::Token;
use crate::server::{Handler, Incoming, Peer, Unreadable};

use apart::Apart;
use guard::Guard;
use reply::{Problem, Reply, reply, text};
use scrape::Scrape;

pub use reload::{Ask, Asks, Reloaded, Reloads};
pub use scrape::Sources;

/// Whether the process should be sent requests.
pub struct State {
    draining: AtomicBool,
    healthy: Box<dyn Fn() -> bool + Send + Sync>,
}

impl State {
    /// Of a process that serves; `healthy` is asked whenever somebody wants to know, and says whether any upstream has an endpoint that can
    /// be asked.
    #[must_use]
    pub fn new(healthy: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self {
            draining: AtomicBool::new(false),
            healthy: Box::new(healthy),
        }
    }

    /// From now on the process is not ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Why it is not ready, if it is not.
    fn unready(&self) -> Option<&'static str> {
        if self.draining.load(Ordering::Relaxed) {
            return Some("draining\n");
        }
        (!(self.healthy)()).then_some("no healthy upstream\n")
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State({:?})", self.unready())
    }
}

/// Answers the operator.
#[derive(Debug)]
pub struct Admin {
    state: Arc<State>,
    reloads: Reloads,
    guard: Guard,
    store: Apart,
    scrape: Arc<Scrape>,
    /// Apart from the store, so that slow questions there do not hold up who watches.
    scraping: Apart,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place<'a> {
    Life,
    Readiness,
    Metrics,
    Incidents,
    /// By its ID.
    Incident(&'a str),
    Reload,
}

impl<'a> Place<'a> {
    fn find(path: &'a str) -> Option<Self> {
        Some(match path {
            "/livez" => Self::Life,
            "/readyz" => Self::Readiness,
            "/metrics" => Self::Metrics,
            "/api/incidents" => Self::Incidents,
            "/api/reload" => Self::Reload,
            _ => Self::Incident(
                path.strip_prefix("/api/incidents/")
                    .filter(|id| !id.is_empty() && !id.contains('/'))?,
            ),
        })
    }

    /// The methods that it is asked with.
    fn methods(self) -> (&'static [Method], &'static str) {
        match self {
            Self::Life | Self::Readiness | Self::Metrics | Self::Incidents | Self::Incident(_) => {
                (&[Method::GET, Method::HEAD], "GET, HEAD")
            }
            Self::Reload => (&[Method::POST], "POST"),
        }
    }

    /// Whether anybody may ask.
    fn is_open(self) -> bool {
        matches!(self, Self::Life | Self::Readiness)
    }
}

impl Admin {
    /// An operator's listener for the process that `sources` are the parts of.
    #[must_use]
    pub fn new(sources: Sources, token: Option<&Token>) -> Self {
        let path = sources.incidents.path().to_owned();
        Self {
            state: Arc::clone(&sources.state),
            reloads: sources.reloads.clone(),
            guard: Guard::new(token),
            store: Apart::new(path.clone()),
            scraping: Apart::new(path),
            scrape: Arc::new(Scrape::new(sources)),
        }
    }

    async fn answer(&self, head: &Parts, peer: &Peer) -> Reply {
        let Some(place) = Place::find(head.uri.path()) else {
            let hint = "there are /livez, /readyz, /metrics, /api/incidents, /api/incidents/ID, /api/reload";
            return Problem::new(StatusCode::NOT_FOUND, "there is nothing here", hint).reply();
        };
        let (methods, allowed) = place.methods();
        if !methods.contains(&head.method) {
            return ask_with(allowed);
        }
        if !place.is_open()
            && let Err(denial) = self.guard.admit(head, peer)
        {
            return denial.reply();
        }
        let answer = match place {
            Place::Life => Ok(text(StatusCode::OK, "ok\n")),
            Place::Readiness => Ok(self.readiness()),
            Place::Metrics => self.metrics().await,
            Place::Incidents => incidents::list(&self.store, head.uri.query()).await,
            Place::Incident(id) => incidents::one(&self.store, id).await,
            Place::Reload => self.reloads.reload().await,
        };
        answer.unwrap_or_else(|problem| problem.reply())
    }

    fn readiness(&self) -> Reply {
        match self.state.unready() {
            Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, why),
            None => text(StatusCode::OK, "ok\n"),
        }
    }

    async fn metrics(&self) -> Result<Reply, Problem> {
        let scrape = Arc::clone(&self.scrape);
        let written = self.scraping.run(move || scrape.text()).await?;
        let failed = |error: fmt::Error| {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), "")
        };
        let written = written.map_err(failed)?;
        Ok(reply(StatusCode::OK, scrape::MEDIA_TYPE, written))
    }
}

fn ask_with(methods: &'static str) -> Reply {
    let hint = format!("ask with {methods}");
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let mut reply = Problem::new(status, "this method does nothing here", hint).reply();
    let allowed = HeaderValue::from_static(methods);
    reply.headers_mut().insert(ALLOW, allowed);
    reply
}

impl Handler for Admin {
    type Body = Full<Bytes>;

    async fn handle(
        self: Rc<Self>,
        request: Request<Incoming>,
        peer: Rc<Peer>,
    ) -> Response<Self::Body> {
        let (head, _) = request.into_parts();
        self.answer(&head, &peer).await
    }

    fn refuse(
        self: Rc<Self>,
        _: Request<()>,
        why: Unreadable,
        _: Rc<Peer>,
    ) -> Response<Self::Body> {
        let reason = format!("{}\n", why.reason());
        reply(why.status(), "text/plain; charset=utf-8", reason)
    }

    async fn settle(self: Rc<Self>) {}

    fn hurry(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_ends_with_the_drain_and_with_the_last_healthy_upstream() {
        let healthy = Arc::new(AtomicBool::new(true));
        let asked = Arc::clone(&healthy);
        let state = State::new(move || asked.load(Ordering::Relaxed));
        assert_eq!(state.unready(), None);
        healthy.store(false, Ordering::Relaxed);
        assert_eq!(state.unready(), Some("no healthy upstream\n"));
        state.drain();
        assert_eq!(state.unready(), Some("draining\n"));
    }

    #[test]
    fn only_life_and_readiness_are_anybodys() {
        for (path, place, open) in [
            ("/livez", Some(Place::Life), true),
            ("/readyz", Some(Place::Readiness), true),
            ("/metrics", Some(Place::Metrics), false),
            ("/api/incidents", Some(Place::Incidents), false),
            ("/api/incidents/7Q3K", Some(Place::Incident("7Q3K")), false),
            ("/api/reload", Some(Place::Reload), false),
            ("/api/incidents/", None, false),
            ("/api/incidents/a/b", None, false),
            ("/livez/", None, false),
            ("//livez", None, false),
            ("/", None, false),
        ] {
            assert_eq!(Place::find(path), place, "{path}");
            assert_eq!(place.is_some_and(Place::is_open), open, "{path}");
        }
    }
}
