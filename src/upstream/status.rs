//! What an upstream makes of what happens with its endpoints, and what it tells those who ask how they are.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::StatusCode;
use tokio::time::Instant;

use super::balance::Seat;
use super::endpoint::Endpoint;
use super::error::{ErrorKind, UpstreamError};
use super::{Upstream, health};
use crate::telemetry::names;

/// An endpoint at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointStatus {
    /// As records show it.
    pub name: Arc<str>,
    /// Connections with an exchange on them, or being made.
    pub active: usize,
    /// Connections that wait for the next exchange.
    pub idle: usize,
}

impl Upstream {
    /// Whether any endpoint is usable; also while no address of a name is known yet.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let endpoints = self.roster.endpoints();
        endpoints.is_empty() || endpoints.iter().any(|endpoint| is_in(endpoint))
    }

    /// Its endpoints now.
    #[must_use]
    pub fn endpoints(&self) -> Vec<EndpointStatus> {
        let endpoints = self.roster.endpoints();
        let status = |endpoint: &Arc<Endpoint>| {
            let active = endpoint.under_way();
            let open = endpoint.open.load(Ordering::Relaxed);
            EndpointStatus {
                name: Arc::clone(&endpoint.name),
                active,
                idle: open.saturating_sub(active),
            }
        };
        endpoints.iter().map(status).collect()
    }

    /// Requests that wait for a connection now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.capacity.waiting()
    }

    /// What ails the endpoints whose health checks fail.
    pub(super) fn illness(&self) -> String {
        let endpoints = self.roster.endpoints();
        let sick = endpoints.iter().filter(|e| e.health.is_sick());
        let said = sick.map(|endpoint| format!("{}: {}", endpoint.name, endpoint.health.why()));
        said.take(8).collect::<Vec<_>>().join(", ")
    }

    /// An endpoint has answered. Statuses that say that something behind it is down are a failure too: where nothing else
    /// comes from it, other endpoints serve better.
    pub(super) fn answered(&self, endpoint: &Endpoint, status: StatusCode) {
        if matches!(status.as_u16(), 502..=504) {
            self.failed(endpoint);
        } else if endpoint.health.succeeded(|| self.millis(Instant::now())) {
            tracing::info!(
                { names::UPSTREAM } = &*self.name,
                { names::ENDPOINT } = &*endpoint.name,
                "the endpoint is back"
            );
        }
    }

    /// An attempt brought no answer. What the endpoint itself has done on a connection goes against it; what came of
    /// connecting has been noted by then.
    pub(super) fn unanswered(&self, error: &UpstreamError, seat: Option<&Seat>) {
        if let Some(seat) = seat
            && matches!(
                error.kind(),
                ErrorKind::ClosedEarly | ErrorKind::HeadTimeout | ErrorKind::Malformed
            )
        {
            self.failed(&seat.endpoint);
        }
    }

    /// An endpoint has failed. One that is alone is never left alone.
    pub(super) fn failed(&self, endpoint: &Endpoint) {
        let several = self.roster.endpoints().len() > 1;
        let limit = if several { self.eject_after } else { 0 };
        if let Some(names) = self
            .sites
            .get(endpoint.site)
            .and_then(|site| site.names.as_ref())
        {
            names.doubt();
        }
        let now = self.millis(Instant::now());
        if let Some(pause) = endpoint.health.failed(limit, now, health::chance()) {
            tracing::warn!(
                { names::UPSTREAM } = &*self.name,
                { names::ENDPOINT } = &*endpoint.name,
                "the endpoint is left alone for {pause:.1?}: {} failures in a row",
                endpoint.health.failures()
            );
        }
    }
}

/// Whether requests go there: it has a weight, is not ejected, and its health checks do not fail. An endpoint that is alone and fails still gets them: nothing else would find out when it
/// is back.
fn is_in(endpoint: &Endpoint) -> bool {
    let health = &endpoint.health;
    endpoint.weight > 0 && !health.is_sick() && !health.is_out()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    fn upstream(urls: &[&str]) -> Upstream {
        let settings = config::Upstream {
            endpoints: urls.iter().map(|url| url.parse().unwrap()).collect(),
            ..config::Upstream::default()
        };
        Upstream::build("app", &settings, Path::new(""), 1).unwrap()
    }

    #[test]
    fn an_answer_of_500_is_a_sign_of_life_and_503_is_none() {
        let upstream = upstream(&["http://10.0.0.1", "http://10.0.0.2"]);
        let endpoint = &upstream.roster.endpoints()[0];
        for status in [502, 503, 504, 503, 500, 502, 503, 504, 503] {
            upstream.answered(endpoint, StatusCode::from_u16(status).unwrap());
        }
        assert!(!endpoint.health.is_out());
        upstream.answered(endpoint, StatusCode::BAD_GATEWAY);
        assert!(endpoint.health.is_out());
        assert!(upstream.is_usable(), "the other one is");
        let endpoints = upstream.roster.endpoints();
        let usable: Vec<_> = endpoints.iter().map(|one| is_in(one)).collect();
        assert_eq!(usable, [false, true]);
    }

    #[test]
    fn an_endpoint_that_is_alone_is_never_left_alone() {
        let upstream = upstream(&["http://10.0.0.1"]);
        let endpoint = &upstream.roster.endpoints()[0];
        for _ in 0..100 {
            upstream.failed(endpoint);
        }
        assert!(!endpoint.health.is_out());
        assert!(
            upstream.is_usable(),
            "requests go on, which find out when it is back"
        );
    }
}
