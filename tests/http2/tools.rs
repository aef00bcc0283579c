//! The clients that people use.

use std::process::{Command, Output, Stdio};

use crate::support::{Gateway, Origin};

fn run(tool: &str, arguments: &[&str]) -> Output {
    Command::new(tool)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{tool}, which tests/run installs: {error}"))
}

/// What a program prints that has to end well.
pub fn said(tool: &str, arguments: &[&str]) -> String {
    let output = run(tool, arguments);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{tool}: {out}{err}");
    out.into_owned()
}

#[test]
fn curl_is_served() {
    let origin = Origin::saying(200, "", "all is well");
    let gateway = Gateway::before(&origin);
    let url = format!("http://{}/", gateway.address());
    let format = "\n%{http_version} %{http_code}";
    let knowing = [
        "--max-time",
        "20",
        "-s",
        "--http2-prior-knowledge",
        "-w",
        format,
        &url,
    ];
    assert_eq!(said("curl", &knowing), "all is well\n2 200");
    // Without knowing, it offers an upgrade that HTTP/2 has done away with (RFC 9113, 3.1).
    let asking = ["--max-time", "20", "-s", "--http2", "-w", format, &url];
    assert_eq!(said("curl", &asking), "all is well\n1.1 200");
}

#[test]
fn nghttp_is_served() {
    let origin = Origin::saying(503, "", "the app's own");
    let gateway = Gateway::before(&origin);
    let url = format!("http://{}/", gateway.address());
    let seen = said("nghttp", &["-v", "--timeout=20", &url]);
    assert!(
        seen.contains(":status: 503") && seen.contains("x-request-id: "),
        "{seen}"
    );
    assert!(!seen.contains("the app's own"));
}

#[test]
fn h2load_is_served() {
    let origin = Origin::saying(200, "", "all is well");
    let gateway = Gateway::before(&origin);
    let url = format!("http://{}/", gateway.address());
    let seen = said("h2load", &["-n500", "-c4", "-m20", "-T20", &url]);
    assert!(
        seen.contains("500 succeeded, 0 failed, 0 errored"),
        "{seen}"
    );
}
