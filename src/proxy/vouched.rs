//! What trusted proxies say of a visitor: the addresses that a request came by, and the scheme and the host that were asked for.
//!
//! It is told in `X-Forwarded-*` and in `Forwarded` (RFC 7239). Where both are there the first are believed: most proxies write them, and
//! many let a visitor's own `Forwarded` pass. A `Forwarded` that breaks the grammar is believed in nothing. Nothing is believed
//! of peers that are not trusted. What there is to read is bounded by the limit of a head.

use std::net::IpAddr;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Snapshot;
use super::exchange::{Exchange, without_port};

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What is believed; empty where nothing is.
#[derive(Debug, Default)]
pub(super) struct Vouched {
    /// From the visitor's side to ours, without the peer.
    hops: Vec<Hop>,
    /// Which hop is the visitor: the first from our side that is not trusted, or the last that has an address.
    visitor: Option<usize>,
    /// The scheme that the visitor used.
    pub(super) proto: Option<String>,
    /// The host that the visitor asked for.
    pub(super) host: Option<String>,
    /// The elements of `Forwarded`, where it is what is believed.
    forwarded: Option<String>,
}

#[derive(Debug, Default)]
struct Hop {
    /// As `X-Forwarded-For` has it.
    text: String,
    /// Nothing for `unknown`, and for a name that hides an address.
    address: Option<IpAddr>,
    proto: Option<String>,
    host: Option<String>,
}

impl Vouched {
    /// What the peer of an exchange says, where it is trusted.
    pub(super) fn of(exchange: &Exchange, settings: &Snapshot) -> Self {
        if !exchange.trusted {
            return Self::default();
        }
        Self::read(&exchange.headers, |address| settings.trusts(address))
    }

    fn read(headers: &HeaderMap, trusts: impl Fn(IpAddr) -> bool) -> Self {
        let others = [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST];
        let mut said = if others.iter().any(|name| filled(headers, name).is_some()) {
            Self::of_the_others(headers)
        } else {
            Self::of_forwarded(headers).unwrap_or_default()
        };
        for (at, hop) in said.hops.iter().enumerate().rev() {
            let Some(address) = hop.address else { break };
            said.visitor = Some(at);
            if !trusts(address) {
                break;
            }
        }
        if said.forwarded.is_some()
            && let Some(hop) = said.visitor.and_then(|at| said.hops.get_mut(at))
        {
            said.proto = hop.proto.take();
            said.host = hop.host.take();
        }
        said
    }

