//! Developers see the app's original answers, by a signed link or by the address of their connection, and nobody else does.

use std::time::{Duration, SystemTime};

use pardon::bypass::{Key, Pass};

use crate::support::http2::{Http2, request};
use crate::support::{Answer, Client, Folder, Gateway, Origin, Program, get};

const ORIGINAL: &str = "<h1>Traceback</h1>KeyError: 'price'";

/// An app that fails, as a shared cache would like to keep it.
fn failing() -> Origin {
    Origin::saying(
        500,
        "Content-Type: text/html\r\nCache-Control: public, max-age=60\r\nExpires: Thu, 01 Jan 2099 00:00:00 GMT\r\nX-Own: yes\r\n",
        ORIGINAL,
    )
}

/// Two routes before one app, and a key.
struct Shop {
    gateway: Gateway,
    key: Key,
    _folder: Folder,
}

impl Shop {
    fn before(origin: &Origin, toml: &str) -> Self {
        let folder = Folder::new();
        folder.write("bypass.key", [7; 32]);
        let file = folder.path().join("bypass.key");
        let routes = "[[routes]]\nname = \"blog\"\npath = \"/blog\"\n[[routes]]\nname = \"shop\"\n";
        let toml = format!(
            "{toml}\n[bypass]\nkey_file = \"{}\"\n{routes}",
            file.display()
        );
        Self {
            gateway: Gateway::set(origin, &toml),
            key: Key::read(&file).unwrap(),
            _folder: folder,
        }
    }

    /// A token that is good for an hour.
    fn token(&self, route: &str) -> String {
        let until = SystemTime::now() + Duration::from_hours(1);
        self.key.sign(&Pass::new(until, route).unwrap())
    }

    fn with_header(&self, path: &str, token: &str) -> Answer {
        self.gateway
            .get(path, &format!("X-Pardon-Bypass: {token}\r\n"))
    }
}

fn is_page(answer: &Answer) -> bool {
    answer.headers("x-own").is_empty() && answer.text().contains(answer.id())
}

fn assert_shown(answer: &Answer) {
    assert_eq!((answer.status, answer.text()), (500, ORIGINAL));
    assert_eq!(answer.header("x-own"), Some("yes"));
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    assert_eq!(answer.header("vary"), Some("cookie, x-pardon-bypass"));
    assert_eq!(answer.header("expires"), None);
}

#[test]
fn a_token_shows_the_original_and_its_incident_is_kept() {
    let origin = failing();
    let shop = Shop::before(&origin, "");
    for token in [shop.token("shop"), shop.token("")] {
        let answer = shop.with_header("/cart", &token);
        assert_shown(&answer);
        let incident = shop.gateway.incident(answer.id());
        assert_eq!(incident.request.url, "/cart");
        assert!(
            incident.summary.contains("KeyError"),
            "{}",
            incident.summary
        );
        let body = incident.body.unwrap();
        assert_eq!((&*body.content, body.complete), (ORIGINAL.as_bytes(), true));
        assert!(incident.served.is_none());
        let field = incident.request.headers.iter();
        let mut field = field.filter(|field| field.name == "x-pardon-bypass");
        assert_eq!(field.next().unwrap().value, "[redacted: x-pardon-bypass]");
    }
    assert!(is_page(&shop.gateway.get("/cart", "")));
    assert_eq!(shop.gateway.incidents().len(), 3);
}

#[test]
fn the_app_never_sees_a_token() {
    let origin = Origin::saying(200, "", "fine");
    let shop = Shop::before(&origin, "");
    let token = shop.token("");
    for cookies in [
        format!("Cookie: a=1; pardon-bypass={token}; b=2\r\n"),
        format!("Cookie: pardon-bypass={token}\r\n"),
    ] {
        let fields = format!("{cookies}X-Pardon-Bypass: {token}\r\nX_Pardon_Bypass: {token}\r\n");
        assert_eq!(shop.gateway.get("/", &fields).text(), "fine");
    }
    let heads: Vec<_> = origin.requests().into_iter().map(|it| it.head).collect();
    assert!(heads[0].contains("a=1; b=2\r\n"), "{}", heads[0]);
    for head in heads {
        assert!(
            !head.contains(&token) && !head.contains("pardon-bypass"),
            "{head}"
        );
    }
}

