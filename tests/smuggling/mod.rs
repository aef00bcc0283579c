//! Requests that two parsers could read in two ways, made of parts: each is sent raw, and nothing of it may reach the app.

mod bodies;
mod plain;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::support::{Answer, Client, Origin, Program, eventually};

/// What a refusal may be.
const REFUSALS: [u16; 7] = [400, 408, 413, 414, 417, 431, 501];

/// Lines that would say that a body is chunked, to one parser or another.
const CODINGS: [&str; 44] = [
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunkedx",
    "Transfer-Encoding: chunk",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding:",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, gzip",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: ,chunked",
    "Transfer-Encoding: chunked,",
    "Transfer-Encoding: , chunked ,",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: 'chunked'",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: chunked; a=b",
    "Transfer-Encoding: chu nked",
    "Transfer-Encoding: chunked chunked",
    "Transfer-Encoding: \u{b}chunked",
    "Transfer-Encoding: chunked\u{b}",
    "Transfer-Encoding: \u{c}chunked",
    "Transfer-Encoding: \0chunked",
    "Transfer-Encoding: chunked\0",
    "Transfer-Encoding: chunked\u{a0}",
    "Transfer-Encoding: ch\u{fc}nked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding\t: chunked",
    "Transfer-Encoding\u{b}: chunked",
    "Transfer-Encoding\0: chunked",
    "Transfer Encoding: chunked",
    " Transfer-Encoding: chunked",
    "\tTransfer-Encoding: chunked",
    "X: y\r\n Transfer-Encoding: chunked",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding: chunked\nX: y",
    "X: y\nTransfer-Encoding: chunked",
    "X: y\rTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\rX: y",
    "Transfer-Encoding",
];

/// Lengths that are none, or more than one.
const LENGTHS: [&str; 24] = [
    "Content-Length: +5",
    "Content-Length: -5",
    "Content-Length: 0x5",
    "Content-Length: 5.0",
    "Content-Length: 5e0",
    "Content-Length: 0_5",
    "Content-Length: 5,6",
    "Content-Length: 5, 6",
    "Content-Length: 5, 5",
    "Content-Length: 5 6",
    "Content-Length: 5;",
    "Content-Length: \"5\"",
    "Content-Length: five",
    "Content-Length:",
    "Content-Length: \u{665}",
    "Content-Length: 18446744073709551616",
    "Content-Length: 18446744073709551621",
    "Content-Length: 99999999999999999999999999",
    "Content-Length: 5\0",
    "Content-Length: \u{b}5",
    "Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: 6\r\nContent-Length: 5",
    "Content-Length : 5",
    "Content-Length: 5\nX: y",
];

/// What is no host, or more than one.
const HOSTS: [&str; 22] = [
    "X: y",
    "Host:",
    "Host: a\r\nHost: a",
    "Host: a\r\nHost: b",
    "Host: a b",
    "Host: a/b",
    "Host: a,b",
    "Host: u@a",
    "Host: u:p@a",
    "Host: a:99999",
    "Host: a:x",
    "Host: a:80:80",
    "Host: a:+80",
    "Host: [::1",
    "Host: ::1",
    "Host: [x]",
    "Host: %00",
    "Host: <a>",
    "Host: a\\b",
    "Host : a",
    " Host: a",
    "Host: a\tb",
];

/// First lines that are none, or that ask for what is not to be had here.
const LINES: [&str; 38] = [
    "GET  / HTTP/1.1",
    "GET /  HTTP/1.1",
    "GET / HTTP/1.1 ",
    " GET / HTTP/1.1",
    "GET\t/ HTTP/1.1",
    "GET /\tHTTP/1.1",
    "GET / HTTP/1.1 x",
    "GET / HTTP/1.2",
    "GET / HTTP/2.0",
    "GET / HTTP/0.9",
    "GET / HTTP/1",
    "GET / HTTP/11.1",
    "GET / HTTP/1,1",
    "GET / http/1.1",
    "GET / FTP/1.1",
    "GET /",
    "GET",
    "",
    "GET HTTP/1.1",
    "/ HTTP/1.1",
    "G@T / HTTP/1.1",
    "GET\0 / HTTP/1.1",
    "GET /\0 HTTP/1.1",
    "GET /a b HTTP/1.1",
    "GET /a#b HTTP/1.1",
    "GET a HTTP/1.1",
    "GET * HTTP/1.1",
    "GET http:// HTTP/1.1",
    "GET ftp://a/ HTTP/1.1",
    "GET http://u@a/ HTTP/1.1",
    "GET http://a:x/ HTTP/1.1",
    "CONNECT a:80 HTTP/1.1",
    "CONNECT / HTTP/1.1",
    "PRI * HTTP/2.0",
    "TRACE / HTTP/1.1",
    "TRACE * HTTP/1.1",
    "GET http://a/\0 HTTP/1.1",
    "GET http://[::1/ HTTP/1.1",
];

/// Behind each stands what another parser might take for a request of its own.
const BEHIND: &str = "5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n";

