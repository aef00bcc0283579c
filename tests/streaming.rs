//! Bodies flow in both directions as they come: nothing is held back, nothing piles up, nothing is asked for too early.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Client, End, Gateway, Origin, PATIENCE, Signal, eventually};

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

/// The size of what is large here.
const LARGE: usize = 64 << 20;

/// The most of it that may be on its way while nobody reads: buffers of ours, and those of the kernel on both sides.
const ON_THE_WAY: usize = 16 << 20;

#[test]
fn an_event_is_delivered_before_the_next_one_happens() {
    let delivered = Signal::default();
    let next = delivered.clone();
    let origin = Origin::new(move |visit, _| {
        visit.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        visit.send("9\r\ndata: 1\n\n\r\n");
        next.wait();
        visit.send("9\r\ndata: 2\n\n\r\n0\r\n\r\n");
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    client.send("GET /events HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!(
        client.head().header("content-type"),
        Some("text/event-stream")
    );
    assert_eq!(client.read(14), b"9\r\ndata: 1\n\n\r\n");
    delivered.give();
    assert_eq!(client.read(19), b"9\r\ndata: 2\n\n\r\n0\r\n\r\n");
}

#[test]
fn an_answers_head_is_delivered_before_its_body() {
    let delivered = Signal::default();
    let next = delivered.clone();
    let origin = Origin::new(move |visit, _| {
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
        next.wait();
        visit.send("fine");
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!(client.head().status, 200);
    delivered.give();
    assert_eq!(client.read(4), b"fine");
}

#[test]
fn a_piece_of_an_upload_is_delivered_before_the_next_one_is_sent() {
    let delivered = Signal::default();
    let told = delivered.clone();
    let origin = Origin::on_head(move |visit, head| {
        let mut piece = [0; 4];
        visit.read(&mut piece);
        assert_eq!(&piece, b"half");
        told.give();
        visit.read(&mut piece);
        visit.send(FINE);
        drop(head);
        None
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 8\r\n\r\nhalf");
    delivered.wait();
    client.send("rest");
    assert_eq!(client.answer().text(), "fine");
}

/// Sends all of it, however long nobody reads, and notes how much the other side has taken when it first stopped.
fn send_and_note(mut stream: &TcpStream, bytes: &[u8], taken_before_a_stop: &AtomicUsize) {
    let pause = Duration::from_millis(300);
    stream.set_write_timeout(Some(pause)).unwrap();
    let (mut sent, begun) = (0, Instant::now());
    while sent < bytes.len() && begun.elapsed() < PATIENCE {
        match stream.write(&bytes[sent..bytes.len().min(sent + (64 << 10))]) {
            Ok(size) => sent += size,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                // Only the first stop counts.
                if taken_before_a_stop.load(Ordering::SeqCst) == 0 {
                    taken_before_a_stop.store(sent, Ordering::SeqCst);
                }
            }
            Err(_) => return,
        }
    }
}

/// Bytes that repeat themselves only after a number of bytes that no buffer has.
fn noise(size: usize) -> Arc<[u8]> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    let period: Vec<u8> = (0..65_521).map(|_| next()).collect();
    let mut noise = period.repeat(size / period.len() + 1);
    noise.truncate(size);
    noise.into()
}

#[test]
fn a_visitor_who_does_not_read_stops_the_app() {
    let body = noise(LARGE);
    let taken = Arc::new(AtomicUsize::new(0));
    let origin = {
        let (body, taken) = (Arc::clone(&body), Arc::clone(&taken));
        Origin::new(move |visit, _| {
            visit.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"
            ));
            send_and_note(visit.socket(), &body, &taken);
        })
    };
    // The app's own time is shorter than the pause, which is not the app's.
    let gateway = Gateway::set(&origin, "[upstreams.app.timeouts]\nbody = \"100ms\"\n");
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    let stopped = || Some(taken.load(Ordering::SeqCst)).filter(|taken| *taken > 0);
    let on_the_way = eventually("the app to be stopped", stopped);
    assert!(on_the_way < ON_THE_WAY, "{on_the_way} bytes were taken");
    let answer = client.answer();
    assert_eq!(answer.end, End::Whole);
    assert!(answer.body[..] == body[..], "all of it came as it was sent");
}

#[test]
fn an_app_that_does_not_read_stops_the_visitor() {
    let body = noise(LARGE);
    let taken = AtomicUsize::new(0);
    let read = Signal::default();
    let go = read.clone();
    let origin = Origin::on_head(move |visit, head| {
        go.wait();
        let received = visit.finish(head);
        visit.send(FINE);
        Some(received)
    });
    // The visitor's own time is shorter than the pause, which is not the visitor's.
    let gateway = Gateway::set(&origin, "[server.timeouts]\nbody = \"100ms\"\n");
    let stream = TcpStream::connect(gateway.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {LARGE}\r\n\r\n");
    (&stream).write_all(head.as_bytes()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| send_and_note(&stream, &body, &taken));
        let stopped = || Some(taken.load(Ordering::SeqCst)).filter(|taken| *taken > 0);
        let on_the_way = eventually("the visitor to be stopped", stopped);
        assert!(on_the_way < ON_THE_WAY, "{on_the_way} bytes were taken");
        read.give();
    });
    let mut line = [0; 15];
    (&stream).read_exact(&mut line).unwrap();
    assert_eq!(&line, b"HTTP/1.1 200 OK");
    assert!(
        origin.request().body[..] == body[..],
        "all of it came as it was sent"
    );
}

#[test]
fn an_upload_goes_on_to_its_end_while_nobody_reads_the_answer() {
    let body = noise(LARGE);
    let (answered, uploaded) = (Arc::new(AtomicUsize::new(0)), Signal::default());
    let origin = {
        let (body, answered, uploaded) =
            (Arc::clone(&body), Arc::clone(&answered), uploaded.clone());
        Origin::on_head(move |visit, head| {
            visit.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"
            ));
            let answer = visit.socket().try_clone().unwrap();
            thread::scope(|scope| {
                scope.spawn(|| send_and_note(&answer, &body, &answered));
                let received = visit.finish(head);
                uploaded.give();
                Some(received)
            })
        })
    };
    let gateway = Gateway::before(&origin);
    let stream = TcpStream::connect(gateway.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {LARGE}\r\n\r\n");
    (&stream).write_all(head.as_bytes()).unwrap();
    // The answer is stuck before the upload has begun.
    let stopped = || Some(answered.load(Ordering::SeqCst)).filter(|taken| *taken > 0);
    let on_the_way = eventually("the app's answer to be stopped", stopped);
    assert!(on_the_way < ON_THE_WAY, "{on_the_way} bytes were taken");
    send_and_note(&stream, &body, &AtomicUsize::new(0));
    uploaded.wait();
    let answer = Client::over(stream).answer();
    assert_eq!((answer.status, answer.end), (200, End::Whole));
    assert!(
        answer.body[..] == body[..],
        "the answer came as it was sent"
    );
    assert!(
        origin.request().body[..] == body[..],
        "the upload came as it was sent"
    );
}

