//! The operator's listener: `/livez` and `/readyz`. It is the same [`crate::server::Server`] with another function.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;

use crate::server::{Handler, Incoming, Peer, Unreadable};

/// What the operator's listener knows of the process.
#[derive(Debug, Default)]
pub struct State {
    draining: AtomicBool,
}

impl State {
    /// From now on the process is not ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn is_ready(&self) -> bool {
        !self.draining.load(Ordering::Relaxed)
    }
}

/// Answers the operator.
#[derive(Debug)]
pub struct Admin {
    state: Arc<State>,
}

impl Admin {
    /// An operator's listener for the process with this state.
    #[must_use]
    pub fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let known = matches!(path, "/livez" | "/readyz");
        match (path, method) {
            (_, &Method::GET | &Method::HEAD) if known => match path {
                "/readyz" if !self.state.is_ready() => {
                    say(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
                }
                _ => say(StatusCode::OK, "ok\n"),
            },
            _ if known => say(StatusCode::METHOD_NOT_ALLOWED, "ask with GET\n"),
            _ => say(StatusCode::NOT_FOUND, "there is /livez and /readyz\n"),
        }
    }
}

impl Handler for Admin {
    type Body = Full<Bytes>;

    async fn handle(
        self: Rc<Self>,
        request: Request<Incoming>,
        _: Rc<Peer>,
    ) -> Response<Self::Body> {
        self.answer(request.method(), request.uri().path())
    }

    fn refuse(
        self: Rc<Self>,
        _: Request<()>,
        why: Unreadable,
        _: Rc<Peer>,
    ) -> Response<Self::Body> {
        let reason = format!("{}\n", why.reason());
        say(why.status(), reason)
    }

    async fn settle(self: Rc<Self>) {}

    fn hurry(&self) {}
}

fn say(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_ends_with_the_drain_and_life_does_not() {
        let state = Arc::new(State::default());
        let admin = Admin::new(Arc::clone(&state));
        let asked = |path| admin.answer(&Method::GET, path).status().as_u16();
        assert_eq!(
            (asked("/livez"), asked("/readyz"), asked("/metrics")),
            (200, 200, 404)
        );
        state.drain();
        assert_eq!((asked("/livez"), asked("/readyz")), (200, 503));
        assert_eq!(admin.answer(&Method::POST, "/livez").status().as_u16(), 405);
    }
}
