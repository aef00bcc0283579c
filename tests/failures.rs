//! Every failure of the way to the app is a page with the right status, and a record that says what happened.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use pardon::incident::Cause;
use socket2::{Domain, Socket, Type};

use crate::support::{Answer, Gateway, Origin, Signal, TlsOrigin, Visit};

/// What an app says that no visitor may read.
const SECRET: &str = "hunter2";

/// Timeouts short enough to be waited for.
const SHORT: &str = "[upstreams.app.timeouts]\nconnect = \"200ms\"\nhead = \"200ms\"\n";

const POST: &str = "POST /order HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 4\r\n\r\nbook";

/// What is to be found in a failure's record.
struct Expected {
    cause: Cause,
    status: u16,
    attempts: u32,
    /// Part of the error's text.
    error: &'static str,
}

impl Expected {
    fn of(cause: Cause, status: u16, error: &'static str) -> Self {
        Self {
            cause,
            status,
            attempts: 1,
            error,
        }
    }

    fn after(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    /// Fails unless the answer is a page that keeps its secrets, with a record of this.
    fn check(&self, gateway: &Gateway, answer: &Answer) {
        let Self {
            cause,
            status,
            attempts,
            error,
        } = self;
        assert_eq!(answer.status, *status, "{cause}: {}", answer.text());
        assert!(answer.text().contains(answer.id()), "{cause}: a page");
        let shown = format!("{:?} {} {}", answer.headers, answer.line, answer.text());
        assert!(!shown.contains(SECRET), "{cause}: {shown}");
        let incident = gateway.incident(answer.id());
        assert_eq!(incident.cause, *cause);
        let upstream = incident.upstream.as_ref().unwrap();
        assert_eq!(upstream.attempts, *attempts, "{cause}: {upstream:?}");
        let found = upstream.error.as_deref().unwrap_or_default();
        assert!(found.contains(error), "{cause}: {found}");
        assert_eq!(incident.served.as_ref().unwrap().status, *status);
    }
}

/// A socket that is bound, so that nobody else gets its port.
fn bound() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&free.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

#[test]
fn a_refused_connection_is_tried_again_and_is_a_502() {
    let (_not_listening, address) = bound();
    let gateway = Gateway::at(&format!("http://{address}"), "");
    let answer = gateway.get("/", "");
    let expected = Expected::of(Cause::ConnectFailed, 502, "refused");
    expected.after(2).check(&gateway, &answer);
}

#[test]
fn an_address_that_does_not_answer_is_a_504_in_time() {
    let (full, address) = bound();
    full.listen(0).unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(50));
    let waiting: Vec<_> = std::iter::from_fn(|| connect().ok()).take(8).collect();
    assert!(waiting.len() < 8, "the backlog is full");
    let gateway = Gateway::at(&format!("http://{address}"), SHORT);
    let begun = Instant::now();
    let answer = gateway.get("/", "");
    assert!(begun.elapsed() < Duration::from_millis(1400));
    let expected = Expected::of(Cause::ConnectTimeout, 504, "in time");
    expected.after(2).check(&gateway, &answer);
}

#[test]
fn a_name_that_does_not_resolve_is_a_502() {
    let gateway = Gateway::at("http://nothing.invalid:80", "");
    let answer = gateway.get("/", "");
    let expected = Expected::of(Cause::DnsFailed, 502, "nothing.invalid");
    expected.after(2).check(&gateway, &answer);
}

#[test]
fn an_app_without_tls_behind_https_is_a_502() {
    let origin = Origin::raw(|mut stream, _| {
        drop(std::io::copy(
            &mut &b"HTTP/1.1 400 hunter2\r\n\r\n"[..],
            &mut stream,
        ));
    });
    let gateway = Gateway::at(&origin.url().replace("http:", "https:"), "");
    let answer = gateway.get("/", "");
    Expected::of(Cause::TlsFailed, 502, "TLS").check(&gateway, &answer);
}

const FINE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

#[test]
fn an_app_behind_tls_answers_under_its_own_authority() {
    let app = TlsOrigin::answering("127.0.0.1", FINE);
    let ca = format!("[upstreams.app.tls]\nca = {:?}\n", app.authority);
    let answer = Gateway::at(&app.url(), &ca).get("/", "");
    assert_eq!((answer.status, answer.text()), (200, "fine"));
}

