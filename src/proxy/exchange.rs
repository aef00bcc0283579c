//! One request and what happens to it: the value that all stages after the server share.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use http::header::{CONNECTION, HOST, MAX_FORWARDS};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use ipnet::IpNet;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::config::AcceptId;
use crate::request_id::{IdSource, RequestId};
use crate::server::Peer;

use super::Snapshot;
use super::glance::Glance;
use super::trace::{Trace, TraceSource};
use super::vouched::Vouched;

/// A request under way. Its head stays as the client sent it; what goes to the app is made from it.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) id: RequestId,
    pub(super) id_value: HeaderValue,
    pub(super) begun: Instant,
    pub(super) time: SystemTime,
    pub(super) peer: Rc<Peer>,
    /// Whether the peer is a proxy whose word on the client is taken.
    pub(super) trusted: bool,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    /// Which fields `headers` has.
    pub(super) glance: Glance,
    /// Which trace it belongs to.
    pub(super) trace: Trace,
    /// The first `Host`.
    pub(super) host: Option<HeaderValue>,
    /// Whether the connection is to be closed after the answer.
    pub(super) closes: Cell<bool>,
}

impl Exchange {
    /// Begins the exchange of a request: gives it an ID, or keeps the one of a trusted proxy.
    pub(super) fn begin(
        head: Parts,
        peer: Rc<Peer>,
        (ids, traces): (&IdSource, &TraceSource),
        settings: &Snapshot,
    ) -> Self {
        let glance = Glance::at(&head.headers);
        let time = SystemTime::now();
        let trusted = settings.trusts(peer.address().ip());
        let id = settings
            .takes_id(trusted)
            .then(|| only(&head.headers, &settings.request_id.header))
            .flatten()
            .and_then(|value| RequestId::accept(value.to_str().ok()?))
            .unwrap_or_else(|| ids.next(time));
        Self {
            id_value: id.header_value(),
            id,
            begun: Instant::now(),
            time,
            peer,
            trusted,
            method: head.method,
            uri: head.uri,
            version: head.version,
            trace: traces.of(&head.headers, glance),
            glance,
            host: head.headers.get(HOST).cloned(),
            headers: head.headers,
            closes: Cell::new(false),
        }
    }

    /// Whether the client waits to be asked for its body; HTTP/1.0 knows no such thing (RFC 9110, 10.1.1).
    pub(super) fn expects(&self) -> bool {
        self.version >= Version::HTTP_11 && self.glance.expect
    }

    /// How many recipients an OPTIONS request may have from here on, where it says so (RFC 9110, 7.6.2).
    pub(super) fn hops_left(&self) -> Option<u64> {
        if !self.glance.max_forwards || self.method != Method::OPTIONS {
            return None;
        }
        self.header(&MAX_FORWARDS)?.parse().ok()
    }

    /// Says in an answer's fields that the connection ends with it, where it does.
    pub(super) fn close_after(&self, headers: &mut HeaderMap) {
        if self.closes.get() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }

    /// When the request came.
    pub(super) fn timestamp(&self) -> Timestamp {
        Timestamp::try_from(self.time).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// How long it has taken so far.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The host asked for, with its port: the target's where it has one (RFC 9112, 3.2.2), the `Host` field's
    /// otherwise; empty where there is none.
    pub(super) fn authority(&self) -> &str {
        str::from_utf8(self.authority_bytes()).unwrap_or_default()
    }

    /// [`Self::authority`], for where it is not looked into.
    pub(super) fn authority_bytes(&self) -> &[u8] {
        match (self.uri.authority(), &self.host) {
            (Some(authority), _) => authority.as_str().as_bytes(),
            (None, Some(host)) => host.as_bytes(),
            (None, None) => b"",
        }
    }

    /// The host asked for, without port.
    pub(super) fn host(&self) -> &str {
        without_port(self.authority())
    }

    /// Path and query as they were asked for.
    pub(super) fn target(&self) -> &str {
        self.uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str)
    }

    /// A header's value, where that is visible ASCII.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The ID of the trace that it belongs to.
    pub(super) fn trace_id(&self) -> Option<String> {
        self.trace.id(&self.headers)
    }

    /// The visitor's address: the peer's, or the one that the nearest trusted proxies vouch for.
    pub(super) fn client(&self, settings: &Snapshot) -> IpAddr {
        let vouched = Vouched::of(self, settings).visitor();
        vouched.unwrap_or_else(|| self.peer.address().ip())
    }
}

impl Snapshot {
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies
            .iter()
            .any(|network: &IpNet| network.contains(&address))
    }

    fn takes_id(&self, trusted: bool) -> bool {
        trusted && self.request_id.accept == AcceptId::Trusted
    }
}

/// A field's value, where it is there once: of two none is known to be the proxy's.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    first.filter(|_| values.next().is_none())
}

/// An authority without its port: `[::1]:80` gives `[::1]`.
pub(super) fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            if host.contains(':') && !host.ends_with(']') {
                authority
            } else {
                host
            }
        }
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_told_from_addresses() {
        for (authority, host) in [
            ("shop.example", "shop.example"),
            ("shop.example:8080", "shop.example"),
            ("shop.example:", "shop.example"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("", ""),
        ] {
            assert_eq!(without_port(authority), host, "{authority}");
        }
    }
}
