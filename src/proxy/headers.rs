//! Which header fields go on, and which stay behind: RFC 9110, 7.6.1, and the forwarding fields of RFC 7239.

use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, COOKIE, EXPECT, FORWARDED, HOST,
    HeaderValue, MAX_FORWARDS, TE, TRAILER, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, Method, Version};

use super::Snapshot;
use super::exchange::Exchange;
use super::glance::{Glance, Role, is_disguised};
use super::trace::TRACEPARENT;
use super::trailers;
use super::viewer::without_token;
use super::vouched::{Vouched, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO};
use crate::config::HostHeader;
use crate::upstream::Head;

fn is_hop_by_hop(name: &HeaderName) -> bool {
    Role::of(name) == Role::HopByHop
}

/// The fields that a `Connection` field names as belonging to this connection too.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| {
            !name.eq_ignore_ascii_case(b"close") && !name.eq_ignore_ascii_case(b"keep-alive")
        })
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect()
}

/// A request as the app gets it: the client's method, target and fields, without those that belong to the client's
/// connection, with those that a proxy sets.
pub(super) struct Outgoing<'a> {
    pub(super) exchange: &'a Exchange,
    pub(super) settings: &'a Snapshot,
    pub(super) host: &'a HostHeader,
    /// The endpoint's own address, `host:port`.
    pub(super) endpoint: &'a str,
    /// The protocols that it may switch to.
    pub(super) upgrade: Option<&'a HeaderValue>,
}

impl Head for Outgoing<'_> {
    fn method(&self) -> &Method {
        &self.exchange.method
    }

    /// The target in the form that an origin expects (RFC 9112, 3.2.1).
    fn target(&self) -> (&str, Option<&str>) {
        match self.exchange.uri.path() {
            "" => ("/", None),
            path => (path, self.exchange.uri.query()),
        }
    }

    fn fields(&self, put: &mut dyn FnMut(&HeaderName, &[&[u8]])) {
        let exchange = self.exchange;
        let glance = &exchange.glance;
        let request_id = &self.settings.request_id.header;
        self.put_host(put);
        let named = if glance.connection {
            named_by_connection(&exchange.headers)
        } else {
            Vec::new()
        };
        let begun = exchange.trace.begun();
        for (name, value) in &exchange.headers {
            let goes_on = match Role::of(name) {
                Role::HopByHop | Role::Own | Role::Trailer => false,
                Role::Vouched => exchange.trusted,
                Role::Trace => begun.is_none(),
                // The body's framing is decided anew; a length of 0 is the one that says more than none.
                Role::ContentLength => value.as_bytes() == b"0",
                Role::MaxForwards => exchange.hops_left().is_none(),
                Role::Other => name != request_id && !is_disguised(name, request_id),
            };
            if goes_on && (named.is_empty() || !named.contains(name)) {
                self.put_field(name, value, put);
            }
        }
        if glance.trailer
            && let Some(names) = trailers::announced(&exchange.headers, request_id)
        {
            put(&TRAILER, &[names.as_bytes()]);
        }
        if let Some(protocols) = self.upgrade {
            put(&CONNECTION, &[b"upgrade"]);
            put(&UPGRADE, &[protocols.as_bytes()]);
        }
        if exchange.expects() {
            put(&EXPECT, &[b"100-continue"]);
        }
        if glance.te && accepts_trailers(&exchange.headers) {
            put(&TE, &[b"trailers"]);
        }
        if let Some(hops) = exchange.hops_left() {
            put(
                &MAX_FORWARDS,
                &[hops.saturating_sub(1).to_string().as_bytes()],
            );
        }
        if let Some(begun) = &begun {
            put(&TRACEPARENT, &[begun]);
        }
        self.put_forwarded(put);
        if self.settings.via {
            put_via(exchange, put);
        }
        put(request_id, &[exchange.id_value.as_bytes()]);
    }
}

