//! Apps that misbehave by the frame, and those that others on the same connection must not suffer from.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::origin::{H2Origin, Script};
use super::post;
use crate::support::{End, Gateway, Origin};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The fields `:status: 200`, as HPACK's static table has them.
const STATUS_200: &[u8] = &[0x88];

/// A proxy's connection, on the app's side.
struct Wire(TcpStream);

impl Wire {
    /// Reads the preface and says no settings of its own.
    fn begin(mut stream: TcpStream) -> Option<Self> {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).ok()?;
        let mut wire = Self(stream);
        wire.send(SETTINGS, 0, 0, &[]);
        Some(wire)
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        // A proxy that has left is no matter.
        drop(self.0.write_all(&frame));
    }

    /// The next request's stream. What a connection needs is answered meanwhile.
    fn request(&mut self) -> Option<u32> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut payload).ok()?;
            match (head[3], head[4] & ACK) {
                (SETTINGS, 0) => self.send(SETTINGS, ACK, 0, &[]),
                (PING, 0) => self.send(PING, ACK, 0, &payload),
                (HEADERS, _) => {
                    return Some(u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
                }
                _ => {}
            }
        }
    }

    fn answer(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS, stream, STATUS_200);
        self.send(DATA, END_STREAM, stream, b"hello");
    }

    /// Says that no stream after `last` was begun.
    fn leave(&mut self, last: u32, reason: u8) {
        let mut payload = last.to_be_bytes().to_vec();
        payload.extend([0, 0, 0, reason]);
        self.send(GOAWAY, 0, 0, &payload);
    }
}

/// An app that runs `script` for each request, with how many came before it. It ends a connection by `false`.
fn app(
    script: impl Fn(&mut Wire, u32, usize) -> bool + Send + Sync + 'static,
) -> (Origin, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let origin = Origin::raw(move |stream, _| {
        let Some(mut wire) = Wire::begin(stream) else {
            return;
        };
        while let Some(stream) = wire.request() {
            if !script(&mut wire, stream, count.fetch_add(1, Ordering::SeqCst)) {
                return;
            }
        }
    });
    (origin, seen)
}

/// A proxy with one connection to the app at most, that waits half a second for a head or a place.
fn with_one_connection(url: &str) -> Gateway {
    let toml =
        "[server]\nworkers = 1\n[upstreams.app.timeouts]\nhead = \"500ms\"\nqueue = \"500ms\"\n";
    Gateway::by_http2(&format!("{url}\"]\nmax_connections = 1\n#"), toml)
}

#[test]
fn a_whole_answer_that_wants_no_more_of_the_request_is_whole() {
    let (origin, _) = app(|wire, stream, _| {
        wire.answer(stream);
        wire.send(RST_STREAM, 0, stream, &[0, 0, 0, 0]);
        true
    });
    let gateway = Gateway::by_http2(&origin.url(), "");
    let answer = gateway.ask(post("/", &"x".repeat(100_000)));
    assert_eq!(
        (answer.status, answer.text(), answer.end),
        (200, "hello", End::Whole)
    );
}

/// `:status: 200` and a field whose name has a quotation mark; the status 600; a length that is no number.
const MALFORMED: [&[u8]; 3] = [
    b"\x88\x00\x02x\"\x01v",
    b"\x08\x03600",
    b"\x88\x0f\x0d\x02-2",
];

#[test]
fn heads_that_http1_could_not_say_are_malformed() {
    for head in MALFORMED {
        let (origin, _) = app(move |wire, stream, _| {
            wire.send(HEADERS, END_HEADERS | END_STREAM, stream, head);
            true
        });
        let gateway = Gateway::by_http2(&origin.url(), "");
        let answer = gateway.ask(post("/", ""));
        assert_eq!(answer.status, 502, "{}", head.escape_ascii());
        let cause = gateway.incident(answer.id()).cause;
        assert_eq!(cause.as_str(), "malformed", "{}", head.escape_ascii());
    }
}

#[test]
fn trailers_that_http1_could_not_say_break_the_answer_off() {
    let (origin, _) = app(|wire, stream, _| {
        wire.send(HEADERS, END_HEADERS, stream, STATUS_200);
        wire.send(DATA, 0, stream, b"hello");
        let trailers = b"\x00\x02x\"\x01v";
        wire.send(HEADERS, END_HEADERS | END_STREAM, stream, trailers);
        true
    });
    let gateway = Gateway::by_http2(&origin.url(), "");
    assert_ne!(gateway.get("/", "").end, End::Whole);
}

#[test]
fn what_the_app_may_have_begun_is_not_sent_twice() {
    let (origin, seen) = app(|wire, stream, _| {
        wire.leave(stream, 2);
        false
    });
    let gateway = Gateway::by_http2(&origin.url(), "");
    let answer = gateway.ask(post("/", "a small body"));
    assert_eq!(answer.status, 502);
    assert_eq!(seen.load(Ordering::SeqCst), 1);
    let cause = gateway.incident(answer.id()).cause;
    assert_eq!(cause.as_str(), "closed_early");
}

#[test]
fn what_an_app_that_leaves_has_not_begun_is_sent_again() {
    let (origin, seen) = app(|wire, stream, earlier| {
        if earlier == 0 {
            wire.leave(0, 0);
            return false;
        }
        wire.answer(stream);
        true
    });
    let gateway = Gateway::by_http2(&origin.url(), "");
    let answer = gateway.ask(post("/", "a small body"));
    assert_eq!((answer.status, answer.text()), (200, "hello"));
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    assert!(gateway.incidents().is_empty());
}

#[test]
fn a_reset_is_named_for_the_operator() {
    let (origin, _) = app(|wire, stream, _| {
        wire.send(RST_STREAM, 0, stream, &[0, 0, 0, 2]);
        true
    });
    let gateway = Gateway::by_http2(&origin.url(), "");
    let answer = gateway.ask(post("/", "a small body"));
    assert_eq!(answer.status, 502);
    let incident = gateway.incident(answer.id());
    assert_eq!(incident.cause.as_str(), "closed_early");
    let error = incident.upstream.unwrap().error.unwrap();
    assert!(
        error.ends_with("the app reset the stream: INTERNAL_ERROR"),
        "{error}"
    );
}

#[test]
fn many_slow_readers_hold_up_nobody_else() {
    let origin = H2Origin::new(Script {
        streams: 200,
        ..Script::default()
    });
    let gateway = Gateway::by_http2(&origin.url(), "[server]\nworkers = 1\n");
    let slow: Vec<_> = (0..100)
        .map(|_| {
            let mut visitor = gateway.connect();
            visitor.send("GET /big HTTP/1.1\r\nHost: shop.example\r\n\r\n");
            assert_eq!(visitor.head().status, 200);
            visitor
        })
        .collect();
    // As much is under way to each of them as may be.
    origin.when_stalled(slow.len());
    assert_eq!(gateway.get("/text", "").text(), "hello");
}

#[test]
fn a_late_answer_does_not_take_the_connection_from_the_others() {
    let origin = H2Origin::new(Script::default());
    let gateway = with_one_connection(&origin.url());
    let mut events = gateway.connect();
    events.send("GET /big HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!(events.head().status, 200);

    assert_eq!(gateway.get("/never", "").status, 504);

    assert_eq!(gateway.get("/text", "").text(), "hello");
    assert_eq!(origin.connections(), 1);
}
