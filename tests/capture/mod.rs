//! However a failing answer's body behaves, the page goes out, and what is kept is bounded and says what it is.

mod coded;
mod connection;
mod waiting;

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};

use pardon::incident::{BodyRecord, Incident};

use crate::support::{Answer, End, Gateway, Origin, PATIENCE, eventually};

/// What is kept of a body, and what is read of it, by default.
const MAX_BODY: u64 = 256 * 1024;
const DRAIN: u64 = 1024 * 1024;

/// What may have come beyond `DRAIN` when reading stops: one piece.
const PIECE: u64 = 1024 * 1024;

const HEAD: &str = "HTTP/1.1 500 No\r\nContent-Type: text/plain\r\n";
const BROWSER: &str = "Accept: text/html\r\n";
/// The page waits for all of the body, so that what is kept is what there is.
const PATIENT: &str = "[intercept.capture]\nhold = \"10s\"\ndeadline = \"10s\"";

/// Fails unless an answer is a page with nothing of the app in it.
fn assert_page(answer: &Answer) {
    assert_eq!((answer.status, answer.end), (500, End::Whole));
    assert!(answer.text().contains(answer.id()));
    assert!(!answer.text().contains("hunter2"), "{}", answer.text());
}

fn body(incident: &Incident) -> &BodyRecord {
    incident.body.as_ref().unwrap()
}

/// What the record says that went wrong.
fn trouble(incident: &Incident) -> &str {
    let upstream = incident.upstream.as_ref().unwrap();
    upstream.error.as_deref().unwrap_or_default()
}

