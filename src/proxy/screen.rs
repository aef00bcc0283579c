//! What is refused before any app hears of it: requests for what there is not, and those past a limit.
//!
//! Where a request ends the server has decided by now, and that it has no more than one `Host`.

use std::net::Ipv6Addr;

use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, Method, Version};

use super::exchange::Exchange;
use super::refuse::Refusal;
use crate::config::Limits;

/// Checks a request's head.
///
/// # Errors
///
/// The refusal, where it is refused.
pub(super) fn screen(exchange: &Exchange, limits: &Limits) -> Result<(), Refusal> {
    match exchange.method {
        Method::CONNECT => return Err(Refusal::Bad("CONNECT opens no tunnel here")),
        // An app that answers it tells a script what only its browser should know: cookies, and what proxies have added.
        Method::TRACE => return Err(Refusal::Bad("TRACE is not for visitors")),
        _ => {}
    }
    target(exchange)?;
    host(exchange)?;
    let peer = &exchange.peer;
    if peer.is_secure() && peer.is_misdirected(exchange.host()) {
        return Err(Refusal::Misdirected);
    }
    let glance = &exchange.glance;
    if glance.expect {
        expectation(&exchange.headers)?;
    }
    if exchange.target().len() as u64 > limits.uri.0 {
        return Err(Refusal::TargetTooLong);
    }
    if glance.content_length
        && limits.body.0 > 0
        && length(&exchange.headers).is_some_and(|length| length > limits.body.0)
    {
        return Err(Refusal::BodyTooLarge);
    }
    Ok(())
}

/// A target in origin form, in absolute form of this scheme's family, or `*` for OPTIONS (RFC 9112, 3.2).
fn target(exchange: &Exchange) -> Result<(), Refusal> {
    let uri = &exchange.uri;
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let known = match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) => is_authority(authority.as_str().as_bytes()),
        (None, None) => {
            path.starts_with('/') || (path == "*" && exchange.method == Method::OPTIONS)
        }
        _ => false,
    };
    if known {
        Ok(())
    } else {
        Err(Refusal::Bad("a target that is none"))
    }
}

/// A possible `Host` (RFC 9112, 3.2); HTTP/1.0 may leave it out.
fn host(exchange: &Exchange) -> Result<(), Refusal> {
    let Some(host) = &exchange.host else {
        return match exchange.version {
            Version::HTTP_11 => Err(Refusal::Bad("no Host")),
            _ => Ok(()),
        };
    };
    if is_authority(host.as_bytes()) {
        Ok(())
    } else {
        Err(Refusal::Bad("a Host that is none"))
    }
}

/// Whether this is a host, with or without a port (RFC 3986, 3.2.2 and 3.2.3): a name, an IPv4 address, or an IPv6
/// address in brackets. No user information, and of a name's characters those that names have.
fn is_authority(authority: &[u8]) -> bool {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let Ok(text) = str::from_utf8(authority) else {
        return false;
    };
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => ("v6", port),
        Some(_) => return false,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let numbered =
        |port: &str| port.is_empty() || port.parse::<u16>().is_ok_and(|_| !port.starts_with('+'));
    !host.is_empty()
        && host.bytes().all(named)
        && (port.is_empty() || port.strip_prefix(':').is_some_and(numbered))
}

/// The one expectation that there is (RFC 9110, 10.1.1).
fn expectation(headers: &HeaderMap) -> Result<(), Refusal> {
    let known = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if headers.get_all(EXPECT).iter().all(known) {
        Ok(())
    } else {
        Err(Refusal::Expectation)
    }
}

/// The length that a request states for its body.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_from_what_only_looks_like_one() {
        for host in [
            "shop.example",
            "shop.example:8080",
            "shop.example:",
            "SHOP",
            "a_b.example",
            "192.0.2.1:80",
            "[::1]",
            "[2001:db8::1]:8443",
            "xn--bcher-kva.example",
        ] {
            assert!(is_authority(host.as_bytes()), "{host}");
        }
        for host in [
            "", ":80", "[::1", "::1", "[x]y", "[x]", "x:a", "x:99999", "x:80:80", "x:+80", "a:b:c",
            "u@x", "u:p@x", "%00", "a b", "a/b", "a,b", "x:-1", "[::1]80",
        ] {
            assert!(!is_authority(host.as_bytes()), "{host}");
        }
    }
}