#[test]
fn what_is_not_good_for_the_route_is_as_if_it_were_not_there() {
    let origin = failing();
    let shop = Shop::before(&origin, "");
    let good = shop.token("shop");
    let past = Pass::new(SystemTime::now() - Duration::from_secs(1), "shop").unwrap();
    let expired = shop.key.sign(&past);
    let mut forged = good.clone();
    forged.replace_range(4..6, if &good[4..6] == "AA" { "BB" } else { "AA" });
    for token in [&expired, &forged, "", "x", &"A".repeat(600)] {
        assert!(is_page(&shop.with_header("/cart", token)), "{token}");
        let cookie = format!("Cookie: pardon-bypass={token}\r\n");
        assert!(is_page(&shop.gateway.get("/cart", &cookie)), "{token}");
        let opened = shop
            .gateway
            .get(&format!("/cart?pardon-bypass={token}"), "");
        assert!(is_page(&opened), "{token}");
    }
    assert!(is_page(&shop.with_header("/blog/1", &good)));
    assert_shown(&shop.with_header("/cart", &good));
    let without_key = Gateway::before(&origin);
    let fields = format!("X-Pardon-Bypass: {good}\r\n");
    assert!(is_page(&without_key.get("/cart", &fields)));
}

#[test]
fn an_opened_link_becomes_a_cookie() {
    let origin = failing();
    let shop = Shop::before(&origin, "");
    let token = shop.token("blog");
    let opened = shop
        .gateway
        .get(&format!("/blog/1?q=a&pardon-bypass={token}&r=b"), "");
    assert_eq!((opened.status, opened.text()), (303, ""));
    assert_eq!(opened.header("location"), Some("/blog/1?q=a&r=b"));
    assert_eq!(opened.header("cache-control"), Some("private, no-store"));
    assert!(opened.header("x-request-id").is_some());
    let cookie = opened.header("set-cookie").unwrap();
    let (pair, rest) = cookie.split_once("; ").unwrap();
    assert_eq!(pair, format!("pardon-bypass={token}"));
    assert!(rest.starts_with("Path=/blog; Max-Age=3"), "{rest}");
    assert!(rest.ends_with("; HttpOnly; SameSite=Lax"), "{rest}");
    assert!(origin.requests().is_empty());
    assert_shown(&shop.gateway.get("/blog/1", &format!("Cookie: {pair}\r\n")));
    // Somebody else's place is never named.
    let away = shop.token("");
    let opened = shop
        .gateway
        .get(&format!("//evil.example/?pardon-bypass={away}"), "");
    assert_eq!(opened.header("location"), Some("/.//evil.example/"));
    // What changes something is not repeated elsewhere.
    let mut client = shop.gateway.connect();
    let post = client.ask(format!(
        "POST /?pardon-bypass={away} HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\n\r\n"
    ));
    assert!(is_page(&post));
}

#[test]
fn a_cookie_is_secure_where_the_visitor_speaks_tls() {
    let origin = failing();
    for (trusted, secure) in [("[]", false), ("[\"127.0.0.0/8\"]", true)] {
        let shop = Shop::before(&origin, &format!("[server]\ntrusted_proxies = {trusted}"));
        let path = format!("/?pardon-bypass={}", shop.token(""));
        let opened = shop.gateway.get(&path, "X-Forwarded-Proto: https\r\n");
        let cookie = opened.header("set-cookie").unwrap();
        assert_eq!(cookie.ends_with("; Secure"), secure, "{cookie}");
    }
}

