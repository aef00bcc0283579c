//! What becomes no tunnel.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{ASKED, SWITCHED, bytes, head, rest, switching};
use crate::support::{Gateway, Origin, PATIENCE, Signal, eventually};

#[test]
fn an_app_may_answer_without_switching() {
    for status in [200, 426] {
        let origin = Origin::saying(status, "Upgrade: websocket\r\n", "no");
        let gateway = Gateway::before(&origin);
        let mut client = gateway.connect();
        let answer = client.ask(ASKED);
        assert_eq!((answer.status, answer.text()), (status, "no"));
        // Both connections go on.
        assert_eq!(client.ask(ASKED).status, status);
        assert_eq!(origin.connections(), 1);
    }
}

#[test]
fn a_refusal_that_is_a_failure_becomes_a_plain_page() {
    let origin = Origin::saying(500, "Content-Type: text/html\r\n", "<h1>hunter2</h1>");
    let gateway = Gateway::before(&origin);
    let answer = gateway.ask(ASKED);
    assert_eq!(answer.status, 500);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert!(answer.text().contains(answer.id()), "{}", answer.text());
    assert!(!answer.text().contains("hunter2"));
    gateway.incident(answer.id());
}

#[test]
fn a_protocol_that_was_not_asked_for_is_none() {
    for switched in [
        SWITCHED.replace("websocket", "gopher"),
        SWITCHED.replace("Upgrade: websocket\r\n", ""),
        SWITCHED.replace(
            "Upgrade: websocket",
            "Upgrade: websocket\r\nUpgrade: websocket",
        ),
        SWITCHED.replace("HTTP/1.1", "HTTP/1.0"),
    ] {
        let origin = Origin::answering(format!("{switched}hunter2"));
        let gateway = Gateway::before(&origin);
        let answer = gateway.ask(ASKED);
        assert_eq!(answer.status, 502, "{switched}");
        assert!(!answer.text().contains("hunter2"));
    }
}

/// What cannot be a tunnel is an ordinary request: its `Upgrade` stays behind.
#[test]
fn what_cannot_be_a_tunnel_is_an_ordinary_request() {
    for fields in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Upgrade: websocket\r\n",
        "Connection: Upgrade\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n",
        "Connection: Upgrade\r\nUpgrade:\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let origin = Origin::saying(200, "", "fine");
        let gateway = Gateway::before(&origin);
        let body = match fields {
            _ if fields.contains("Content-Length") => "body",
            _ if fields.contains("chunked") => "4\r\nbody\r\n0\r\n\r\n",
            _ => "",
        };
        let answer = gateway.ask(format!(
            "GET / HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n{body}"
        ));
        assert_eq!(answer.status, 200, "{fields}");
        let received = origin.request();
        for gone in ["upgrade", "connection", "http2-settings"] {
            assert_eq!(received.header(gone), None, "{fields}");
        }
    }
    let origin = Origin::saying(200, "", "fine");
    let gateway = Gateway::before(&origin);
    gateway.ask(ASKED.replace("HTTP/1.1", "HTTP/1.0"));
    assert_eq!(origin.request().header("upgrade"), None);
}

/// CVE-2026-2833: what is sent before the 101 is no part of the tunnel, and where there is one after all, it is closed.
#[test]
fn what_came_before_the_101_is_not_tunnelled() {
    const SMUGGLED: &str = "GET /admin HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    let (go, gone) = (Signal::default(), Signal::default());
    let (may, heard) = (go.clone(), gone.clone());
    let origin = Origin::raw(move |mut stream, _| {
        let asked = head(&mut stream);
        assert!(asked.starts_with("GET /live "), "{asked}");
        may.wait();
        stream.write_all(SWITCHED.as_bytes()).unwrap();
        let mut after = Vec::new();
        drop(stream.read_to_end(&mut after));
        assert_eq!(after, b"");
        heard.give();
    });
    let gateway = Gateway::before(&origin);
    let mut stream = TcpStream::connect(gateway.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(format!("{ASKED}{SMUGGLED}").as_bytes())
        .unwrap();
    eventually("the app to be asked", || {
        (origin.connections() == 1).then_some(())
    });
    go.give();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    assert_eq!(answer, b"");
    gone.wait();
    assert_eq!(origin.connections(), 1);
}

/// Where the app does not switch, what came early is the next request.
#[test]
fn what_came_early_is_the_next_request_where_nothing_switches() {
    let origin = Origin::saying(200, "", "fine");
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    client.send(format!(
        "{ASKED}GET /next HTTP/1.1\r\nHost: shop.example\r\n\r\n"
    ));
    assert_eq!(client.answer().status, 200);
    assert_eq!(client.answer().status, 200);
    assert!(origin.requests()[1].line().starts_with("GET /next "));
}

/// A side that does not listen holds the other up, and no more than buffers of both.
#[test]
fn a_tunnel_holds_little_for_a_side_that_does_not_listen() {
    const MORE: usize = 64 * 1024 * 1024;
    let (full, stop) = (Signal::default(), Signal::default());
    let (filled, stopped) = (full.clone(), stop.clone());
    let origin = switching(move |mut stream, _| {
        stream
            .set_write_timeout(Some(std::time::Duration::from_millis(300)))
            .unwrap();
        let sent = stream.write_all(&bytes(MORE));
        assert!(sent.is_err(), "the app is held up");
        filled.give();
        stopped.wait();
    });
    let gateway = Gateway::before(&origin);
    let stream = super::switch(gateway.address());
    full.wait();
    stop.give();
    drop(stream);
}

#[test]
fn an_app_that_leaves_before_its_101_has_failed() {
    let origin = Origin::raw(|mut stream, _| {
        head(&mut stream);
    });
    let gateway = Gateway::before(&origin);
    let mut stream = TcpStream::connect(gateway.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(ASKED.replace("keep-alive", "close").as_bytes())
        .unwrap();
    let answer = rest(&mut stream);
    assert!(answer.starts_with(b"HTTP/1.1 502 "));
}
