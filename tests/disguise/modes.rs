//! What becomes of a failure in disguise in each mode.

use std::io::Write;
use std::sync::mpsc;

use flate2::Compression;
use flate2::write::GzEncoder;
use pardon::incident::{Cause, Incident};

use crate::support::{Answer, Client, End, Gateway, Origin};

const HTML: &str = "Content-Type: text/html; charset=utf-8\r\nX-Powered-By: PHP/8\r\n";
const FATAL: &str = "<br />\n<b>Fatal error</b>:  Uncaught Error: Call to undefined function load_cart() in <b>/srv/shop/cart.php</b> on line <b>4</b><br />\n";

/// `[intercept.disguise]` with these keys.
fn disguise(keys: &str) -> String {
    format!("[intercept.disguise]\n{keys}\n")
}

/// Reads an answer up to the end of its first chunk, `begun`.
fn begun(client: &mut Client) {
    assert_eq!(client.head().status, 200);
    assert_eq!(client.read(11), b"6\r\nbegun\n\r\n");
}

fn incident(gateway: &Gateway, answer: &Answer) -> Incident {
    let incident = gateway.incident(answer.id());
    assert_eq!(incident.cause, Cause::Disguised);
    assert_eq!(gateway.incidents().len(), 1);
    incident
}

#[test]
fn by_default_it_passes_untouched_and_is_recorded() {
    let page = format!("<h1>Cart</h1>{FATAL}");
    let origin = Origin::saying(200, HTML, &page);
    let gateway = Gateway::before(&origin);

    let answer = gateway.get("/cart", "");

    assert_eq!((answer.status, answer.text()), (200, page.as_str()));
    assert_eq!(answer.header("x-powered-by"), Some("PHP/8"));
    let incident = incident(&gateway, &answer);
    assert!(incident.served.is_none());
    let upstream = incident.upstream.unwrap();
    assert_eq!(upstream.status, Some(200));
    assert!(
        upstream
            .headers
            .iter()
            .any(|field| field.name == "x-powered-by")
    );
    assert!(
        incident
            .summary
            .contains("Call to undefined function load_cart()"),
        "{}",
        incident.summary
    );
    let body = incident.body.unwrap();
    assert!(body.complete && body.content == page.as_bytes());
    let evidence = &incident.evidence[0];
    assert_eq!(
        (evidence.signature.as_str(), evidence.weight),
        ("php-error-html", 100)
    );
    assert_eq!(evidence.offset, page.find("</b>:  ").unwrap() as u64);
}

#[test]
fn a_good_page_and_one_that_is_off_leave_no_record() {
    for (toml, page) in [
        (
            String::new(),
            "<h1>Cart</h1><p>No error here.</p></body></html>".to_owned(),
        ),
        (disguise("mode = \"off\""), format!("<h1>Cart</h1>{FATAL}")),
        (
            "[intercept]\nrecord = false\n".to_owned(),
            format!("<h1>Cart</h1>{FATAL}"),
        ),
    ] {
        let origin = Origin::saying(200, HTML, &page);
        let gateway = Gateway::set(&origin, &toml);

        let answer = gateway.get("/cart", "");

        assert_eq!((answer.status, answer.text()), (200, page.as_str()));
        let after = gateway.get("/after", "");
        assert_eq!(after.status, 200);
        assert!(gateway.incidents().is_empty(), "{toml}");
    }
}

