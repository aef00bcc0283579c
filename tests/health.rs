//! Whether the process lives and is ready: for a load balancer, and for the image's own check.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Folder, Origin, Program, Said, eventually, get};

/// Asks with `pardon health` whether a program is ready.
fn health(program: &Program) -> Said {
    let folder = Folder::new();
    folder.write("health.toml", file(&program.admin_address().to_string()));
    folder.pardon(&["health", "--config", "health.toml"])
}

fn file(admin: &str) -> String {
    format!(
        "[upstreams.app]\nendpoints = [\"http://127.0.0.1:3000\"]\n[admin]\nlisten = [\"{admin}\"]\n"
    )
}

/// A port that nobody listens on: bound as long as the listener lives elsewhere, so nobody takes it.
fn nobody() -> socket2::Socket {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let free = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&free.into()).unwrap();
    socket
}

#[test]
fn a_serving_process_is_alive_and_ready() {
    let program = Program::set(&Origin::saying(200, "", ""), "");
    for path in ["/livez", "/readyz"] {
        let answer = program.ask_admin(path);
        assert_eq!((answer.status, answer.text()), (200, "ok\n"), "{path}");
    }
    let said = health(&program);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "ready: ok\n"));
}

#[test]
fn the_operators_paths_are_on_the_operators_listener_alone() {
    let origin = Origin::saying(404, "", "the app's");
    let program = Program::set(&origin, "");
    assert_eq!(program.get("/readyz", "").text(), "the app's");
    assert_eq!(program.ask_admin("/").status, 404);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_draining_process_is_alive_but_not_ready() {
    let origin = Origin::new(|visit, _| visit.wait_for_close());
    let mut program = Program::set(&origin, "");
    let mut visitor = program.connect();
    visitor.send(get("/", ""));
    origin.wait_for_requests(1);
    program.signal("TERM");
    program.line("stopping");
    assert_eq!(program.ask_admin("/livez").status, 200);
    let answer = program.ask_admin("/readyz");
    assert_eq!((answer.status, answer.text()), (503, "draining\n"));
    let said = health(&program);
    assert_eq!(said.code, Some(1));
    assert_eq!(said.err, "not ready: 503 draining\n");
    drop(visitor);
    assert!(program.ended().success());
}

#[test]
fn a_process_without_a_healthy_app_is_not_ready_until_that_is_well() {
    let ill = Arc::new(AtomicBool::new(true));
    let told = Arc::clone(&ill);
    let origin = Origin::new(move |visit, _| {
        visit.send(if told.load(Ordering::SeqCst) {
            "HTTP/1.1 500 Ill\r\nContent-Length: 0\r\n\r\n"
        } else {
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        });
    });
    let checked = "[upstreams.app.health]\npath = \"/health\"\ninterval = \"20ms\"\n";
    let program = Program::set(&origin, checked);
    let says = |status: u16, text: &str| {
        eventually(text, || {
            let answer = program.ask_admin("/readyz");
            ((answer.status, answer.text()) == (status, text)).then_some(())
        });
    };
    says(503, "no healthy upstream\n");
    assert_eq!(health(&program).err, "not ready: 503 no healthy upstream\n");
    ill.store(false, Ordering::SeqCst);
    says(200, "ok\n");
}

#[test]
fn where_nobody_is_health_says_so() {
    let nobody = nobody();
    let address = nobody.local_addr().unwrap().as_socket().unwrap();
    let folder = Folder::new();
    folder.write("pardon.toml", file(&address.to_string()));
    let said = folder.pardon(&["health"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    let expected = format!(
        "error: no Pardon answers at {address} (`admin.listen`): Connection refused (os error 111)\n"
    );
    assert_eq!(said.err, expected);
}

#[test]
fn without_a_listener_there_is_nobody_to_ask() {
    let folder = Folder::new();
    folder.write("pardon.toml", file("").replace("[\"\"]", "[]"));
    let said = folder.pardon(&["health"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("`admin.listen` is empty"), "{}", said.err);
}

#[test]
fn what_is_no_pardon_is_not_ready() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let greeter = std::thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        let mut question = [0; 1024];
        assert_ne!(stream.read(&mut question).unwrap(), 0);
        stream.write_all(b"220 mail.example ESMTP\r\n").unwrap();
    });
    let folder = Folder::new();
    folder.write("pardon.toml", file(&address.to_string()));
    let said = folder.pardon(&["health"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("does not speak HTTP"), "{}", said.err);
    greeter.join().unwrap();
}

#[test]
fn a_mistake_made_in_the_file_since_the_start_makes_nobody_ill() {
    let program = Program::set(&Origin::saying(200, "", ""), "");
    let folder = Folder::new();
    let file = file(&program.admin_address().to_string());
    folder.write(
        "pardon.toml",
        format!("{file}[brand]\nlogo = \"missing.svg\"\ncolour = \"red\"\n"),
    );
    assert_eq!(folder.pardon(&["health"]).code, Some(0));
}
