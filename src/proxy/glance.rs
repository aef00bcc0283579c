//! Which of the fields that concern a proxy a message has: one pass over its names instead of a search for each.

use http::{HeaderMap, HeaderName};

use crate::bypass;

/// What a field is to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It belongs to one connection and never goes on (RFC 9110, 7.6.1).
    HopByHop,
    /// A request's, set anew for the app or kept from it.
    Own,
    ContentLength,
    Trailer,
    /// It says who a visitor is or how it came; goes on where a trusted proxy sent it.
    Vouched,
    /// It says which trace a request belongs to.
    Trace,
    /// It says how many proxies more may pass an OPTIONS request on.
    MaxForwards,
    /// It goes on as it is.
    Other,
}

impl Role {
    pub(super) fn of(name: &HeaderName) -> Self {
        match name.as_str() {
            "connection" | "transfer-encoding" | "te" | "upgrade" | "keep-alive"
            | "proxy-connection" | "http2-settings" => Self::HopByHop,
            "host" | "expect" | "via" | "forwarded" | "x-forwarded-for" | "x-forwarded-proto"
            | "x-forwarded-host"
            // CGI hands it over as the variable that names a proxy for the app's own requests (CVE-2016-5385).
            | "proxy"
            | bypass::HEADER => Self::Own,
            "x-real-ip" | "x-client-ip" | "x-cluster-client-ip" | "true-client-ip" | "client-ip"
            | "cf-connecting-ip" | "cf-connecting-ipv6" | "fastly-client-ip" | "front-end-https"
            | "x-scheme" | "x-url-scheme" => Self::Vouched,
            "content-length" => Self::ContentLength,
            "trailer" => Self::Trailer,
            "traceparent" | "tracestate" => Self::Trace,
            "max-forwards" => Self::MaxForwards,
            // `-Port`, `-Ssl`, `-Prefix`, `-Server`, `-Scheme` and whatever else is made up.
            name if name.starts_with("x-forwarded-") => Self::Vouched,
            _ => Self::Other,
        }
    }
}

/// Whether an app that hears fields as variables, as those behind CGI, WSGI and PHP do, takes this one for another that a proxy
/// sets or keeps to itself: `X_Forwarded_For` is `HTTP_X_FORWARDED_FOR` there too.
pub(super) fn is_disguised(name: &HeaderName, request_id: &HeaderName) -> bool {
    let is_other = |byte: u8| !byte.is_ascii_alphanumeric() && byte != b'-';
    let name = name.as_str();
    if !name.bytes().any(is_other) {
        return false;
    }
    let plain = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let plain = HeaderName::try_from(plain);
    plain.is_ok_and(|plain| Role::of(&plain) != Role::Other || plain == request_id)
}

/// Which fields are there.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is the presence of one field"
)]
pub(super) struct Glance {
    /// Any that belongs to one connection.
    pub(super) hop_by_hop: bool,
    pub(super) connection: bool,
    pub(super) content_length: bool,
    pub(super) te: bool,
    pub(super) trailer: bool,
    pub(super) expect: bool,
    pub(super) traceparent: bool,
    pub(super) max_forwards: bool,
}

impl Glance {
    pub(super) fn at(headers: &HeaderMap) -> Self {
        let mut glance = Self::default();
        for name in headers.keys() {
            match Role::of(name) {
                Role::Other | Role::Vouched => {}
                Role::ContentLength => glance.content_length = true,
                Role::Trailer => glance.trailer = true,
                Role::MaxForwards => glance.max_forwards = true,
                Role::Trace => glance.traceparent |= name.as_str() == "traceparent",
                Role::Own => glance.expect |= name.as_str() == "expect",
                Role::HopByHop => {
                    glance.hop_by_hop = true;
                    match name.as_str() {
                        "connection" => glance.connection = true,
                        "te" => glance.te = true,
                        _ => {}
                    }
                }
            }
        }
        glance
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn what_names_a_visitor_is_told_from_what_only_looks_like_it() {
        let role = |name: &'static str| Role::of(&HeaderName::from_static(name));
        for name in [
            "x-forwarded-port",
            "x-forwarded-",
            "x-real-ip",
            "front-end-https",
        ] {
            assert_eq!(role(name), Role::Vouched, "{name}");
        }
        for name in ["x-forwarded-for", "proxy"] {
            assert_eq!(role(name), Role::Own, "{name}");
        }
        for name in ["x-forwarded", "x-real-ip2", "x-forward-for", "proxy-status"] {
            assert_eq!(role(name), Role::Other, "{name}");
        }
    }

    #[test]
    fn a_glance_sees_each_field() {
        let seen = |name: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static("x"));
            let Glance {
                hop_by_hop,
                connection,
                content_length,
                te,
                trailer,
                expect,
                traceparent,
                max_forwards,
            } = Glance::at(&headers);
            [
                hop_by_hop,
                connection,
                content_length,
                te,
                trailer,
                expect,
                traceparent,
                max_forwards,
            ]
            .map(u8::from)
        };
        assert_eq!(seen("accept"), [0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(seen("host"), [0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(seen("keep-alive"), [1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(seen("connection"), [1, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(seen("transfer-encoding"), [1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(seen("content-length"), [0, 0, 1, 0, 0, 0, 0, 0]);
        assert_eq!(seen("te"), [1, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(seen("trailer"), [0, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(seen("expect"), [0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(seen("traceparent"), [0, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!(seen("tracestate"), [0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(seen("max-forwards"), [0, 0, 0, 0, 0, 0, 0, 1]);
    }
}
