//! TLS towards visitors: which certificate, which versions, how it ends; and what an app is shown.

mod checks;
mod running;

use std::io::{Read, Write};
use std::net::TcpStream;

use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, SignatureScheme};

use crate::support::tls::{Authority, Issued, Secured, Visitor};
use crate::support::{Client, End, Folder, Gateway, Origin, PATIENCE, TlsOrigin, eventually, get};

const FINE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

/// A gateway that listens with TLS, and the authority behind its certificate for `shop.example`.
struct Secure {
    gateway: Gateway,
    authority: Authority,
    _folder: Folder,
}

impl Secure {
    fn before(origin: &Origin) -> Self {
        Self::set(origin, "")
    }

    /// With these lines in `[server]`.
    fn set(origin: &Origin, toml: &str) -> Self {
        let authority = Authority::new();
        let shop = authority.certify(&["shop.example"]);
        let (gateway, folder) = listening(origin, &[&shop], toml);
        Self {
            gateway,
            authority,
            _folder: folder,
        }
    }

    fn visitor(&self) -> Visitor {
        Visitor::trusting(&self.authority)
    }

    fn connect(&self) -> Client {
        Client::within(
            self.visitor()
                .connect(self.gateway.address(), "shop.example"),
        )
    }
}

/// A gateway that listens with TLS and these certificates.
fn listening(origin: &Origin, certificates: &[&Issued], toml: &str) -> (Gateway, Folder) {
    let folder = Folder::new();
    let named: Vec<_> = certificates
        .iter()
        .enumerate()
        .map(|(at, one)| one.write(&folder, &format!("{at}")))
        .collect();
    let toml = format!(
        "[server]\nlisten = [\"tls://127.0.0.1:443\"]\ntls.certificates = [{}]\n{toml}",
        named.join(", ")
    );
    (Gateway::set(origin, &toml), folder)
}

fn certificate(secured: &Secured) -> &[u8] {
    &secured.conn.peer_certificates().unwrap()[0]
}

#[test]
fn the_name_asked_for_chooses_the_certificate() {
    let origin = Origin::answering(FINE);
    let authority = Authority::new();
    let first = authority.certify(&["shop.example", "www.shop.example"]);
    let wide = authority.certify(&["*.blog.example", "Help.Example"]);
    let exact = authority.certify(&["old.blog.example"]);
    let (gateway, _folder) = listening(&origin, &[&first, &wide, &exact], "");
    let visitor = Visitor::credulous(&[]);
    for (name, expected) in [
        ("shop.example", &first),
        ("www.shop.example", &first),
        ("SHOP.example", &first),
        ("new.blog.example", &wide),
        ("help.example", &wide),
        ("old.blog.example", &exact),
        ("blog.example", &first),
        ("a.new.blog.example", &first),
        ("nobody.example", &first),
        ("192.0.2.1", &first),
    ] {
        let secured = visitor.connect(gateway.address(), name);
        assert!(certificate(&secured) == expected.der.as_ref(), "{name}");
    }
    let silent = Visitor::credulous(&[]).silent();
    let secured = silent.connect(gateway.address(), "old.blog.example");
    assert!(certificate(&secured) == first.der.as_ref(), "no name");
}

#[test]
fn of_two_certificates_for_a_name_a_client_is_shown_one_that_it_can_check() {
    let origin = Origin::answering(FINE);
    let authority = Authority::new();
    let modern = authority.certify_as(&["shop.example"], &rcgen::PKCS_ED25519);
    let common = authority.certify_as(&["shop.example"], &rcgen::PKCS_ECDSA_P256_SHA256);
    let (gateway, _folder) = listening(&origin, &[&modern, &common], "");
    for (scheme, expected) in [
        (SignatureScheme::ED25519, &modern),
        (SignatureScheme::ECDSA_NISTP256_SHA256, &common),
    ] {
        let visitor = Visitor::credulous(&[scheme]);
        let secured = visitor.connect(gateway.address(), "shop.example");
        assert!(certificate(&secured) == expected.der.as_ref(), "{scheme:?}");
    }
}

