//! Tunnels after a 101 (RFC 9110, 7.8): which requests may become one.
//!
//! A tunnel is two streams of bytes: what the visitor sends after the switch is the request's body, what the app sends the
//! answer's. It lives until both have ended, until one side breaks it off, until nothing has moved for
//! `server.timeouts.tunnel`, or until a drain's time is up; the time-outs of HTTP do not count in it.

use http::HeaderValue;
use http::header::UPGRADE;

use super::exchange::Exchange;

/// The protocols that a request asks for, where its `Upgrade` goes on. HTTP/2 in the place of HTTP/1.1 is a matter of one
/// connection: behind a tunnel its requests would pass unseen.
pub(super) fn protocols(exchange: &Exchange) -> Option<&HeaderValue> {
    if !exchange.glance.connection {
        return None;
    }
    let mut fields = exchange.headers.get_all(UPGRADE).iter();
    match (fields.next(), fields.next()) {
        (Some(protocols), None) if is_tunnelled(protocols) => Some(protocols),
        _ => None,
    }
}

fn is_tunnelled(protocols: &HeaderValue) -> bool {
    let mut names = protocols
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii);
    names.all(|name| {
        let bare = name.split(|byte| *byte == b'/').next().unwrap_or_default();
        let of_http = [&b"h2c"[..], b"h2", b"http"];
        !bare.is_empty() && !of_http.iter().any(|own| bare.eq_ignore_ascii_case(own))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_itself_is_not_tunnelled() {
        for (protocols, goes_on) in [
            ("websocket", true),
            ("TLS/1.0", true),
            ("foo, bar/2", true),
            ("h2c", false),
            ("H2C", false),
            ("websocket, h2c", false),
            ("HTTP/2.0", false),
            ("", false),
            ("a,,b", false),
        ] {
            let field = HeaderValue::from_static(protocols);
            assert_eq!(is_tunnelled(&field), goes_on, "{protocols}");
        }
    }
}