    fn of_the_others(headers: &HeaderMap) -> Self {
        let values = headers.get_all(X_FORWARDED_FOR).iter();
        let hops = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|text| !text.is_empty());
        Self {
            hops: hops.map(Hop::named).collect(),
            proto: filled(headers, &X_FORWARDED_PROTO),
            host: filled(headers, &X_FORWARDED_HOST),
            ..Self::default()
        }
    }

    fn of_forwarded(headers: &HeaderMap) -> Option<Self> {
        let mut said = Self::default();
        let mut lines = Vec::new();
        for value in headers.get_all(FORWARDED) {
            let line = value.to_str().ok()?.trim();
            for element in split(line, ',')? {
                if !element.trim().is_empty() {
                    said.hops.push(Hop::element(element)?);
                }
            }
            if !line.is_empty() {
                lines.push(line);
            }
        }
        said.forwarded = (!said.hops.is_empty()).then(|| lines.join(", "));
        Some(said)
    }

    /// The visitor's address, where one is named.
    pub(super) fn visitor(&self) -> Option<IpAddr> {
        self.hops.get(self.visitor?)?.address
    }

    /// What stands in `X-Forwarded-For` before the peer.
    pub(super) fn before_the_peer(&self) -> String {
        let mut list = String::new();
        for hop in &self.hops {
            list.push_str(&hop.text);
            list.push_str(", ");
        }
        list
    }

    /// What stands in `Forwarded` before the peer's element.
    pub(super) fn elements_before(&self) -> String {
        if let Some(elements) = &self.forwarded {
            return format!("{elements}, ");
        }
        let mut list = String::new();
        for (at, hop) in self.hops.iter().enumerate() {
            let node = match hop.address {
                Some(IpAddr::V4(address)) => format!("for={address}"),
                Some(IpAddr::V6(address)) => format!("for=\"[{address}]\""),
                None => "for=unknown".to_owned(),
            };
            list.push_str(&node);
            if self.visitor == Some(at) {
                list.push_str(&self.parameters());
            }
            list.push_str(", ");
        }
        list
    }

    /// Whether scheme and host belong to the peer's own element: no address came with them.
    pub(super) fn is_of_the_peer(&self) -> bool {
        self.visitor.is_none()
    }

    /// The scheme, where an element can say it.
    pub(super) fn proto_of_element(&self) -> Option<&str> {
        self.proto.as_deref().filter(|proto| is_token(proto))
    }

    /// The host, where an element can say it.
    pub(super) fn host_of_element(&self) -> Option<&str> {
        self.host.as_deref().filter(|host| is_quotable(host))
    }

    /// Scheme and host as parameters of an element.
    fn parameters(&self) -> String {
        let host = (self.host_of_element()).map(|host| format!(";host=\"{host}\""));
        let proto = (self.proto_of_element()).map(|proto| format!(";proto={proto}"));
        host.unwrap_or_default() + &proto.unwrap_or_default()
    }
}

impl Hop {
    fn named(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            address: address(text),
            ..Self::default()
        }
    }

    /// An element of `Forwarded`; nothing where it breaks the grammar or says a thing twice.
    fn element(text: &str) -> Option<Self> {
        let mut hop = Self::default();
        let (mut node, mut proto, mut host) = (None, None, None);
        for pair in split(text, ';')? {
            if pair.trim().is_empty() {
                continue;
            }
            let (name, value) = pair.trim().split_once('=')?;
            let value = unquoted(value)?;
            let place = match &*name.to_ascii_lowercase() {
                "for" => &mut node,
                "proto" => &mut proto,
                "host" => &mut host,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        hop.address = node.as_deref().and_then(address);
        hop.text = match hop.address {
            Some(address) => address.to_string(),
            None => "unknown".to_owned(),
        };
        hop.proto = proto.filter(|proto| is_token(proto));
        hop.host = host.filter(|host| !host.is_empty() && is_quotable(host));
        Some(hop)
    }
}

/// The first value of a field, where it says something.
fn filled(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name).map(HeaderValue::to_str)?.ok()?.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// Splits where a character stands outside quotes; nothing where a quote has no end.
fn split(text: &str, at: char) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut begin, mut quoted, mut escaped) = (0, false, false);
    for (here, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if character == at && !quoted => {
                parts.push(text.get(begin..here)?);
                begin = here + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(begin..)?);
    (!quoted).then_some(parts)
}

/// A value without its quotes (RFC 9110, 5.6.4). Ports and IPv6 addresses need quotes, which some proxies forget.
fn unquoted(value: &str) -> Option<String> {
    let Some(rest) = value.strip_prefix('"') else {
        let plain = value.replace(['[', ']', ':'], "");
        return (plain.is_empty() || is_token(&plain)).then(|| value.to_owned());
    };
    let mut text = String::new();
    let mut characters = rest.strip_suffix('"')?.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => text.push(characters.next()?),
            _ => text.push(character),
        }
    }
    Some(text)
}

fn is_token(text: &str) -> bool {
    let of_tokens = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(of_tokens)
}

fn is_quotable(text: &str) -> bool {
    !text.contains(['"', '\\'])
}