#[test]
fn a_token_works_over_http2_and_for_head() {
    let origin = failing();
    let shop = Shop::before(&origin, "");
    let token = shop.token("shop");
    let mut visitor = Http2::connect(shop.gateway.address());
    let reply = visitor.ask(request("GET", "/", &[("x-pardon-bypass", &token)]), b"");
    assert_eq!((reply.status, reply.text()), (500, ORIGINAL));
    assert_eq!(reply.header("cache-control"), Some("private, no-store"));
    let mut client = shop.gateway.connect();
    let head = client.ask(format!(
        "HEAD / HTTP/1.1\r\nHost: shop.example\r\nX-Pardon-Bypass: {token}\r\n\r\n"
    ));
    assert_eq!((head.status, head.header("x-own")), (500, Some("yes")));
}

#[test]
fn a_failure_in_disguise_is_shown_too() {
    let page = include_str!("fixtures/answers/django-debug-boom.http");
    let (_, body) = page.split_once("\r\n\r\n").unwrap_or(("", page));
    let origin = Origin::saying(200, "Content-Type: text/html; charset=utf-8\r\n", body);
    let shop = Shop::before(
        &origin,
        "[intercept.disguise]\nmode = \"replace\"\nlate = \"abort\"",
    );
    assert_eq!(shop.gateway.get("/", "").status, 500);
    let answer = shop.with_header("/", &shop.token(""));
    assert_eq!((answer.status, answer.text()), (200, body));
    assert_eq!(
        shop.gateway.incident(answer.id()).cause.as_str(),
        "disguised"
    );
}

#[test]
fn what_never_came_from_the_app_stays_a_page() {
    let shop = Shop::before(&Origin::answering("HTTP/1.1 oops\r\n\r\n"), "");
    let answer = shop.with_header("/", &shop.token(""));
    assert_eq!(answer.status, 502);
    assert!(is_page(&answer));
}

#[test]
fn an_original_that_breaks_off_is_one_incident() {
    let origin = Origin::new(|visit, _| {
        visit.send("HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\nhalf of it");
        visit.close();
    });
    let shop = Shop::before(&origin, "");
    let answer = shop.with_header("/", &shop.token(""));
    assert_eq!(answer.text(), "half of it");
    let incident = shop.gateway.incident(answer.id());
    let body = incident.body.unwrap();
    assert_eq!((&*body.content, body.complete), (&b"half of it"[..], false));
    assert_eq!(shop.gateway.incidents().len(), 1);
}

#[test]
fn peers_that_are_named_see_originals() {
    let origin = failing();
    let gateway = Gateway::set(&origin, "[intercept]\nreveal = [\"127.0.0.0/8\"]");
    let answer = gateway.get("/", "X-Forwarded-For: 192.0.2.1\r\n");
    assert_shown(&answer);
    assert_eq!(
        gateway.incident(answer.id()).upstream.unwrap().status,
        Some(500)
    );
}

#[test]
fn no_forwarding_field_reveals_anything() {
    let origin = failing();
    for server in ["", "[server]\ntrusted_proxies = [\"127.0.0.0/8\"]\n"] {
        let gateway = Gateway::set(
            &origin,
            &format!("{server}[intercept]\nreveal = [\"10.0.0.0/8\"]"),
        );
        for fields in [
            "X-Forwarded-For: 10.0.0.1\r\n",
            "Forwarded: for=10.0.0.1\r\n",
            "X-Real-IP: 10.0.0.1\r\n",
        ] {
            assert!(is_page(&gateway.get("/", fields)), "{fields}");
        }
    }
    // A proxy inside the network is not the visitor.
    let gateway = Gateway::set(
        &origin,
        "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n[intercept]\nreveal = [\"127.0.0.0/8\"]",
    );
    for fields in [
        "X-Forwarded-For: 192.0.2.1\r\n",
        "X-Forwarded-For: 127.0.0.5\r\n",
        "Forwarded: for=192.0.2.1\r\n",
    ] {
        assert!(is_page(&gateway.get("/", fields)), "{fields}");
    }
    assert_shown(&gateway.get("/", ""));
}

