//! `pardon explain`: what would be done with a raw response, and why.

use crate::support::{Folder, Said};

/// A 500 with a page that holds a secret, and terminal escapes wherever it may have some.
const FAILED: &[u8] = b"HTTP/1.1 500 Boom \xc2\x9b2J\r\nContent-Type: text/html\r\nServer: Old/1.0\r\nRetry-After: 5\r\n\
    Set-Cookie: session=1\r\nX-Debug: \xc2\x9b2Jpassword\r\n\r\n<h1>\x1b[2JOperationalError: no such table</h1>\nDB_PASSWORD=swordfish-9\n";

/// Explains a response, with these arguments beside it.
fn explain(response: &[u8], folder: &Folder, arguments: &[&str]) -> String {
    folder.write("answer.http", response);
    let Said { code, out, err } = folder.pardon(&[&["explain", "answer.http"], arguments].concat());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!out.contains(control), "{out:?}");
    out
}

/// What it says of one thing.
fn says<'a>(out: &'a str, what: &str) -> &'a str {
    let mut lines = out.lines().filter_map(|line| line.split_once(' '));
    let found = lines.find(|(name, _)| *name == what);
    found.unwrap_or_else(|| panic!("{what} in {out}")).1.trim()
}

/// What becomes of a header.
fn fate<'a>(out: &'a str, header: &str) -> &'a str {
    let field = format!("header        {header}: ");
    let found = out.lines().find_map(|line| line.strip_prefix(&field));
    found.unwrap_or_else(|| panic!("{header} in {out}"))
}

#[test]
fn what_a_route_does_not_keep_is_said() {
    let folder = Folder::new();
    let app = "[upstreams.app]\nendpoints = [\"http://127.0.0.1:9\"]\n";
    let nothing = format!("{app}[intercept]\nrecord = false\n");
    folder.write("nothing.toml", &nothing);
    let out = explain(FAILED, &folder, &["--config", "nothing.toml"]);
    assert!(says(&out, "kept").starts_with("no: `record = false`"));
    assert_eq!(says(&out, "cause"), "upstream_status");
}

#[test]
fn a_failure_is_replaced_and_each_header_has_its_fate() {
    let out = explain(FAILED, &Folder::new(), &[]);
    assert_eq!(says(&out, "verdict"), "replaced by a page");
    assert_eq!(says(&out, "why"), "status 500 is among intercept.statuses");
    assert_eq!(says(&out, "cause"), "upstream_status");
    assert_eq!(says(&out, "fingerprint").len(), 16);
    let redacted = "line 2: DB_PASSWORD=[redacted: password]";
    assert_eq!(says(&out, "redacted"), redacted);
    assert!(!out.contains("swordfish"), "{out}");
    assert_eq!(says(&out, "route"), "app");
    assert_eq!(says(&out, "page"), "html in en, by pardon/plain.html.tera");
    assert!(says(&out, "visitor").starts_with("gets  500 Internal Server Error, "));
    assert!(says(&out, "summary").contains("OperationalError: no such table"));
    assert_eq!(fate(&out, "retry-after"), "kept on the page");
    assert_eq!(fate(&out, "server"), "in the record, not on the page");
    assert_eq!(
        fate(&out, "set-cookie"),
        "redacted in the record, not on the page"
    );
}

#[test]
fn an_answer_that_is_no_failure_passes() {
    let out = explain(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        &Folder::new(),
        &[],
    );
    assert_eq!(says(&out, "verdict"), "passes as it is");
    assert_eq!(
        says(&out, "why"),
        "status 200 is not among intercept.statuses"
    );
    assert_eq!(says(&out, "visitor"), "gets  200 OK, 2 bytes of body");
}

#[test]
fn the_apps_own_page_passes() {
    let own = b"HTTP/1.1 500 X\r\nX-Pardon-Pass: 1\r\nContent-Length: 2\r\n\r\nok";
    let out = explain(own, &Folder::new(), &[]);
    assert_eq!(says(&out, "verdict"), "passes as it is");
    assert!(says(&out, "why").contains("intercept.pass_header"));
}

#[test]
fn garbage_is_malformed() {
    let out = explain(b"Segmentation fault \x1b[2J\n", &Folder::new(), &[]);
    assert_eq!(says(&out, "verdict"), "replaced by a page");
    assert!(says(&out, "why").starts_with("malformed: "));
    assert!(says(&out, "visitor").starts_with("gets  502 Bad Gateway"));
}