const UPLOAD: &str = "POST /upload HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn a_body_is_asked_for_when_the_app_asks_for_it() {
    let (asked, told) = (Signal::default(), Signal::default());
    let (asking, telling) = (asked.clone(), told.clone());
    let origin = Origin::on_head(move |visit, head| {
        assert!(
            head.to_lowercase().contains("\r\nexpect: 100-continue\r\n"),
            "{head}"
        );
        telling.wait();
        asking.give();
        visit.send("HTTP/1.1 100 Continue\r\n\r\n");
        let received = visit.finish(head);
        visit.send(FINE);
        Some(received)
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    let begun = Instant::now();
    client.send(UPLOAD);
    told.give();
    assert_eq!(client.head().status, 100);
    assert!(asked.is_given(), "not before the app has asked");
    assert!(
        begun.elapsed() < Duration::from_millis(900),
        "it did not wait for its own time"
    );
    client.send("book");
    assert_eq!(client.answer().text(), "fine");
    assert_eq!(origin.request().body, b"book");
}

#[test]
fn a_body_that_the_app_does_not_want_is_never_asked_for() {
    for (status, replaced) in [(413, false), (401, false), (200, false), (500, true)] {
        let origin = Origin::on_head(move |visit, head| {
            drop(head);
            visit.send(format!(
                "HTTP/1.1 {status} No\r\nContent-Length: 7\r\n\r\nhunter2"
            ));
            visit.wait_for_close();
            None
        });
        let gateway = Gateway::before(&origin);
        let answer = gateway.ask(UPLOAD);
        assert_eq!(answer.status, status);
        assert!(
            answer.interim.is_empty(),
            "{status}: the body was asked for"
        );
        assert_eq!(answer.text().contains("hunter2"), !replaced, "{status}");
        assert_eq!(answer.header("connection"), Some("close"), "{status}");
        eventually("the app's connection to end", || {
            (origin.open() == 0).then_some(())
        });
    }
}

#[test]
fn a_body_is_asked_for_after_a_second_where_the_app_says_nothing() {
    let origin = Origin::answering(FINE);
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    let begun = Instant::now();
    client.send(UPLOAD);
    assert_eq!(client.head().status, 100);
    let waited = begun.elapsed();
    assert!(waited > Duration::from_millis(900), "{waited:?}");
    assert!(waited < Duration::from_secs(4), "{waited:?}");
    client.send("book");
    assert_eq!(client.answer().text(), "fine");
    assert_eq!(origin.request().body, b"book");
}

#[test]
fn a_client_that_does_not_wait_for_the_100_is_served() {
    let origin = Origin::on_head(|visit, head| {
        visit.send("HTTP/1.1 100 Continue\r\n\r\n");
        let received = visit.finish(head);
        visit.send(FINE);
        Some(received)
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    assert_eq!(client.ask(format!("{UPLOAD}book")).text(), "fine");
    assert_eq!(client.ask(format!("{UPLOAD}next")).text(), "fine");
}

#[test]
fn an_early_answer_reaches_a_visitor_who_is_still_sending() {
    for (status, leaves) in [(500, false), (500, true), (413, false), (413, true)] {
        let origin = Origin::on_head(move |visit, head| {
            if head.contains("/fine") {
                let received = visit.finish(head);
                visit.send(FINE);
                return Some(received);
            }
            visit.send(format!(
                "HTTP/1.1 {status} No\r\nContent-Length: 7\r\n\r\nhunter2"
            ));
            if leaves {
                visit.close();
            } else {
                visit.finish(head);
            }
            None
        });
        let gateway = Gateway::before(&origin);
        let body = "x".repeat(100_000);
        let mut client = gateway.connect();
        let answer = client.ask(format!(
            "POST /early HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100000\r\n\r\n{body}"
        ));
        assert_eq!(
            (answer.status, answer.end),
            (status, End::Whole),
            "{leaves}"
        );
        assert_eq!(answer.text().contains("hunter2"), status == 413);
        for _ in 0..3 {
            assert_eq!(gateway.get("/fine", "").text(), "fine");
        }
    }
}

#[test]
fn after_an_early_answer_the_rest_of_a_body_is_no_request() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    let origin = Origin::on_head(|visit, head| {
        if head.contains("/next") {
            visit.send(FINE);
        } else {
            visit.send("HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno");
            visit.wait_for_close();
        }
        None
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    let length = smuggled.len();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {length}\r\n\r\n"
    ));
    assert_eq!(client.answer().status, 413);
    client.send(smuggled);
    let next = client.ask("GET /next HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!(next.text(), "fine");
    assert_eq!(origin.connections(), 2);
}
