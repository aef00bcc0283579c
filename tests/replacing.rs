//! A failing answer is replaced whole: a page of ours in its place, its status and what the keep list names left.

use std::time::{Duration, SystemTime};

use crate::support::{Answer, End, Gateway, Origin};

const BROWSER: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n";

/// The fields of an HTML page that keeps nothing of the app's.
const PAGE_FIELDS: [&str; 10] = [
    "cache-control",
    "content-language",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    "referrer-policy",
    "x-content-type-options",
    "x-request-id",
    "x-robots-tag",
];

/// An app that fails with these header lines.
fn failing(status: u16, headers: &str) -> Origin {
    Origin::saying(status, headers, "<h1>password is hunter2</h1>")
}

/// Fails unless an answer is a page for this status, whole, with nothing of the app in it.
fn assert_page(answer: &Answer, status: u16) {
    assert_eq!((answer.status, answer.end), (status, End::Whole));
    assert!(answer.text().contains(answer.id()), "{}", answer.text());
    let head = format!("{} {:?}", answer.line, answer.headers);
    assert!(!head.contains("hunter2"), "{head}");
    assert!(!answer.text().contains("hunter2"), "{}", answer.text());
}

fn names(answer: &Answer) -> Vec<String> {
    let mut names: Vec<_> = answer
        .headers
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
        .collect();
    names.sort();
    names
}

