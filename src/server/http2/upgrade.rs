//! WebSocket over a stream (RFC 8441), as a handler sees it: the switch of protocols that HTTP/1.1 makes (RFC 6455, 4).

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use h2::ext::Protocol;
use http::header::{CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderValue, Method, StatusCode, request, response};

use crate::server::Unreadable;

/// Turns an extended CONNECT into the request that asks for the same in HTTP/1.1; whether it is one.
///
/// # Errors
///
/// When it asks for another protocol.
pub(super) fn translate(head: &mut request::Parts) -> Result<bool, Unreadable> {
    let Some(protocol) = head.extensions.remove::<Protocol>() else {
        return Ok(false);
    };
    if !protocol.as_str().eq_ignore_ascii_case("websocket") {
        return Err(Unreadable::Protocol);
    }
    head.method = Method::GET;
    let fields = &mut head.headers;
    fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    fields.insert(SEC_WEBSOCKET_KEY, key());
    // A tunnel's bytes are no body, whatever is said of their number.
    fields.remove(CONTENT_LENGTH);
    Ok(true)
}

/// Turns the answer to it back; whether it opens the tunnel. An app that answers 2xx without the switch has opened none, which
/// a client of HTTP/2 would take it for.
pub(super) fn answer(head: &mut response::Parts) -> bool {
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        head.status = StatusCode::OK;
        head.headers.remove(SEC_WEBSOCKET_ACCEPT);
        return true;
    }
    if head.status.is_success() {
        head.status = StatusCode::BAD_GATEWAY;
    }
    false
}

/// A key that no other request has: what the app makes of it nobody looks at.
fn key() -> HeaderValue {
    let random = || RandomState::new().build_hasher().finish().to_be_bytes();
    let text = BASE64_STANDARD.encode([random(), random()].concat());
    // Base64 is ASCII, so it is a header value.
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
