//! An answer that the app breaks off never looks whole, and is recorded; what an app says too much reaches nobody.

use pardon::incident::Cause;

use crate::support::{Answer, End, Gateway, Origin, Signal, TlsOrigin, Visit, eventually, get};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Timeouts short enough to be waited for.
const SHORT: &str = "[upstreams.app.timeouts]\nbody = \"150ms\"\n";

/// What an app does to an answer.
type Flaw = fn(&mut Visit);

/// An app that answers one path in its own way and all others with their path.
fn with_a_flaw(flaw: impl Fn(&mut Visit) + Send + Sync + 'static) -> Origin {
    Origin::new(move |visit, received| {
        let path = received.line().split(' ').nth(1).unwrap();
        if path == "/flaw" {
            return flaw(visit);
        }
        let length = path.len();
        visit.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{path}"
        ));
    })
}

/// Fails unless the next clients get their own answers, one after another.
fn others_get_their_own(case: &str, gateway: &Gateway) {
    for number in 0..5 {
        let path = format!("/own/{number}");
        let answer = gateway.get(&path, "");
        assert_eq!(
            (answer.status, answer.text()),
            (200, path.as_str()),
            "{case}"
        );
        assert_eq!(answer.end, End::Whole, "{case}");
    }
}

/// The error in the only record that there is, which is of this broken-off answer.
fn recorded(gateway: &Gateway, answer: &Answer) -> String {
    let incident = gateway.incident_when(answer.id(), |_| true);
    assert_eq!(gateway.incidents().len(), 1, "one failure, one record");
    assert_eq!(incident.cause, Cause::BrokenOff);
    assert!(incident.served.is_none(), "no page was served");
    let upstream = incident.upstream.as_ref().unwrap();
    assert_eq!(upstream.status, Some(200));
    upstream.error.clone().unwrap()
}

#[test]
fn an_answer_that_breaks_off_is_seen_to_break_off_and_recorded() {
    let flaws: [(&str, Flaw); 7] = [
        ("shorter than its length", |visit| {
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun");
            visit.close();
        }),
        ("without its last chunk", |visit| {
            visit.send(format!("{CHUNKED}5\r\nbegun\r\n"));
            visit.close();
        }),
        ("a chunk cut short", |visit| {
            visit.send(format!("{CHUNKED}5\r\nbegun\r\n10\r\nand"));
            visit.close();
        }),
        ("a bad chunk size", |visit| {
            visit.send(format!("{CHUNKED}5\r\nbegun\r\nhunter2\r\nand\r\n"));
            visit.wait_for_close();
        }),
        ("a chunk size past 64 bits", |visit| {
            visit.send(format!("{CHUNKED}5\r\nbegun\r\n10000000000000005\r\nand"));
            visit.wait_for_close();
        }),
        ("reset under a length", |visit| {
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun");
            visit.reset();
        }),
        ("reset without a length", |visit| {
            visit.send("HTTP/1.1 200 OK\r\n\r\nbegun");
            visit.reset();
        }),
    ];
    for (case, flaw) in flaws {
        let origin = with_a_flaw(flaw);
        let gateway = Gateway::before(&origin);
        let answer = gateway.get("/flaw", "");
        assert_eq!(answer.status, 200, "{case}");
        let seen = matches!(answer.end, End::Cut | End::Reset);
        assert!(seen, "{case}: it ended with {:?}", answer.end);
        assert!(
            "begunand".starts_with(answer.text()),
            "{case}: {}",
            answer.text()
        );
        let error = recorded(&gateway, &answer);
        assert!(error.contains("broke its answer off"), "{case}: {error}");
        others_get_their_own(case, &gateway);
    }
}

