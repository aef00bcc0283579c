//! What is refused: before an app hears of it where it could be read in two ways, and where it is too large or too slow.

use crate::support::{End, Gateway, Origin, Signal, eventually};

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

/// Requests that two readers could read in two ways, and what is for no proxy.
const AMBIGUOUS: [(&str, &str); 50] = [
    ("no Host", "GET / HTTP/1.1\r\n\r\n"),
    (
        "two Hosts",
        "GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
    ),
    (
        "two equal Hosts",
        "GET / HTTP/1.1\r\nHost: a.example\r\nHost: a.example\r\n\r\n",
    ),
    ("an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    (
        "a list of Hosts",
        "GET / HTTP/1.1\r\nHost: a.example b.example\r\n\r\n",
    ),
    (
        "a Host with a path",
        "GET / HTTP/1.1\r\nHost: a.example/admin\r\n\r\n",
    ),
    (
        "a Host with a user",
        "GET / HTTP/1.1\r\nHost: user@a.example\r\n\r\n",
    ),
    (
        "lengths that differ",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbooks",
    ),
    (
        "a list of lengths",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4, 4\r\n\r\nbook",
    ),
    (
        "a length with a sign",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: +4\r\n\r\nbook",
    ),
    (
        "a length in hex",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0x4\r\n\r\nbook",
    ),
    (
        "an empty length",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length:\r\n\r\nbook",
    ),
    (
        "a length past 64 bits",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 18446744073709551620\r\n\r\nbook",
    ),
    (
        "two codings",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked twice",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "an empty coding before",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked in quotes",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    ),
    (
        "an unknown coding",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunks in HTTP/1.0",
        "POST / HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "CONNECT",
        "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
    ),
    (
        "a folded field",
        "GET / HTTP/1.1\r\nHost: a.example\r\nX-A: 1\r\n 2\r\n\r\n",
    ),
    (
        "a space before the colon",
        "GET / HTTP/1.1\r\nHost : a.example\r\n\r\n",
    ),
    (
        "a target without its slash",
        "GET a HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    (
        "a target that is a host and port",
        "GET a.example:80 HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    (
        "a star for GET",
        "GET * HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    (
        "a target of another scheme",
        "GET ftp://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    (
        "a user in the target",
        "GET http://u:p@a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    (
        "a Host with half a bracket",
        "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
    ),
    (
        "a Host with a port that is none",
        "GET / HTTP/1.1\r\nHost: a.example:99999\r\n\r\n",
    ),
    (
        "a length beside chunks",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a bare LF after the request line",
        "GET / HTTP/1.1\nHost: a.example\r\n\r\n",
    ),
    (
        "a bare LF after a field",
        "GET / HTTP/1.1\r\nHost: a.example\nX-A: 1\r\n\r\n",
    ),
    (
        "a head that ends in bare LFs",
        "GET / HTTP/1.1\r\nHost: a.example\n\n",
    ),
    (
        "a bare CR in a value",
        "GET / HTTP/1.1\r\nHost: a.example\r\nX-A: 1\rX-B: 2\r\n\r\n",
    ),
    (
        "a bare CR in the target",
        "GET /a\rb HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    (
        "a field without a name",
        "GET / HTTP/1.1\r\nHost: a.example\r\n: 1\r\n\r\n",
    ),
    (
        "a field without a colon",
        "GET / HTTP/1.1\r\nHost: a.example\r\nX-A\r\n\r\n",
    ),
    (
        "two spaces before the target",
        "GET  / HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    (
        "two spaces before the version",
        "GET /  HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    (
        "a version that is none",
        "GET / HTTP/1.2\r\nHost: a.example\r\n\r\n",
    ),
    ("no version", "GET /\r\nHost: a.example\r\n\r\n"),
    (
        "characters in the target that none has",
        "GET /<script> HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    (
        "zeros before a chunk's size",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0005\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "a bare LF after a chunk's size",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
    ),
    (
        "a chunk's size in C",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    ),
    ("a fragment", "GET /a#b HTTP/1.1\r\nHost: a.example\r\n\r\n"),
    (
        "a bare LF after the last chunk",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\nGET /smug HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    (
        "a bare LF in the trailers",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n",
    ),
    (
        "a NUL in a chunk's extension",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5;\x00\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "NUL in a value",
        "GET / HTTP/1.1\r\nHost: a.example\r\nX-A: \x00\r\n\r\n",
    ),
];

#[test]
fn what_could_be_read_in_two_ways_is_refused_and_reaches_no_app() {
    let origin = Origin::answering(FINE);
    let gateway = Gateway::before(&origin);
    for (case, request) in AMBIGUOUS {
        let mut client = gateway.connect();
        let answer = client.ask(request);
        assert_eq!(answer.status, 400, "{case}");
        assert!(
            answer.header("x-request-id").is_some(),
            "{case}: it is our page"
        );
        // What follows on the connection is never read as a request.
        client.send("GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n");
        assert!(client.is_closed(), "{case}");
        assert!(origin.requests().is_empty(), "{case}");
    }
    assert!(gateway.incidents().is_empty(), "refusals are no failures");
    assert_eq!(gateway.get("/", "").text(), "fine");
}

#[test]
fn an_unknown_expectation_is_refused() {
    let origin = Origin::answering(FINE);
    let gateway = Gateway::before(&origin);
    assert_eq!(gateway.get("/", "Expect: the-unexpected\r\n").status, 417);
    assert_eq!(origin.connections(), 0);
}

const BODY_LIMIT: &str = "[server.limits]\nbody = \"1KiB\"\n";

#[test]
fn a_body_past_the_limit_is_a_413() {
    let origin = Origin::answering(FINE);
    let gateway = Gateway::set(&origin, BODY_LIMIT);
    let (most, more) = ("x".repeat(1024), "x".repeat(1025));
    let stated = |body: &str| {
        let length = body.len();
        format!("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let chunked = |body: &str| {
        let size = body.len();
        format!(
            "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"
        )
    };
    assert_eq!(gateway.ask(stated(&most)).text(), "fine");
    assert_eq!(gateway.ask(chunked(&most)).text(), "fine");
    let whole = origin.requests().len();
    for request in [stated(&more), chunked(&more)] {
        let mut client = gateway.connect();
        let answer = client.ask(request);
        assert_eq!((answer.status, answer.end), (413, End::Whole));
        assert!(answer.text().contains(answer.id()));
        assert!(client.is_closed());
    }
    let late = origin.requests().split_off(whole);
    assert!(
        late.iter().all(|received| received.body.len() < more.len()),
        "no body came whole"
    );
    assert!(gateway.incidents().is_empty());
}

#[test]
fn a_client_that_has_much_more_to_send_still_hears_the_413() {
    let origin = Origin::answering(FINE);
    let gateway = Gateway::set(&origin, BODY_LIMIT);
    let body = "x".repeat(500_000);
    let answer = gateway.ask(format!(
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 500000\r\n\r\n{body}"
    ));
    assert_eq!((answer.status, answer.end), (413, End::Whole));
}

#[test]
fn a_target_past_the_limit_is_a_414() {
    let origin = Origin::answering(FINE);
    let gateway = Gateway::set(&origin, "[server.limits]\nuri = \"100B\"\n");
    assert_eq!(
        gateway.get(&format!("/{}", "x".repeat(99)), "").text(),
        "fine"
    );
    let answer = gateway.get(&format!("/{}", "x".repeat(100)), "");
    assert_eq!(answer.status, 414);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_body_that_stops_coming_is_a_408_and_no_failure_of_the_apps() {
    // The app's own time is shorter, and it is not the app that is slow.
    let toml = "[server.timeouts]\nbody = \"300ms\"\n[upstreams.app.timeouts]\nhead = \"100ms\"\n";
    let origin = Origin::answering(FINE);
    let gateway = Gateway::set(&origin, toml);
    let mut client = gateway.connect();
    let answer =
        client.ask("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100\r\n\r\nbegun");
    assert_eq!(answer.status, 408);
    assert!(client.is_closed());
    eventually("the app to be left alone", || {
        (origin.open() == 0).then_some(())
    });
    assert!(gateway.incidents().is_empty());
}

#[test]
fn a_client_that_leaves_in_its_upload_takes_the_request_back() {
    let begun = Signal::default();
    let told = begun.clone();
    let origin = Origin::on_head(move |visit, head| {
        told.give();
        Some(visit.finish(head))
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100\r\n\r\nbegun");
    begun.wait();
    drop(client);
    eventually("the app to be left alone", || {
        (origin.open() == 0).then_some(())
    });
    assert!(gateway.incidents().is_empty());
}
