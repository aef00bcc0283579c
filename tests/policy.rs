//! Only what the configuration names is replaced; every other answer passes as it is, header for header, as it comes.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use crate::support::{Answer, Client, End, Gateway, Origin};

/// An app whose status is the first segment of the path, with a body where one is allowed.
fn mirror() -> Origin {
    Origin::new(|visit, request| {
        let status = request.line().split(['/', ' ']).nth(2).unwrap();
        let body = match status {
            "204" | "304" => String::new(),
            "205" => "Content-Length: 0\r\n\r\n".to_owned(),
            _ => "Content-Length: 5\r\n\r\nplain".to_owned(),
        };
        let end = if body.is_empty() { "\r\n" } else { "" };
        visit.send(format!(
            "HTTP/1.1 {status} As The App Says\r\nX-Own: yes\r\nx-own: twice\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n{end}{body}"
        ));
    })
}

fn ask(client: &mut Client, path: &str) -> Answer {
    client.ask(format!(
        "GET {path} HTTP/1.1\r\nHost: shop.example\r\nAccept: text/html\r\n\r\n"
    ))
}

/// The statuses of a range that are replaced.
fn replaced(gateway: &Gateway, statuses: std::ops::Range<u16>, folder: &str) -> Vec<u16> {
    let mut client = gateway.connect();
    let mut replaced = Vec::new();
    for status in statuses {
        let answer = ask(&mut client, &format!("/{status}{folder}"));
        assert_eq!(answer.status, status);
        if answer.headers("x-own").is_empty() {
            assert!(answer.text().contains(answer.id()));
            replaced.push(status);
        }
    }
    replaced
}

/// Header fields without what the gateway adds, by name.
fn fields(answer: &Answer) -> Vec<(String, String)> {
    let mut fields: Vec<_> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .filter(|(name, _)| name != "x-request-id" && name != "date")
        .collect();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}

/// Invariant 5: A.2 of the cases.
#[test]
fn every_status_below_500_passes_header_for_header() {
    let origin = mirror();
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    for status in 200..500 {
        let answer = client.ask(format!(
            "GET /{status} HTTP/1.1\r\nHost: shop.example\r\n\r\n"
        ));

        assert_eq!(answer.line, format!("HTTP/1.1 {status} As The App Says"));
        assert_eq!(answer.end, End::Whole);
        let mut expected = vec![
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("x-own", "yes"),
            ("x-own", "twice"),
        ];
        match status {
            204 | 304 => {}
            205 => expected.insert(0, ("content-length", "0")),
            _ => expected.insert(0, ("content-length", "5")),
        }
        let found = fields(&answer);
        let found: Vec<_> = found
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(found, expected, "{status}");
    }
    assert!(gateway.incidents().is_empty());
}

/// Invariant 5.
#[test]
fn validators_ranges_and_lengths_of_bodyless_answers_pass() {
    for (request, head, body) in [
        (
            "GET / HTTP/1.1\r\nRange: bytes=0-4\r\n",
            "206 Partial Content\r\nContent-Range: bytes 0-4/10\r\nContent-Length: 5\r\nETag: \"a\"\r\nAccept-Ranges: bytes",
            "plain",
        ),
        (
            "GET / HTTP/1.1\r\nIf-None-Match: \"a\"\r\n",
            "304 Not Modified\r\nETag: \"a\"\r\nCache-Control: max-age=5\r\nVary: Accept",
            "",
        ),
        (
            "HEAD / HTTP/1.1\r\n",
            "200 OK\r\nContent-Length: 1234\r\nLast-Modified: Fri, 20 Nov 2026 09:58:37 GMT",
            "",
        ),
        (
            "HEAD / HTTP/1.1\r\n",
            "404 Not Found\r\nServer: x\r\nContent-Length: 9",
            "",
        ),
        (
            "GET / HTTP/1.1\r\n",
            "301 Moved\r\nLocation: https://example.com/a?b=c#d\r\nContent-Length: 0",
            "",
        ),
        (
            "GET / HTTP/1.1\r\n",
            "401 Unauthorized\r\nWWW-Authenticate: Basic\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0",
            "",
        ),
        (
            "GET / HTTP/1.1\r\n",
            "200 OK\r\nServer: app/1\r\nVia: 1.1 cache\r\nAge: 5\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\nDate: Fri, 20 Nov 2026 09:58:37 GMT",
            "coded",
        ),
    ] {
        let origin = Origin::answering(format!("HTTP/1.1 {head}\r\n\r\n{body}"));
        let gateway = Gateway::before(&origin);

        let answer = gateway.ask(format!("{request}Host: shop.example\r\n\r\n"));

        assert_eq!(answer.text(), body, "{head}");
        let mut expected: Vec<(String, String)> = head
            .split("\r\n")
            .skip(1)
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .filter(|(name, _)| name != "date")
            .collect();
        expected.sort_by(|(one, _), (other, _)| one.cmp(other));
        assert_eq!(fields(&answer), expected, "{head}");
        if head.contains("Date: ") {
            assert_eq!(answer.header("date"), Some("Fri, 20 Nov 2026 09:58:37 GMT"));
        }
    }
}

