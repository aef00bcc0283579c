//! WebSocket as others speak it: the `websockets` package on both sides.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::Gateway;

/// Python with what `tests/apps/requirements.txt` names.
fn python(script: &str) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python: PathBuf = folder.join("target/apps/bin/python");
    assert!(
        python.exists(),
        "this test needs Python packages, which tests/run installs: python3 -m venv target/apps && \
         target/apps/bin/pip install -r tests/apps/requirements.txt"
    );
    let mut command = Command::new(python);
    command.arg(folder.join("tests/apps").join(script));
    command
}

/// An app of somebody else's; it is killed with this value.
struct App(Child);

impl Drop for App {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn websocket_passes_untouched() {
    let mut command = python("websocket_app.py");
    let mut app = App(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut port = String::new();
    let mut out = BufReader::new(app.0.stdout.take().unwrap());
    out.read_line(&mut port).unwrap();
    let gateway = Gateway::at(&format!("http://127.0.0.1:{}", port.trim()), "");

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