#[test]
fn a_compressed_failure_is_read() {
    // `printf 'RuntimeError: jar is empty\n' | gzip -n | od -An -tx1`
    const BODY: [u8; 47] = [
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x0b, 0x2a, 0xcd, 0x2b, 0xc9,
        0xcc, 0x4d, 0x75, 0x2d, 0x2a, 0xca, 0x2f, 0xb2, 0x52, 0xc8, 0x4a, 0x2c, 0x52, 0xc8, 0x2c,
        0x56, 0x48, 0xcd, 0x2d, 0x28, 0xa9, 0xe4, 0x02, 0x00, 0x2b, 0xd0, 0x66, 0x6e, 0x1b, 0x00,
        0x00, 0x00,
    ];
    let head = "HTTP/1.1 500 X\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\nContent-Length: 47\r\n\r\n";
    let out = explain(&[head.as_bytes(), &BODY].concat(), &Folder::new(), &[]);
    assert_eq!(says(&out, "summary"), "RuntimeError: jar is empty");
    assert_eq!(says(&out, "body"), "47 bytes came, 27 kept, complete");
}

#[test]
fn a_failure_that_breaks_off_is_incomplete() {
    let cut = b"HTTP/1.1 500 X\r\nContent-Length: 200\r\n\r\nok";
    let out = explain(cut, &Folder::new(), &[]);
    assert_eq!(says(&out, "verdict"), "replaced by a page");
    assert_eq!(says(&out, "body"), "2 bytes came, 2 kept, incomplete");
}

#[test]
fn a_good_answer_that_breaks_off_is_broken_off() {
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nok";
    let out = explain(cut, &Folder::new(), &[]);
    assert!(says(&out, "verdict").starts_with("passes, and is broken off"));
    assert_eq!(says(&out, "cause"), "broken_off");
}

#[test]
fn a_request_decides_on_the_format() {
    let folder = Folder::new();
    folder.write(
        "request.http",
        "GET /cart HTTP/1.1\r\nHost: shop.example\r\nAccept: application/json\r\n\r\n",
    );
    let out = explain(FAILED, &folder, &["--request", "request.http"]);
    assert_eq!(says(&out, "page"), "json in en, by pardon/error.json.tera");
}

#[test]
fn a_configuration_decides_on_the_verdict() {
    let folder = Folder::new();
    let file = "[upstreams.app]\nendpoints = [\"http://127.0.0.1:3000\"]\n[intercept]\nstatuses = [\"502-504\"]\n";
    folder.write("own.toml", file);
    let out = explain(FAILED, &folder, &["--config", "own.toml"]);
    assert_eq!(says(&out, "verdict"), "passes as it is");
    assert_eq!(
        says(&out, "why"),
        "status 500 is not among intercept.statuses"
    );
}

#[test]
fn a_request_that_does_not_reach_the_app_says_nothing_of_the_response() {
    let folder = Folder::new();
    folder.write("request.http", "GET / HTTP/1.1\r\n\r\n");
    let out = explain(FAILED, &folder, &["--request", "request.http"]);
    assert!(says(&out, "verdict").starts_with("never asked for"));
    assert!(says(&out, "visitor").starts_with("gets  400 Bad Request"));

    let file = "[upstreams.app]\nendpoints = [\"http://127.0.0.1:3000\"]\n[[routes]]\nhost = \"shop.example\"\n";
    folder.write("own.toml", file);
    let out = explain(FAILED, &folder, &["--config", "own.toml"]);
    assert!(says(&out, "why").starts_with("no route is for its host and path"));
}

#[test]
fn a_failure_in_disguise_is_explained_in_each_mode() {
    let page = "<h1>Cart</h1><br />\n<b>Fatal error</b>:  Uncaught Error: no cart in <b>/srv/x.php</b> on line <b>4</b><br />\n";
    let response = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-Powered-By: PHP/8.2\r\nServer: nginx\r\n\r\n{page}"
    );
    let folder = Folder::new();
    let app = "[upstreams.app]\nendpoints = [\"http://127.0.0.1:9\"]\n";
    folder.write(
        "strip.toml",
        format!("{app}[intercept]\nstrip_headers = [\"server\"]\n"),
    );

    let out = explain(response.as_bytes(), &folder, &["--config", "strip.toml"]);

    assert_eq!(says(&out, "verdict"), "passes, and is recorded");
    assert_eq!(
        says(&out, "why"),
        "status 200 is not among intercept.statuses, but the answer shows a failure"
    );
    assert_eq!(says(&out, "cause"), "disguised");
    let at = page.find("</b>:  ").unwrap();
    assert_eq!(
        says(&out, "evidence"),
        format!("php-error-html (PHP), weight 100, at byte {at}")
    );
    for line in [
        "mode off      passes, and nothing is recorded",
        "mode report   passes, and is recorded",
        "mode replace  replaced by a page with status 500",
        "tells         x-powered-by: PHP/8.2; intercept.strip_headers could remove it from passing answers",
        "tells         server: nginx; intercept.strip_headers removes it from passing answers",
    ] {
        assert!(out.lines().any(|one| one == line), "{line} in {out}");
    }
}
