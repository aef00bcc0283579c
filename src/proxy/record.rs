//! What an exchange becomes when it is written down or shown: a record's draft, a page, an access line.

use std::sync::Arc;

use http::header::{HeaderValue, REFERER, USER_AGENT};
use http::{HeaderMap, Method, Response, StatusCode};

use super::body::Body;
use super::exchange::Exchange;
use super::failure::Terms;
use super::route::Route;
use super::{Proxy, Snapshot};
use crate::config::AccessFormat;
use crate::incident::{
    Cause, Fingerprint, Incident, Redactor, RequestRecord, Served, UpstreamRecord,
};
use crate::intercept::FailedAnswer;
use crate::page::{Page, PageContext};
use crate::telemetry::{self, AccessLine, COUNTERS, names};
use crate::upstream::UpstreamError;

/// What is added to a failure that would have been tried again.
const WITHHELD: &str = "; not sent again: the retry budget is spent";

impl Proxy {
    /// The page of a failure or a refusal; `replaced` is the media type of the answer that it stands in for.
    pub(super) fn page(
        &self,
        exchange: &Exchange,
        route: Option<&Arc<Route>>,
        terms: Terms,
        replaced: Option<&HeaderValue>,
    ) -> Page {
        let pages = route.map_or(&self.settings.pages, |route| &route.pages);
        let wanted = pages.negotiate(&exchange.headers, replaced);
        pages.render(
            &wanted,
            &PageContext {
                status: terms.status,
                notice: terms.notice,
                request_id: exchange.id.as_str(),
                time: exchange.timestamp(),
                host: exchange.host(),
                path: exchange.uri.path(),
                method: &exchange.method,
                retry_after: terms.retry_after,
                planned: None,
            },
        )
    }

    /// A page as a response. For HEAD the server leaves the body away and keeps its length.
    pub(super) fn respond(&self, exchange: &Exchange, page: Page) -> Response<Body> {
        let Page {
            status,
            headers,
            body,
            format,
            ..
        } = page;
        let sent = if exchange.method == Method::HEAD {
            0
        } else {
            body.len() as u64
        };
        let mut response = Response::new(Body::Page(Some(body)));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        let id = &self.settings.request_id.header;
        response
            .headers_mut()
            .insert(id.clone(), exchange.id_value.clone());
        exchange.close_after(response.headers_mut());
        let route = self.find(exchange).map(AsRef::as_ref);
        self.meter.page(status.as_u16(), format.name());
        self.note(exchange, route, status, sent);
        response
    }

    /// A record of this exchange, all but what the upstream and the capture add.
    pub(super) fn draft(
        &self,
        exchange: &Exchange,
        route: Option<&Arc<Route>>,
        cause: Cause,
        page: Option<&Page>,
    ) -> Incident {
        let redactor = self.settings.redactor(route.map(AsRef::as_ref));
        Incident {
            seq: 0,
            id: exchange.id.clone(),
            time: exchange.timestamp(),
            instance: Arc::clone(&self.settings.instance),
            cause,
            route: route.map_or_else(|| "".into(), |route| Arc::clone(&route.name)),
            summary: String::new(),
            fingerprint: Fingerprint(0),
            request: RequestRecord {
                method: exchange.method.as_str().to_owned(),
                url: redactor.url(exchange.target()),
                version: exchange.version,
                client: redactor.client(exchange.client(&self.settings)),
                headers: redactor.headers(&exchange.headers),
            },
            upstream: None,
            body: None,
            served: page.map(|page| Served {
                status: page.status.as_u16(),
                format: page.format.name().into(),
                language: Arc::clone(&page.language),
                template: Arc::clone(&page.template),
            }),
            reference: None,
            trace_id: exchange.trace_id(),
            evidence: Vec::new(),
            settled: true,
            duration: exchange.elapsed(),
        }
    }

    /// The app's own reference in the headers of its answer: of a listed one, else of that whose place our ID takes.
    pub(super) fn reference(
        &self,
        exchange: &Exchange,
        route: &Route,
        headers: &HeaderMap,
    ) -> Option<String> {
        let own = &self.settings.request_id.header;
        let replaced = headers
            .get(own)
            .filter(|value| **value != exchange.id_value);
        let listed = route.policy.reference_header(headers);
        let (name, value) = listed.or(replaced.map(|value| (own, value)))?;
        Some(route.redactor.header(name, value.as_bytes()).value).filter(|text| !text.is_empty())
    }

