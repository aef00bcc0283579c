//! The page that a visitor gets: in the format asked for, complete by itself, under 14 KB, with nothing printed raw.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use crate::support::{Answer, End, Gateway, Origin};

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/problem+json";
const TEXT: &str = "text/plain; charset=utf-8";
const XML: &str = "application/problem+xml";
const MOZILLA: &str =
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0\r\n";

/// A page fits the first flight of a TCP connection.
const FLIGHT: usize = 14_000;

const BRANDED: &str = r##"
[brand]
name = "Müller & <b>Sons</b>"
color = "#0b5fff"
support_url = "https://example.com/support?ref={request_id}&from=page"
support_email = "help@example.com"
status_url = "https://status.example.com/"
home_url = "/"
"##;

fn failing() -> Origin {
    Origin::saying(500, "Content-Type: text/html\r\n", "<h1>hunter2</h1>")
}

/// An app that fails with the status that the path names.
fn failing_as_asked() -> Origin {
    Origin::new(|visit, request| {
        let status = request.line().split(['/', ' ', '?']).nth(2).unwrap();
        visit.send(format!(
            "HTTP/1.1 {status} X\r\nContent-Length: 7\r\n\r\nhunter2"
        ));
    })
}

fn media_type(answer: &Answer) -> &str {
    answer.header("content-type").unwrap()
}

#[test]
fn the_format_is_the_one_asked_for() {
    let origin = failing();
    let gateway = Gateway::before(&origin);
    for (asked, expected) in [
        (
            "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n",
            HTML,
        ),
        ("Accept: application/json\r\n", JSON),
        ("Accept: application/problem+json\r\n", JSON),
        ("Accept: application/json, text/plain, */*\r\n", JSON),
        ("Accept: application/vnd.api+json\r\n", JSON),
        ("Accept: text/plain\r\n", TEXT),
        ("Accept: application/xml\r\n", XML),
        ("Accept: text/xml;q=0.9, text/plain;q=0.5\r\n", XML),
        ("Accept: text/html;q=0.4, application/json;q=0.5\r\n", JSON),
        ("Accept: application/json;q=0, */*\r\n", HTML),
        (
            "Accept: image/png;q=0.9\r\nAccept: application/json;q=0.1\r\n",
            JSON,
        ),
        ("Accept: image/avif,image/webp,*/*;q=0.8\r\n", HTML),
        ("Accept: text/event-stream\r\n", HTML),
        ("Accept: */*\r\n", HTML),
        ("", HTML),
        ("Accept: */*\r\nSec-Fetch-Dest: document\r\n", HTML),
        ("Accept: nonsense;;;=,,\r\n", HTML),
        ("Accept: \r\n", HTML),
    ] {
        let answer = gateway.get("/", asked);

        assert_eq!(media_type(&answer), expected, "{asked}");
        assert!(answer.text().contains(answer.id()), "{asked}");
    }
}

#[test]
fn where_nothing_is_asked_for_the_failed_answer_and_the_client_decide() {
    for (replaced, asked, expected) in [
        (
            "Content-Type: application/json\r\n",
            "Accept: */*\r\n",
            JSON,
        ),
        ("Content-Type: application/json\r\n", MOZILLA, JSON),
        (
            "Content-Type: application/json\r\n",
            "Sec-Fetch-Dest: document\r\n",
            HTML,
        ),
        (
            "Content-Type: application/json\r\n",
            "Sec-Fetch-Dest: empty\r\n",
            JSON,
        ),
        ("Content-Type: text/xml\r\n", "", XML),
        ("Content-Type: text/plain; charset=iso-8859-1\r\n", "", TEXT),
        ("Content-Type: application/octet-stream\r\n", "", TEXT),
        ("Content-Type: application/octet-stream\r\n", MOZILLA, HTML),
        ("", "User-Agent: curl/8.5\r\nAccept: */*\r\n", TEXT),
        ("", MOZILLA, HTML),
        ("", "", TEXT),
    ] {
        let origin = Origin::saying(500, replaced, "hunter2");

        let answer = Gateway::before(&origin).get("/", asked);

        assert_eq!(media_type(&answer), expected, "{replaced} {asked}");
    }
}

