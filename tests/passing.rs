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
