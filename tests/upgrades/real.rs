//! WebSocket as others speak it: the `websockets` package on both sides.

use crate::support::Gateway;
use crate::support::python::{App, python};

#[test]
fn websocket_passes_untouched() {
    let app = App::start("websocket_app.py");
    let gateway = Gateway::at(&app.url, "");

    let visited = python("websocket_visitor.py")
        .arg(gateway.address().to_string())
        .output()
        .unwrap();

    let wrong = String::from_utf8_lossy(&visited.stderr);
    assert_eq!(
        String::from_utf8_lossy(&visited.stdout),
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
         fragments ['one ', 'two ', 'three']\n\
         ping ponged\n\
         close 4001 as you say\n\
         uncompressed plain\n\
         close 4002 enough\n",
        "{wrong}"
    );
    assert!(gateway.incidents().is_empty());
}