    /// What a record says of a route's app before that has answered.
    pub(super) fn upstream_record(&self, route: &Route) -> UpstreamRecord {
        let upstream = self
            .settings
            .upstreams
            .get(route.upstream)
            .map(|(upstream, _)| upstream);
        UpstreamRecord {
            name: upstream.map_or_else(|| "".into(), |upstream| Arc::clone(&upstream.name)),
            endpoint: upstream
                .map_or_else(|| "".into(), |upstream| Arc::clone(&upstream.authority)),
            status: None,
            headers: Vec::new(),
            attempts: 1,
            head_ms: None,
            error: None,
        }
    }

    pub(super) fn upstream_of_answer(
        &self,
        route: &Route,
        answer: &FailedAnswer,
    ) -> UpstreamRecord {
        UpstreamRecord {
            status: Some(answer.status.as_u16()),
            headers: route.redactor.headers(&answer.headers),
            endpoint: Arc::clone(&answer.endpoint),
            attempts: answer.attempts,
            head_ms: Some(telemetry::milliseconds(answer.head_time)),
            ..self.upstream_record(route)
        }
    }

    pub(super) fn upstream_of_error(&self, route: &Route, error: &UpstreamError) -> UpstreamRecord {
        let record = self.upstream_record(route);
        let mut said = route.redactor.line(&error.chain());
        if error.withheld {
            said.push_str(WITHHELD);
        }
        UpstreamRecord {
            endpoint: error.endpoint.clone().unwrap_or(record.endpoint),
            attempts: error.attempts,
            error: Some(said),
            ..record
        }
    }

    /// Counts a passing answer that has ended, and writes its line of the access log, where there is one.
    pub(super) fn note_answer(
        &self,
        exchange: &Exchange,
        route: &Route,
        status: StatusCode,
        sent: u64,
    ) {
        self.note(exchange, Some(route), status, sent);
    }

    /// Notes that an exchange is dropped before its end: its visitor has left, or the drain's time is up.
    pub(super) fn note_cut(&self, exchange: &Exchange) {
        if !self.afterwork.is_hurried() {
            COUNTERS.client_gone.add_one();
            return;
        }
        let redactor = (self.settings).redactor(self.find(exchange).map(AsRef::as_ref));
        let client = redactor.client(exchange.client(&self.settings));
        let url = redactor.url(exchange.target());
        tracing::warn!(
            message = "cut off: the time to finish (`server.drain`) is over",
            { names::REQUEST_ID } = exchange.id.as_str(),
            { names::TRACE_ID } = exchange.trace_id(),
            { names::METHOD } = exchange.method.as_str(),
            { names::PATH } = telemetry::path(&url),
            { names::CLIENT } = client.map(tracing::field::display),
            { names::DURATION_MS } = telemetry::milliseconds(exchange.elapsed()),
        );
    }

    fn note(&self, exchange: &Exchange, route: Option<&Route>, status: StatusCode, sent: u64) {
        let place = route.map(|route| route.place);
        let took = exchange.elapsed();
        self.meter.answered(place, status.as_u16(), took);
        if self.settings.access != AccessFormat::Off {
            self.write_access(exchange, route, status, sent);
        }
    }

    /// Counts an exchange with a route's app that failed.
    pub(super) fn count_failure(&self, route: &Route, cause: Cause) {
        let upstream = self.upstream_record(route).name;
        self.meter.failure(&upstream, cause.as_str());
    }

    fn write_access(
        &self,
        exchange: &Exchange,
        route: Option<&Route>,
        status: StatusCode,
        sent: u64,
    ) {
        let redactor = self.settings.redactor(route);
        let referer = exchange
            .header(&REFERER)
            .map(|referer| redactor.url(referer));
        let upstream = route.map(|route| self.upstream_record(route).name);
        let trace_id = exchange.trace_id();
        let line = AccessLine {
            request_id: &exchange.id,
            trace_id: trace_id.as_deref(),
            time: exchange.timestamp(),
            client: redactor.client(exchange.client(&self.settings)),
            method: exchange.method.as_str(),
            target: &redactor.url(exchange.target()),
            version: exchange.version,
            status: status.as_u16(),
            bytes: sent,
            duration: exchange.elapsed(),
            referer: referer.as_deref(),
            user_agent: exchange.header(&USER_AGENT),
            route: route.map_or("", |route| &route.name),
            upstream: upstream.as_deref().unwrap_or_default(),
        };
        telemetry::access(&line, self.settings.access);
    }
}

impl Snapshot {
    /// What is taken out of a route's records, and of those of no route.
    pub(super) fn redactor<'a>(&'a self, route: Option<&'a Route>) -> &'a Redactor {
        route.map_or(&self.redactor, |route| &route.redactor)
    }
}