#[test]
fn an_answer_that_hangs_is_ended_in_time() {
    for head in ["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", CHUNKED] {
        let origin = with_a_flaw(move |visit| {
            visit.send(head);
            visit.send("5\r\nbegun\r\n");
            visit.wait_for_close();
        });
        let gateway = Gateway::set(&origin, SHORT);
        let answer = gateway.get("/flaw", "");
        assert!(
            matches!(answer.end, End::Cut | End::Reset),
            "{:?}",
            answer.end
        );
        let error = recorded(&gateway, &answer);
        assert!(error.contains("nothing more for 150ms"), "{error}");
        others_get_their_own("hangs", &gateway);
    }
}

#[test]
fn a_visitor_whose_upload_fails_is_no_failure_of_the_app_that_already_answers() {
    let begun = "POST /upload HTTP/1.1\r\nHost: shop.example\r\n";
    for (case, rest, flaw) in [
        (
            "a broken chunk",
            "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            "no size\r\n",
        ),
        ("stalled", "Content-Length: 8\r\n\r\nhalf", ""),
        (
            "too large",
            "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            "8\r\ntoo much\r\n",
        ),
    ] {
        let origin = Origin::on_head(|visit, head| {
            if head.contains("/upload") {
                visit.send(format!("{CHUNKED}5\r\nbegun\r\n"));
                visit.wait_for_close();
            } else {
                visit.send("HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops");
            }
            None
        });
        let gateway = Gateway::set(
            &origin,
            "[server.limits]\nbody = \"10B\"\n[server.timeouts]\nbody = \"150ms\"\n",
        );
        let mut client = gateway.connect();
        client.send(format!("{begun}{rest}"));
        assert_eq!(client.head().status, 200, "{case}");
        assert_eq!(client.read(10), b"5\r\nbegun\r\n", "{case}");
        client.send(flaw);
        assert!(client.is_closed(), "{case}: the answer does not look whole");
        eventually("the app to be left alone", || {
            (origin.open() == 0).then_some(())
        });
        // What fails after it is recorded after it.
        let next = gateway.get("/fails", "");
        gateway.incident(next.id());
        assert_eq!(gateway.incidents().len(), 1, "{case}: no failure");
    }
}

#[test]
fn an_answer_over_tls_does_not_end_without_its_farewell() {
    let app = TlsOrigin::answering("127.0.0.1", b"HTTP/1.1 200 OK\r\n\r\nbegun");
    let ca = format!("[upstreams.app.tls]\nca = {:?}\n", app.authority);
    let gateway = Gateway::at(&app.url(), &ca);
    let answer = gateway.get("/", "");
    assert_eq!((answer.status, answer.end), (200, End::Cut));
    let error = recorded(&gateway, &answer);
    assert!(error.contains("close_notify"), "{error}");
    assert!(!error.contains("://"), "no link: {error}");
}

#[test]
fn a_client_that_knows_no_chunks_sees_a_reset() {
    let flaws: [(&str, Flaw); 2] = [
        ("chunks cut short", |visit| {
            visit.send(format!("{CHUNKED}5\r\nbegun\r\n"));
            visit.close();
        }),
        ("hangs", |visit| {
            visit.send("HTTP/1.1 200 OK\r\n\r\nbegun");
            visit.wait_for_close();
        }),
    ];
    for (case, flaw) in flaws {
        let origin = with_a_flaw(flaw);
        let gateway = Gateway::set(&origin, SHORT);
        let answer = gateway.ask("GET /flaw HTTP/1.0\r\nHost: shop.example\r\n\r\n");
        assert_eq!((answer.status, answer.end), (200, End::Reset), "{case}");
        assert!(!recorded(&gateway, &answer).is_empty(), "{case}");
    }
}

#[test]
fn a_whole_answer_without_a_length_ends_cleanly_for_a_client_that_knows_no_chunks() {
    let origin = Origin::answering(format!("{CHUNKED}5\r\nwhole\r\n0\r\n\r\n"));
    let gateway = Gateway::before(&origin);
    let answer = gateway.ask("GET / HTTP/1.0\r\nHost: shop.example\r\n\r\n");
    assert_eq!((answer.text(), answer.end), ("whole", End::Close));
    assert!(gateway.incidents().is_empty());
}

