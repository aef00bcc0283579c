//! The PROXY protocol, by which a proxy in front says whom its connections come from.

use crate::support::tls::{Authority, Visitor};
use crate::support::{Client, Folder, Gateway, Origin};

const TRUSTING: &str = "[server]\nproxy_protocol = true\ntrusted_proxies = [\"127.0.0.1\"]\n";
const STRANGERS: &str = "[server]\nproxy_protocol = true\ntrusted_proxies = [\"192.0.2.1\"]\n";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";

/// A header of version 2: its command, its family, what follows.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, family]);
    header.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
    header.extend(rest);
    header
}

/// Whom the app is told that a connection comes from which begins so.
fn told(begin: &[u8]) -> Option<String> {
    let origin = Origin::saying(200, "", "fine");
    let gateway = Gateway::set(&origin, TRUSTING);
    let mut client = gateway.connect();
    client.send([begin, GET].concat());
    if origin_is_asked(&mut client) {
        let request = origin.request();
        return Some(request.header("x-forwarded-for").unwrap().to_owned());
    }
    assert!(origin.requests().is_empty());
    None
}

/// Whether there is an answer at all.
fn origin_is_asked(client: &mut Client) -> bool {
    let mut seen = client.try_read(12);
    seen.truncate(12);
    seen == b"HTTP/1.1 200"
}

#[test]
fn a_trusted_peer_says_whom_it_speaks_for() {
    let v4 = [203, 0, 113, 7, 192, 0, 2, 1, 0x12, 0x34, 0, 80];
    let mut v6 = [0; 36];
    v6[..16].copy_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
    let with_more = [&v4[..], &[4, 0, 3, 1, 2, 3]].concat();
    for (begin, client) in [
        (
            &b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n"[..],
            "203.0.113.7",
        ),
        (
            b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 80\r\n",
            "2001:db8::9",
        ),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (&binary(1, 0x11, &v4), "203.0.113.7"),
        (&binary(1, 0x11, &with_more), "203.0.113.7"),
        (&binary(1, 0x21, &v6), "2001:db8::9"),
        (&binary(0, 0, &[]), "127.0.0.1"),
    ] {
        assert_eq!(told(begin).as_deref(), Some(client), "{begin:?}");
    }
}

#[test]
fn one_that_says_it_wrongly_is_not_served() {
    let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 100], b"\r\n"].concat();
    for begin in [
        &b""[..],
        b"PROXY TCP4 203.0.113.7 192.0.2.1 4711\r\n",
        b"PROXY TCP4 203.0.113.777 192.0.2.1 4711 80\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\n",
        &long,
        b"\r\n\r\n\0\r\nQUIX\n\x21\x11\0\0",
        &binary(1, 0x11, &[0; 4090]),
        &binary(1, 0x11, &[1, 2, 3]),
    ] {
        assert_eq!(told(begin), None, "{begin:?}");
    }
}

#[test]
fn nobody_else_is_believed() {
    let origin = Origin::saying(200, "", "fine");
    let gateway = Gateway::set(&origin, STRANGERS);
    assert_eq!(gateway.ask(GET).status, 200);
    assert_eq!(
        origin.request().header("x-forwarded-for"),
        Some("127.0.0.1")
    );
    let line = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n";
    assert_eq!(gateway.ask([&line[..], GET].concat()).status, 400);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn it_comes_before_tls() {
    let origin = Origin::saying(500, "", "hunter2");
    let authority = Authority::new();
    let folder = Folder::new();
    let certificate = authority.certify(&["shop.example"]).write(&folder, "shop");
    let toml =
        format!("{TRUSTING}listen = [\"tls://127.0.0.1:1\"]\ntls.certificates = [{certificate}]\n");
    let gateway = Gateway::set(&origin, &toml);
    let mut tcp = std::net::TcpStream::connect(gateway.address()).unwrap();
    let line = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n";
    std::io::Write::write_all(&mut tcp, line).unwrap();
    let tls = Visitor::trusting(&authority)
        .over(tcp, "shop.example")
        .unwrap();
    let answer = Client::within(tls).ask(GET);
    assert_eq!(answer.status, 500);
    let client = gateway.incident(answer.id()).request.client;
    assert_eq!(client.unwrap().to_string(), "203.0.113.7");
}