#[test]
fn plain_and_tls_listeners_stand_side_by_side() {
    let origin = Origin::answering(FINE);
    let listen = "listen = [\"tls://127.0.0.1:443\", \"127.0.0.1:80\"]";
    let folder = Folder::new();
    let authority = Authority::new();
    let named = authority.certify(&["shop.example"]).write(&folder, "shop");
    let toml = format!("[server]\n{listen}\ntls.certificates = [{named}]\n");
    let gateway = Gateway::set(&origin, &toml);
    let [tls, plain] = gateway.addresses() else {
        panic!("two addresses");
    };
    let answer = Visitor::trusting(&authority).ask(*tls, "shop.example", get("/", ""));
    assert_eq!((answer.status, answer.text()), (200, "fine"));
    assert_eq!(Client::connect(*plain).ask(get("/", "")).status, 200);
    let schemes: Vec<_> = (origin.requests().iter())
        .map(|request| request.header("x-forwarded-proto").unwrap().to_owned())
        .collect();
    assert_eq!(schemes, ["https", "http"]);
}

#[test]
fn the_app_hears_that_the_visitor_came_by_https() {
    let origin = Origin::answering(FINE);
    let secure = Secure::before(&origin);
    secure
        .connect()
        .ask(get("/", "X-Forwarded-Proto: http\r\n"));
    let request = origin.request();
    assert_eq!(request.header("x-forwarded-proto"), Some("https"));
    let forwarded = request.header("forwarded").unwrap();
    assert!(forwarded.ends_with(";proto=https"), "{forwarded}");
}

#[test]
fn what_fails_behind_tls_is_a_page_with_an_id() {
    let origin = Origin::saying(500, "", "secret trace");
    let secure = Secure::before(&origin);
    let mut client = secure.connect();
    let answer = client.ask(get("/broken", "Accept: text/html\r\n"));
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains(answer.id()) && !answer.text().contains("secret"));
    assert_eq!(
        secure.gateway.incident(answer.id()).cause.as_str(),
        "upstream_status"
    );
    assert_eq!(
        client.ask(get("/", "")).status,
        500,
        "the connection goes on"
    );
    let answer = client.ask("GET / HTTP/1.1\r\nHost: a b\r\n\r\n");
    assert_eq!((answer.status, answer.end), (400, End::Whole));
}

#[test]
fn bodies_pass_both_ways_whatever_their_size() {
    let origin = Origin::new(|visit, request| {
        let length = request.body.len();
        visit.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        ));
        visit.send(&request.body);
    });
    let secure = Secure::before(&origin);
    let mut client = secure.connect();
    for size in [0, 1, 16 * 1024, 16 * 1024 + 1, 3_000_000] {
        let body: Vec<u8> = (0..=250).cycle().take(size).collect();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {size}\r\n\r\n"
        ));
        let answer = client.ask(&body);
        assert!(answer.body == body && answer.end == End::Whole, "{size}");
    }
}

#[test]
fn versions_before_the_least_are_refused() {
    let origin = Origin::answering(FINE);
    let secure = Secure::set(&origin, "tls.min_version = \"1.3\"");
    let speaking = |version| {
        let visitor = Visitor::speaking(&secure.authority, version);
        visitor.try_connect(secure.gateway.address(), "shop.example")
    };
    let refused = speaking(&TLS12).unwrap_err().to_string();
    assert!(refused.contains("ProtocolVersion"), "{refused}");
    assert!(speaking(&TLS13).is_ok());
}

/// A TLS 1.1 hello: no extensions, one suite of its time.
const OLD_HELLO: &[u8] = b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x02\
    0123456789abcdef0123456789abcdef\x00\x00\x02\x00\x2f\x01\x00";