/// Invariant 5.
#[test]
fn a_passing_answer_is_passed_on_while_it_comes() {
    let (go_on, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let origin = Origin::new(move |visit, _| {
        visit.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        for piece in ["one", "two", "end"] {
            wait.lock().unwrap().recv().unwrap();
            visit.send(format!("3\r\n{piece}\r\n"));
        }
        visit.send("0\r\n\r\n");
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    client.send("GET /events HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!(client.head().status, 200);
    for piece in ["one", "two", "end"] {
        go_on.send(()).unwrap();

        let seen = client.read(8);

        assert_eq!(seen, format!("3\r\n{piece}\r\n").as_bytes());
    }
    assert_eq!(client.read(5), b"0\r\n\r\n");
}

/// Invariant 5.
#[test]
fn trailers_pass_to_clients_that_ask_for_them() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwell\r\n0\r\nX-Sum: 42\r\n\r\n",
    );
    let gateway = Gateway::before(&origin);

    let asking = gateway.get("/", "TE: trailers\r\n");
    let silent = gateway.get("/", "");

    assert_eq!((asking.text(), silent.text()), ("well", "well"));
    assert_eq!(
        asking
            .header("trailer")
            .map(str::to_ascii_lowercase)
            .as_deref(),
        Some("x-sum")
    );
    assert_eq!(asking.trailers.len(), 1);
    assert!(
        asking.trailers[0].eq_ignore_ascii_case("x-sum: 42"),
        "{:?}",
        asking.trailers
    );
    assert!(silent.trailers.is_empty());
}

#[test]
fn every_5xx_is_replaced_unless_told_otherwise() {
    let origin = mirror();
    let gateway = Gateway::before(&origin);
    assert_eq!(replaced(&gateway, 498..502, ""), [500, 501]);
}

#[test]
fn single_codes_and_ranges_are_replaced_alone() {
    let origin = mirror();
    let gateway = Gateway::set(
        &origin,
        "[intercept]\nstatuses = [\"500\", \"502-504\", \"599\"]",
    );
    assert_eq!(replaced(&gateway, 400..600, ""), [500, 502, 503, 504, 599]);
}

#[test]
fn statuses_below_500_are_replaced_where_they_are_named() {
    let origin = mirror();
    let gateway = Gateway::set(
        &origin,
        "[intercept]\nstatuses = [\"404\", \"410\", \"5xx\"]",
    );

    let found = replaced(&gateway, 400..501, "");

    assert_eq!(found, [404, 410, 500]);
    assert_eq!(gateway.incidents().len(), 3);
}

#[test]
fn nothing_is_replaced_where_nothing_is_named() {
    let origin = mirror();
    let gateway = Gateway::set(&origin, "[intercept]\nstatuses = []");
    assert!(replaced(&gateway, 400..600, "").is_empty());
    assert!(gateway.incidents().is_empty());
}

#[test]
fn each_route_has_its_own_statuses() {
    let origin = mirror();
    let gateway = Gateway::configured(
        &origin,
        r#"
[intercept]
statuses = ["5xx"]
[upstreams.app]
endpoints = ["$ORIGIN"]
[[routes]]
name = "leaves-503-out"
host = "api.example"
upstream = "app"
[routes.intercept]
statuses = ["500-502", "504-599"]
[[routes]]
name = "all"
upstream = "app"
"#,
    );
    let asked = |host: &str| {
        gateway.ask(format!(
            "GET /503 HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\r\n"
        ))
    };

    let (api, shop) = (asked("api.example:8080"), asked("shop.example"));

    assert_eq!((api.status, api.text()), (503, "plain"));
    assert!(shop.text().contains(shop.id()));
    assert_eq!(&*gateway.incident(shop.id()).route, "all");
    assert_eq!(gateway.incidents().len(), 1);
}

#[test]
fn an_app_may_keep_its_own_error_page() {
    let origin = Origin::saying(
        500,
        "X-Pardon-Pass: 1\r\nContent-Type: text/html\r\n",
        "our own page",
    );
    let gateway = Gateway::before(&origin);

    let answer = gateway.get("/", "Accept: text/html\r\n");

    assert_eq!((answer.status, answer.text()), (500, "our own page"));
    assert_eq!(answer.header("x-pardon-pass"), None);
    assert_eq!(answer.header("content-type"), Some("text/html"));
    assert!(gateway.incidents().is_empty());
}

#[test]
fn a_client_cannot_have_a_failure_passed() {
    let origin = Origin::saying(500, "Content-Type: text/html\r\n", "hunter2");
    let gateway = Gateway::before(&origin);

    let answer = gateway.get("/", "Accept: text/html\r\nX-Pardon-Pass: 1\r\n");

    assert!(!answer.text().contains("hunter2"));
}

#[test]
fn media_types_may_be_left_alone() {
    let settings = "[intercept]\npass_content_types = [\"application/problem+json\"]";
    for (media_type, passes) in [
        ("application/problem+json", true),
        ("Application/Problem+JSON; charset=utf-8", true),
        ("application/json", false),
        ("text/html, application/problem+json", false),
    ] {
        let origin = Origin::saying(
            500,
            &format!("Content-Type: {media_type}\r\n"),
            "{\"own\":1}",
        );

        let answer = Gateway::set(&origin, settings).get("/", "Accept: application/json\r\n");

        assert_eq!(answer.text() == "{\"own\":1}", passes, "{media_type}");
    }
}

#[test]
fn headers_to_strip_leave_passing_answers() {
    let origin = Origin::saying(
        200,
        "Server: x\r\nX-Debug-Token: 1\r\nX-Debug-Link: 2\r\nX-Own: 3\r\n",
        "",
    );
    let gateway = Gateway::set(
        &origin,
        "[intercept]\nstrip_headers = [\"server\", \"x-debug-*\"]",
    );

    let answer = gateway.get("/", "");

    assert_eq!(
        (
            answer.headers("server"),
            answer.headers("x-debug-token"),
            answer.headers("x-debug-link")
        ),
        (vec![], vec![], vec![])
    );
    assert_eq!(answer.header("x-own"), Some("3"));
}

/// Many clients at once, each with its own answer: none gets another's.
#[test]
fn answers_are_not_mixed_up() {
    let origin = Origin::new(|visit, request| {
        let path = request.line().split(' ').nth(1).unwrap();
        let status = if path.ends_with('5') { 500 } else { 200 };
        visit.send(format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{path}",
            path.len()
        ));
    });
    let gateway = Arc::new(Gateway::before(&origin));
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let gateway = Arc::clone(&gateway);
            std::thread::spawn(move || {
                let mut client = gateway.connect();
                for turn in 0..50 {
                    let path = format!("/{number}/{turn}");
                    let answer = ask(&mut client, &path);
                    if turn % 10 == 5 {
                        let body = gateway.incident(answer.id()).body.clone().unwrap();
                        assert_eq!((answer.status, body.content), (500, path.into()));
                    } else {
                        assert_eq!((answer.status, answer.text()), (200, path.as_str()));
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
}
