//! Apps and visitors of somebody else's, in Python, with what `tests/apps/requirements.txt` names.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Runs a script of `tests/apps`.
pub fn python(script: &str) -> Command {
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

/// An app that prints its port; it is killed with this value.
pub struct App {
    process: Child,
    pub url: String,
}

impl App {
    pub fn start(script: &str) -> Self {
        let mut process = python(script).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        out.read_line(&mut port).unwrap();
        let url = format!("http://127.0.0.1:{}", port.trim());
        Self { process, url }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
