//! Tunnels over streams to an app (RFC 8441).

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use super::origin::{H2Origin, Script};
use crate::support::{End, Gateway, PATIENCE};

/// A request for WebSocket; what is sent afterwards is not.
fn asked(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

fn app() -> H2Origin {
    H2Origin::new(Script {
        tunnels: true,
        ..Script::default()
    })
}

/// A visitor's connection through which it has asked for a tunnel, and the head of the answer.
fn ask(gateway: &Gateway, path: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(gateway.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(asked(path).as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    (stream, String::from_utf8(head).unwrap().to_lowercase())
}

#[test]
fn a_switch_becomes_an_extended_connect_and_each_side_has_its_own_end() {
    let origin = app();
    let gateway = Gateway::by_http2(&origin.url(), "");
    let (mut stream, head) = ask(&gateway, "/echo?room=1");
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    for field in [
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
    ] {
        assert!(head.contains(&format!("\r\n{field}\r\n")), "{head}");
    }
    let sent = vec![b'x'; 300_000];
    let mut writer = stream.try_clone().unwrap();
    let copy = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&copy).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut echoed = Vec::new();
    stream.read_to_end(&mut echoed).unwrap();
    writing.join().unwrap();
    assert!(echoed == sent, "{} bytes", echoed.len());
    assert_eq!(origin.protocols(), ["websocket"]);
    let seen = &origin.requests()[0];
    assert_eq!(seen.method(), "CONNECT");
    assert_eq!(seen.uri().path(), "/echo");
    assert!(!seen.headers().contains_key("sec-websocket-key"));
    assert!(gateway.incidents().is_empty());
}

#[test]
fn a_tunnel_that_the_app_breaks_off_is_reset() {
    let origin = app();
    let gateway = Gateway::by_http2(&origin.url(), "");
    let (mut stream, head) = ask(&gateway, "/half");
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_tunnel_in_which_nothing_moves_is_over() {
    let origin = app();
    let gateway = Gateway::by_http2(&origin.url(), "[server.timeouts]\ntunnel = \"100ms\"\n");
    let (mut stream, _) = ask(&gateway, "/echo");
    let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn an_app_that_fails_to_open_one_gets_its_page_and_others_share_the_connection() {
    let origin = app();
    let gateway = Gateway::by_http2(&origin.url(), "[server]\nworkers = 1\n");
    let answer = gateway.ask(asked("/fail"));
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains(answer.id()) && !answer.text().contains("hunter2"));
    assert_eq!(gateway.get("/text", "").text(), "hello");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_app_that_does_not_offer_tunnels_is_asked_as_for_anything_else() {
    let origin = H2Origin::new(Script::default());
    let gateway = Gateway::by_http2(&origin.url(), "");
    let answer = gateway.ask(asked("/text"));
    assert_eq!(
        (answer.status, answer.text(), answer.end),
        (200, "hello", End::Whole)
    );
    assert_eq!(origin.requests()[0].method(), "GET");
    assert!(origin.protocols().is_empty());
}