/// Each format is what it says it is, for each status, and says the same.
#[test]
fn every_format_is_well_formed_and_says_what_support_needs() {
    let origin = failing_as_asked();
    let gateway = Gateway::set(&origin, BRANDED);
    for status in (500..=511).chain([520, 599]) {
        let asked = |accept: &str| {
            gateway.get(
                &format!("/{status}/cart?token=1"),
                &format!("Accept: {accept}\r\n"),
            )
        };
        let (html, json) = (asked("text/html"), asked("application/json"));
        let (text, xml) = (asked("text/plain"), asked("application/xml"));

        assert!(
            html.text().starts_with("<!doctype html>")
                && html.text().trim_end().ends_with("</html>")
        );
        let problem = json.json();
        assert_eq!(problem["status"], status);
        assert_eq!(
            (&problem["request_id"], &problem["layer"]),
            (&json.id().into(), &"app".into())
        );
        assert_eq!(problem["instance"], format!("urn:pardon:{}", json.id()));
        assert!(text.text().contains(text.id()) && !text.text().contains('<'));
        let document = roxmltree::Document::parse(xml.text()).unwrap();
        let element = |name: &str| {
            let found = document
                .descendants()
                .find(|node| node.tag_name().name() == name);
            found.unwrap().text().unwrap().to_owned()
        };
        assert_eq!(
            (element("request_id"), element("status")),
            (xml.id().to_owned(), status.to_string())
        );
        for answer in [&html, &json, &text, &xml] {
            assert_eq!((answer.status, answer.end), (status, End::Whole));
            assert!(answer.body.len() < FLIGHT);
            let incident = gateway.incident(answer.id());
            let time = &incident.time.to_string()[..19];
            assert!(
                answer.text().contains(time),
                "the time of the record: {time}"
            );
            assert!(!answer.text().contains("token"), "no query on a page");
            assert_eq!(incident.served.as_ref().unwrap().status, status);
        }
    }
}

#[test]
fn every_page_has_all_its_headers() {
    let origin = failing();
    let gateway = Gateway::before(&origin);
    for accept in [
        "text/html",
        "application/json",
        "text/plain",
        "application/xml",
    ] {
        let answer = gateway.get("/", &format!("Accept: {accept}\r\n"));

        let length = answer.body.len().to_string();
        for (name, value) in [
            ("cache-control", "no-store"),
            ("content-length", length.as_str()),
            ("content-language", "en"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-robots-tag", "noindex"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{accept}");
        }
        assert!(answer.header("date").is_some());
        assert_eq!(answer.header("transfer-encoding"), None);
        assert_eq!(
            answer.header("content-security-policy").is_some(),
            accept == "text/html"
        );
    }
}

