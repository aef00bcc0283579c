//! WebSocket as others speak it: the `websockets` package, and over HTTP/2 (RFC 8441) Hypercorn, `h2` and `wsproto`.

use crate::support::Gateway;
use crate::support::python::{App, python};

/// What a visitor's script prints.
fn visited(script: &str, gateway: &Gateway) -> String {
    let visited = python(script)
        .arg(gateway.address().to_string())
        .output()
        .unwrap();
    let (out, wrong) = (
        String::from_utf8_lossy(&visited.stdout),
        String::from_utf8_lossy(&visited.stderr),
    );
    assert!(visited.status.success(), "{out}{wrong}");
    out.into_owned()
}

/// What a visitor by HTTP/1.1 sees; the app's own fragments and its ping are `told`.
fn by_http1(told: [&str; 2]) -> String {
    let [fragments, ping] = told;
    format!(
        "subprotocol chat\n\
         deflate True\n\
         text 'h\\xe9llo'\n\
         binary 0 True\n\
         binary 1 True\n\
         binary 125 True\n\
         binary 126 True\n\
         binary 65535 True\n\
         binary 65536 True\n\
         binary 5242880 True\n\
         fragments abc\n\
         fragments {fragments}\n\
         ping {ping}\n\
         close 4001 as you say\n\
         uncompressed plain\n\
         close 4002 enough\n"
    )
}

#[test]
fn websocket_passes_untouched() {
    let app = App::start("websocket_app.py");
    let gateway = Gateway::at(&app.url, "");
    let visited = visited("websocket_visitor.py", &gateway);
    assert_eq!(visited, by_http1(["['one ', 'two ', 'three']", "ponged"]));
    assert!(gateway.incidents().is_empty());
}

#[test]
fn websocket_passes_to_an_app_of_http2() {
    let app = App::start("websocket_http2_app.py");
    let gateway = Gateway::by_http2(&app.url, "");
    let visited = visited("websocket_visitor.py", &gateway);
    // This app says everything again, those two words too.
    assert_eq!(visited, by_http1(["['fragments']", "ping"]));
    assert!(gateway.incidents().is_empty());
}

#[test]
fn websocket_over_http2_passes_to_both_kinds_of_app() {
    let (one, two) = (
        App::start("websocket_app.py"),
        App::start("websocket_http2_app.py"),
    );
    for gateway in [Gateway::at(&one.url, ""), Gateway::by_http2(&two.url, "")] {
        assert_eq!(
            visited("websocket_http2_visitor.py", &gateway),
            "status 200\n\
             subprotocol chat\n\
             text 'h\\xe9llo'\n\
             binary 0 True\n\
             binary 125 True\n\
             binary 65536 True\n\
             binary 1048576 True\n\
             ping b'there?'\n\
             close (4001, 'as you say')\n\
             ended\n"
        );
        assert!(gateway.incidents().is_empty());
    }
}
