//! A browser that wants a part of a page (an image, a script, a style, a font) gets the status and no page.

use crate::support::{Gateway, Origin};

#[test]
fn a_part_of_a_page_gets_an_empty_body_with_the_right_status() {
    let origin = Origin::saying(503, "Content-Type: text/html\r\n", "<h1>hunter2</h1>");
    let gateway = Gateway::before(&origin);
    for kind in ["image", "script", "style", "font", "audio", "video"] {
        let answer = gateway.get("/a", &format!("Sec-Fetch-Dest: {kind}\r\nAccept: */*\r\n"));

        assert_eq!(answer.status, 503, "{kind}");
        assert_eq!(answer.text(), "", "{kind}");
        assert_eq!(answer.header("content-length"), Some("0"));
        assert_eq!(answer.header("content-type"), None);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(gateway.incident(answer.id()).served.is_some());
    }
    let page = gateway.get("/a", "Sec-Fetch-Dest: document\r\n");
    assert!(page.text().contains(page.id()));
}
