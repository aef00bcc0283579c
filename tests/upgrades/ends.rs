//! How a tunnel ends: one side after the other, by a reset, when nothing moves, with the process.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::{SWITCHED, echoing, head, rest, switch, switching};
use crate::support::{Gateway, Origin, Program, Signal, eventually};

fn reset(stream: TcpStream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(stream);
}

#[test]
fn a_visitor_who_has_said_all_still_hears_the_app() {
    let origin = switching(|mut stream, _| {
        let heard = rest(&mut stream);
        stream.write_all(&heard).unwrap();
        stream.write_all(b" was all").unwrap();
    });
    let gateway = Gateway::before(&origin);
    let mut stream = switch(gateway.address());
    stream.write_all(b"this").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut stream), b"this was all");
}

#[test]
fn an_app_that_has_said_all_still_hears_the_visitor() {
    let (tell, told) = std::sync::mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let origin = switching(move |mut stream, _| {
        stream.write_all(b"over").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        tell.lock().unwrap().send(rest(&mut stream)).unwrap();
    });
    let gateway = Gateway::before(&origin);
    let mut stream = switch(gateway.address());
    assert_eq!(rest(&mut stream), b"over");
    stream.write_all(b"and out").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let heard = told.recv_timeout(crate::support::PATIENCE).unwrap();
    assert_eq!(heard, b"and out");
    eventually("both connections to end", || {
        (gateway.connections() == 0 && origin.open() == 0).then_some(())
    });
}

#[test]
fn a_reset_of_one_side_resets_the_other() {
    let (tell, told) = std::sync::mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let origin = switching(move |mut stream, _| {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        if &byte == b"r" {
            reset(stream);
        } else {
            let ended = stream.read(&mut byte).map_err(|error| error.kind());
            tell.lock().unwrap().send(ended).unwrap();
        }
    });
    let gateway = Gateway::before(&origin);
    let mut stream = switch(gateway.address());
    stream.write_all(b"r").unwrap();
    let ended = stream.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(ended, Err(io::ErrorKind::ConnectionReset));

    let mut stream = switch(gateway.address());
    stream.write_all(b"w").unwrap();
    eventually("the app to hear of it", || {
        (origin.connections() == 2).then_some(())
    });
    reset(stream);
    let ended = told.recv_timeout(crate::support::PATIENCE).unwrap();
    assert_eq!(ended, Err(io::ErrorKind::ConnectionReset));
    assert!(gateway.incidents().is_empty(), "protocols end as they like");
}

#[test]
fn a_tunnel_in_which_nothing_moves_is_closed() {
    let origin = echoing();
    let gateway = Gateway::set(&origin, "server.timeouts.tunnel = \"300ms\"");
    let mut stream = switch(gateway.address());
    let begun = Instant::now();
    let mut byte = [0];
    // What moves in one direction keeps it.
    while begun.elapsed() < Duration::from_millis(600) {
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut byte).unwrap();
    }
    let silent = Instant::now();
    let ended = stream.read(&mut byte).map_err(|error| error.kind());
    assert_eq!(ended, Err(io::ErrorKind::ConnectionReset));
    assert!(
        silent.elapsed() >= Duration::from_millis(250),
        "{:?}",
        silent.elapsed()
    );
    eventually("the app to be let go", || {
        (origin.open() == 0).then_some(())
    });
    assert!(gateway.incidents().is_empty());
}

#[test]
fn one_direction_is_enough_to_keep_a_tunnel() {
    for talks in ["app", "visitor"] {
        let enough = Signal::default();
        let stop = enough.clone();
        let origin = switching(move |mut stream, _| {
            while talks == "app" && !stop.is_given() && stream.write_all(b"x").is_ok() {
                std::thread::park_timeout(Duration::from_millis(10));
            }
            drop(io::copy(&mut stream, &mut io::sink()));
        });
        let gateway = Gateway::set(&origin, "server.timeouts.tunnel = \"200ms\"");
        let mut stream = switch(gateway.address());
        let begun = Instant::now();
        let mut byte = [0];
        while begun.elapsed() < Duration::from_millis(800) {
            if talks == "app" {
                stream.read_exact(&mut byte).unwrap();
            } else {
                stream.write_all(b"x").unwrap();
                std::thread::park_timeout(Duration::from_millis(10));
            }
        }
        stream.set_nonblocking(true).unwrap();
        let alive = stream.write(b"x");
        enough.give();
        assert!(alive.is_ok(), "{talks}: {alive:?}");
    }
}

/// On drain a tunnel ends with the grace period, not before.
#[test]
fn a_tunnel_lives_until_the_grace_is_over() {
    let origin = echoing();
    let mut program = Program::set(&origin, "[server]\ndrain = \"600ms\"");
    let mut stream = switch(program.address());
    let begun = Instant::now();
    program.signal("TERM");
    program.line("stopping");
    stream.write_all(b"still").unwrap();
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"still");
    drop(stream.read(&mut [0]));
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(600), "{took:?}");
    assert_eq!(program.ended().code(), Some(0));
    assert!(
        begun.elapsed() < Duration::from_millis(1600),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_tunnel_that_ends_within_the_grace_holds_nothing_up() {
    let origin = echoing();
    let mut program = Program::set(&origin, "[server]\ndrain = \"60s\"");
    let mut stream = switch(program.address());
    program.signal("TERM");
    program.line("stopping");
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut stream), b"");
    assert_eq!(program.ended().code(), Some(0));
}

/// The app's connection is taken for as long as its tunnel lives, and is not used again after it.
#[test]
fn a_tunnel_takes_a_connection_of_the_apps() {
    let origin = Origin::raw(|mut stream, _| {
        loop {
            let asked = head(&mut stream);
            if asked.starts_with("GET /live ") {
                stream.write_all(SWITCHED.as_bytes()).unwrap();
                drop(rest(&mut stream));
                return;
            }
            if asked.is_empty() {
                return;
            }
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")
                .unwrap();
        }
    });
    let gateway = Gateway::configured(
        &origin,
        "[upstreams.app]\nendpoints = [\"$ORIGIN\"]\nmax_connections = 1\nqueue = 0",
    );
    let mut stream = switch(gateway.address());
    assert_eq!(gateway.get("/", "").status, 503);
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut stream), b"");
    eventually("the place to be free", || {
        (gateway.get("/", "").status == 200).then_some(())
    });
    assert_eq!(origin.connections(), 2);
}
