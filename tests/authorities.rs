//! Whose certificates an app may show where the file names no authority: those of the system.

use crate::support::tls::Authority;
use crate::support::{Folder, Program, TlsOrigin, said};

const FINE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

/// The arguments, and the file, of a proxy before this app.
fn before(app: &TlsOrigin) -> (Folder, [&'static str; 5]) {
    let folder = Folder::new();
    let url = app.url();
    folder.write(
        "pardon.toml",
        format!("[upstreams.app]\nendpoints = [\"{url}\"]\n[admin]\nlisten = [\"127.0.0.1:0\"]\n"),
    );
    let arguments = ["run", "--config", "pardon.toml", "--listen", "127.0.0.1:0"];
    (folder, arguments)
}

#[test]
fn an_authority_of_the_environment_is_trusted_and_no_other() {
    let app = TlsOrigin::answering("127.0.0.1", FINE);
    let stranger = Authority::new();
    for (authority, status) in [(app.authority.clone(), 200), ("stranger.pem".into(), 502)] {
        let (folder, arguments) = before(&app);
        folder.write("stranger.pem", stranger.pem());
        let mut command = folder.command(&arguments);
        command
            .env("SSL_CERT_FILE", authority)
            .env_remove("SSL_CERT_DIR");
        let program = Program::run(folder, &mut command);
        assert_eq!(program.get("/", "").status, status);
    }
}

#[test]
fn a_folder_of_authorities_is_read() {
    let app = TlsOrigin::answering("127.0.0.1", FINE);
    let (folder, arguments) = before(&app);
    folder.write("trusted/stranger.pem", Authority::new().pem());
    folder.write("trusted/own.pem", std::fs::read(&app.authority).unwrap());
    let mut command = folder.command(&arguments);
    command
        .env("SSL_CERT_DIR", "trusted")
        .env_remove("SSL_CERT_FILE");
    let program = Program::run(folder, &mut command);
    assert_eq!(program.get("/", "").status, 200);
}

#[test]
fn a_bundle_that_is_broken_or_not_there_is_refused_by_name() {
    let app = TlsOrigin::answering("127.0.0.1", FINE);
    let (folder, _) = before(&app);
    folder.write("empty.pem", "# nothing yet\n");
    folder.write("cut.pem", &Authority::new().pem()[..300]);
    for (file, why) in [
        ("nowhere.pem", "No such file or directory"),
        ("empty.pem", "no certificate there"),
        ("cut.pem", "a certificate in it has no end"),
    ] {
        let mut command = folder.command(&["check", "--config", "pardon.toml"]);
        command
            .env("SSL_CERT_FILE", file)
            .env_remove("SSL_CERT_DIR");
        let said = said(&mut command);
        assert_eq!(said.code, Some(1), "{}", said.err);
        let place = format!("SSL_CERT_FILE={file}");
        assert!(
            said.err.contains(&place) && said.err.contains(why),
            "{}",
            said.err
        );
    }
}