/// An address, which some write with a port.
fn address(text: &str) -> Option<IpAddr> {
    let host = without_port(text);
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is believed of one line, where 10.0.0.0/8 is trusted.
    fn read(fields: &[(HeaderName, &'static str)]) -> Vouched {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_static(value));
        }
        Vouched::read(
            &headers,
            |address| matches!(address, IpAddr::V4(v4) if v4.octets()[0] == 10),
        )
    }

    #[test]
    fn the_visitor_of_forwarded_is_the_first_that_is_not_trusted() {
        for (value, visitor, proto) in [
            ("for=6.6.6.6", "6.6.6.6", ""),
            ("For=\"6.6.6.6:4711\" ; Proto=https", "6.6.6.6", "https"),
            ("for=\"[2001:db8::1]:80\"", "2001:db8::1", ""),
            ("for=[2001:db8::1]", "2001:db8::1", ""),
            (
                "for=1.1.1.1;proto=https, for=6.6.6.6;proto=http",
                "6.6.6.6",
                "http",
            ),
            (
                "for=6.6.6.6;proto=https,for=10.0.0.1;proto=http",
                "6.6.6.6",
                "https",
            ),
            ("for=6.6.6.6;x=\"a,for=1.1.1.1;\\\"\"", "6.6.6.6", ""),
            ("for=\"\\6.6.6.6\"", "6.6.6.6", ""),
            ("for=10.0.0.2, for=10.0.0.1", "10.0.0.2", ""),
            ("for=_hidden, for=10.0.0.1", "10.0.0.1", ""),
            ("for=6.6.6.6, for=unknown", "", ""),
            ("for=6.6.6.6, proto=https", "", ""),
            ("for=6.6.6.6;for=1.1.1.1", "", ""),
            ("for=6.6.6.6, x=\"", "", ""),
            ("for=\"6.6.6.6\"1", "", ""),
            ("6.6.6.6", "", ""),
            ("", "", ""),
        ] {
            let said = read(&[(FORWARDED, value)]);
            let found = said.visitor().map(|address| address.to_string());
            assert_eq!(found.unwrap_or_default(), visitor, "{value}");
            assert_eq!(said.proto.unwrap_or_default(), proto, "{value}");
        }
    }

    #[test]
    fn both_fields_say_the_same() {
        let said = read(&[
            (X_FORWARDED_FOR, "1.1.1.1,2001:db8::1"),
            (X_FORWARDED_FOR, "10.0.0.1"),
            (X_FORWARDED_PROTO, "https"),
            (X_FORWARDED_HOST, "shop.example:8443"),
            (FORWARDED, "for=9.9.9.9"),
        ]);
        assert_eq!(said.visitor(), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(said.before_the_peer(), "1.1.1.1, 2001:db8::1, 10.0.0.1, ");
        assert_eq!(
            said.elements_before(),
            "for=1.1.1.1, for=\"[2001:db8::1]\";host=\"shop.example:8443\";proto=https, for=10.0.0.1, "
        );
        let said = read(&[
            (FORWARDED, "for=_x, for=\"[2001:db8::1]:80\""),
            (FORWARDED, "for=10.0.0.1"),
        ]);
        assert_eq!(said.before_the_peer(), "unknown, 2001:db8::1, 10.0.0.1, ");
        assert_eq!(
            said.elements_before(),
            "for=_x, for=\"[2001:db8::1]:80\", for=10.0.0.1, "
        );
    }

    #[test]
    fn an_empty_field_says_nothing() {
        let said = read(&[(X_FORWARDED_FOR, ""), (X_FORWARDED_PROTO, "")]);
        assert_eq!(said.before_the_peer(), "");
        assert_eq!(said.elements_before(), "");
        assert_eq!(said.proto, None);
    }

    #[test]
    fn addresses_may_have_ports() {
        for (text, expected) in [
            ("192.0.2.1:4711", "192.0.2.1"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(address(text), Some(expected.parse().unwrap()));
        }
        assert_eq!(address("unknown"), None);
    }
}