/// The page's own style is allowed by its hash, and nothing else is: no script, no fetch, no form.
#[test]
fn a_page_needs_nothing_and_allows_nothing_but_its_own_style_and_script() {
    let origin = failing();
    let gateway = Gateway::set(&origin, BRANDED);

    let answer = gateway.get("/", "Accept: text/html\r\n");

    let page = answer.text();
    let policy = answer.header("content-security-policy").unwrap();
    for element in ["style", "script"] {
        let (_, rest) = page.split_once(&format!("<{element}>")).unwrap();
        let (block, _) = rest.split_once(&format!("</{element}>")).unwrap();
        let hash = BASE64_STANDARD.encode(Sha256::digest(block));
        let allowed = format!("{element}-src 'sha256-{hash}'");
        assert!(policy.contains(&allowed), "{policy}");
    }
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(
        policy.contains("form-action 'none'") && policy.contains("base-uri 'none'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    for fetching in [
        "<script ", " src=", "@import", "url(", "<form", "<iframe", " style=",
    ] {
        assert!(!page.contains(fetching), "{fetching}");
    }
    assert!(page.contains("<meta name=\"robots\" content=\"noindex\">"));
}

#[test]
fn a_frame_gets_a_small_page_and_a_script_the_words_alone() {
    let origin = failing();
    let gateway = Gateway::set(&origin, "[pages]\ntheme = \"retro\"\n");

    let page = gateway.get("/", "Accept: text/html\r\n");
    let frame = gateway.get("/", "Accept: text/html\r\nSec-Fetch-Dest: iframe\r\n");
    let fragment = gateway.get("/", "Accept: text/html\r\nHX-Request: true\r\n");

    assert!(page.text().contains("class=\"window\""));
    assert!(!frame.text().contains("class=\"window\""));
    assert!(frame.text().starts_with("<!doctype html>"));
    assert!(fragment.text().starts_with("<section class=\"pardon\""));
    for answer in [page, frame, fragment] {
        assert_eq!(answer.status, 500);
        assert!(answer.text().contains(answer.id()));
    }
}

#[test]
fn a_page_carries_the_brand_and_links_that_name_the_request() {
    let origin = failing();
    let gateway = Gateway::set(&origin, BRANDED);

    let html = gateway.get("/", "Accept: text/html\r\n");
    let json = gateway.get("/", "Accept: application/json\r\n");

    let page = html.text();
    assert!(
        page.contains("Müller &amp; &lt;b&gt;Sons&lt;/b&gt;"),
        "{page}"
    );
    let link = format!(
        "https://example.com/support?ref={}&amp;from=page",
        html.id()
    );
    assert!(page.contains(&link), "{page}");
    assert!(page.contains("mailto:help@example.com?subject="));
    assert!(page.contains("https://status.example.com/"));
    let link = format!("https://example.com/support?ref={}&from=page", json.id());
    assert_eq!(json.json()["support_url"], link);
}

/// Invariant 10: A.8 of the cases.
#[test]
fn nothing_that_a_visitor_sends_is_printed_raw() {
    let origin = Origin::new(|visit, _| {
        visit.send("HTTP/1.1 503 X\r\nContent-Length: 7\r\n\r\nhunter2");
    });
    let gateway = Gateway::before(&origin);
    // What hyper lets through of what is dangerous in one format or another.
    let path = "/a'b\"c&d;{{7*7}}{%25if%25}]]%3Cscript%3E,\"own\":\"1\\u0022%00";
    let request = |accept: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nAccept: {accept}\r\n\r\n")
    };

    let html = gateway.ask(request("text/html"));
    let json = gateway.ask(request("application/json"));
    let xml = gateway.ask(request("application/xml"));
    let text = gateway.ask(request("text/plain"));
    let refused =
        gateway.ask("GET / HTTP/1.1\r\nHost: sh'op&.example\r\nAccept: text/html\r\n\r\n");

    assert_eq!(
        [&html, &json, &xml, &text].map(|answer| answer.status),
        [503; 4],
        "{}",
        html.text()
    );
    let page = html.text();
    assert!(page.contains("a&#39;b&quot;c&amp;d;{{7*7}}"), "{page}");
    assert!(!page.contains("b\"c"), "{page}");
    assert!(
        refused.status == 400 && !refused.text().contains("sh'op"),
        "{}",
        refused.text()
    );
    assert_eq!(json.json()["own"], serde_json::Value::Null);
    assert!(roxmltree::Document::parse(xml.text()).is_ok());
    assert!(
        text.text()
            .chars()
            .all(|letter| letter == '\n' || !letter.is_control())
    );
    assert_eq!(gateway.incident(html.id()).request.url, path);
}

#[test]
fn a_page_stays_small_whatever_is_asked_for() {
    let origin = Origin::saying(500, "", "hunter2");
    let gateway = Gateway::set(&origin, BRANDED);
    let path = "/'".repeat(7_000);
    let host = "a".repeat(400);
    for accept in [
        "text/html",
        "application/json",
        "application/xml",
        "text/plain",
    ] {
        let answer = gateway.ask(format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\n\r\n"
        ));

        assert_eq!(answer.status, 500, "{}", answer.text());
        assert!(
            answer.body.len() < FLIGHT,
            "{accept}: {}",
            answer.body.len()
        );
    }
}

#[test]
fn each_route_has_its_own_brand() {
    let origin = failing();
    let gateway = Gateway::configured(
        &origin,
        r#"
[brand]
name = "Everyone"
[upstreams.app]
endpoints = ["$ORIGIN"]
[[routes]]
host = "shop.example"
upstream = "app"
[routes.brand]
name = "The Shop"
[[routes]]
name = "rest"
upstream = "app"
"#,
    );
    let asked = |host: &str| {
        gateway.ask(format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\r\n"
        ))
    };

    let (shop, rest) = (asked("shop.example"), asked("other.example"));

    assert!(shop.text().contains("The Shop") && !shop.text().contains("Everyone"));
    assert!(rest.text().contains("Everyone") && !rest.text().contains("The Shop"));
}