#[test]
fn the_command_prints_a_link_and_its_uses_are_logged() {
    let origin = failing();
    let (folder, arguments) = Program::file(
        &origin,
        "[bypass]\nkey_file = \"bypass.key\"\n[[routes]]\nname = \"shop\"\npath = \"/shop\"\n[[routes]]\nname = \"rest\"\n",
    );
    folder.write("bypass.key", [9; 32]);
    let mut command = folder.command(&arguments);
    let program = Program::run(folder, &mut command);
    program.address();
    let said = program
        .folder()
        .pardon(&["bypass", "--for", "1h", "--route", "shop"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let link = said.out.trim();
    let path = link.strip_prefix("http://localhost:8080").unwrap();
    assert!(path.starts_with("/shop?pardon-bypass="), "{link}");
    let opened = program.get(path, "");
    assert_eq!(opened.header("location"), Some("/shop"));
    let (cookie, _) = opened
        .header("set-cookie")
        .unwrap()
        .split_once(';')
        .unwrap();
    let mut client = Client::connect(program.address());
    let shown = client.ask(get("/shop", &format!("Cookie: {cookie}\r\n")));
    assert_eq!(shown.text(), ORIGINAL);
    let logged = program.json("the app's original answer is shown");
    assert_eq!(logged["target"], "pardon::bypass");
    assert_eq!(logged["request_id"], shown.id());
    assert_eq!(
        (&logged["route"], &logged["client"]),
        (&"shop".into(), &"127.0.0.1".into())
    );
    let id = logged["token"].as_str().unwrap();
    assert!(said.err.contains(id), "{id}: {}", said.err);
    let token = cookie.strip_prefix("pardon-bypass=").unwrap();
    assert_eq!(program.count(token), 0);
}

#[test]
fn the_command_says_what_is_missing() {
    let folder = Folder::new();
    let app = "[upstreams.app]\nendpoints = [\"http://127.0.0.1:9\"]\n";
    folder.write("none.toml", app);
    folder.write(
        "short.toml",
        format!("{app}[bypass]\nkey_file = \"short.key\"\n"),
    );
    folder.write(
        "good.toml",
        format!("{app}[bypass]\nkey_file = \"good.key\"\n"),
    );
    folder.write("short.key", [1; 31]);
    folder.write("good.key", [1; 32]);
    for (arguments, says) in [
        (&["--for", "1h", "--config", "none.toml"][..], "key_file"),
        (
            &["--for", "1h", "--config", "short.toml"],
            "31 bytes are less than 32",
        ),
        (
            &["--for", "1h", "--config", "good.toml", "--route", "shop"],
            "there is no route `shop`",
        ),
        (
            &["--for", "0s", "--config", "good.toml"],
            "--for must be longer than 0s",
        ),
        (
            &["--for", "1h", "--config", "good.toml", "--url", "shop"],
            "no http or https URL",
        ),
    ] {
        let said = folder.pardon(&[&["bypass"], arguments].concat());
        assert_eq!(
            (said.code, said.out.as_str()),
            (Some(1), ""),
            "{arguments:?}"
        );
        assert!(said.err.contains(says), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn the_command_prints_what_it_is_asked_for() {
    let folder = Folder::new();
    let app = "[upstreams.app]\nendpoints = [\"http://127.0.0.1:9\"]\n";
    folder.write(
        "pardon.toml",
        format!("{app}[bypass]\nkey_file = \"good.key\"\n"),
    );
    folder.write("good.key", [1; 32]);
    let ask = |more: &[&str]| {
        folder
            .pardon(&[&["bypass", "--for", "1h"], more].concat())
            .out
    };
    let link = ask(&["--url", "https://shop.example/a?b=c"]);
    assert!(
        link.starts_with("https://shop.example/a?b=c&pardon-bypass="),
        "{link}"
    );
    let key = Key::read(&folder.path().join("good.key")).unwrap();
    assert!(
        key.verify(ask(&["--token"]).trim(), SystemTime::now())
            .is_ok()
    );
}