#[test]
fn versions_before_1_2_are_never_spoken() {
    let origin = Origin::answering(FINE);
    let secure = Secure::before(&origin);
    let mut socket = TcpStream::connect(secure.gateway.address()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(OLD_HELLO).unwrap();
    let mut alert = Vec::new();
    socket.read_to_end(&mut alert).unwrap();
    // One alert (21), and fatal (2).
    assert_eq!((alert[0], alert[5], alert.len()), (21, 2, 7));
}

#[test]
fn sessions_are_resumed_whichever_worker_serves_them() {
    let origin = Origin::answering(FINE);
    for version in [&TLS12, &TLS13] {
        let secure = Secure::set(&origin, "workers = 2");
        let visitor = Visitor::speaking(&secure.authority, version);
        let address = secure.gateway.address();
        let mut open = Vec::new();
        for count in 0..4 {
            let mut secured = visitor.connect(address, "shop.example");
            let expected = if count == 0 {
                HandshakeKind::Full
            } else {
                HandshakeKind::Resumed
            };
            let kind = secured.conn.handshake_kind();
            assert_eq!(kind, Some(expected), "{version:?} {count}");
            // The tickets of TLS 1.3 come with the first answer.
            secured.write_all(get("/", "").as_bytes()).unwrap();
            assert!(secured.read(&mut [0; 1024]).unwrap() > 0);
            // Left open, so that the next one goes to the other worker.
            open.push(secured);
        }
    }
}

#[test]
fn what_is_spoken_within_tls_is_agreed_on() {
    let origin = Origin::answering(FINE);
    let secure = Secure::before(&origin);
    let address = secure.gateway.address();
    let agreed = |protocols: &[&str]| {
        let secured = secure
            .visitor()
            .offering(protocols)
            .try_connect(address, "shop.example");
        secured.map(|secured| secured.conn.alpn_protocol().map(<[u8]>::to_vec))
    };
    for (offered, spoken) in [
        (&["h2", "http/1.1"][..], "h2"),
        (&["http/1.1", "h2"], "h2"),
        (&["http/1.1"], "http/1.1"),
    ] {
        assert_eq!(agreed(offered).unwrap().as_deref(), Some(spoken.as_bytes()));
    }
    assert_eq!(agreed(&[]).unwrap(), None);
    let refused = agreed(&["nothing"]).unwrap_err().to_string();
    assert!(refused.contains("NoApplicationProtocol"), "{refused}");
}

#[test]
fn plain_http_on_a_tls_port_is_told_so() {
    let origin = Origin::answering(FINE);
    let secure = Secure::before(&origin);
    let body = "x".repeat(10_000);
    let request = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n{body}");
    let answer = Client::connect(secure.gateway.address()).ask(request);
    assert_eq!((answer.status, answer.end), (400, End::Whole));
    assert!(answer.text().contains("https://"), "{}", answer.text());
    eventually("it to be closed", || {
        (secure.gateway.connections() == 0).then_some(())
    });
}

#[test]
fn tls_on_a_plain_port_is_closed() {
    let origin = Origin::answering(FINE);
    let gateway = Gateway::before(&origin);
    let visitor = Visitor::credulous(&[]);
    assert!(
        visitor
            .try_connect(gateway.address(), "shop.example")
            .is_err()
    );
}

#[test]
fn a_silent_handshake_takes_its_time_and_no_more() {
    let origin = Origin::answering(FINE);
    let secure = Secure::set(&origin, "timeouts.handshake = \"200ms\"");
    for begun in [&b""[..], b"\x16", &OLD_HELLO[..20]] {
        let mut socket = TcpStream::connect(secure.gateway.address()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(begun).unwrap();
        let mut rest = Vec::new();
        // What was not read of it makes the end a reset.
        drop(socket.read_to_end(&mut rest));
        assert!(rest.is_empty(), "{rest:?}");
    }
    eventually("they are gone", || {
        (secure.gateway.connections() == 0).then_some(())
    });
}

#[test]
fn handshakes_count_as_connections() {
    let origin = Origin::answering(FINE);
    let secure = Secure::set(&origin, "max_connections = 1");
    let silent = TcpStream::connect(secure.gateway.address()).unwrap();
    eventually("it to be accepted", || {
        (secure.gateway.connections() == 1).then_some(())
    });
    let address = secure.gateway.address();
    assert!(
        secure
            .visitor()
            .try_connect(address, "shop.example")
            .is_err()
    );
    drop(silent);
    eventually("room", || {
        secure.visitor().try_connect(address, "shop.example").ok()
    });
}

#[test]
fn an_end_is_said_where_nothing_is_cut_off() {
    let origin = Origin::answering(FINE);
    let secure = Secure::set(&origin, "timeouts.idle = \"100ms\"");
    let mut idle = secure.connect();
    assert_eq!(idle.ask(get("/", "")).status, 200);
    assert!(idle.is_closed(), "with a farewell");
    let mut last = secure.connect();
    assert_eq!(last.ask(get("/", "Connection: close\r\n")).status, 200);
    assert!(last.is_closed(), "with a farewell");
}

#[test]
fn an_answer_that_ends_with_its_connection_is_told_from_one_that_is_cut() {
    let origin = Origin::new(|visit, request| {
        visit.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n");
        if request.line().starts_with("GET /whole ") {
            visit.send("0\r\n\r\n");
        } else {
            visit.close();
        }
    });
    let secure = Secure::before(&origin);
    let old = |path: &str| format!("GET {path} HTTP/1.0\r\nHost: shop.example\r\n\r\n");
    let whole = secure.connect().ask(old("/whole"));
    assert_eq!((whole.text(), whole.end), ("begun", End::Close));
    let cut = secure.connect().ask(old("/cut"));
    assert!(matches!(cut.end, End::Cut | End::Reset), "{:?}", cut.end);
    let chunked = secure.connect().ask(get("/cut", ""));
    assert!(
        matches!(chunked.end, End::Cut | End::Reset),
        "{:?}",
        chunked.end
    );
}

#[test]
fn a_request_for_a_host_of_another_certificate_is_misdirected() {
    let origin = Origin::answering(FINE);
    let authority = Authority::new();
    let shop = authority.certify(&["shop.example", "*.shop.example"]);
    let bank = authority.certify(&["bank.example", "vault.shop.example"]);
    let (gateway, _folder) = listening(&origin, &[&shop, &bank], "");
    let visitor = Visitor::credulous(&[]);
    for (name, host, status) in [
        ("shop.example", "shop.example", 200),
        ("shop.example", "SHOP.example:443", 200),
        ("shop.example", "www.shop.example", 200),
        // The client was shown a certificate that is for it too.
        ("shop.example", "vault.shop.example", 200),
        ("shop.example", "bank.example", 421),
        ("vault.shop.example", "bank.example", 200),
        ("bank.example", "shop.example.", 421),
        // Under the first certificate, as is whatever no certificate names.
        ("nobody.example", "bank.example", 421),
        ("nobody.example", "nobody.example", 200),
        ("shop.example", "127.0.0.1", 200),
        ("shop.example", "internal", 200),
    ] {
        let mut client = Client::within(visitor.connect(gateway.address(), name));
        let answer = client.ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(answer.status, status, "{name} {host}");
    }
    let silent = Visitor::credulous(&[]).silent();
    // Who asks for no name is shown the first certificate.
    for (host, status) in [
        ("shop.example", 200),
        ("internal", 200),
        ("bank.example", 421),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let answer = silent.ask(gateway.address(), "shop.example", &request);
        assert_eq!(answer.status, status, "no name, {host}");
    }
}

#[test]
fn an_app_that_asks_for_it_is_shown_a_client_certificate() {
    let clients = Authority::new();
    let app = TlsOrigin::for_clients_of(&clients, "127.0.0.1", FINE);
    let folder = Folder::new();
    clients.certify(&["pardon"]).write(&folder, "client");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let ca = format!("[upstreams.app.tls]\nca = {:?}\n", app.authority);
    let own = format!(
        "{ca}certificate = {:?}\nkey = {:?}\n",
        path("client.pem"),
        path("client.key")
    );
    assert_eq!(Gateway::at(&app.url(), &own).get("/", "").status, 200);
    assert_eq!(Gateway::at(&app.url(), &ca).get("/", "").status, 502);
}
