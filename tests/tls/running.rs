//! A process that listens with TLS: its files change, it ends, and programs of others visit it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{FINE, certificate};
use crate::support::tls::{Authority, Issued, Visitor};
use crate::support::{Client, Origin, Program, eventually, get, said};

/// A running process that listens with TLS, from the files `site.pem` and `site.key` in its folder.
fn running(origin: &Origin, issued: &Issued) -> Program {
    let certificates =
        "[server.tls]\ncertificates = [{ chain = \"site.pem\", key = \"site.key\" }]\n";
    let (folder, _) = Program::file(origin, certificates);
    issued.write(&folder, "site");
    let mut command = folder.command(&[
        "run",
        "--config",
        "pardon.toml",
        "--listen",
        "tls://127.0.0.1:0",
    ]);
    Program::run(folder, &mut command)
}

#[test]
fn changed_certificates_are_taken_while_handshakes_go_on() {
    let origin = Origin::answering(FINE);
    let authority = Authority::new();
    let (old, new) = (
        authority.certify(&["shop.example"]),
        authority.certify(&["shop.example"]),
    );
    let program = running(&origin, &old);
    let visitor = Visitor::trusting(&authority);
    let address = program.address();
    assert!(program.line("listening").contains("tls://127.0.0.1:"));
    let mut before = Client::within(visitor.connect(address, "shop.example"));
    new.write(program.folder(), "site");
    // Every handshake meanwhile succeeds, or this fails.
    eventually("the new certificate", || {
        let secured = Visitor::trusting(&authority).connect(address, "shop.example");
        (certificate(&secured) == new.der.as_ref()).then_some(())
    });
    program.line("a changed certificate is in use");
    assert_eq!(
        before.ask(get("/", "")).status,
        200,
        "and connections go on"
    );
}

#[test]
fn a_changed_certificate_that_is_broken_changes_nothing() {
    let origin = Origin::answering(FINE);
    let authority = Authority::new();
    let old = authority.certify(&["shop.example"]);
    let program = running(&origin, &old);
    let address = program.address();
    let other = authority.certify(&["shop.example"]);
    program.folder().write("site.key", &other.key);
    let line = program.line("cannot be used");
    assert!(
        line.contains("site.key` is not the key of the certificate in `")
            && line.contains("site.pem`"),
        "{line}"
    );
    let secured = Visitor::trusting(&authority).connect(address, "shop.example");
    assert!(certificate(&secured) == old.der.as_ref());
    program.folder().write("site.pem", &other.chain);
    program.line("a changed certificate is in use");
    let secured = Visitor::trusting(&authority).connect(address, "shop.example");
    assert!(certificate(&secured) == other.der.as_ref());
    assert_eq!(program.count("cannot be used"), 1, "said once");
}

#[test]
fn a_handshake_under_way_does_not_hold_up_the_end() {
    let origin = Origin::answering(FINE);
    let authority = Authority::new();
    let mut program = running(&origin, &authority.certify(&["shop.example"]));
    let mut silent = TcpStream::connect(program.address()).unwrap();
    let idle = Visitor::trusting(&authority).connect(program.address(), "shop.example");
    program.wait_for_signals();
    let begun = std::time::Instant::now();
    program.signal("TERM");
    assert!(program.ended().success());
    assert!(begun.elapsed().as_secs() < 5, "less than the drain of 8 s");
    assert_eq!(silent.read(&mut [0; 1]).unwrap_or_default(), 0);
    assert!(Client::within(idle).is_closed(), "with a farewell");
}

/// Runs a program that has to be there.
fn tool(name: &str) -> Command {
    let there = Command::new(name)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(
        there.is_ok(),
        "this test asks with it: apt-get install --no-install-recommends {name}"
    );
    Command::new(name)
}

/// A process that listens with TLS, and the file of the authority behind its certificate.
fn shop(origin: &Origin) -> (Program, PathBuf) {
    let authority = Authority::new();
    let program = running(origin, &authority.certify(&["shop.example"]));
    program.folder().write("ca.pem", authority.pem());
    let ca = program.folder().path().join("ca.pem");
    (program, ca)
}

#[test]
fn curl_is_content() {
    let origin = Origin::answering(FINE);
    let (program, ca) = shop(&origin);
    let port = program.address().port();
    for version in ["1.2", "1.3"] {
        let mut curl = tool("curl");
        curl.args(["-sS", "--fail", "--tls-max", version, "--resolve"]);
        curl.arg(format!("shop.example:{port}:127.0.0.1"));
        curl.arg("--cacert").arg(&ca);
        let said = said(curl.arg(format!("https://shop.example:{port}/")));
        assert_eq!((said.code, &*said.out), (Some(0), "fine"), "{said:?}");
    }
}

/// What `openssl s_client` says while it asks for a page, with these arguments too.
fn by_openssl(program: &Program, ca: &Path, arguments: &[&str]) -> String {
    let address = program.address().to_string();
    let mut openssl = tool("openssl");
    openssl.args(["s_client", "-ign_eof", "-connect", &address]);
    openssl.args(["-servername", "shop.example", "-alpn", "http/1.1"]);
    openssl.args(["-verify_return_error", "-verify_hostname", "shop.example"]);
    openssl.arg("-CAfile").arg(ca).args(arguments);
    openssl.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = openssl.stderr(Stdio::null()).spawn().unwrap();
    let request = get("/", "Connection: close\r\n");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(request.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn openssl_is_content() {
    let origin = Origin::answering(FINE);
    let (program, ca) = shop(&origin);
    let said = by_openssl(&program, &ca, &[]);
    for part in [
        "Verify return code: 0 (ok)",
        "ALPN protocol: http/1.1",
        "TLSv1.3",
        "fine",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn openssl_goes_on_with_its_session() {
    let origin = Origin::answering(FINE);
    let (program, ca) = shop(&origin);
    for (flag, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let session = program.folder().path().join(version);
        let session = session.to_str().unwrap();
        for (way, handshake) in [("-sess_out", "New"), ("-sess_in", "Reused")] {
            let said = by_openssl(&program, &ca, &[flag, way, session]);
            let handshake = format!("{handshake}, {version}, Cipher is ");
            assert!(said.contains(&handshake) && said.contains("fine"), "{said}");
        }
    }
}
