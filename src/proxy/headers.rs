//! Which header fields go on, and which stay behind: RFC 9110, 7.6.1, and the forwarding fields of RFC 7239.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    COOKIE, EXPECT, FORWARDED, HOST, HeaderValue, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, Version};

use super::Snapshot;
use super::exchange::{Exchange, X_FORWARDED_FOR};
use crate::config::HostHeader;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Fields that belong to one connection and never go on.
const HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
    TRANSFER_ENCODING,
    TE,
    UPGRADE,
    KEEP_ALIVE,
    PROXY_CONNECTION,
];

fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name)
}

/// Fields of a request that are set anew for the app.
fn is_set_anew(name: &HeaderName, request_id: &HeaderName) -> bool {
    [
        HOST,
        EXPECT,
        VIA,
        FORWARDED,
        X_FORWARDED_FOR,
        X_FORWARDED_PROTO,
        X_FORWARDED_HOST,
    ]
    .contains(name)
        || name == request_id
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

/// The header fields of a request as the app gets them.
pub(super) fn request(
    exchange: &Exchange,
    settings: &Snapshot,
    host: &HostHeader,
    endpoint: &str,
) -> HeaderMap {
    let named = named_by_connection(&exchange.headers);
    let mut headers = HeaderMap::with_capacity(exchange.headers.len() + 8);
    for (name, value) in &exchange.headers {
        let stays = is_hop_by_hop(name)
            || named.contains(name)
            || is_set_anew(name, &settings.request_id.header);
        if !stays {
            headers.append(name, value.clone());
        }
    }
    settle_trailer(&mut headers, &settings.request_id.header);
    // The body's framing is decided anew by hyper; a length of 0 is the one that it would leave out.
    if exchange
        .headers
        .get(CONTENT_LENGTH)
        .is_none_or(|length| length.as_bytes() != b"0")
    {
        headers.remove(CONTENT_LENGTH);
    }
    set_host(&mut headers, exchange, host, endpoint);
    if exchange.expects() {
        headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
    }
    if accepts_trailers(&exchange.headers) {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    set_forwarded(&mut headers, exchange);
    if settings.via {
        set_via(&mut headers, exchange);
    }
    headers.insert(
        settings.request_id.header.clone(),
        exchange.id_value.clone(),
    );
    headers
}

fn set_host(headers: &mut HeaderMap, exchange: &Exchange, host: &HostHeader, endpoint: &str) {
    let name = match host {
        HostHeader::Keep if exchange.authority().is_empty() => endpoint,
        HostHeader::Keep => {
            if exchange.uri.authority().is_none()
                && let Some(value) = exchange.headers.get(HOST)
            {
                headers.insert(HOST, value.clone());
                return;
            }
            exchange.authority()
        }
        HostHeader::Endpoint => endpoint,
        HostHeader::Name(name) => name,
    };
    if let Ok(value) = HeaderValue::from_str(name) {
        headers.insert(HOST, value);
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

/// `X-Forwarded-*` and `Forwarded`: begun here, or continued where a trusted proxy began them.
fn set_forwarded(headers: &mut HeaderMap, exchange: &Exchange) {
    let before = |name: &HeaderName| {
        exchange
            .trusted
            .then(|| exchange.headers.get(name))
            .flatten()
            .cloned()
    };
    let peer = exchange.peer.address_text();
    let chain = continued(exchange, &X_FORWARDED_FOR, || peer.clone());
    headers.insert(X_FORWARDED_FOR, chain);
    let scheme = HeaderValue::from_static(exchange.peer.scheme());
    headers.insert(
        X_FORWARDED_PROTO,
        before(&X_FORWARDED_PROTO).unwrap_or(scheme),
    );
    let host = HeaderValue::from_str(exchange.authority())
        .ok()
        .filter(|host| !host.is_empty());
    if let Some(host) = before(&X_FORWARDED_HOST).or(host) {
        headers.insert(X_FORWARDED_HOST, host);
    }
    let forwarded = continued(exchange, &FORWARDED, || forwarded_element(exchange));
    headers.insert(FORWARDED, forwarded);
}

/// A list field with one more element; what an untrusted client sent of it is dropped.
fn continued(
    exchange: &Exchange,
    name: &HeaderName,
    element: impl FnOnce() -> HeaderValue,
) -> HeaderValue {
    let element = element();
    if !exchange.trusted {
        return element;
    }
    let mut list = Vec::new();
    for value in exchange.headers.get_all(name) {
        list.extend_from_slice(value.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(element.as_bytes());
    HeaderValue::from_bytes(&list).unwrap_or(element)
}

/// `for=192.0.2.1;host="shop.example:8080";proto=http` (RFC 7239, 4).
fn forwarded_element(exchange: &Exchange) -> HeaderValue {
    let address = exchange.peer.address().ip();
    let mut element = String::with_capacity(80);
    element.push_str("for=");
    if address.is_ipv6() {
        element.push_str("\"[");
        element.push_str(exchange.peer.address_text().to_str().unwrap_or_default());
        element.push_str("]\"");
    } else {
        element.push_str(exchange.peer.address_text().to_str().unwrap_or_default());
    }
    if !exchange.authority().is_empty() {
        element.push_str(";host=\"");
        element.push_str(exchange.authority());
        element.push('"');
    }
    element.push_str(";proto=");
    element.push_str(exchange.peer.scheme());
    HeaderValue::try_from(element).unwrap_or_else(|_| HeaderValue::from_static("for=unknown"))
}

/// `Via: 1.1 pardon`, after what is there (RFC 9110, 7.6.3).
fn set_via(headers: &mut HeaderMap, exchange: &Exchange) {
    for value in exchange.headers.get_all(VIA) {
        headers.append(VIA, value.clone());
    }
    headers.append(
        VIA,
        HeaderValue::from_static(match exchange.version {
            Version::HTTP_10 => "1.0 pardon",
            Version::HTTP_2 => "2.0 pardon",
            _ => "1.1 pardon",
        }),
    );
}

/// Removes from a passing answer's fields those that belong to the connection with the app.
pub(super) fn clean_answer(headers: &mut HeaderMap) {
    if !headers.keys().any(is_hop_by_hop) {
        return;
    }
    for name in named_by_connection(headers) {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
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

/// Leaves in `Trailer` the fields that may come after a body: none that frames or routes a message, says who asks, or
/// that a proxy sets (RFC 9110, 6.5.1). hyper sends the trailers that are announced there and no others.
pub(super) fn settle_trailer(headers: &mut HeaderMap, request_id: &HeaderName) {
    if !headers.contains_key(TRAILER) {
        return;
    }
    let names: Vec<_> = headers
        .get_all(TRAILER)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| may_trail(name) && !is_set_anew(name, request_id))
        .map(|name| name.as_str().to_owned())
        .collect();
    match HeaderValue::try_from(names.join(", ")) {
        Ok(names) if !names.is_empty() => headers.insert(TRAILER, names),
        _ => headers.remove(TRAILER),
    };
}

fn may_trail(name: &HeaderName) -> bool {
    let never = [
        AUTHORIZATION,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_RANGE,
        CONTENT_TYPE,
        COOKIE,
        PROXY_AUTHORIZATION,
        SET_COOKIE,
        TRAILER,
    ];
    !is_hop_by_hop(name) && !never.contains(name)
}

/// Leaves one `Content-Length` where an app repeated it.
pub(super) fn settle_length(headers: &mut HeaderMap) {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return };
    let repeated = lengths.next().is_some();
    let single = first.as_bytes().iter().all(u8::is_ascii_digit);
    if !repeated && single {
        return;
    }
    let number = first.to_str().ok().and_then(|text| text.split(',').next());
    match number.and_then(|number| number.trim().parse::<u64>().ok()) {
        Some(number) => headers.insert(CONTENT_LENGTH, number.into()),
        None => headers.remove(CONTENT_LENGTH),
    };
}
