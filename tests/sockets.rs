//! Where visitors may come in beside TCP: at a path, and at sockets that somebody else has bound.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Stdio;

use socket2::SockRef;

use crate::support::{Client, Folder, Origin, PATIENCE, Program, Signal, eventually, get};

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
    let mut program = started(folder);

    let answer = asked(&path, "");

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

/// The proxy in this folder, once it listens.
fn started(folder: Folder) -> Program {
    let mut command = folder.command(&RUN);
    let program = Program::run(folder, &mut command);
    program.line("\"listening\"");
    program
}

/// What is answered at a path to whoever begins so.
fn asked(path: &Path, begin: &str) -> String {
    let mut visitor = UnixStream::connect(path).unwrap();
    visitor.set_read_timeout(Some(PATIENCE)).unwrap();
    let close = get("/", "Connection: close\r\n");
    visitor
        .write_all(format!("{begin}{close}").as_bytes())
        .unwrap();
    let mut answer = String::new();
    // A reset is an end too.
    drop(visitor.read_to_string(&mut answer));
    answer
}

#[test]
fn a_full_socket_is_somebodys() {
    let origin = Origin::saying(200, "", "fine");
    let folder = listening(&origin, "unix:pardon.sock");
    let path = folder.path().join("pardon.sock");
    let other = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    other
        .bind(&socket2::SockAddr::unix(&path).unwrap())
        .unwrap();
    other.listen(0).unwrap();
    // There is room for one, and nobody is ever let in.
    let _waiting = UnixStream::connect(&path).unwrap();
    let said = folder.pardon(&RUN);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err.contains("another process listens there"),
        "{}",
        said.err
    );
}

#[test]
fn a_process_that_stops_leaves_the_next_ones_path_alone() {
    let (asked_for, go_on) = (Signal::default(), Signal::default());
    let (told, held) = (asked_for.clone(), go_on.clone());
    let origin = Origin::new(move |visit, request| {
        if request.line().starts_with("GET /held ") {
            told.give();
            held.wait();
        }
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    });
    let folder = listening(&origin, "unix:pardon.sock");
    let path = folder.path().join("pardon.sock");
    let mut first = started(folder);
    let mut visitor = UnixStream::connect(&path).unwrap();
    visitor.write_all(get("/held", "").as_bytes()).unwrap();
    asked_for.wait();
    first.signal("TERM");
    first.line("stopping");
    // It still answers, and listens no more.
    eventually("the path to be free", || (!path.exists()).then_some(()));
    let folder = listening(&origin, &format!("unix:{}", path.display()));
    let _second = started(folder);
    go_on.give();
    assert!(first.ended().success());

    assert!(asked(&path, "").ends_with("fine"));
}

#[test]
fn a_proxy_at_a_path_may_say_whom_it_speaks_for() {
    let origin = Origin::saying(200, "", "fine");
    let folder = listening(&origin, "unix:pardon.sock");
    let file = folder.read("pardon.toml");
    let trusting = "[server]\nproxy_protocol = true\ntrusted_proxies = [\"127.0.0.1\"]\n";
    folder.write("pardon.toml", file.replace("[server]\n", trusting));
    let path = folder.path().join("pardon.sock");
    let _program = started(folder);
    let line = "PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n";
    assert!(asked(&path, line).ends_with("fine"));
    assert_eq!(
        origin.request().header("x-forwarded-for"),
        Some("203.0.113.7")
    );
    assert_eq!(asked(&path, ""), "", "it has to");
}

#[test]
fn all_addresses_are_those_of_both_families() {
    let origin = Origin::saying(200, "", "fine");
    let folder = listening(&origin, "[::]:0");
    let program = started(folder);
    let said = program.line("\"listening\"");
    let port = said.split_once("[::]:").unwrap().1;
    let port = port.split(['"', ',']).next().unwrap().parse().unwrap();
    for (address, client) in [
        (SocketAddr::from((Ipv4Addr::LOCALHOST, port)), "127.0.0.1"),
        (SocketAddr::from((Ipv6Addr::LOCALHOST, port)), "::1"),
    ] {
        assert_eq!(Client::connect(address).ask(get("/", "")).status, 200);
        let request = origin.requests().pop().unwrap();
        assert_eq!(request.header("x-forwarded-for"), Some(client));
    }
}

/// The proxy with this listener in its configuration and this socket handed to it, as systemd does it.
fn handed(socket: OwnedFd, listen: &str, origin: &Origin) -> Program {
    let folder = listening(origin, listen);
    let before = "exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$";
    let mut command = folder.command_after(before, &RUN);
    command.stdin(Stdio::from(socket));
    Program::run(folder, &mut command)
}

/// As [`handed`], the socket's own address in the configuration.
fn handed_tcp(listener: &TcpListener, origin: &Origin) -> Program {
    let address = listener.local_addr().unwrap().to_string();
    handed(listener.try_clone().unwrap().into(), &address, origin)
}

#[test]
fn no_connection_is_refused_while_a_handed_listener_changes_hands() {
    let origin = Origin::saying(200, "", "fine");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let mut first = handed_tcp(&listener, &origin);
    assert_eq!(first.address(), address);
    assert_eq!(Client::connect(address).ask(get("/", "")).status, 200);
    first.signal("TERM");
    assert!(first.ended().success());

    let mut waiting = Client::over(TcpStream::connect(address).unwrap());
    waiting.send(get("/", ""));
    let second = handed_tcp(&listener, &origin);

    assert_eq!(waiting.answer().status, 200);
    assert_eq!(second.address(), address);
}

#[test]
fn connections_of_a_handed_listener_are_as_those_of_an_own_one() {
    let origin = Origin::saying(200, "", "fine");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let program = handed_tcp(&listener, &origin);
    assert_eq!(program.get("/", "").status, 200);
    // The kernel hands these down, and they are the socket's, whoever holds it.
    let socket = SockRef::from(&listener);
    assert!(socket.tcp_nodelay().unwrap());
    assert_eq!(socket.tcp_notsent_lowat().unwrap(), 128 * 1024);
}

#[test]
fn a_handed_path_stays_where_it_is() {
    let origin = Origin::saying(200, "", "fine");
    let owner = Folder::new();
    let path = owner.path().join("handed.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let socket = || OwnedFd::from(listener.try_clone().unwrap());
    let listen = format!("unix:{}", path.display());
    let mut first = handed(socket(), &listen, &origin);
    assert!(asked(&path, "").ends_with("fine"));
    first.signal("TERM");
    assert!(first.ended().success());

    let mut waiting = UnixStream::connect(&path).unwrap();
    let close = get("/", "Connection: close\r\n");
    waiting.write_all(close.as_bytes()).unwrap();
    let _second = handed(socket(), &listen, &origin);

    let mut answer = String::new();
    waiting.set_read_timeout(Some(PATIENCE)).unwrap();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("fine"), "{answer}");
}

#[test]
fn a_handed_listener_that_nobody_names_is_said() {
    let origin = Origin::saying(200, "", "fine");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let program = handed(listener.try_clone().unwrap().into(), "127.0.0.1:0", &origin);
    let said = program.line("does not name");
    assert!(said.contains(&address.to_string()), "{said}");
    // Where it is in the way of one that is named, that is said too.
    let wide = format!("0.0.0.0:{}", address.port());
    let mut program = handed(listener.into(), &wide, &origin);
    assert!(!program.ended().success());
    let said = program.line("handed to this process");
    assert!(said.contains(&address.to_string()), "{said}");
}
