//! Requests that no app hears of.

use std::rc::Rc;
use std::sync::Arc;

use http::{Response, StatusCode};
use tracing::Level;

use super::Proxy;
use super::body::Body;
use super::exchange::Exchange;
use super::route::Route;
use crate::incident::Cause;
use crate::page::Notice;
use crate::server::Unreadable;
use crate::telemetry::{self, COUNTERS, names};

use super::failure::Terms;

/// How many bytes of header fields a refusal's record keeps: anyone can have ten thousand of them written.
const HEADERS: usize = 2048;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It cannot be read.
    Unreadable(Unreadable),
    /// It can be read, and is none; says why.
    Bad(&'static str),
    /// No route is for it.
    NoRoute,
    /// Its body stopped coming.
    BodyStalled,
    /// Its body broke off, or its framing did: mostly a client that has left.
    BodyBroken,
    /// Its body is larger than the limit.
    BodyTooLarge,
    /// Its target is longer than the limit.
    TargetTooLong,
    /// It expects something unknown.
    Expectation,
    /// Its host is served under another certificate than the one that its connection was opened with.
    Misdirected,
}

impl Refusal {
    /// The status of its page.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Unreadable(why) => why.status(),
            Self::Bad(_) | Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::BodyStalled => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
        }
    }

    /// Whether the connection may be used again: not where it is uncertain what of the request is still to come.
    fn closes(self) -> bool {
        match self {
            Self::NoRoute | Self::Expectation | Self::Misdirected => false,
            Self::Unreadable(_)
            | Self::Bad(_)
            | Self::BodyBroken
            | Self::BodyStalled
            | Self::BodyTooLarge
            | Self::TargetTooLong => true,
        }
    }

    /// Whether it is found by its ID. Of what no client means seriously the log alone knows: a flood of it would push the
    /// others out.
    fn is_kept(self) -> bool {
        match self {
            Self::NoRoute | Self::BodyTooLarge | Self::Expectation | Self::Misdirected => true,
            Self::Unreadable(_)
            | Self::Bad(_)
            | Self::BodyBroken
            | Self::BodyStalled
            | Self::TargetTooLong => false,
        }
    }

    /// Why, for the log.
    fn reason(self) -> &'static str {
        match self {
            Self::Unreadable(why) => why.reason(),
            Self::Bad(why) => why,
            Self::NoRoute => "no route",
            Self::BodyStalled => "the body stopped coming",
            Self::BodyBroken => "the body broke off",
            Self::BodyTooLarge => "the body is too large",
            Self::TargetTooLong => "the target is too long",
            Self::Expectation => "an unknown expectation",
            Self::Misdirected => "the connection was opened for a host with another certificate",
        }
    }
}

impl Proxy {
    /// Refuses a request with a page.
    pub(super) fn refuse(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        route: Option<&Arc<Route>>,
        refusal: Refusal,
    ) -> Response<Body> {
        COUNTERS.refused.add_one();
        self.log_refusal(exchange, route, refusal);
        exchange.closes.set(refusal.closes());
        let terms = Terms::new(Cause::Refused, Notice::Refused, refusal.status());
        let page = self.page(exchange, route, terms, None);
        if refusal.is_kept() {
            let mut record = self.draft(exchange, route, Cause::Refused, Some(&page));
            record.name(Some(refusal.reason()));
            record.request.cut_headers(HEADERS);
            self.desk.refuse(record);
        }
        self.respond(exchange, page)
    }

    fn log_refusal(&self, exchange: &Exchange, route: Option<&Arc<Route>>, refusal: Refusal) {
        let redactor = self.settings.redactor(route.map(AsRef::as_ref));
        let client = redactor.client(exchange.client(&self.settings));
        let url = redactor.url(exchange.target());
        tracing::event!(
            target: names::REFUSAL,
            Level::INFO,
            message = "refused",
            { names::REQUEST_ID } = exchange.id.as_str(),
            { names::TRACE_ID } = exchange.trace_id(),
            { names::STATUS } = refusal.status().as_u16(),
            { names::METHOD } = exchange.method.as_str(),
            { names::PATH } = telemetry::path(&url),
            { names::CLIENT } = client.map(tracing::field::display),
            { names::REASON } = refusal.reason(),
        );
    }
}
