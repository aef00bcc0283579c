//! Apps that speak HTTP/2.

mod grpc;
mod misbehaving;
mod origin;
mod secured;
mod tunnels;

use std::sync::Arc;
use std::thread;

use http::{HeaderMap, HeaderValue};

use crate::support::http2::{Http2, request};
use crate::support::{End, Gateway};
use origin::{H2Origin, Script};

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {length}\r\n\r\n{body}")
}

#[test]
fn a_request_reaches_the_app_as_http2_has_it() {
    let origin = H2Origin::new(Script::default());
    let gateway = Gateway::by_http2(&origin.url(), "");

    let answer = gateway.get(
        "/text?a=b",
        "X-Own: 1\r\nConnection: x-hop\r\nX-Hop: 1\r\nTE: trailers\r\n",
    );

    assert_eq!(
        (answer.status, answer.text(), answer.end),
        (200, "hello", End::Whole)
    );
    assert_eq!(answer.header("x-app"), Some("one"));
    let seen = origin.requests();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].uri().to_string(), "http://shop.example/text?a=b");
    let field = |name: &str| {
        seen[0]
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap())
    };
    assert_eq!(field("x-request-id"), Some(answer.id()));
    assert_eq!(
        (field("x-own"), field("x-hop"), field("te")),
        (Some("1"), None, Some("trailers"))
    );
    assert_eq!((field("host"), field("connection")), (None, None));
}

#[test]
fn bodies_and_trailers_pass_both_ways() {
    let origin = H2Origin::new(Script::default());
    let gateway = Gateway::by_http2(&origin.url(), "[server]\nworkers = 1\n");
    let body = "x".repeat(3_000_000);
    assert!(gateway.ask(post("/echo", &body)).text() == body);

    let mut client = Http2::connect(gateway.address());
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("7"));
    let asked = request("POST", "/echo", &[("te", "trailers")]);
    let reply = client.converse(asked, body.as_bytes(), trailers);
    assert_eq!(
        (reply.status, reply.body.len(), reply.reset),
        (200, body.len(), None)
    );
    assert_eq!(reply.trailers["x-sum"], "7");
    let head = gateway.ask("HEAD /text HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(
        origin.connections(),
        1,
        "all of it shares a connection of its worker's"
    );
}

#[test]
fn a_failure_is_replaced_and_kept() {
    let origin = H2Origin::new(Script::default());
    let gateway = Gateway::by_http2(&origin.url(), "");
    let answer = gateway.get("/fail", "Accept: text/html\r\n");
    assert_eq!(answer.status, 500);
    assert!(!answer.text().contains("hunter2") && answer.text().contains(answer.id()));
    let incident = gateway.incident(answer.id());
    let kept = String::from_utf8(incident.body.as_ref().unwrap().content.to_vec()).unwrap();
    assert!(kept.contains("the stack of it"), "{kept}");
}

#[test]
fn an_answer_that_breaks_off_is_broken_off() {
    let origin = H2Origin::new(Script::default());
    let gateway = Gateway::by_http2(&origin.url(), "");
    let answer = gateway.get("/half", "");
    assert_eq!((answer.status, answer.end), (200, End::Cut));
    gateway.incident_when(answer.id(), |incident| {
        incident.cause.as_str() == "broken_off"
    });
}

#[test]
fn what_the_app_has_refused_is_sent_again() {
    let origin = H2Origin::new(Script {
        refusals: 1,
        ..Script::default()
    });
    let gateway = Gateway::by_http2(&origin.url(), "");
    // Not idempotent, and with a body: the app has said that it has not begun with it.
    let answer = gateway.ask(post("/echo", "a small body"));
    assert_eq!((answer.status, answer.text()), (200, "a small body"));
    assert_eq!(origin.requests().len(), 2);
    assert!(gateway.incidents().is_empty());
}

#[test]
fn the_apps_limit_of_streams_is_kept() {
    let origin = H2Origin::new(Script {
        streams: 1,
        ..Script::default()
    });
    let toml = "[server]\nworkers = 1\n[upstreams.app]\nmax_connections = 2\n";
    let toml = toml.replace("[upstreams.app]\n", "");
    let (server, rest) = toml.split_at(toml.find("max_connections").unwrap());
    let gateway = Arc::new(Gateway::by_http2(
        &format!("{}\"]\n{rest}#", origin.url()),
        server,
    ));
    let visits: Vec<_> = (0..20)
        .map(|_| {
            let gateway = Arc::clone(&gateway);
            thread::spawn(move || gateway.get("/text", "").status)
        })
        .collect();
    for visit in visits {
        assert_eq!(visit.join().unwrap(), 200);
    }
    assert!(origin.connections() <= 2, "{}", origin.connections());
    assert_eq!(origin.most_at_once(), 1);
}

#[test]
fn a_slow_reader_holds_up_its_own_stream_alone() {
    let origin = H2Origin::new(Script::default());
    let gateway = Gateway::by_http2(&origin.url(), "[server]\nworkers = 1\n");
    let mut slow = gateway.connect();
    slow.send("GET /big HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!(slow.head().status, 200);
    for _ in 0..5 {
        assert_eq!(gateway.get("/text", "").status, 200);
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_app_that_speaks_something_else_is_malformed_or_gone() {
    let origin = crate::support::Origin::raw(|mut stream, _| {
        use std::io::Write;
        drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    });
    let gateway = Gateway::by_http2(&origin.url(), "");
    let answer = gateway.get("/", "");
    assert_eq!(answer.status, 502);
    let cause = gateway.incident(answer.id()).cause;
    assert!(
        ["malformed", "closed_early"].contains(&cause.as_str()),
        "{cause:?}"
    );
}
