//! A request's head, checked for what the frames' reader lets through, and put as HTTP/1.1 would have brought it.
//!
//! The `h2` crate has refused by now, with a reset: names that are none, values with CR, LF or NUL, fields that belong to a
//! connection, pseudo-fields that are unknown, doubled, late or an answer's, lengths that are no number.

use h2::ext::Protocol;
use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST, TE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri, request};

use super::upgrade;
use crate::config::Limits;
use crate::http1::{are_tokens, digits, has};
use crate::server::Unreadable;

/// A request's head, and what it says of the stream.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) head: request::Parts,
    /// The body's length, where that is stated.
    pub(super) length: Option<u64>,
    /// Whether the client waits to be asked for the body.
    pub(super) expects: bool,
    /// Whether it asks for a tunnel.
    pub(super) tunnel: bool,
}

/// A request that is refused: what is known of it, and why.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) head: request::Parts,
    pub(super) why: Unreadable,
}

/// Reads a head.
///
/// # Errors
///
/// The refusal, where it is refused.
pub(super) fn read(mut head: request::Parts, limits: &Limits) -> Result<Read, Box<Refused>> {
    join_cookies(&mut head.headers);
    match check(&mut head, limits) {
        Ok(tunnel) => Ok(Read {
            length: length(&head.headers),
            expects: head.headers.contains_key(EXPECT),
            tunnel,
            head,
        }),
        Err(why) => Err(Box::new(Refused { head, why })),
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    digits(headers.get(CONTENT_LENGTH)?.as_bytes())
}

/// Whether a client takes trailers: by its word, or because its protocol has no answer without them.
pub(super) fn takes_trailers(headers: &HeaderMap) -> bool {
    let said = headers.get(TE).is_some_and(|te| has(te, "trailers"));
    let kind = headers.get(http::header::CONTENT_TYPE);
    said || kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Checks a head and puts it in origin form; whether it asks for a tunnel.
fn check(head: &mut request::Parts, limits: &Limits) -> Result<bool, Unreadable> {
    if head.headers.len() > limits.headers {
        return Err(Unreadable::TooManyFields);
    }
    if size(head) > limits.head.bytes() {
        return Err(Unreadable::HeadTooLarge);
    }
    if !are_tokens(&head.headers) {
        return Err(Unreadable::Malformed("a field's name that is none"));
    }
    for value in head.headers.values() {
        if value.as_bytes().trim_ascii().len() < value.len() {
            let why = "a field's value that begins or ends with white space (RFC 9113, 8.2.1)";
            return Err(Unreadable::Malformed(why));
        }
    }
    if head.headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some() {
        return Err(Unreadable::Malformed("several lengths"));
    }
    // What asks for a tunnel to another host has no path, and is refused with a page of its own.
    if head.method == Method::CONNECT && head.extensions.get::<Protocol>().is_none() {
        return Ok(false);
    }
    host(head)?;
    head.uri = Uri::from(path(head)?);
    upgrade::translate(head)
}

/// How many bytes it would be in HTTP/1.1, but for the first line's spaces and version.
fn size(head: &request::Parts) -> usize {
    let fields = head.headers.iter();
    let fields: usize = fields
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    let target = head
        .uri
        .path_and_query()
        .map_or(0, |path| path.as_str().len());
    fields + target
}

/// Sees to it that there is one `Host`: what `:authority` says, where there is that (RFC 9113, 8.3.1).
fn host(head: &mut request::Parts) -> Result<(), Unreadable> {
    if let Some(authority) = head.uri.authority() {
        let host = HeaderValue::from_str(authority.as_str());
        let host = host.map_err(|_| Unreadable::Malformed("an `:authority` that is none"))?;
        head.headers.insert(HOST, host);
        return Ok(());
    }
    match head.headers.get_all(HOST).iter().count() {
        0 => Err(Unreadable::Malformed("neither `:authority` nor Host")),
        1 => Ok(()),
        _ => Err(Unreadable::Malformed("several Hosts")),
    }
}

/// The target in origin form, or `*` for OPTIONS.
fn path(head: &request::Parts) -> Result<PathAndQuery, Unreadable> {
    if !matches!(head.uri.scheme_str(), None | Some("http" | "https")) {
        let why = "a scheme that is neither http nor https";
        return Err(Unreadable::Malformed(why));
    }
    let path = head.uri.path_and_query().filter(|path| {
        path.as_str().starts_with('/') || (path.as_str() == "*" && head.method == Method::OPTIONS)
    });
    path.cloned()
        .ok_or(Unreadable::Malformed("a `:path` that is none"))
}

/// Makes one field of the crumbs that a cookie may come in (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    if crumbs.by_ref().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<_> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, cookie);
    }
}