impl Outgoing<'_> {
    /// A field of the client's, without what is meant for Pardon in it.
    fn put_field(
        &self,
        name: &HeaderName,
        value: &HeaderValue,
        put: &mut dyn FnMut(&HeaderName, &[&[u8]]),
    ) {
        if self.settings.bypass.is_none() || name != COOKIE {
            put(name, &[value.as_bytes()]);
        } else if let Some(left) = without_token(value.as_bytes()) {
            put(name, &[&left]);
        }
    }

    fn put_host(&self, put: &mut dyn FnMut(&HeaderName, &[&[u8]])) {
        let name = match self.host {
            HostHeader::Keep => match self.exchange.authority_bytes() {
                b"" => self.endpoint.as_bytes(),
                authority => authority,
            },
            HostHeader::Endpoint => self.endpoint.as_bytes(),
            HostHeader::Name(name) => name.as_bytes(),
        };
        put(&HOST, &[name]);
    }

    /// `X-Forwarded-*` and `Forwarded`: begun here, or continued where a trusted proxy began them.
    fn put_forwarded(&self, put: &mut dyn FnMut(&HeaderName, &[&[u8]])) {
        let exchange = self.exchange;
        let vouched = Vouched::of(exchange, self.settings);
        let address = exchange.peer.address_text().as_bytes();
        let chain = vouched.before_the_peer();
        put(&X_FORWARDED_FOR, &[chain.as_bytes(), address]);
        let scheme = exchange.peer.scheme().as_bytes();
        let authority = exchange.authority_bytes();
        let proto = vouched.proto.as_deref().map_or(scheme, str::as_bytes);
        let host = vouched.host.as_deref().map_or(authority, str::as_bytes);
        put(&X_FORWARDED_PROTO, &[proto]);
        if !host.is_empty() {
            put(&X_FORWARDED_HOST, &[host]);
        }
        let (mut host, mut proto) = (authority, scheme);
        if vouched.is_of_the_peer() {
            host = vouched.host_of_element().map_or(host, str::as_bytes);
            proto = vouched.proto_of_element().map_or(proto, str::as_bytes);
        }
        let chain = vouched.elements_before();
        self.put_elements(chain.as_bytes(), host, proto, put);
    }

    /// `for=192.0.2.1;host="shop.example:8080";proto=http` (RFC 7239, 4), after what is there.
    fn put_elements(
        &self,
        chain: &[u8],
        host: &[u8],
        proto: &[u8],
        put: &mut dyn FnMut(&HeaderName, &[&[u8]]),
    ) {
        let address = self.exchange.peer.address_text().as_bytes();
        let (begin, end): (&[u8], &[u8]) = if self.exchange.peer.address().is_ipv6() {
            (b"for=\"[", b"]\"")
        } else {
            (b"for=", b"")
        };
        let (name, name_end): (&[u8], &[u8]) = match host {
            b"" => (b"", b""),
            _ => (b";host=\"", b"\""),
        };
        put(
            &FORWARDED,
            &[
                chain, begin, address, end, name, host, name_end, b";proto=", proto,
            ],
        );
    }
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    let values = headers
        .get_all(TE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

/// `Via: 1.1 pardon`, after what is there (RFC 9110, 7.6.3).
fn put_via(exchange: &Exchange, put: &mut dyn FnMut(&HeaderName, &[&[u8]])) {
    for value in exchange.headers.get_all(VIA) {
        put(&VIA, &[value.as_bytes()]);
    }
    put(
        &VIA,
        &[match exchange.version {
            Version::HTTP_10 => b"1.0 pardon",
            Version::HTTP_2 => b"2.0 pardon",
            _ => b"1.1 pardon",
        }],
    );
}

/// Removes from a passing answer's fields those that belong to the connection with the app.
pub(super) fn clean_answer(headers: &mut HeaderMap, request_id: &HeaderName) {
    let glance = Glance::at(headers);
    if glance.connection {
        for name in named_by_connection(headers) {
            headers.remove(name);
        }
    }
    if glance.hop_by_hop {
        let doomed: Vec<_> = headers
            .keys()
            .filter(|name| is_hop_by_hop(name))
            .cloned()
            .collect();
        for name in doomed {
            headers.remove(name);
        }
    }
    if glance.content_length {
        settle_length(headers);
    }
    if glance.trailer {
        settle_trailer(headers, request_id);
    }
}

/// Adds to a page's fields those that it keeps of the answer that it stands in for: none that belongs to the connection
/// with the app, none that describes the body that was replaced, none that the page states itself.
pub(super) fn keep<'a>(
    page: &mut HeaderMap,
    answer: &HeaderMap,
    listed: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>,
) {
    let of_the_body = [CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, TRAILER];
    let fields: Vec<_> = listed
        .filter(|(name, _)| {
            !page.contains_key(*name) && !is_hop_by_hop(name) && !of_the_body.contains(name)
        })
        .collect();
    if fields.is_empty() {
        return;
    }
    let named = named_by_connection(answer);
    for (name, value) in fields {
        if !named.contains(name) {
            page.append(name, value.clone());
        }
    }
}

/// Leaves in `Trailer` the fields that may come after a body. Over HTTP/1.1 those that are announced there are sent, and no
/// others.
fn settle_trailer(headers: &mut HeaderMap, request_id: &HeaderName) {
    match trailers::announced(headers, request_id) {
        Some(names) => headers.insert(TRAILER, names),
        None => headers.remove(TRAILER),
    };
}

/// Leaves one `Content-Length` where an app repeated it.
fn settle_length(headers: &mut HeaderMap) {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return };
    let repeated = lengths.next().is_some();
    let single = !first.is_empty() && first.as_bytes().iter().all(u8::is_ascii_digit);
    if !repeated && single {
        return;
    }
    let number = first.to_str().ok().and_then(|text| text.split(',').next());
    match number.and_then(|number| number.trim().parse::<u64>().ok()) {
        Some(number) => headers.insert(CONTENT_LENGTH, number.into()),
        None => headers.remove(CONTENT_LENGTH),
    };
}
