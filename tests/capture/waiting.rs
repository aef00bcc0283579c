//! A page waits for a slow body no longer than `hold`; reading goes on behind it, and the record says how it ended.

use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use pardon::incident::Cause;

use super::{BROWSER, HEAD, assert_page, body, in_two_halves, trouble};
use crate::support::{Gateway, Origin, PATIENCE, eventually};

/// A page that waits for a moment only, and a capture that is patient.
const SHORT_HOLD: &str = "[intercept.capture]\nhold = \"50ms\"\ndeadline = \"10s\"";
/// Neither is patient.
const SHORT: &str = "[intercept.capture]\nhold = \"50ms\"\ndeadline = \"150ms\"";

#[test]
fn the_page_does_not_wait_for_a_slow_body_and_the_rest_comes_after_it() {
    let first = format!("{HEAD}Content-Length: 14\r\n\r\nhunter2");
    let (origin, go_on) = in_two_halves(first, "hunter3".to_owned());
    let gateway = Gateway::set(&origin, SHORT_HOLD);
    let begun = Instant::now();

    let answer = gateway.get("/", BROWSER);

    let took = begun.elapsed();
    assert_page(&answer);
    assert!(
        took >= Duration::from_millis(50) && took < Duration::from_secs(5),
        "{took:?}"
    );
    let early = gateway.incident_when(answer.id(), |_| true);
    assert_eq!(
        (&body(&early).content[..], body(&early).complete),
        (&b"hunter2"[..], false)
    );
    go_on.send(()).unwrap();
    let late = gateway.incident_when(answer.id(), |incident| body(incident).complete);
    assert_eq!(
        (&body(&late).content[..], body(&late).bytes),
        (&b"hunter2hunter3"[..], 14)
    );
    assert_eq!((late.seq, trouble(&late)), (early.seq, ""));
    assert_eq!(gateway.incidents().len(), 1, "one record, amended");
}

#[test]
fn what_comes_late_is_what_the_summary_is_read_from() {
    let first = format!("{HEAD}Content-Length: 38\r\n\r\nOperational");
    let (origin, go_on) = in_two_halves(first, "Error: cannot reach hunter2".to_owned());
    let gateway = Gateway::set(&origin, SHORT_HOLD);

    let answer = gateway.get("/", BROWSER);

    let early = gateway.incident_when(answer.id(), |_| true);
    go_on.send(()).unwrap();
    let late = gateway.incident_when(answer.id(), |incident| body(incident).complete);
    assert_eq!(late.summary, "OperationalError: cannot reach hunter2");
    assert_ne!(
        (&early.summary, early.fingerprint),
        (&late.summary, late.fingerprint)
    );
}