#[test]
fn an_app_that_leaves_tls_without_a_word_is_a_502_without_a_link() {
    let app = TlsOrigin::answering("127.0.0.1", b"");
    let ca = format!("[upstreams.app.tls]\nca = {:?}\n", app.authority);
    let gateway = Gateway::at(&app.url(), &ca);
    let answer = gateway.get("/", "");
    let expected = Expected::of(Cause::ClosedEarly, 502, "close_notify");
    expected.after(2).check(&gateway, &answer);
    let incident = gateway.incident(answer.id());
    let error = incident.upstream.unwrap().error.unwrap();
    assert!(!error.contains("://"), "{error}");
}

#[test]
fn a_server_name_is_what_the_certificate_is_held_against() {
    let app = TlsOrigin::answering("app.internal", FINE);
    let tls = format!(
        "[upstreams.app.tls]\nca = {:?}\nserver_name = \"app.internal\"\n",
        app.authority
    );
    assert_eq!(Gateway::at(&app.url(), &tls).get("/", "").status, 200);
}

#[test]
fn a_certificate_that_is_not_to_be_trusted_is_a_502() {
    let elsewhere = TlsOrigin::answering("elsewhere.example", FINE);
    let ca = format!("[upstreams.app.tls]\nca = {:?}\n", elsewhere.authority);
    for (case, toml) in [
        ("another's name", ca.as_str()),
        ("an unknown authority", ""),
    ] {
        let gateway = Gateway::at(&elsewhere.url(), toml);
        let answer = gateway.get("/", "");
        assert_eq!(answer.status, 502, "{case}");
        Expected::of(Cause::TlsFailed, 502, "certificate").check(&gateway, &answer);
    }
}

#[test]
fn an_insecure_upstream_may_have_any_certificate() {
    let app = TlsOrigin::answering("elsewhere.example", FINE);
    let gateway = Gateway::at(&app.url(), "[upstreams.app.tls]\ninsecure = true\n");
    assert_eq!(gateway.get("/", "").text(), "fine");
}

/// What an app does in the place of an answer.
type Way = fn(&mut Visit);

/// The ways in which an app may leave without an answer.
const LEAVING: [(&str, Way); 4] = [
    ("closed before a byte", Visit::close),
    ("reset", Visit::reset),
    ("closed in the head", |visit| {
        visit.send("HTTP/1.1 200 OK\r\nX-Key: hunter2\r\nX-");
        visit.close();
    }),
    ("reset in the head", |visit| {
        visit.send("HTTP/1.1 200 OK\r\nX-Key: hunter2\r\nX-");
        visit.reset();
    }),
];

#[test]
fn an_app_that_leaves_before_its_answer_is_asked_again_where_that_is_safe() {
    for (case, leave) in LEAVING {
        for (request, attempts) in [
            ("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n", 2),
            ("DELETE /1 HTTP/1.1\r\nHost: shop.example\r\n\r\n", 2),
            (POST, 1),
            ("POST / HTTP/1.1\r\nHost: shop.example\r\n\r\n", 1),
        ] {
            let origin = Origin::new(move |visit, _| leave(visit));
            let gateway = Gateway::before(&origin);
            let answer = gateway.ask(request);
            let expected = Expected::of(Cause::ClosedEarly, 502, "closed the connection");
            expected.after(attempts).check(&gateway, &answer);
            let sent = origin.requests().len();
            assert_eq!(sent, attempts as usize, "{case}: {request}");
        }
    }
}

#[test]
fn an_app_that_recovers_is_no_failure_for_a_request_that_may_be_repeated() {
    let origin = Origin::new(|visit, _| match visit.connection {
        1 => visit.close(),
        _ => visit.send(FINE),
    });
    let gateway = Gateway::before(&origin);
    assert_eq!(gateway.get("/", "").text(), "fine");
    assert!(gateway.incidents().is_empty());
}