#[test]
fn a_request_that_no_route_is_for_is_refused_with_a_page() {
    let origin = Origin::saying(200, "", "well");
    let gateway = Gateway::configured(
        &origin,
        "[upstreams.app]\nendpoints = [\"$ORIGIN\"]\n[[routes]]\nhost = \"shop.example\"\npath = \"/shop\"\nupstream = \"app\"",
    );
    let mut client = gateway.connect();
    let refused =
        client.ask("GET /else HTTP/1.1\r\nHost: shop.example\r\nAccept: application/json\r\n\r\n");
    let served = client.ask("GET /shop/cart HTTP/1.1\r\nHost: shop.example\r\n\r\n");

    assert_eq!((refused.status, media_type(&refused)), (404, JSON));
    let problem = refused.json();
    assert_eq!(
        (&problem["layer"], &problem["request_id"]),
        (&"gateway".into(), &refused.id().into())
    );
    assert_eq!(refused.header("cache-control"), Some("no-store"));
    assert_eq!(
        (served.status, served.text()),
        (200, "well"),
        "the connection goes on"
    );
    assert_eq!(origin.request().line(), "GET /shop/cart HTTP/1.1");
}

#[test]
fn a_request_that_is_too_large_is_refused_with_a_page() {
    let origin = Origin::saying(200, "", "well");
    let gateway = Gateway::set(&origin, "[server.limits]\nbody = \"1KiB\"\nuri = \"1KiB\"");
    let large = format!(
        "POST / HTTP/1.1\r\nHost: shop.example\r\nAccept: text/html\r\nContent-Length: 1025\r\n\r\n{}",
        "x".repeat(1025)
    );
    let long = format!(
        "GET /{} HTTP/1.1\r\nHost: shop.example\r\nAccept: text/html\r\n\r\n",
        "x".repeat(1025)
    );
    for (request, status) in [(large, 413), (long, 414)] {
        let answer = gateway.ask(request);

        assert_eq!(
            (answer.status, media_type(&answer), answer.end),
            (status, HTML, End::Whole)
        );
        assert!(answer.text().contains(answer.id()));
        assert_eq!(answer.header("connection"), Some("close"));
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn own_templates_serve_in_place_of_the_built_in_ones() {
    let origin = failing_as_asked();
    let gateway = Gateway::set(
        &origin,
        "[pages]\nfolder = \"tests/fixtures/pages/own\"\n[brand]\nname = \"A & B\"",
    );
    let asked = |status: u16, accept: &str| {
        gateway.get(&format!("/{status}"), &format!("Accept: {accept}\r\n"))
    };

    let closed = asked(503, "text/html");
    let other = asked(500, "text/html");
    let json = asked(503, "application/json");
    let text = asked(503, "text/plain");

    let says = format!(
        "Say <b>{}</b> to A &amp; B, about shop.example",
        closed.id()
    );
    assert!(
        closed.text().contains("<title>Own 503</title>") && closed.text().contains(&says),
        "{}",
        closed.text()
    );
    assert!(
        closed
            .header("content-security-policy")
            .unwrap()
            .contains("style-src 'sha256-")
    );
    let says = format!("<p>500 Internal Server Error: {}</p>", other.id());
    assert!(other.text().contains(&says), "{}", other.text());
    assert_eq!(
        (&json.json()["own"], &json.json()["ref"]),
        (&true.into(), &json.id().into())
    );
    assert!(text.text().contains(text.id()) && !text.text().contains("Own"));
    assert_eq!(
        &*gateway
            .incident(closed.id())
            .served
            .as_ref()
            .unwrap()
            .template,
        "503.html.tera"
    );
    for answer in [&closed, &other, &json, &text] {
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

/// Invariant 8: A.9 of the cases.
#[test]
fn a_start_with_a_broken_template_is_refused_with_its_place() {
    for (folder, says) in [
        ("broken", "tests/fixtures/pages/broken/5xx.html.tera:2:"),
        ("unknown", "upstream_body"),
        ("nowhere", "tests/fixtures/pages/nowhere"),
    ] {
        let problems = Gateway::refused(&format!(
            "[pages]\nfolder = \"tests/fixtures/pages/{folder}\""
        ));

        assert!(problems.contains(says), "{problems}");
    }
}
