//! What follows a 101: two streams of bytes, each to its own end.

mod ends;
mod real;
mod refused;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;

use crate::support::tls::{Authority, Visitor};
use crate::support::{Folder, Gateway, Origin, PATIENCE};

/// A request for WebSocket, which these tests do not speak.
const ASKED: &str = "GET /live HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\nX-Hop: 1\r\n\r\n";

/// Reads a head, and not a byte more.
fn head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// An app that switches and then runs `script`, which has the request's head.
fn switching(script: impl Fn(TcpStream, String) + Send + Sync + 'static) -> Origin {
    Origin::raw(move |mut stream, _| {
        let asked = head(&mut stream);
        if asked.is_empty() {
            return;
        }
        stream.write_all(SWITCHED.as_bytes()).unwrap();
        script(stream, asked);
    })
}

/// An app that says again what it hears.
fn echoing() -> Origin {
    switching(|mut stream, _| {
        let mut from = stream.try_clone().unwrap();
        drop(std::io::copy(&mut from, &mut stream));
        drop(stream.shutdown(Shutdown::Write));
    })
}

/// A visitor's connection after its 101.
fn switch(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(ASKED.as_bytes()).unwrap();
    let answer = head(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    stream
}

fn rest(stream: &mut impl Read) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    rest
}

/// Bytes that differ from place to place.
fn bytes(size: usize) -> Vec<u8> {
    (0..=250).cycle().take(size).collect()
}

#[test]
fn the_heads_pass_with_what_a_switch_needs() {
    let (tell, told) = std::sync::mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let origin = switching(move |_, asked| tell.lock().unwrap().send(asked).unwrap());
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    client.send(ASKED);
    let answer = client.head();
    assert_eq!(answer.line, "HTTP/1.1 101 Switching Protocols");
    assert_eq!(answer.header("connection"), Some("upgrade"));
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(answer.header("sec-websocket-protocol"), Some("chat"));
    assert!(answer.header("sec-websocket-accept").is_some());
    assert_eq!(answer.header("transfer-encoding"), None);
    assert_eq!(answer.header("content-length"), None);
    answer.id();
    let asked = told.recv_timeout(PATIENCE).unwrap().to_lowercase();
    assert!(
        asked.contains("\r\nconnection: upgrade\r\nupgrade: websocket\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains("\r\nsec-websocket-key: dghlihnhbxbszsbub25jzq==\r\n"),
        "{asked}"
    );
    assert!(!asked.contains("keep-alive"), "{asked}");
    assert!(!asked.contains("transfer-encoding"), "{asked}");
}

#[test]
fn bytes_pass_as_they_are_sent() {
    let origin = echoing();
    let gateway = Gateway::before(&origin);
    let mut stream = switch(gateway.address());
    for size in [1, 125, 126, 65_535, 65_536, 5 * 1024 * 1024] {
        let sent = bytes(size);
        let mut writer = stream.try_clone().unwrap();
        let copy = sent.clone();
        let writing = thread::spawn(move || writer.write_all(&copy).unwrap());
        let mut heard = vec![0; size];
        stream.read_exact(&mut heard).unwrap();
        writing.join().unwrap();
        assert!(heard == sent, "{size} bytes come back");
    }
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut stream), b"");
}