/// Heads that are no heads, or that two readers could read in two ways.
const MALFORMED: [(&str, &str); 23] = [
    ("another protocol", "SSH-2.0-OpenSSH_9.9 hunter2\r\n"),
    ("a page without a head", "<h1>hunter2</h1>\r\n\r\n"),
    ("a bad status line", "HTTP/1.1 hunter2 OK\r\n\r\n"),
    ("another version", "HTTP/3.7 200 OK\r\n\r\n"),
    ("status 099", "HTTP/1.1 099 hunter2\r\n\r\n"),
    ("status 600", "HTTP/1.1 600 hunter2\r\n\r\n"),
    ("status 999", "HTTP/1.1 999 hunter2\r\n\r\n"),
    ("status 1000", "HTTP/1.1 1000 hunter2\r\n\r\n"),
    (
        "NUL in a value",
        "HTTP/1.1 200 OK\r\nX-Key: hunter\x002\r\n\r\n",
    ),
    (
        "CR in a value",
        "HTTP/1.1 200 OK\r\nX-Key: hunter2\rX: 1\r\n\r\n",
    ),
    ("no colon", "HTTP/1.1 200 OK\r\nhunter2\r\n\r\n"),
    (
        "a space before the colon",
        "HTTP/1.1 200 OK\r\nX-Key : hunter2\r\n\r\n",
    ),
    (
        "a folded field",
        "HTTP/1.1 200 OK\r\nX-Key: a\r\n hunter2\r\n\r\n",
    ),
    (
        "lengths that differ",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhunter2",
    ),
    (
        "a list of lengths",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 7\r\n\r\nhunter2",
    ),
    (
        "a negative length",
        "HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\nhunter2",
    ),
    (
        "a length with a sign",
        "HTTP/1.1 200 OK\r\nContent-Length: +7\r\n\r\nhunter2",
    ),
    (
        "a length that is no number",
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nhunter2",
    ),
    (
        "two codings",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n7\r\nhunter2\r\n0\r\n\r\n",
    ),
    (
        "an unknown coding",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nhunter2",
    ),
    (
        "chunked twice",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nhunter2\r\n0\r\n\r\n",
    ),
    (
        "chunks in HTTP/1.0",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nhunter2\r\n0\r\n\r\n",
    ),
    (
        "a 101 that nobody asked for",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: hunter2\r\nConnection: upgrade\r\n\r\nhunter2",
    ),
];

#[test]
fn what_is_not_http_is_a_502_and_none_of_it_is_shown() {
    let origin = Origin::new(|visit, received| {
        let case: usize = received
            .line()
            .split(['/', ' '])
            .nth(2)
            .unwrap()
            .parse()
            .unwrap();
        visit.send(MALFORMED[case].1);
        visit.wait_for_close();
    });
    let gateway = Gateway::before(&origin);
    for (number, (case, _)) in MALFORMED.iter().enumerate() {
        let answer = gateway.get(&format!("/{number}"), "");
        assert_eq!(answer.status, 502, "{case}: {}", answer.text());
        Expected::of(Cause::Malformed, 502, "not valid HTTP").check(&gateway, &answer);
    }
}

#[test]
fn a_head_without_end_is_a_502() {
    let origin = Origin::new(|visit, received| {
        visit.send("HTTP/1.1 200 OK\r\n");
        if received.line().contains("/large") {
            visit.send(format!("X-Key: hunter2{}\r\n", "x".repeat(4 << 20)));
        } else {
            visit.send("X-Key: hunter2\r\n".repeat(10_000));
        }
        visit.send("Content-Length: 0\r\n\r\n");
        visit.wait_for_close();
    });
    let gateway = Gateway::before(&origin);
    for path in ["/large", "/many"] {
        let answer = gateway.get(path, "");
        Expected::of(Cause::Malformed, 502, "not valid HTTP").check(&gateway, &answer);
    }
}

#[test]
fn an_answer_with_chunks_and_a_length_is_read_by_its_chunks_and_its_connection_left() {
    let origin = Origin::answering(
        "HTTP/1.1 201 Created\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n",
    );
    let gateway = Gateway::before(&origin);
    for connections in 1..3 {
        let answer = gateway.get("/", "");
        assert_eq!((answer.status, answer.text()), (201, "whole"));
        assert_eq!(answer.header("content-length"), None);
        assert_eq!(origin.connections(), connections);
    }
}

#[test]
fn an_app_that_does_not_answer_in_time_is_a_504_and_asked_once() {
    let ways: [(&str, Way); 2] = [
        ("silence", |_| {}),
        ("half a head", |visit| {
            visit.send("HTTP/1.1 200 OK\r\nX-Key: hunter2\r\nX-");
        }),
    ];
    for (case, way) in ways {
        let origin = Origin::new(move |visit, _| {
            way(visit);
            visit.wait_for_close();
        });
        let gateway = Gateway::set(&origin, SHORT);
        let begun = Instant::now();
        let answer = gateway.get("/", "");
        assert!(begun.elapsed() < Duration::from_millis(1500), "{case}");
        Expected::of(Cause::HeadTimeout, 504, "did not answer in time").check(&gateway, &answer);
        assert_eq!(origin.requests().len(), 1, "{case}");
    }
}