/// Each with its class.
fn requests() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = Vec::new();
    let mut add = |class, head: String| {
        all.push((class, [head.as_bytes(), BEHIND.as_bytes()].concat()));
    };
    for coding in CODINGS {
        for length in ["", "Content-Length: 5\r\n", "Content-Length: 0\r\n"] {
            add(
                "spellings of Transfer-Encoding",
                format!("POST / HTTP/1.1\r\nHost: shop.example\r\n{length}{coding}\r\n\r\n"),
            );
            add(
                "spellings of Transfer-Encoding",
                format!("POST / HTTP/1.1\r\nHost: shop.example\r\n{coding}\r\n{length}\r\n"),
            );
        }
    }
    for spelling in ["chunked", "Chunked", "CHUNKED", " \tchunked \t"] {
        let coding = format!("Transfer-Encoding:{spelling}\r\n");
        add(
            "chunked beside a length, or in HTTP/1.0",
            format!("POST / HTTP/1.1\r\nHost: a\r\n{coding}Content-Length: 5\r\n\r\n"),
        );
        add(
            "chunked beside a length, or in HTTP/1.0",
            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n{coding}\r\n"),
        );
        add(
            "chunked beside a length, or in HTTP/1.0",
            format!("POST / HTTP/1.0\r\nHost: a\r\n{coding}\r\n"),
        );
    }
    for length in LENGTHS {
        for method in ["GET", "POST"] {
            add(
                "lengths",
                format!("{method} / HTTP/1.1\r\nHost: shop.example\r\n{length}\r\n\r\n"),
            );
        }
    }
    for host in HOSTS {
        add("Hosts", format!("GET / HTTP/1.1\r\n{host}\r\n\r\n"));
    }
    for line in LINES {
        add(
            "first lines",
            format!("{line}\r\nHost: shop.example\r\nX: y\r\n\r\n"),
        );
    }
    all
}

/// A head with a byte put in at each place but the last, where a whole head comes before it.
fn spoilt() -> Vec<(&'static str, Vec<u8>)> {
    let head = b"GET /a HTTP/1.1\r\nHost: shop.example\r\nX-A: b\r\n\r\n";
    let mut all = Vec::new();
    for at in 0..head.len() - 1 {
        for byte in *b"\r\n\0" {
            let (before, behind) = head.split_at(at);
            let request = [before, &[byte], behind, BEHIND.as_bytes()].concat();
            all.push(("CR, LF or NUL in a head", request));
        }
    }
    all
}

/// What a request is answered with; none where its connection is closed without an answer.
fn outcome(address: SocketAddr, request: &[u8]) -> Option<Answer> {
    let mut client = Client::connect(address);
    client.send(request);
    client.try_answer()
}

/// Each is refused with a page that shows an ID, each ID has its line in the log, and each is counted.
#[test]
#[expect(clippy::print_stdout, reason = "how many of which class")]
fn nothing_that_could_be_read_in_two_ways_reaches_the_app() {
    let origin = Origin::saying(200, "", "fine");
    let program = Program::set(&origin, "");
    let address = program.address();
    let (mut wrong, mut ids) = (Vec::new(), BTreeSet::new());
    let all = [requests(), spoilt()].concat();
    let mut table = BTreeMap::<_, usize>::new();
    for (class, request) in &all {
        *table.entry(*class).or_default() += 1;
        let answer = outcome(address, request);
        let refusal = answer.as_ref().is_some_and(|answer| {
            REFUSALS.contains(&answer.status) && answer.text().contains(answer.id())
        });
        if refusal {
            ids.extend(answer.map(|answer| answer.id().to_owned()));
        } else {
            wrong.push((answer, String::from_utf8_lossy(request).into_owned()));
        }
    }
    assert!(all.len() > 400, "{}", all.len());
    assert!(
        wrong.is_empty(),
        "{} of {}: {wrong:#?}",
        wrong.len(),
        all.len()
    );
    for (class, count) in &table {
        println!("{class}: {count} of {count} refused");
    }
    assert_eq!(ids.len(), all.len(), "an ID was given twice");
    let logged = || -> BTreeSet<String> {
        let lines = program.lines();
        let own = lines
            .iter()
            .filter(|line| line.contains("\"target\":\"pardon::refusal\""));
        let ids = own.filter_map(|line| line.split("\"request_id\":\"").nth(1)?.split('"').next());
        ids.map(str::to_owned).collect()
    };
    eventually("a line for each", || (logged() == ids).then_some(()));
    assert_eq!(refusals(&program), all.len());
    assert!(origin.requests().is_empty(), "{:?}", origin.requests());
}

/// How many refusals are counted.
fn refusals(program: &Program) -> usize {
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let metrics = Client::connect(program.admin_address()).ask(request);
    let mut lines = metrics.text().lines();
    let count = lines.find_map(|line| line.strip_prefix("pardon_refusals_total "));
    count.unwrap().parse().unwrap()
}

/// Whoever is refused sees a page with an ID that the log knows, and the reason is there for the operator.
#[test]
fn a_refusal_is_a_page_whose_id_the_log_knows() {
    let origin = Origin::saying(200, "", "fine");
    let program = Program::set(&origin, "");
    let address = program.address();
    let host = "Host: shop.example\r\n";
    let cases = [
        (
            format!("GET / HTTP/1.1\n{host}\r\n"),
            "a line that ends in a bare LF",
        ),
        (
            format!(
                "POST / HTTP/1.1\r\n{host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
            ),
            "Content-Length beside Transfer-Encoding",
        ),
        (
            format!("TRACE / HTTP/1.1\r\n{host}\r\n"),
            "TRACE is not for visitors",
        ),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "no Host"),
        (
            format!("GET / HTTP/1.1\r\n{host}X: a\r\n b\r\n\r\n"),
            "a header line that goes on",
        ),
        (
            format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n05\r\n"),
            "broke off",
        ),
    ];
    for (request, reason) in &cases {
        let answer = Client::connect(address).ask(request);
        assert_eq!(answer.status, 400, "{request:?}");
        assert!(answer.text().contains(answer.id()), "{request:?}");
        let said = program.json(&format!("\"request_id\":\"{}\"", answer.id()));
        assert_eq!(said["target"], "pardon::refusal");
        let why = said["reason"].as_str().unwrap();
        assert!(why.contains(reason), "{request:?}: {why}");
    }
    assert_eq!(refusals(&program), cases.len());
    assert!(origin.requests().is_empty());
}
