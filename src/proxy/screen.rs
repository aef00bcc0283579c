//! What is refused before any app hears of it: requests that two parsers could read in two ways, and those past a limit.
//!
//! hyper has read the head by now; this holds what it lets through. What it hides (a length beside a chunked coding, a
//! bare LF) is for `server::wire`.

use http::header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
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
    if exchange.method == Method::CONNECT {
        return Err(Refusal::Bad("CONNECT opens no tunnel here"));
    }
    host(exchange)?;
    framing(&exchange.headers, exchange.version)?;
    expectation(&exchange.headers)?;
    if exchange.target().len() as u64 > limits.uri.0 {
        return Err(Refusal::TargetTooLong);
    }
    if limits.body.0 > 0 && length(&exchange.headers).is_some_and(|length| length > limits.body.0) {
        return Err(Refusal::BodyTooLarge);
    }
    Ok(())
}

/// One `Host`, and a possible one (RFC 9112, 3.2); HTTP/1.0 may leave it out.
fn host(exchange: &Exchange) -> Result<(), Refusal> {
    let mut hosts = exchange.headers.get_all(HOST).iter();
    let Some(host) = hosts.next() else {
        return match exchange.version {
            Version::HTTP_11 => Err(Refusal::Bad("no Host")),
            _ => Ok(()),
        };
    };
    if hosts.next().is_some() {
        return Err(Refusal::Bad("several Hosts"));
    }
    if host.is_empty() && exchange.uri.authority().is_none() {
        return Err(Refusal::Bad("an empty Host"));
    }
    if host.as_bytes().iter().copied().all(is_host_byte) {
        Ok(())
    } else {
        Err(Refusal::Bad("a Host that is none"))
    }
}

/// The bytes of a host and port (RFC 3986, 3.2.2), user information and its `@` left out.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(&byte)
}

/// Framing that can be read in one way only (RFC 9112, 6).
fn framing(headers: &HeaderMap, version: Version) -> Result<(), Refusal> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if version == Version::HTTP_10 {
            return Err(Refusal::Bad("Transfer-Encoding in HTTP/1.0"));
        }
        if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::Bad(
                "a Transfer-Encoding that is not `chunked` alone",
            ));
        }
        if headers.contains_key(CONTENT_LENGTH) {
            return Err(Refusal::Bad("Content-Length beside Transfer-Encoding"));
        }
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    if let Some(length) = lengths.next() {
        let digits = !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit);
        if !digits || lengths.any(|other| other != length) {
            return Err(Refusal::Bad("a Content-Length that is not one number"));
        }
    }
    Ok(())
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
