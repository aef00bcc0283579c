//! The connection behind a failing answer: drained and used again, and closed where it is not to be trusted.

use super::{HEAD, PATIENT, assert_page, body, in_two_halves};
use crate::support::{Gateway, Origin};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: shop.example\r\nAccept: text/html\r\n\r\n";

/// Invariant 7.
#[test]
fn a_page_costs_the_app_no_connection() {
    let content = "x".repeat(900 * 1024);
    for framed in [
        "Content-Length: 7\r\n\r\nhunter2".to_owned(),
        "Content-Length: 0\r\n\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\n\r\n7\r\nhunter2\r\n0\r\nX-Trailer: 1\r\n\r\n".to_owned(),
        format!("Content-Length: {}\r\n\r\n{content}", content.len()),
    ] {
        let origin = Origin::answering(format!("{HEAD}{framed}"));
        let gateway = Gateway::set(&origin, PATIENT);
        let mut client = gateway.connect();
        for _ in 0..5 {
            assert_page(&client.ask(REQUEST));
        }
        assert_eq!(origin.connections(), 1, "{}", &framed[..20]);
    }
}

/// Invariant 7.
#[test]
fn a_connection_drained_behind_the_page_is_used_again() {
    let first = format!("{HEAD}Content-Length: 14\r\n\r\nhunter2");
    let (origin, go_on) = in_two_halves(first, "hunter3".to_owned());
    let settings = "[intercept.capture]\nhold = \"20ms\"\ndeadline = \"10s\"";
    let gateway = Gateway::set(&origin, settings);
    let mut client = gateway.connect();
    for _ in 0..3 {
        let answer = client.ask(REQUEST);
        assert_page(&answer);
        go_on.send(()).unwrap();
        gateway.incident_when(answer.id(), |incident| body(incident).complete);
    }
    assert_eq!(origin.connections(), 1);
}

/// More comes than the length says: the surplus belongs to no answer.
#[test]
fn a_surplus_behind_the_body_reaches_nobody() {
    let origin = Origin::new(|visit, request| {
        match request.line() {
        "GET / HTTP/1.1" => visit.send(format!(
            "{HEAD}Content-Length: 7\r\n\r\nhunter2HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsurplus"
        )),
        _ => visit.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell"),
    }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    for _ in 0..5 {
        let failed = client.ask(REQUEST);
        let next = client.ask("GET /next HTTP/1.1\r\nHost: shop.example\r\n\r\n");

        assert_page(&failed);
        assert_eq!(body(&gateway.incident(failed.id())).content, "hunter2");
        assert_eq!((next.status, next.text()), (200, "well"));
    }
}

/// RFC 9112, 6.3: chunked wins over a length beside it, and the connection is not to be trusted.
#[test]
fn a_doubly_framed_failure_is_read_as_chunked_and_its_connection_closed() {
    let origin = Origin::answering(format!(
        "{HEAD}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nhunter2\r\n0\r\n\r\n"
    ));
    let gateway = Gateway::set(&origin, PATIENT);
    let mut client = gateway.connect();
    for _ in 0..2 {
        let answer = client.ask(REQUEST);

        assert_page(&answer);
        assert_eq!(body(&gateway.incident(answer.id())).content, "hunter2");
    }
    assert_eq!(origin.connections(), 2);
}