/// Byte by byte: each is taken, and the page does not wait for all of them.
#[test]
fn a_dripping_body_holds_the_page_no_longer_than_hold() {
    let (seen, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::new(move |visit, _| {
        visit.send(format!("{HEAD}Content-Length: 1000\r\n\r\n"));
        for _ in 0..1000 {
            // A byte goes out every now and then, and at once when the page was seen.
            let _ = wait.lock().unwrap().recv_timeout(Duration::from_millis(10));
            visit.send("x");
        }
    });
    let gateway = Gateway::set(&origin, SHORT_HOLD);

    let answer = gateway.get("/", BROWSER);

    assert_page(&answer);
    let early = gateway.incident_when(answer.id(), |_| true);
    assert!(body(&early).bytes < 1000 && !body(&early).complete);
    drop(seen);
    let late = gateway.incident_when(answer.id(), |incident| body(incident).complete);
    assert_eq!(body(&late).bytes, 1000);
}

#[test]
fn a_hanging_body_ends_with_the_deadline_and_the_record_says_so() {
    for sent in ["", "hunter2"] {
        let origin = Origin::new(move |visit, _| {
            visit.send(format!("{HEAD}Content-Length: 14\r\n\r\n{sent}"));
            visit.wait_for_close();
        });
        let gateway = Gateway::set(&origin, SHORT);

        let answer = gateway.get("/", BROWSER);

        assert_page(&answer);
        let late = gateway.incident_when(answer.id(), |incident| !trouble(incident).is_empty());
        assert!(trouble(&late).contains("150ms"), "{}", trouble(&late));
        assert_eq!(
            (&body(&late).content[..], body(&late).complete),
            (sent.as_bytes(), false)
        );
        assert_eq!(late.cause, Cause::UpstreamStatus);
    }
}

#[test]
fn a_body_that_breaks_off_is_kept_as_far_as_it_came() {
    for (script, resets) in [
        ("Content-Length: 100\r\n\r\nhunter2", false),
        ("Content-Length: 100\r\n\r\nhunter2", true),
        ("Transfer-Encoding: chunked\r\n\r\n7\r\nhunter2\r\n", false),
        ("Transfer-Encoding: chunked\r\n\r\n64\r\nhunter2", false),
        ("Transfer-Encoding: chunked\r\n\r\n7\r\nhunter2\r\n", true),
    ] {
        let (sent, seen) = mpsc::channel::<()>();
        let seen = Mutex::new(seen);
        let origin = Origin::new(move |visit, _| {
            visit.send(format!("{HEAD}{script}"));
            if resets {
                // A reset may overtake what was sent before it, so it goes out when that was seen.
                let _ = seen.lock().unwrap().recv_timeout(PATIENCE);
                visit.reset();
            } else {
                visit.close();
            }
        });
        let gateway = Gateway::set(&origin, SHORT_HOLD);

        let answer = gateway.get("/", BROWSER);

        assert_page(&answer);
        drop(sent);
        let incident = gateway.incident_when(answer.id(), |incident| !trouble(incident).is_empty());
        assert_eq!(
            trouble(&incident),
            "the app broke its answer off",
            "{script}"
        );
        assert_eq!(body(&incident).content, "hunter2", "{script}");
        assert!(!body(&incident).complete, "{script}");
    }
}

#[test]
fn broken_chunks_end_the_body_where_they_break() {
    for broken in ["zz\r\n", "-1\r\n", "fffffffffffffffff\r\n", "7 hunter\r\n"] {
        let origin = Origin::new(move |visit, _| {
            let chunk = "7\r\nhunter2\r\n";
            visit.send(format!(
                "{HEAD}Transfer-Encoding: chunked\r\n\r\n{chunk}{broken}"
            ));
            visit.wait_for_close();
        });
        let gateway = Gateway::set(&origin, SHORT);

        let answer = gateway.get("/", BROWSER);

        assert_page(&answer);
        let incident = gateway.incident_when(answer.id(), |incident| !trouble(incident).is_empty());
        assert_eq!(body(&incident).content, "hunter2", "{broken}");
        assert!(!body(&incident).complete, "{broken}");
    }
}

/// A.11 of the cases.
#[test]
fn a_visitor_who_leaves_takes_no_incident_along() {
    let first = format!("{HEAD}Content-Length: 14\r\n\r\nhunter2");
    let (origin, go_on) = in_two_halves(first, "hunter3".to_owned());
    let settings = "[intercept.capture]\nhold = \"20s\"\ndeadline = \"20s\"";
    let gateway = Gateway::set(&origin, settings);
    let mut client = gateway.connect();
    client.send("GET /leaves HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    // Before there is an answer, the request would end with its visitor.
    eventually("the capture to begin", || {
        (gateway.memory_taken() > 0).then_some(())
    });

    drop(client);

    eventually("the visitor to be gone", || {
        (gateway.connections() == 0).then_some(())
    });
    go_on.send(()).unwrap();
    let incident = eventually("the incident", || gateway.incidents().pop());
    assert_eq!(body(&incident).content, "hunter2hunter3");
    assert!(body(&incident).complete);
    assert_eq!(incident.request.url, "/leaves");
}