/// Point 4: an app that dies without a word ends its answer as if it was whole.
#[test]
fn a_page_that_stops_before_its_end_is_reported_where_pages_have_one() {
    let page = "<!doctype html><html><body><h1>Cart</h1><p>Three mugs.</p>";
    let origin = Origin::new(move |visit, request| {
        let (text, end) = match request.line() {
            line if line.contains("/part") => ("<p>part", ""),
            line if line.contains("/4711") => (page, ""),
            _ => (page, "</body></html>"),
        };
        let length = text.len() + end.len();
        visit.send(format!(
            "HTTP/1.1 200 OK\r\n{HTML}Content-Length: {length}\r\n\r\n{text}{end}"
        ));
    });
    let gateway = Gateway::before(&origin);
    for order in 0..9 {
        gateway.get(&format!("/orders/{order}"), "");
    }
    gateway.get("/part", "");

    let answer = gateway.get("/orders/4711", "");

    assert_eq!((answer.status, answer.text()), (200, page));
    let incident = incident(&gateway, &answer);
    assert_eq!(incident.evidence[0].signature, "unfinished-html");
    assert_eq!(incident.evidence[0].offset, page.len() as u64);
    assert_eq!(incident.body.unwrap().content, page.as_bytes());
}

/// In mode `report` nothing is held: the first piece is here before the app has sent the second.
#[test]
fn a_reported_answer_is_not_held() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::new(move |visit, _| {
        visit.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nbegun\n\r\n");
        wait.lock().unwrap().recv().unwrap();
        visit.send(format!("{:x}\r\n{FATAL}\r\n0\r\n\r\n", FATAL.len()));
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    client.send("GET /cart HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    begun(&mut client);
    go.send(()).unwrap();
    client.read(4 + FATAL.len() + 2 + 5);
    let found = crate::support::eventually("the incident", || gateway.incidents().pop());
    assert_eq!(found.cause, Cause::Disguised);
}

#[test]
fn in_mode_replace_the_visitor_gets_a_page() {
    for (toml, status) in [
        ("mode = \"replace\"", 500),
        ("mode = \"replace\"\nstatus = 503", 503),
    ] {
        let page = format!("<h1>Cart</h1>{FATAL}");
        let origin = Origin::saying(200, HTML, &page);
        let one = format!("[server]\nworkers = 1\n{}", disguise(toml));
        let gateway = Gateway::set(&origin, &one);

        let answer = gateway.get("/cart", "Accept: text/html\r\n");

        assert_eq!(answer.status, status);
        assert!(!answer.text().contains("Fatal error") && answer.text().contains(answer.id()));
        assert_eq!(answer.header("x-powered-by"), None);
        let incident = incident(&gateway, &answer);
        assert_eq!(incident.served.unwrap().status, status);
        assert_eq!(incident.body.unwrap().content, page.as_bytes());
        assert_eq!(incident.evidence[0].signature, "php-error-html");
        // Its connection is used again.
        gateway.get("/again", "");
        assert_eq!(origin.requests().last().unwrap().connection, 1);
    }
}

#[test]
fn in_mode_replace_good_answers_pass_byte_for_byte() {
    let long = "<p>A row of the report.</p>\n".repeat(5000);
    for (headers, body) in [
        (HTML, "<h1>Cart</h1>".to_owned()),
        (HTML, long),
        (
            "Content-Type: application/json\r\n",
            "{\"error\":null}".to_owned(),
        ),
        ("Content-Type: image/png\r\n", "png".to_owned()),
        (HTML, String::new()),
    ] {
        let origin = Origin::saying(200, headers, &body);
        let gateway = Gateway::set(&origin, &disguise("mode = \"replace\""));
        let answer = gateway.get("/cart", "");
        assert_eq!((answer.status, answer.end), (200, End::Whole));
        assert!(answer.text() == body);
        let length = body.len().to_string();
        assert_eq!(answer.header("content-length"), Some(length.as_str()));
        assert!(gateway.incidents().is_empty());
    }
}

#[test]
fn one_that_is_found_too_late_is_recorded_or_broken_off() {
    let long = format!("{}{FATAL}", "<p>A row of the report.</p>\n".repeat(4000));
    for (late, end) in [("record", End::Whole), ("abort", End::Reset)] {
        let origin = Origin::saying(200, HTML, &long);
        let toml = disguise(&format!(
            "mode = \"replace\"\nhold_bytes = \"4KiB\"\nlate = \"{late}\""
        ));
        let gateway = Gateway::set(&origin, &toml);

        let answer = gateway.get("/report", "");

        assert_eq!(answer.status, 200, "{late}");
        assert_eq!(answer.end == End::Whole, end == End::Whole, "{late}");
        let incident = incident(&gateway, &answer);
        assert!(incident.served.is_none());
        let body = incident.body.unwrap();
        assert!(
            !body.complete && body.content.ends_with(FATAL.as_bytes()),
            "{late}"
        );
        assert_eq!(incident.upstream.unwrap().error.is_some(), late == "abort");
    }
}

#[test]
fn an_app_that_hesitates_is_not_waited_for_longer_than_hold() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::new(move |visit, _| {
        visit.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nbegun\n\r\n");
        wait.lock().unwrap().recv().unwrap();
        visit.send("0\r\n\r\n");
    });
    let gateway = Gateway::set(&origin, &disguise("mode = \"replace\"\nhold = \"20ms\""));
    let mut client = gateway.connect();
    client.send("GET /cart HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    begun(&mut client);
    go.send(()).unwrap();
    assert_eq!(client.read(5), b"0\r\n\r\n");
}

#[test]
fn compressed_answers_are_sampled_in_mode_report() {
    let page = format!("<h1>Cart</h1>{FATAL}");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(page.as_bytes()).unwrap();
    let coded = encoder.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\n{HTML}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        coded.len()
    );
    let bytes = [head.into_bytes(), coded.clone()].concat();
    for (keys, found, replaced) in [
        ("sample = 1.0", true, false),
        ("sample = 0.0", false, false),
        ("sample = 0.0\nmode = \"replace\"", true, true),
    ] {
        let origin = Origin::answering(bytes.clone());
        let gateway = Gateway::set(&origin, &disguise(keys));

        let answer = gateway.get("/cart", "");

        assert_eq!(answer.status, if replaced { 500 } else { 200 }, "{keys}");
        if found {
            let incident = incident(&gateway, &answer);
            let body = incident.body.unwrap();
            assert_eq!(body.content, page.as_bytes(), "{keys}");
            assert_eq!(body.content_encoding.as_deref(), Some("gzip"));
            assert_eq!(body.bytes, coded.len() as u64);
        } else {
            assert!(answer.body == coded, "{keys}");
            gateway.get("/after", "");
            assert!(gateway.incidents().is_empty());
        }
    }
}

const OWN: &str = r#"
[[signature]]
name = "shop-broken"
framework = "our shop"
weight = 100
place = "markup"
cues = ["<p class=\"kaputt\">"]
pattern = '''<p class="kaputt">#\d+'''
example = "<p class=\"kaputt\">#12"
near_miss = "<p class=\"kaputt\">no number"
"#;

#[test]
fn own_signatures_are_looked_for_too() {
    let folder = crate::support::Folder::new();
    let file = folder.path().join("own.toml");
    folder.write("own.toml", OWN);
    let origin = Origin::saying(
        200,
        HTML,
        "<h1>Cart</h1><p class=\"kaputt\">#4711</p></body></html>",
    );
    let gateway = Gateway::set(
        &origin,
        &disguise(&format!("signatures = \"{}\"", file.display())),
    );

    let answer = gateway.get("/cart", "");

    let incident = incident(&gateway, &answer);
    assert_eq!(incident.evidence[0].signature, "shop-broken");
    folder.write("own.toml", OWN.replace("#\\d+", "(\\w{1,900}){900}"));
    folder.write(
        "pardon.toml",
        format!(
            "[upstreams.app]\nendpoints = [\"{}\"]\n{}",
            origin.url(),
            disguise("signatures = \"own.toml\"")
        ),
    );
    let said = folder.pardon(&["check"]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err
            .contains("signature `shop-broken`: Compiled regex exceeds size limit"),
        "{}",
        said.err
    );
}