/// An app that sends the second half of its answer when it is told to.
fn in_two_halves(first: String, second: String) -> (Origin, Sender<()>) {
    let (go_on, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let origin = Origin::new(move |visit, _| {
        visit.send(&first);
        if wait.lock().unwrap().recv_timeout(PATIENCE).is_ok() {
            visit.send(&second);
        }
    });
    (origin, go_on)
}

/// An app that begins an answer and then sends as long as anybody takes it; and whether that is over.
fn endless(head: &'static str) -> (Origin, Arc<Mutex<bool>>) {
    let over = Arc::new(Mutex::new(false));
    let told = Arc::clone(&over);
    let origin = Origin::new(move |visit, _| {
        visit.send(head);
        while visit.try_send([b'x'; 16 * 1024]) {}
        *told.lock().unwrap() = true;
    });
    (origin, over)
}

#[test]
fn a_short_body_is_kept_whole() {
    for framed in [
        "Content-Length: 7\r\n\r\nhunter2",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nhun\r\n4;ext=1\r\nter2\r\n0\r\nX-Trailer: 1\r\n\r\n",
    ] {
        let origin = Origin::answering(format!("{HEAD}{framed}"));
        let gateway = Gateway::set(&origin, PATIENT);

        let answer = gateway.get("/", BROWSER);

        assert_page(&answer);
        let incident = gateway.incident(answer.id());
        let body = body(&incident);
        assert_eq!(
            (&body.content[..], body.bytes, body.kept),
            (&b"hunter2"[..], 7, 7)
        );
        assert!(body.complete && body.decoded);
        assert_eq!(body.content_type.as_deref(), Some("text/plain"));
        assert_eq!(trouble(&incident), "");
    }
}

#[test]
fn a_body_that_ends_with_its_connection_is_kept_whole() {
    let origin = Origin::new(|visit, _| {
        visit.send(format!("{HEAD}\r\nhunter2"));
        visit.close();
    });
    let gateway = Gateway::set(&origin, PATIENT);

    let answer = gateway.get("/", BROWSER);

    assert_page(&answer);
    let incident = gateway.incident(answer.id());
    assert_eq!(body(&incident).content, "hunter2");
    assert!(body(&incident).complete);
}

#[test]
fn an_empty_body_is_kept_as_such() {
    let origin = Origin::answering(format!("{HEAD}Content-Length: 0\r\n\r\n"));
    let gateway = Gateway::before(&origin);

    let answer = gateway.get("/", BROWSER);

    assert_page(&answer);
    let incident = gateway.incident(answer.id());
    assert_eq!((body(&incident).bytes, body(&incident).complete), (0, true));
}

#[test]
fn a_body_of_the_size_that_is_kept_is_kept_whole_and_a_longer_one_cut() {
    for (size, complete) in [(MAX_BODY, true), (MAX_BODY + 1, false), (DRAIN, false)] {
        let content = "x".repeat(usize::try_from(size).unwrap());
        let origin = Origin::answering(format!("{HEAD}Content-Length: {size}\r\n\r\n{content}"));
        let gateway = Gateway::set(&origin, PATIENT);

        let answer = gateway.get("/", BROWSER);

        assert_page(&answer);
        let incident = gateway.incident(answer.id());
        let body = body(&incident);
        assert_eq!((body.bytes, body.kept), (size, size.min(MAX_BODY)));
        assert_eq!(body.complete, complete, "{size}");
    }
}

/// Invariant 6, as far as captures go. A.10 of the cases: 8 MiB, 1 GiB, without end.
#[test]
fn no_more_is_read_than_drain_says() {
    for head in [
        "HTTP/1.1 500 No\r\nContent-Length: 8388608\r\n\r\n",
        "HTTP/1.1 500 No\r\nContent-Length: 1073741824\r\n\r\n",
        "HTTP/1.1 500 No\r\n\r\n",
    ] {
        let (origin, over) = endless(head);
        let gateway = Gateway::before(&origin);

        let answer = gateway.get("/", BROWSER);

        assert_page(&answer);
        let incident = gateway.incident_when(answer.id(), |incident| {
            incident.settled && body(incident).bytes > DRAIN
        });
        let body = body(&incident);
        assert!(body.bytes <= DRAIN + PIECE, "{} bytes", body.bytes);
        assert_eq!((body.kept, body.content.len() as u64), (MAX_BODY, MAX_BODY));
        assert!(!body.complete);
        assert!(
            trouble(&incident).contains("1048576 bytes"),
            "{}",
            trouble(&incident)
        );
        eventually("the connection to end", || {
            over.lock().unwrap().then_some(())
        });
    }
}

#[test]
fn an_endless_chunked_body_is_read_no_further_than_drain() {
    let origin = Origin::new(|visit, _| {
        visit.send("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
        while visit.try_send(&chunk) {}
    });
    let gateway = Gateway::before(&origin);

    let answer = gateway.get("/", BROWSER);

    assert_page(&answer);
    let incident = gateway.incident_when(answer.id(), |incident| {
        incident.settled && body(incident).bytes > DRAIN
    });
    assert!(body(&incident).bytes <= DRAIN + PIECE);
    assert_eq!(
        (body(&incident).kept, body(&incident).complete),
        (MAX_BODY, false)
    );
}

#[test]
fn the_limits_are_those_of_the_configuration() {
    let (origin, _) = endless("HTTP/1.1 500 No\r\nContent-Length: 1073741824\r\n\r\n");
    let limits = "[intercept.capture]\nmax_body = \"1KiB\"\ndrain = \"8KiB\"";
    let gateway = Gateway::set(&origin, limits);

    let answer = gateway.get("/", BROWSER);

    assert_page(&answer);
    let incident = gateway.incident_when(answer.id(), |incident| body(incident).bytes > 8192);
    assert_eq!(
        (body(&incident).kept, body(&incident).complete),
        (1024, false)
    );
}

#[test]
fn bodies_past_the_memory_are_given_up_and_counted_and_pages_served() {
    let content = "x".repeat(100_000);
    let origin = Origin::answering(format!("{HEAD}Content-Length: 100000\r\n\r\n{content}"));
    let gateway = Gateway::set(
        &origin,
        // Nothing can be written there, so that everything waits.
        &format!(
            "[incidents]\ncommit_wait = \"20ms\"\nmemory = \"256KiB\"\npath = \"/proc/none/pardon.db\"\n{PATIENT}"
        ),
    );
    let mut client = gateway.connect();
    for _ in 0..20 {
        assert_page(&client.ask("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"));
    }
    let counts = gateway.counts();
    assert_eq!(counts.recorded, 20);
    assert_eq!(
        counts.lost.rows, 0,
        "no row is given up as long as a body can be"
    );
    assert!(gateway.memory_taken() <= 256 * 1024);
    assert!(counts.lost.bodies >= 17);
}

#[test]
fn a_body_for_which_there_is_no_memory_costs_the_page_nothing() {
    let content = "x".repeat(200_000);
    let origin = Origin::answering(format!("{HEAD}Content-Length: 200000\r\n\r\n{content}"));
    let gateway = Gateway::set(
        &origin,
        &format!("[incidents]\nmemory = \"64KiB\"\n{PATIENT}"),
    );

    let answer = gateway.get("/", BROWSER);

    assert_page(&answer);
    let incident = gateway.incident(answer.id());
    assert_eq!(
        (body(&incident).bytes, body(&incident).complete),
        (200_000, false)
    );
    assert!(body(&incident).content.len() < 64 * 1024);
    assert!(
        trouble(&incident).contains("memory"),
        "{}",
        trouble(&incident)
    );
}
