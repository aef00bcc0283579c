//! gRPC as others speak it: the `grpcio` package on both sides.

use std::net::{Ipv4Addr, TcpListener};

use serde_json::Value;

use crate::support::Gateway;
use crate::support::python::{App, python};

/// What each call came to.
fn visit(gateway: &Gateway) -> Vec<Value> {
    let visited = python("grpc_visitor.py")
        .arg(gateway.address().to_string())
        .output()
        .unwrap();
    let said = String::from_utf8(visited.stdout).unwrap();
    let wrong = String::from_utf8_lossy(&visited.stderr);
    assert!(visited.status.success(), "{said}{wrong}");
    said.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn calls_pass_untouched() {
    let app = App::start("grpc_app.py");
    let gateway = Gateway::by_http2(&app.url, "");
    let calls = visit(&gateway);
    let heard = |at: usize| calls[at]["heard"].clone();
    assert_eq!(
        (heard(0), &calls[0]["trailers"]["x-echoed"]),
        ("hello".into(), &"yes".into())
    );
    assert_eq!(calls[1]["same"], true);
    assert_eq!(heard(2), serde_json::json!(["0", "1", "2", "3", "4"]));
    assert_eq!(heard(3), "a b c");
    assert_eq!(heard(4), serde_json::json!(["1", "2", "3"]));
    assert_eq!(calls[5]["status"], "FAILED_PRECONDITION");
    assert_eq!(calls[5]["details"], "the app's own words: 100% gone");
    assert_eq!(calls[5]["trailers"]["x-reason-bin"], "00ff");
    assert_eq!(calls[6]["status"], "UNIMPLEMENTED");
    assert_eq!(calls[7]["status"], "DEADLINE_EXCEEDED");
    assert!(gateway.incidents().is_empty());
}

#[test]
fn a_failure_of_ours_is_a_status_with_the_id() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let gateway = Gateway::by_http2(&url, "");
    let calls = visit(&gateway);
    assert!(calls.len() >= 7);
    for call in &calls {
        assert_eq!(call["status"], "UNAVAILABLE", "{call}");
        let id = call["trailers"]["x-request-id"].as_str().unwrap();
        assert!(call["details"].as_str().unwrap().contains(id), "{call}");
    }
}
