//! `pardon audit`: an app is walked within bounds, and what leaks is reported with and without Pardon.

use serde_json::Value;

use crate::support::{Folder, Origin};

const WARNING: &str = "<br />\n<b>Warning</b>:  Undefined variable $rate in <b>/srv/shop/cart.php</b> on line <b>5</b><br />";

/// An app with links, a warning in the middle of a page, a debug page for what is unknown, and a failure.
fn shop() -> Origin {
    Origin::new(|visit, request| {
        let line = request.line().to_owned();
        let target = line.split(' ').nth(1).unwrap();
        let path = target.split('?').next().unwrap();
        let (status, page) = match path {
            "/" => (
                "200 OK",
                "<html><body><a href=/cart?id=1>cart</a> <a href=/fail>x</a> <a href=/logout>out</a>\
                 <a href=http://elsewhere.example/>other</a></body></html>".to_owned(),
            ),
            "/cart" => (
                "200 OK",
                format!("<html><body><h1>Cart</h1>{WARNING}<p>3 EUR</p></body></html>"),
            ),
            "/fail" => ("500 Internal Server Error", "<h1>Internal Server Error</h1>".to_owned()),
            _ => (
                "404 Not Found",
                "<html><head><title>Page not found at /x</title></head><body><p>Using the URLconf defined in \
                 <code>shop.urls</code>,\nDjango tried these URL patterns</p><p>You\u{2019}re seeing this error because you have \
                 <code>DEBUG = True</code> in\nyour Django settings file.</p></body></html>".to_owned(),
            ),
        };
        let length = page.len();
        visit.send(format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nServer: Shop/1.2\r\nContent-Length: {length}\r\n\r\n{page}"
        ));
    })
}

fn findings(out: &str) -> Vec<Value> {
    let lines = out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn it_reports_what_leaks_with_and_without_pardon() {
    let origin = shop();
    let folder = Folder::new();

    let said = folder.pardon(&["audit", &origin.url(), "--rate", "1000", "--json"]);

    assert_eq!(said.code, Some(0), "{}", said.err);
    let found = findings(&said.out);
    let of = |kind: &str| {
        let mut found = found.iter().filter(|one| one["finding"] == kind);
        found.next().cloned().unwrap_or_default()
    };
    let frameworks: Vec<_> = found
        .iter()
        .filter(|one| one["finding"] == "disguised-leak")
        .map(|one| one["evidence"][0]["framework"].as_str().unwrap())
        .collect();
    assert_eq!(frameworks, ["PHP", "Django"]);
    let leak = of("disguised-leak");
    assert_eq!(leak["places"][0]["target"], "/cart?id=1");
    assert_eq!(
        leak["with_pardon"],
        "a page with status 500 and a reference, and nothing of this"
    );
    assert!(leak["advice"].as_str().unwrap().contains("display_errors"));
    assert_eq!(of("bare-page")["status"], 500);
    assert_eq!(of("header")["value"], "Shop/1.2");
    let asked: Vec<_> = origin
        .requests()
        .iter()
        .map(|request| request.line().to_owned())
        .collect();
    assert!(
        !asked.iter().any(|line| line.contains("logout")),
        "{asked:?}"
    );
    assert!(
        asked
            .iter()
            .any(|line| line.starts_with("GET /cart?id[]=x "))
    );
    assert!(
        asked
            .iter()
            .all(|line| line.starts_with("GET ") || line.starts_with("PROPFIND "))
    );
}

#[test]
fn it_keeps_to_its_bounds_and_prints_text_or_a_page() {
    let origin = shop();
    let folder = Folder::new();
    let arguments = ["audit", &origin.url(), "--max-pages", "1", "--rate", "1000"];

    let text = folder.pardon(&arguments);
    let page = folder.pardon(&[&arguments[..], &["--html", "--path", "/cart?id=<b>"]].concat());

    assert!(text.out.contains("2 addresses left"), "{}", text.out);
    assert!(
        text.out
            .contains("1. An answer that calls itself good shows internals: Django")
    );
    assert!(
        text.out
            .contains("at           GET /pardon-audit-no-such-page -> 404 (an unknown path)")
    );
    assert!(page.out.starts_with("<!doctype html>") && page.out.trim_end().ends_with("</html>"));
    assert!(!page.out.contains("<b>"));
}

#[test]
fn it_compares_with_a_pardon_that_is_there() {
    let origin = shop();
    let gateway = crate::support::Gateway::before(&origin);
    let folder = Folder::new();
    let through = format!("http://{}", gateway.address());

    let said = folder.pardon(&[
        "audit",
        &origin.url(),
        "--through",
        &through,
        "--rate",
        "1000",
        "--json",
    ]);

    let found = findings(&said.out);
    assert_eq!(found[0]["finding"], "disguised-leak");
    // By default it is reported only.
    assert_eq!(
        found[0]["with_pardon"],
        "passes, and is recorded where Pardon finds it"
    );
    let bare = found
        .iter()
        .find(|one| one["finding"] == "bare-page")
        .unwrap();
    assert!(
        bare["with_pardon"]
            .as_str()
            .unwrap()
            .starts_with("a page with status 500")
    );
}

#[test]
fn an_app_that_is_not_there_is_said_to_be_so() {
    let folder = Folder::new();
    let said = folder.pardon(&["audit", "http://127.0.0.1:1/", "--rate", "1000"]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err.contains("does not answer: status 502"),
        "{}",
        said.err
    );
    let said = folder.pardon(&["audit", "shop.example"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("write the whole address"), "{}", said.err);
}
