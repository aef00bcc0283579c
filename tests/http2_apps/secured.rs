//! What is spoken to apps behind TLS, as they and the configuration agree on it.

use super::origin::H2Origin;
use super::post;
use crate::support::tls::Authority;
use crate::support::{Folder, Gateway};

/// An app that speaks HTTP/2 to those who agree with it on one of `protocols`, and what a proxy needs to trust it.
fn app(protocols: &[&[u8]]) -> (H2Origin, Folder, String) {
    let authority = Authority::new();
    let config = authority.certify(&["app.example"]).serving(protocols);
    let folder = Folder::new();
    folder.write("authority.pem", authority.pem());
    let path = folder.path().join("authority.pem").display().to_string();
    let toml = format!(
        "[upstreams.app.tls]\nca = {path:?}\nserver_name = \"app.example\"\n[server]\nworkers = 1\n"
    );
    (H2Origin::within(config), folder, toml)
}

#[test]
fn http2_is_spoken_where_the_app_offers_it() {
    let (origin, _folder, toml) = app(&[b"h2", b"http/1.1"]);
    let gateway = Gateway::at(&origin.url(), &toml);
    let body = "x".repeat(300_000);
    assert_eq!(gateway.get("/text", "").text(), "hello");
    assert!(gateway.ask(post("/echo", &body)).text() == body);
    let failed = gateway.get("/fail", "Accept: text/html\r\n");
    assert_eq!(failed.status, 500);
    assert!(!failed.text().contains("hunter2") && failed.text().contains(failed.id()));
    let seen = origin.requests();
    assert_eq!(seen[0].uri().to_string(), "https://shop.example/text");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn http2_is_spoken_where_the_file_says_so() {
    let (origin, _folder, toml) = app(&[b"h2"]);
    let gateway = Gateway::by_http2(&origin.url(), &toml);
    assert_eq!(gateway.get("/text", "").text(), "hello");
}

#[test]
fn an_app_without_http2_is_refused_where_the_file_asks_for_it() {
    for protocols in [&[][..], &[&b"http/1.1"[..]]] {
        let (origin, _folder, toml) = app(protocols);
        let gateway = Gateway::by_http2(&origin.url(), &toml);
        let answer = gateway.get("/text", "");
        assert_eq!(answer.status, 502);
        let cause = gateway.incident(answer.id()).cause;
        assert_eq!(cause.as_str(), "tls_failed");
        assert!(origin.requests().is_empty());
    }
}

#[test]
fn http2_is_not_offered_where_the_file_says_http1() {
    let (origin, _folder, toml) = app(&[b"h2"]);
    let gateway = Gateway::at(
        &format!("{}\"]\nprotocol = \"http1\"\n#", origin.url()),
        &toml,
    );
    assert_eq!(gateway.get("/text", "").status, 502);
    assert!(origin.requests().is_empty());
}
