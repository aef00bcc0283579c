//! WebSocket over a stream to an app (RFC 8441): the switch of protocols that a visitor asks for becomes an extended CONNECT,
//! and the app's 2xx the 101 that the visitor waits for.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use h2::ext::Protocol;
use http::header::{CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderValue, Method, Request, StatusCode, response};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

const WEBSOCKET: &str = "websocket";

/// What is appended to a key to make the answer to it (RFC 6455, 1.3).
const KEYS_ANSWER: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A stream that is to become a tunnel, or is one.
pub(super) struct Tunnel {
    /// What the visitor's key is answered with: HTTP/2 has no keys.
    accept: Option<HeaderValue>,
    /// Whether the app has opened it.
    pub(super) is_open: bool,
    /// Whether it was told that the app's side has ended.
    pub(super) told: bool,
}

/// Whether these protocols, of an `Upgrade` field, are what a stream can carry.
pub(super) fn is_websocket(protocols: &HeaderValue) -> bool {
    let name = protocols.as_bytes().trim_ascii();
    name.eq_ignore_ascii_case(WEBSOCKET.as_bytes())
}

impl Tunnel {
    /// Makes the request that asks for one of the request that asks for a switch.
    pub(super) fn ask(request: &mut Request<()>) -> Self {
        *request.method_mut() = Method::CONNECT;
        request
            .extensions_mut()
            .insert(Protocol::from_static(WEBSOCKET));
        let fields = request.headers_mut();
        // A tunnel's bytes are no body, whatever is said of their number.
        fields.remove(CONTENT_LENGTH);
        let key = fields.remove(SEC_WEBSOCKET_KEY);
        Self {
            accept: key.and_then(|key| answer_to(&key)),
            is_open: false,
            told: false,
        }
    }

    /// Turns the app's answer into that of HTTP/1.1, where it opens the tunnel.
    pub(super) fn answered(&mut self, head: &mut response::Parts) {
        self.is_open = head.status.is_success();
        if !self.is_open {
            return;
        }
        head.status = StatusCode::SWITCHING_PROTOCOLS;
        head.headers.remove(CONTENT_LENGTH);
        let protocol = HeaderValue::from_static(WEBSOCKET);
        head.headers.insert(UPGRADE, protocol);
        if let Some(accept) = self.accept.take() {
            head.headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
    }
}

/// What a server that has understood says to a key (RFC 6455, 4.2.2).
fn answer_to(key: &HeaderValue) -> Option<HeaderValue> {
    let text = [key.as_bytes(), KEYS_ANSWER].concat();
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &text);
    HeaderValue::try_from(BASE64_STANDARD.encode(hash)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_answered_as_the_specification_has_it() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        let answer = answer_to(&key).unwrap();
        assert_eq!(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn websocket_alone_goes_over_a_stream() {
        for (protocols, goes) in [
            ("websocket", true),
            (" WebSocket", true),
            ("websocket, foo", false),
            ("TLS/1.0", false),
        ] {
            let field = HeaderValue::from_static(protocols);
            assert_eq!(is_websocket(&field), goes, "{protocols}");
        }
    }
}