/// Invariants 1, 3 and 4: A.1 of the cases, and the reason phrase.
#[test]
fn every_status_from_500_to_599_is_replaced_and_stays() {
    let origin = Origin::new(|visit, request| {
        let status = request.line().split(['/', ' ']).nth(2).unwrap();
        visit.send(format!(
            "HTTP/1.1 {status} hunter2 is wrong\r\nContent-Length: 7\r\nServer: hunter2\r\n\r\nhunter2"
        ));
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    for status in 500..600 {
        let answer = client.ask(format!(
            "GET /{status} HTTP/1.1\r\nHost: shop.example\r\n{BROWSER}\r\n"
        ));

        assert_page(&answer, status);
        assert!(
            answer.line.ends_with(char::is_alphabetic),
            "{}",
            answer.line
        );
        assert_eq!(names(&answer), PAGE_FIELDS);
        assert_eq!(
            answer.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(
            origin.requests().last().unwrap().header("x-request-id"),
            Some(answer.id())
        );
        let incident = gateway.incident(answer.id());
        assert_eq!(incident.served.as_ref().unwrap().status, status);
        assert_eq!(incident.upstream.as_ref().unwrap().status, Some(status));
    }
    assert_eq!(gateway.connections(), 1);
}

#[test]
fn head_gets_the_head_of_the_page_and_nothing_more() {
    let origin = Origin::new(|visit, request| {
        visit.send("HTTP/1.1 500 No\r\nContent-Length: 7\r\n\r\n");
        if !request.line().starts_with("HEAD") {
            visit.send("hunter2");
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    let request =
        |method| format!("{method} /cart HTTP/1.1\r\nHost: shop.example\r\n{BROWSER}\r\n");
    let head = client.ask(request("HEAD"));
    let page = client.ask(request("GET"));

    assert_eq!((head.status, head.body.len()), (500, 0));
    assert_page(&page, 500);
    let lasting = |answer: &Answer| {
        let mut fields = answer.headers.clone();
        fields.retain(|(name, _)| name != "date" && name != "x-request-id");
        fields
    };
    assert_eq!(lasting(&head), lasting(&page));
    assert_eq!(gateway.incident(head.id()).request.method, "HEAD");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_page_is_neither_partial_nor_unmodified_nor_coded() {
    let origin = failing(
        500,
        "ETag: \"1\"\r\nAccept-Ranges: bytes\r\nContent-Encoding: identity\r\n",
    );
    let gateway = Gateway::before(&origin);
    for asked in [
        "Range: bytes=0-9\r\n",
        "If-None-Match: \"1\", *\r\n",
        "If-Modified-Since: Fri, 20 Nov 2026 09:58:37 GMT\r\n",
        "Accept-Encoding: gzip, br, zstd\r\n",
    ] {
        let answer = gateway.get("/", &format!("{BROWSER}{asked}"));

        assert_page(&answer, 500);
        assert!(answer.text().trim_end().ends_with("</html>"), "{asked}");
        assert_eq!(names(&answer), PAGE_FIELDS, "{asked}");
    }
}

/// Invariant 1.
#[test]
fn no_header_of_the_app_is_left_but_for_those_to_keep() {
    let origin = failing(
        503,
        "ETag: \"hunter2\"\r\nLast-Modified: Fri, 20 Nov 2026 09:58:37 GMT\r\n\
         Cache-Control: max-age=3600\r\nPragma: hunter2\r\nExpires: hunter2\r\n\
         Set-Cookie: session=hunter2\r\nSet-Cookie: other=hunter2\r\nSet-Cookie2: hunter2\r\n\
         Content-Type: text/hunter2\r\nContent-Range: bytes 0-1/2\r\nContent-Language: hunter2\r\n\
         Content-Disposition: attachment; filename=hunter2\r\nContent-Location: /hunter2\r\n\
         Content-Security-Policy: hunter2\r\nLink: <hunter2>\r\nLocation: /hunter2\r\nRefresh: 0;hunter2\r\n\
         Server: hunter2\r\nX-Powered-By: hunter2\r\nX-Debug-Token: hunter2\r\nX-Request-Id: hunter2\r\n\
         Connection: keep-alive, X-Hop\r\nX-Hop: hunter2\r\nUpgrade: hunter2\r\nAlt-Svc: hunter2\r\n",
    );
    let gateway = Gateway::before(&origin);

    let answer = gateway.get("/", BROWSER);

    assert_page(&answer, 503);
    assert_eq!(names(&answer), PAGE_FIELDS);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let incident = gateway.incident(answer.id());
    let kept = &incident.upstream.as_ref().unwrap().headers;
    assert!(
        kept.iter()
            .any(|field| field.name == "x-debug-token" && field.value == "hunter2")
    );
}

#[test]
fn what_the_keep_list_names_stays_as_often_as_it_stood() {
    let kept = [
        ("retry-after", "120"),
        ("www-authenticate", "Negotiate"),
        (
            "www-authenticate",
            "Basic realm=\"shop\", charset=\"UTF-8\"",
        ),
        ("access-control-allow-origin", "https://example.com"),
        ("access-control-expose-headers", "x-request-id"),
        ("timing-allow-origin", "*"),
        ("vary", "Origin"),
        ("vary", "Accept"),
    ];
    let lines = kept
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .concat();
    let origin = failing(503, &lines);
    let gateway = Gateway::before(&origin);

    let answer = gateway.get("/", BROWSER);

    assert_page(&answer, 503);
    for (name, _) in kept {
        let expected: Vec<_> = kept
            .iter()
            .filter(|field| field.0 == name)
            .map(|field| field.1)
            .collect();
        assert_eq!(answer.headers(name), expected);
    }
    assert_eq!(answer.headers.len(), PAGE_FIELDS.len() + kept.len());
}

#[test]
fn a_retry_after_stays_whatever_its_form() {
    for value in [
        "0",
        "86400",
        "Fri, 20 Nov 2026 09:58:37 GMT",
        "99999999999999999999",
        "soon",
    ] {
        let origin = failing(503, &format!("Retry-After: {value}\r\n"));

        let answer = Gateway::before(&origin).get("/", BROWSER);

        assert_page(&answer, 503);
        assert_eq!(answer.header("retry-after"), Some(value));
    }
}

#[test]
fn a_date_to_retry_at_is_a_wait_on_the_page() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(125));
    let origin = failing(503, &format!("Retry-After: {date}\r\n"));

    let answer = Gateway::before(&origin).get("/", BROWSER);

    assert_page(&answer, 503);
    assert_eq!(answer.header("retry-after"), Some(date.as_str()));
    assert!(answer.text().contains("<dd>3 minutes</dd>"));
    assert!(answer.text().contains("data-after=\"12"));
}

#[test]
fn a_list_of_headers_to_keep_cannot_break_the_page() {
    let origin = Origin::answering(
        "HTTP/1.1 500 No\r\nContent-Type: text/hunter2\r\nContent-Language: xx\r\nContent-Encoding: identity\r\n\
         Cache-Control: public\r\nX-Request-Id: hunter2\r\nX-Own: kept\r\nX-Hop: hunter2\r\n\
         Keep-Alive: hunter2\r\nProxy-Connection: hunter2\r\nUpgrade: hunter2\r\nTrailer: hunter2\r\n\
         Connection: x-hop\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nhunter2\r\n0\r\n\r\n",
    );
    let gateway = Gateway::set(
        &origin,
        "[intercept]\nkeep_headers = [\"content-*\", \"cache-control\", \"x-*\", \"connection\", \"keep-alive\", \
         \"proxy-connection\", \"upgrade\", \"trailer\", \"transfer-encoding\"]",
    );
    let mut client = gateway.connect();
    for _ in 0..2 {
        let answer = client.ask(format!(
            "GET / HTTP/1.1\r\nHost: shop.example\r\n{BROWSER}\r\n"
        ));

        assert_page(&answer, 500);
        let mut expected = PAGE_FIELDS.to_vec();
        expected.extend(["x-own"]);
        expected.sort_unstable();
        assert_eq!(names(&answer), expected);
        assert_eq!(
            answer.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

/// Invariant 1.
#[test]
fn trailers_of_a_failure_reach_nobody() {
    let origin = Origin::answering(
        "HTTP/1.1 500 No\r\nTrailer: X-Cause\r\nTransfer-Encoding: chunked\r\n\r\n\
         7\r\nhunter2\r\n0\r\nX-Cause: hunter2\r\n\r\n",
    );
    let gateway = Gateway::before(&origin);

    let answer = gateway.get("/", &format!("{BROWSER}TE: trailers\r\n"));

    assert_page(&answer, 500);
    assert_eq!(names(&answer), PAGE_FIELDS);
    assert!(answer.trailers.is_empty());
}

#[test]
fn hints_that_come_before_a_failure_are_dropped() {
    let origin = Origin::answering(
        "HTTP/1.1 103 Early Hints\r\nLink: </hunter2.css>; rel=preload\r\n\r\n\
         HTTP/1.1 502 Bad\r\nContent-Length: 7\r\n\r\nhunter2",
    );
    let gateway = Gateway::before(&origin);

    let answer = gateway.get("/", BROWSER);

    assert_page(&answer, 502);
    assert!(answer.interim.is_empty());
    assert_eq!(names(&answer), PAGE_FIELDS);
}

#[test]
fn a_failure_after_a_100_is_replaced() {
    let origin = Origin::on_head(|visit, head| {
        visit.send("HTTP/1.1 100 Continue\r\n\r\n");
        let received = visit.finish(head);
        visit.send("HTTP/1.1 500 No\r\nContent-Length: 7\r\n\r\nhunter2");
        Some(received)
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    client.send(format!(
        "POST /order HTTP/1.1\r\nHost: shop.example\r\n{BROWSER}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    ));
    assert_eq!(client.head().status, 100);
    client.send("order");

    let answer = client.answer();

    assert_page(&answer, 500);
    assert_eq!(origin.request().body, b"order");
}

#[test]
fn a_failure_in_place_of_a_100_is_replaced_without_asking_for_the_body() {
    let origin = Origin::on_head(|visit, head| {
        visit.send("HTTP/1.1 500 No\r\nContent-Length: 7\r\n\r\nhunter2");
        visit.wait_for_close();
        drop(head);
        None
    });
    let gateway = Gateway::before(&origin);

    let answer = gateway.ask(format!(
        "POST /order HTTP/1.1\r\nHost: shop.example\r\n{BROWSER}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    ));

    assert_page(&answer, 500);
    assert!(answer.interim.is_empty(), "the body was not asked for");
}

#[test]
fn a_failure_before_the_request_was_read_is_replaced_and_the_next_request_goes_right() {
    let origin = Origin::on_head(|visit, head| {
        if head.starts_with("POST") {
            visit.send("HTTP/1.1 500 No\r\nContent-Length: 7\r\n\r\nhunter2");
            visit.wait_for_close();
            return None;
        }
        let received = visit.finish(head);
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell");
        Some(received)
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    let half = "x".repeat(50_000);
    client.send(format!(
        "POST /upload HTTP/1.1\r\nHost: shop.example\r\n{BROWSER}Content-Length: 100000\r\n\r\n{half}"
    ));
    let failed = client.answer();

    client.send(half);
    let next = client.ask("GET /next HTTP/1.1\r\nHost: shop.example\r\n\r\n");

    assert_page(&failed, 500);
    assert_eq!((next.status, next.text()), (200, "well"));
    assert_eq!(origin.request().line(), "GET /next HTTP/1.1");
}

#[test]
fn a_failed_grpc_call_gets_a_grpc_status_and_no_page() {
    let origin = failing(503, "Content-Type: text/html\r\nRetry-After: 5\r\n");
    let gateway = Gateway::before(&origin);

    let answer = gateway.ask(format!(
        "POST /shop.Cart/Add HTTP/1.1\r\nHost: shop.example\r\n{BROWSER}Content-Type: application/grpc+proto\r\n\
         TE: trailers\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0"
    ));

    assert_eq!(
        (answer.status, answer.body.len(), answer.end),
        (200, 0, End::Whole)
    );
    assert_eq!(answer.header("content-type"), Some("application/grpc"));
    assert_eq!(answer.header("grpc-status"), Some("14"));
    let message = answer.header("grpc-message").unwrap();
    assert!(
        message.contains(answer.id()) && !message.contains("hunter2"),
        "{message}"
    );
    let incident = gateway.incident(answer.id());
    assert_eq!(incident.upstream.as_ref().unwrap().status, Some(503));
}

#[test]
fn a_failed_upgrade_is_replaced() {
    let origin = failing(500, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    let gateway = Gateway::before(&origin);

    let answer = gateway.get(
        "/live",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAccept: text/html\r\n",
    );

    assert_eq!(answer.status, 500);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert!(answer.text().contains(answer.id()));
    let text: Vec<_> = PAGE_FIELDS
        .iter()
        .filter(|name| **name != "content-security-policy")
        .collect();
    assert!(names(&answer).iter().eq(text), "{:?}", names(&answer));
}

/// A client of HTTP/1.0 gets its page too, and the connection's end after it.
#[test]
fn an_old_client_gets_its_page() {
    let origin = failing(500, "");
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();

    let answer = client.ask("GET / HTTP/1.0\r\nHost: shop.example\r\nAccept: text/html\r\n\r\n");

    assert_page(&answer, 500);
    assert!(client.is_closed());
}

/// Invariant 2, as far as a record in memory goes: what a visitor has seen can be looked up.
#[test]
fn an_id_can_be_looked_up_as_soon_as_it_was_seen() {
    let origin = failing(500, "");
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    for _ in 0..200 {
        let answer = client.ask("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");

        let incident = gateway.incident(answer.id());
        assert_eq!(
            incident.body.as_ref().unwrap().content,
            "<h1>password is hunter2</h1>"
        );
    }
}

/// `record = false`: the page alone, and its connection is used again.
#[test]
fn a_route_that_records_nothing_serves_pages_all_the_same() {
    let origin = failing(500, "");
    let gateway = Gateway::set(&origin, "[intercept]\nrecord = false\n");
    let mut client = gateway.connect();
    for _ in 0..3 {
        let answer = client.ask("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
        assert_page(&answer, 500);
    }
    assert_eq!(origin.connections(), 1);
    let nobody = Gateway::at("http://127.0.0.1:9", "[intercept]\nrecord = false\n");
    assert_page(&nobody.get("/", ""), 502);
    for gateway in [gateway, nobody] {
        assert!(gateway.incidents().is_empty());
        assert_eq!(gateway.counts().recorded, 0);
    }
}
