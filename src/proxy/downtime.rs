//! Planned downtime: what a route's visitors get instead of the app, and who still reaches it.
//!
//! No incident is made of it: the answer has an ID, which the log knows, and its page shows none. Still passed on are requests of
//! the addresses on `maintenance.allow`, those for the app's health check and for `maintenance.pass_paths`, and those with a
//! token of `pardon bypass`.

use std::net::IpAddr;

use http::{Method, Response, StatusCode};
use ipnet::IpNet;
use jiff::Timestamp;

use super::Proxy;
use super::body::Body;
use super::exchange::Exchange;
use super::route::Route;
use crate::config;
use crate::maintenance::Order;
use crate::page::{Notice, PageContext, Planned};
use crate::telemetry::{self, names};

/// After how many seconds to try again where nobody has said when it ends.
const LATER: u32 = 300;

/// A route's downtime, as the configuration has it.
pub struct Downtime {
    /// What it has ordered; none where it is off.
    ordered: Option<Order>,
    allow: Vec<IpNet>,
    pass_paths: Vec<String>,
    /// The path of the app's health check; empty where there is none.
    health: String,
}

impl Downtime {
    /// The downtime of a route whose app is asked at `health` how it is.
    #[must_use]
    pub fn build(settings: &config::Maintenance, health: &str) -> Self {
        Self {
            ordered: settings.on.then(|| Order {
                since: Timestamp::UNIX_EPOCH,
                until: settings.until.parse().ok(),
                message: settings.message.clone(),
            }),
            allow: settings.allow.clone(),
            pass_paths: settings.pass_paths.clone(),
            health: health.to_owned(),
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        self.allow.iter().any(|network| network.contains(&address))
    }

    fn is_check(&self, exchange: &Exchange) -> bool {
        let path = exchange.uri.path();
        let reads = matches!(exchange.method, Method::GET | Method::HEAD);
        self.pass_paths.iter().any(|passed| passed == path)
            || (reads && !self.health.is_empty() && self.health == path)
    }
}

impl Proxy {
    /// The answer to a request that comes in planned downtime; none to those that go on to the app.
    pub(super) fn downtime(&self, exchange: &Exchange, route: &Route) -> Option<Response<Body>> {
        let told = self.settings.board.orders();
        let own = route.downtime.ordered.as_ref();
        if told.is_none() && own.is_none() {
            return None;
        }
        let now = exchange.timestamp();
        let told = told
            .as_ref()
            .and_then(|told| told.for_route(&route.name, now));
        let order = told.or(own.filter(|order| order.holds(now)))?;
        let client = exchange.client(&self.settings);
        if route.downtime.allows(client) || route.downtime.is_check(exchange) {
            return None;
        }
        if let Some(id) = self.bypass(exchange, route) {
            self.log_bypass(exchange, route, id, "passed on in maintenance");
            return None;
        }
        Some(self.respond_planned(exchange, route, order))
    }

    fn respond_planned(&self, exchange: &Exchange, route: &Route, order: &Order) -> Response<Body> {
        self.log_planned(exchange, route);
        let wanted = route.pages.negotiate(&exchange.headers, None);
        let context = PageContext {
            status: StatusCode::SERVICE_UNAVAILABLE,
            notice: Notice::Maintenance,
            // It could not be looked up.
            request_id: "",
            time: exchange.timestamp(),
            host: exchange.host(),
            path: exchange.uri.path(),
            method: &exchange.method,
            retry_after: Some(retry_after(order.until, exchange.timestamp())),
            planned: Some(Planned {
                message: &order.message,
                until: order.until,
            }),
        };
        let page = route.pages.render(&wanted, &context);
        self.respond(exchange, page)
    }

    fn log_planned(&self, exchange: &Exchange, route: &Route) {
        let client = route.redactor.client(exchange.client(&self.settings));
        let url = route.redactor.url(exchange.target());
        tracing::info!(
            target: names::MAINTENANCE,
            message = "not passed on: maintenance",
            { names::REQUEST_ID } = exchange.id.as_str(),
            { names::TRACE_ID } = exchange.trace_id(),
            { names::METHOD } = exchange.method.as_str(),
            { names::PATH } = telemetry::path(&url),
            { names::ROUTE } = &*route.name,
            { names::CLIENT } = client.map(tracing::field::display),
        );
    }
}

/// Whole seconds until it ends, at least one.
fn retry_after(until: Option<Timestamp>, now: Timestamp) -> u32 {
    until.map_or(LATER, |until| {
        let left = until.as_millisecond() - now.as_millisecond();
        let seconds = left.max(0).unsigned_abs().div_ceil(1000).max(1);
        u32::try_from(seconds).unwrap_or(u32::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_is_asked_for_at_the_end_and_never_at_once() {
        let now = Timestamp::from_millisecond(100_500).unwrap();
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        for (until, expected) in [
            (None, 300),
            (at(100), 1),
            (at(101), 1),
            (at(160), 60),
            (at(100_000_000_000), u32::MAX),
        ] {
            assert_eq!(retry_after(until, now), expected, "{until:?}");
        }
    }
}
