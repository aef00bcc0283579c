//! `only = "leaking"`: an app's own page for a failure passes, unless it is bare or shows what failed.

use crate::support::{Gateway, Origin};

const DESIGNED: &str = "<!doctype html><html><head><title>Sorry</title><style>h1 { color: teal }</style></head>\
    <body class=\"shop\"><h1>Our shop is closed for a moment</h1><p>We are on it.</p></body></html>";

#[test]
fn a_designed_page_passes_and_others_do_not() {
    let leaking = DESIGNED.replace(
        "We are on it.",
        "<pre>SQLSTATE[HY000] [2002] Connection refused\n#0 {main}</pre>",
    );
    for (kind, page, passes) in [
        ("text/html", DESIGNED, true),
        ("text/html", &leaking, false),
        ("text/html", "<h1>Internal Server Error</h1>", false),
        ("text/html", "", false),
        ("text/plain", "Internal Server Error", false),
        ("application/json", "{\"error\":\"closed\"}", true),
        ("application/json", "{}", false),
        (
            "application/json",
            "{\"error\":\"no\",\"stack\":\"Error: no\\n    at pay (/srv/cart.js:10:3)\"}",
            false,
        ),
        ("application/octet-stream", "closed", false),
    ] {
        let origin = Origin::saying(500, &format!("Content-Type: {kind}\r\n"), page);
        let gateway = Gateway::set(&origin, "[intercept]\nonly = \"leaking\"\n");

        let answer = gateway.get("/cart", "Accept: text/html\r\n");

        assert_eq!(answer.status, 500);
        assert_eq!(answer.text() == page, passes, "{kind}: {page}");
        if passes {
            gateway.get("/after", "");
            assert!(gateway.incidents().is_empty());
        } else {
            let body = gateway.incident(answer.id()).body.unwrap();
            assert_eq!(body.content, page.as_bytes());
        }
    }
}
