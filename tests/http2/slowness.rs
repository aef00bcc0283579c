//! Clients that take their time: each wait has its end.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::http2::{
    END_HEADERS, Frames, GET, GOAWAY, HEADERS, Http2, Outcome, PREFACE, RST_STREAM, block,
};
use crate::support::{Gateway, Origin, PATIENCE, Program, Signal, eventually};

const QUICK: &str = "[server.timeouts]\nhead = \"200ms\"\nidle = \"300ms\"\nwrite = \"300ms\"\n";

const INITIAL_WINDOW: u16 = 4;

#[test]
fn half_a_preface_ends_with_the_heads_time() {
    let origin = Origin::saying(200, "", "");
    let gateway = Gateway::set(&origin, QUICK);
    for size in [1, 3, 18, 23] {
        let mut stream = TcpStream::connect(gateway.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&PREFACE[..size]).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(
            answer.starts_with(b"HTTP/1.1 408 "),
            "{}",
            answer.escape_ascii()
        );
    }
}

#[test]
fn a_preface_in_pieces_is_one() {
    let origin = Origin::saying(200, "", "");
    let gateway = Gateway::before(&origin);
    let mut stream = TcpStream::connect(gateway.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for byte in PREFACE {
        stream.write_all(&[*byte]).unwrap();
    }
    let mut first = [0; 9];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(first[3], crate::support::http2::SETTINGS);
}

#[test]
fn a_connection_without_a_request_ends_with_the_heads_time() {
    let origin = Origin::saying(200, "", "");
    let gateway = Gateway::set(&origin, QUICK);
    // With nothing but a preface, and with half a head.
    let mut client = Frames::connect(gateway.address());
    assert_eq!(client.end(), Some(0));
    let mut client = Frames::connect(gateway.address());
    client.send(HEADERS, 0, 1, &block(&GET));
    assert_eq!(client.end(), Some(0));
    assert!(origin.requests().is_empty());
}

#[test]
fn an_idle_connection_is_told_and_closed() {
    let origin = Origin::saying(200, "", "fine");
    let gateway = Gateway::set(&origin, QUICK);
    let mut client = Frames::connect(gateway.address());
    client.head(1, &GET, true);
    assert_eq!(client.outcome(1), Outcome::Answered(200));
    assert_eq!(client.end(), Some(0));
    eventually("the connection to be given back", || {
        (gateway.connections() == 0).then_some(())
    });
}

#[test]
fn a_reader_whose_window_stays_closed_loses_its_stream_alone() {
    for (status, body) in [(200, "x".repeat(1_000_000)), (500, "x".repeat(1_000_000))] {
        let origin = Origin::saying(status, "", &body);
        let gateway = Gateway::set(&origin, QUICK);
        let mut client = Frames::with_settings(gateway.address(), &[(INITIAL_WINDOW, 0)]);
        client.head(1, &GET, true);
        assert_eq!(client.outcome(1), Outcome::Answered(status));
        assert_eq!(client.outcome(1), Outcome::Reset(8));
        let head = [
            (":method", "HEAD"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
        ];
        client.head(3, &head, true);
        assert_eq!(client.outcome(3), Outcome::Answered(status));
    }
}

#[test]
fn a_client_that_resets_a_stream_ends_its_exchange() {
    let origin = Origin::on_head(|visit, _| {
        visit.wait_for_close();
        None
    });
    let gateway = Gateway::before(&origin);
    let mut client = Frames::connect(gateway.address());
    client.head(1, &GET, true);
    eventually("the app to be asked", || (origin.open() == 1).then_some(()));
    client.send(RST_STREAM, 0, 1, &8_u32.to_be_bytes());
    eventually("the app to be left", || (origin.open() == 0).then_some(()));
    assert_eq!(gateway.connections(), 1);
}

#[test]
fn a_drain_finishes_what_is_in_flight() {
    let (begun, go_on) = (Signal::default(), Signal::default());
    let (seen, released) = (begun.clone(), go_on.clone());
    let origin = Origin::new(move |visit, _| {
        seen.give();
        released.wait();
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
    });
    let mut program = Program::set(&origin, "");
    let mut client = Frames::connect(program.address());
    client.head(1, &GET, true);
    begun.wait();
    program.signal("TERM");
    let told = std::iter::from_fn(|| client.next()).find(|frame| frame.kind == GOAWAY);
    assert!(told.is_some());
    go_on.give();
    assert_eq!(client.outcome(1), Outcome::Answered(200));
    client.end();
    assert_eq!(program.ended().code(), Some(0));
}

#[test]
fn a_slow_body_holds_up_no_other_stream() {
    let origin = Origin::on_head(|visit, head| {
        if head.starts_with("POST") {
            visit.wait_for_close();
            return None;
        }
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfast");
        visit.finish(head).into()
    });
    let gateway = Gateway::before(&origin);
    let mut client = Frames::connect(gateway.address());
    let mut post = GET;
    post[0].1 = "POST";
    client.send(HEADERS, END_HEADERS, 1, &block(&post));
    client.send(crate::support::http2::DATA, 0, 1, &[b'x'; 16_000]);
    client.head(3, &GET, true);
    assert_eq!(client.outcome(3), Outcome::Answered(200));
    assert_eq!(Http2::connect(gateway.address()).get("/").text(), "fast");
}