#[test]
fn both_sides_may_talk_at_once() {
    const SIZE: usize = 8 * 1024 * 1024;
    let origin = switching(|mut stream, _| {
        let mut writer = stream.try_clone().unwrap();
        let writing = thread::spawn(move || {
            writer.write_all(&bytes(SIZE)).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let heard = rest(&mut stream);
        writing.join().unwrap();
        assert!(heard == bytes(SIZE));
    });
    let gateway = Gateway::before(&origin);
    let mut stream = switch(gateway.address());
    let mut writer = stream.try_clone().unwrap();
    let writing = thread::spawn(move || {
        writer.write_all(&bytes(SIZE)).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    assert!(rest(&mut stream) == bytes(SIZE));
    writing.join().unwrap();
}

/// What an app says right after its 101 may come with it.
#[test]
fn what_comes_with_the_101_is_the_tunnels() {
    let origin = Origin::raw(|mut stream, _| {
        if !head(&mut stream).is_empty() {
            stream
                .write_all(format!("{SWITCHED}hello").as_bytes())
                .unwrap();
            drop(std::io::copy(&mut stream, &mut std::io::sink()));
        }
    });
    let gateway = Gateway::before(&origin);
    let mut stream = switch(gateway.address());
    let mut hello = [0; 5];
    stream.read_exact(&mut hello).unwrap();
    assert_eq!(&hello, b"hello");
}

#[test]
fn many_tunnels_live_side_by_side() {
    let origin = echoing();
    let gateway = Gateway::before(&origin);
    let mut streams: Vec<_> = (0..200).map(|_| switch(gateway.address())).collect();
    for (index, stream) in streams.iter_mut().enumerate() {
        stream.write_all(format!("{index:04}").as_bytes()).unwrap();
    }
    for (index, stream) in streams.iter_mut().enumerate() {
        let mut heard = [0; 4];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(heard, format!("{index:04}").as_bytes());
    }
}

/// The time-outs of HTTP do not count in a tunnel: it is still there when other exchanges have ended by each of them.
#[test]
fn a_tunnel_outlives_the_timeouts_of_http() {
    let origin = Origin::raw(|mut stream, _| {
        if head(&mut stream).starts_with("GET /live ") {
            stream.write_all(SWITCHED.as_bytes()).unwrap();
            let mut from = stream.try_clone().unwrap();
            drop(std::io::copy(&mut from, &mut stream));
        } else {
            drop(std::io::copy(&mut stream, &mut std::io::sink()));
        }
    });
    let gateway = Gateway::set(
        &origin,
        "[server.timeouts]\nhead = \"50ms\"\nbody = \"50ms\"\nidle = \"50ms\"\n\
         [upstreams.app.timeouts]\nhead = \"300ms\"\nbody = \"50ms\"\nidle = \"50ms\"\ntotal = \"400ms\"",
    );
    let mut stream = switch(gateway.address());
    assert_eq!(gateway.get("/silent", "").status, 504);
    stream.write_all(b"late").unwrap();
    let mut late = [0; 4];
    stream.read_exact(&mut late).unwrap();
    assert_eq!(&late, b"late");
}

#[test]
fn any_protocol_may_follow() {
    let origin = Origin::raw(|mut stream, _| {
        if head(&mut stream)
            .to_lowercase()
            .contains("\r\nupgrade: knock/1, foo\r\n")
        {
            stream
                .write_all(b"HTTP/1.1 101 Off We Go\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\nwho is there")
                .unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            drop(std::io::copy(&mut stream, &mut std::io::sink()));
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    client.send("POST /knock HTTP/1.1\r\nHost: shop.example\r\nConnection: upgrade\r\nUpgrade: knock/1, foo\r\nContent-Length: 0\r\n\r\n");
    let answer = client.head();
    assert_eq!(answer.line, "HTTP/1.1 101 Off We Go");
    assert_eq!(answer.header("upgrade"), Some("foo"));
    assert_eq!(client.read(12), b"who is there");
}

#[test]
fn a_tunnel_runs_within_tls() {
    let origin = echoing();
    let authority = Authority::new();
    let folder = Folder::new();
    let shop = authority.certify(&["shop.example"]).write(&folder, "shop");
    let toml =
        format!("[server]\nlisten = [\"tls://127.0.0.1:443\"]\ntls.certificates = [{shop}]\n");
    let gateway = Gateway::set(&origin, &toml);
    let mut stream = Visitor::trusting(&authority).connect(gateway.address(), "shop.example");
    stream.write_all(ASKED.as_bytes()).unwrap();
    assert!(head(&mut stream).starts_with("HTTP/1.1 101 "));
    stream.write_all(b"within").unwrap();
    let mut heard = [0; 6];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"within");
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    // It ends with a farewell of its own, without which this fails.
    assert_eq!(rest(&mut stream), b"");
}
