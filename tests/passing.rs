//! A passing answer is streamed as it is: never buffered, never reframed beyond what HTTP asks for.

use crate::support::{End, Gateway, Origin};

#[test]
fn an_answer_that_is_no_failure_passes_byte_for_byte() {
    let origin = Origin::saying(
        200,
        "Content-Type: text/plain\r\nX-Own: yes\r\n",
        "all is well",
    );
    let gateway = Gateway::before(&origin);
    let answer = gateway.get("/path?and=query", "");
    assert_eq!(
        (answer.status, answer.text(), answer.end),
        (200, "all is well", End::Whole)
    );
    assert_eq!(answer.header("x-own"), Some("yes"));
    assert_eq!(origin.request().line(), "GET /path?and=query HTTP/1.1");
    assert_eq!(origin.request().header("x-request-id"), Some(answer.id()));
}

#[test]
fn a_failure_is_replaced_and_kept() {
    let origin = Origin::saying(
        500,
        "Content-Type: text/html\r\n",
        "<h1>password is hunter2</h1>",
    );
    let gateway = Gateway::before(&origin);
    let answer = gateway.get("/", "Accept: text/html\r\n");
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains(answer.id()));
    assert!(!answer.text().contains("hunter2"));
    let incident = gateway.incident(answer.id());
    let body = incident.body.as_ref().unwrap();
    assert_eq!(&body.content[..], b"<h1>password is hunter2</h1>");
    assert!(body.complete);
}

#[test]
fn a_passing_answer_gains_nothing_but_its_id_and_a_date() {
    let fields = "Server: nginx/1.0\r\nETag: \"a\"\r\nVary: Accept\r\nWarning: 199 - odd\r\nX-Empty:\r\nLink: <a>\r\nLink: <b>\r\n";
    for (status, body) in [
        (200, "fine"),
        (206, "part"),
        (301, ""),
        (404, "none"),
        (451, "law"),
    ] {
        let origin = Origin::saying(status, fields, body);
        let answer = Gateway::before(&origin).get("/", "");
        assert_eq!((answer.status, answer.text()), (status, body));
        assert_eq!(answer.line, format!("HTTP/1.1 {status} Whatever"));
        let ours = |name: &str| ["date", "x-request-id", "content-length"].contains(&name);
        let kept = answer.headers.iter().filter(|(name, _)| !ours(name));
        let kept: Vec<_> = kept
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let sent = [
            "server: nginx/1.0",
            "etag: \"a\"",
            "vary: Accept",
            "warning: 199 - odd",
            "x-empty: ",
            "link: <a>",
            "link: <b>",
        ];
        assert_eq!(kept, sent);
        assert_eq!(
            answer.header("content-length"),
            Some(body.len().to_string().as_str())
        );
        assert!(answer.header("date").is_some());
    }
}

#[test]
fn an_apps_own_date_and_bytes_that_are_no_text_pass() {
    let origin = Origin::answering(
        b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nX-Odd: \xfc\r\nContent-Length: 3\r\n\r\n\0\xff\n".to_vec(),
    );
    let answer = Gateway::before(&origin).get("/", "");
    assert_eq!(answer.header("date"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
    assert_eq!(answer.header("x-odd"), Some("\u{fffd}"));
    assert_eq!(answer.body, b"\0\xff\n");
}

#[test]
fn an_answer_without_a_body_keeps_what_it_says_of_one() {
    for (method, line, length) in [
        ("HEAD", "200 OK", Some("1234")),
        ("HEAD", "200 OK", None),
        ("GET", "304 Not Modified", Some("1234")),
        ("GET", "304 Not Modified", None),
        ("GET", "204 No Content", None),
    ] {
        let field = length.map_or(String::new(), |length| {
            format!("Content-Length: {length}\r\n")
        });
        let origin = Origin::answering(format!("HTTP/1.1 {line}\r\nETag: \"a\"\r\n{field}\r\n"));
        let gateway = Gateway::set(&origin, "[server]\nworkers = 1\n");
        let mut client = gateway.connect();
        for _ in 0..2 {
            let answer = client.ask(format!("{method} / HTTP/1.1\r\nHost: shop.example\r\n\r\n"));
            assert!(line.starts_with(&answer.status.to_string()));
            assert_eq!(answer.header("etag"), Some("\"a\""), "{method} {line}");
            assert_eq!(answer.header("content-length"), length, "{method} {line}");
            assert_eq!(answer.header("transfer-encoding"), None, "{method} {line}");
        }
        assert_eq!(origin.connections(), 1, "{method} {line}");
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_passes_whole() {
    for version in ["1.0", "1.1"] {
        let origin = Origin::new(move |visit, _| {
            visit.send(format!("HTTP/{version} 200 OK\r\n\r\nall of it"));
            visit.close();
        });
        let gateway = Gateway::before(&origin);
        let mut client = gateway.connect();
        for _ in 0..2 {
            let answer = client.ask("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
            assert_eq!((answer.text(), answer.end), ("all of it", End::Whole));
        }
        assert!(gateway.incidents().is_empty());
    }
}

#[test]
fn equal_lengths_that_are_repeated_become_one() {
    for lengths in [
        "Content-Length: 4\r\nContent-Length: 4\r\n",
        "Content-Length: 4, 4\r\n",
    ] {
        let origin = Origin::answering(format!("HTTP/1.1 200 OK\r\n{lengths}\r\nfine"));
        let answer = Gateway::before(&origin).get("/", "");
        assert_eq!((answer.text(), answer.end), ("fine", End::Whole));
        assert_eq!(answer.header("content-length"), Some("4"));
    }
}