#[test]
fn what_an_app_says_too_much_goes_with_its_connection() {
    let flaws: [(&str, &str, &str); 6] = [
        (
            "a second answer",
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhunter2",
        ),
        (
            "a second answer after chunks",
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhunter2",
        ),
        (
            "a longer body than its length",
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst and hunter2",
        ),
        (
            "a body on HEAD",
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 46\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhunter2",
        ),
        (
            "a body on 304",
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 46\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhunter2",
        ),
        (
            "a body on 204",
            "GET",
            "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhunter2",
        ),
    ];
    for (case, method, flaw) in flaws {
        let origin = with_a_flaw(move |visit| visit.send(flaw));
        let gateway = Gateway::set(&origin, "[server]\nworkers = 1\n");
        let answer = gateway.ask(format!(
            "{method} /flaw HTTP/1.1\r\nHost: shop.example\r\n\r\n"
        ));
        assert!("first".contains(answer.text()), "{case}: {}", answer.text());
        assert_eq!(answer.end, End::Whole, "{case}");
        others_get_their_own(case, &gateway);
        assert_eq!(
            origin.connections(),
            2,
            "{case}: the first one is not used again"
        );
        assert!(gateway.incidents().is_empty(), "{case}");
    }
}

#[test]
fn an_answer_that_nobody_asked_for_ends_an_idle_connection() {
    let answered = Signal::default();
    let go = answered.clone();
    let origin = with_a_flaw(move |visit| {
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
        go.wait();
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhunter2");
    });
    let gateway = Gateway::set(&origin, "[server]\nworkers = 1\n");
    assert_eq!(gateway.get("/flaw", "").text(), "first");
    answered.give();
    eventually("the connection to be closed", || {
        (origin.open() == 0).then_some(())
    });
    others_get_their_own("unasked", &gateway);
    assert_eq!(origin.connections(), 2);
    assert!(gateway.incidents().is_empty());
}

#[test]
fn a_failure_with_too_much_to_say_costs_its_connection_only() {
    let origin = with_a_flaw(|visit| {
        visit.send(
            "HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhunter2",
        );
    });
    let gateway = Gateway::set(&origin, "[server]\nworkers = 1\n");
    let answer = gateway.get("/flaw", "");
    assert_eq!(answer.status, 500);
    let body = eventually("the body", || gateway.incident(answer.id()).body.clone());
    assert_eq!(&body.content[..], b"first");
    others_get_their_own("failure", &gateway);
}

const POST: &str = "POST /flaw HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\n\r\n";

#[test]
fn an_answer_that_is_broken_from_its_first_byte_on_is_none() {
    let origin = with_a_flaw(|visit| {
        visit.send(format!("{CHUNKED}hunter2\r\n"));
        visit.wait_for_close();
    });
    let gateway = Gateway::before(&origin);
    let answer = gateway.ask(POST);
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains(answer.id()) && !answer.text().contains("hunter2"));
    assert_eq!(gateway.incident(answer.id()).cause, Cause::Malformed);
    assert_eq!(origin.requests().len(), 1);
    others_get_their_own("broken from the beginning", &gateway);
}

/// A client that gets nothing would take its connection for one that was closed before, and send its POST again.
#[test]
fn a_head_that_nothing_follows_is_seen_all_the_same() {
    let origin = with_a_flaw(|visit| {
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n");
        visit.close();
    });
    for _ in 0..20 {
        let gateway = Gateway::before(&origin);
        let mut visitor = gateway.connect();
        visitor.ask(get("/", ""));
        let answer = visitor.ask(POST);
        assert_eq!((answer.status, answer.text()), (200, ""));
        assert!(matches!(answer.end, End::Cut | End::Reset), "{answer:?}");
        recorded(&gateway, &answer);
    }
}
