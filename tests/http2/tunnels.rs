//! WebSocket over a stream (RFC 8441).

use crate::support::http2::{Frames, Outcome};
use crate::support::{Gateway, Origin};

const CONNECT: [(&str, &str); 6] = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "http"),
    (":path", "/chat"),
    (":authority", "shop.example"),
    ("sec-websocket-version", "13"),
];

#[test]
fn a_tunnel_of_another_protocol_is_refused() {
    let origin = Origin::saying(200, "", "");
    let gateway = Gateway::before(&origin);
    let mut client = Frames::connect(gateway.address());
    let mut other = CONNECT;
    other[1].1 = "connect-udp";
    client.head(1, &other, false);
    assert_eq!(client.outcome(1), Outcome::Answered(501));
    assert!(origin.requests().is_empty());
}

#[test]
fn an_app_that_does_not_switch_opens_no_tunnel() {
    for (status, told) in [(200, 502), (404, 404), (500, 500)] {
        let origin = Origin::saying(status, "", "no");
        let gateway = Gateway::before(&origin);
        let mut client = Frames::connect(gateway.address());
        client.head(1, &CONNECT, false);
        assert_eq!(client.outcome(1), Outcome::Answered(told));
        assert_eq!(origin.request().line(), "GET /chat HTTP/1.1");
        assert_eq!(origin.request().headers("host"), ["shop.example"]);
    }
}