#[test]
fn interim_answers_are_dropped_and_cut_off_where_they_do_not_end() {
    let origin = Origin::new(|visit, received| {
        if received.line().contains("/some") {
            visit.send("HTTP/1.1 102 hunter2\r\nX-Key: hunter2\r\n\r\n".repeat(1000));
            visit.send(FINE);
        } else {
            while visit.try_send("HTTP/1.1 102 hunter2\r\n\r\n".repeat(1000)) {}
        }
    });
    let gateway = Gateway::before(&origin);
    let answer = gateway.get("/some", "");
    assert_eq!((answer.text(), answer.interim.len()), ("fine", 0));
    let answer = gateway.get("/endless", "");
    Expected::of(Cause::Malformed, 502, "interim answers without end").check(&gateway, &answer);
}

#[test]
fn an_exchange_has_a_deadline_of_its_own() {
    let origin = Origin::new(|visit, _| visit.wait_for_close());
    let gateway = Gateway::set(&origin, "[upstreams.app.timeouts]\ntotal = \"200ms\"\n");
    let answer = gateway.get("/", "");
    Expected::of(Cause::TotalTimeout, 504, "too long").check(&gateway, &answer);
}

/// An app that answers once it is told to.
fn patient() -> (Origin, Signal) {
    let go = Signal::default();
    let told = go.clone();
    let origin = Origin::new(move |visit, _| {
        told.wait();
        visit.send(FINE);
    });
    (origin, go)
}

const ONE_CONNECTION: &str = "[upstreams.app]\nmax_connections = 1\n";

#[test]
fn past_the_limit_a_request_is_told_to_come_again() {
    let (origin, go) = patient();
    let toml = format!("{ONE_CONNECTION}queue = 0\nendpoints = [\"$ORIGIN\"]\n");
    let gateway = Gateway::configured(&origin, &toml);
    thread::scope(|scope| {
        let first = scope.spawn(|| gateway.get("/first", ""));
        crate::support::eventually("the first request", || origin.requests().pop());
        let second = gateway.get("/second", "");
        go.give();
        assert_eq!(first.join().unwrap().text(), "fine");
        assert_eq!(second.header("retry-after"), Some("5"));
        let expected = Expected::of(Cause::Overloaded, 503, "no room");
        expected.after(0).check(&gateway, &second);
    });
}

#[test]
fn a_place_in_the_queue_has_its_time() {
    let (origin, go) = patient();
    let toml = format!(
        "{ONE_CONNECTION}queue = 1\nendpoints = [\"$ORIGIN\"]\ntimeouts.queue = \"100ms\"\n"
    );
    let gateway = Gateway::configured(&origin, &toml);
    thread::scope(|scope| {
        let first = scope.spawn(|| gateway.get("/first", ""));
        crate::support::eventually("the first request", || origin.requests().pop());
        let second = gateway.get("/second", "");
        go.give();
        assert_eq!(first.join().unwrap().text(), "fine");
        assert_eq!(second.header("retry-after"), Some("5"));
        Expected::of(Cause::Overloaded, 503, "")
            .after(0)
            .check(&gateway, &second);
    });
}

#[test]
fn who_waits_in_the_queue_is_served_and_who_finds_it_full_is_not() {
    let (origin, go) = patient();
    let toml = format!("{ONE_CONNECTION}queue = 1\nendpoints = [\"$ORIGIN\"]\n");
    let gateway = Gateway::configured(&origin, &toml);
    thread::scope(|scope| {
        let first = scope.spawn(|| gateway.get("/first", ""));
        crate::support::eventually("the first request", || origin.requests().pop());
        let (sender, answers) = std::sync::mpsc::channel();
        for _ in 0..2 {
            let (sender, gateway) = (sender.clone(), &gateway);
            scope.spawn(move || sender.send(gateway.get("/later", "").status).unwrap());
        }
        assert_eq!(answers.recv(), Ok(503), "one of two finds the queue full");
        go.give();
        assert_eq!(answers.recv(), Ok(200), "the other is served");
        assert_eq!(first.join().unwrap().status, 200);
    });
}
