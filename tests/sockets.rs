//! Where visitors may come in beside TCP: at a path, and at sockets that somebody else has bound.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;

use crate::support::{Client, Folder, Origin, PATIENCE, Program, get};

const RUN: [&str; 3] = ["run", "--config", "pardon.toml"];

/// A folder with a configuration that listens there.
fn listening(origin: &Origin, listen: &str) -> Folder {
    let folder = Folder::new();
    let url = origin.url();
    folder.write(
        "pardon.toml",
        format!(
            "[server]\nlisten = [\"{listen}\"]\n[upstreams.app]\nendpoints = [\"{url}\"]\n[admin]\nlisten = [\"127.0.0.1:0\"]\n"
        ),
    );
    folder
}

#[test]
fn visitors_may_come_by_a_path() {
    let origin = Origin::saying(200, "", "fine");
    let folder = listening(&origin, "unix:pardon.sock");
    let path = folder.path().join("pardon.sock");
    // What a process has left that was killed.
    drop(UnixListener::bind(&path).unwrap());
    let mut command = folder.command(&RUN);
    let mut program = Program::run(folder, &mut command);
    assert!(program.line("\"listening\"").contains("unix:pardon.sock"));

    let mut visitor = UnixStream::connect(&path).unwrap();
    visitor.set_read_timeout(Some(PATIENCE)).unwrap();
    let close = get("/", "Connection: close\r\n");
    visitor.write_all(close.as_bytes()).unwrap();
    let mut answer = String::new();
    visitor.read_to_string(&mut answer).unwrap();

    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("fine"),
        "{answer}"
    );
    assert_eq!(
        origin.request().header("x-forwarded-for"),
        Some("127.0.0.1")
    );
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    program.signal("TERM");
    assert!(program.ended().success());
    assert!(!path.exists());
}

#[test]
fn a_path_of_somebody_elses_is_left_alone() {
    let origin = Origin::saying(200, "", "fine");
    let folder = listening(&origin, "unix:pardon.sock");
    let _other = UnixListener::bind(folder.path().join("pardon.sock")).unwrap();
    let said = folder.pardon(&RUN);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err.contains("another process listens there"),
        "{}",
        said.err
    );

    let folder = listening(&origin, "unix:notes.txt");
    folder.write("notes.txt", "mine");
    let said = folder.pardon(&RUN);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("a file of another kind"), "{}", said.err);
    assert_eq!(folder.read("notes.txt"), "mine");
}

/// The proxy, to which this listener is handed as systemd does it.
fn handed(listener: &TcpListener, origin: &Origin) -> Program {
    let folder = listening(origin, &listener.local_addr().unwrap().to_string());
    let before = "exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$";
    let mut command = folder.command_after(before, &RUN);
    command.stdin(Stdio::from(OwnedFd::from(listener.try_clone().unwrap())));
    Program::run(folder, &mut command)
}

#[test]
fn no_connection_is_refused_while_a_handed_listener_changes_hands() {
    let origin = Origin::saying(200, "", "fine");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let mut first = handed(&listener, &origin);
    assert_eq!(first.address(), address);
    assert_eq!(Client::connect(address).ask(get("/", "")).status, 200);
    first.signal("TERM");
    assert!(first.ended().success());

    let mut waiting = Client::over(TcpStream::connect(address).unwrap());
    waiting.send(get("/", ""));
    let second = handed(&listener, &origin);

    assert_eq!(waiting.answer().status, 200);
    assert_eq!(second.address(), address);
}
