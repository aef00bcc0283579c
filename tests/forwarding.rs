//! What goes on to the app and what stays behind, and which app it is.

use pardon::incident::Cause;

use crate::support::{Answer, End, Gateway, Origin, Received};

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

/// A request as it arrives at the app, and the answer to it, with these lines of configuration.
fn forwarded(toml: &str, request: &str) -> (Received, Answer) {
    let origin = Origin::answering(FINE);
    let gateway = Gateway::set(&origin, toml);
    let answer = gateway.ask(request);
    assert_eq!(answer.text(), "fine");
    (origin.request(), answer)
}

#[test]
fn what_belongs_to_the_clients_connection_stays_behind() {
    let (received, _) = forwarded(
        "",
        "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive, X-Hop , x-other\r\n\
         X-Hop: 1\r\nX-Other: 2\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\n\
         Upgrade: h2c\r\nX-Kept: yes\r\nX-Twice: a\r\nX-Twice: b\r\n\r\n",
    );
    for gone in [
        "connection",
        "x-hop",
        "x-other",
        "keep-alive",
        "proxy-connection",
        "te",
        "upgrade",
    ] {
        assert_eq!(received.header(gone), None, "{gone}");
    }
    assert_eq!(received.header("x-kept"), Some("yes"));
    assert_eq!(received.headers("x-twice"), ["a", "b"]);
}

#[test]
fn what_belongs_to_the_apps_connection_stays_behind() {
    let origin = Origin::saying(
        200,
        "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\nX-Kept: yes\r\n\
         Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n",
        "fine",
    );
    let answer = Gateway::before(&origin).get("/", "");
    for gone in ["connection", "x-hop", "keep-alive", "proxy-connection"] {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
    assert_eq!(answer.header("x-kept"), Some("yes"));
    assert_eq!(answer.headers("set-cookie"), ["a=1", "b=2"]);
}

#[test]
fn a_client_cannot_have_our_own_fields_removed() {
    let (received, answer) = forwarded(
        "",
        "GET / HTTP/1.1\r\nHost: shop.example\r\n\
         Connection: Host, X-Forwarded-For, X-Request-ID, Via\r\n\r\n",
    );
    assert_eq!(received.header("host"), Some("shop.example"));
    assert_eq!(received.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(received.header("x-request-id"), Some(answer.id()));
    assert_eq!(received.header("via"), Some("1.1 pardon"));
}

#[test]
fn the_wish_for_trailers_goes_on() {
    let (received, _) = forwarded(
        "",
        "GET / HTTP/1.1\r\nHost: shop.example\r\nTE: gzip, trailers\r\nConnection: TE\r\n\r\n",
    );
    assert_eq!(received.header("te"), Some("trailers"));
}

const WITH_TRAILERS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                             4\r\nfine\r\n0\r\nX-Sum: 17\r\n\r\n";

#[test]
fn trailers_reach_a_client_that_asked_for_them() {
    let origin = Origin::answering(WITH_TRAILERS);
    let gateway = Gateway::set(&origin, "[server]\nworkers = 1\n");
    let asked = gateway.get("/", "TE: trailers\r\nConnection: TE\r\n");
    assert_eq!((asked.text(), asked.end), ("fine", End::Whole));
    assert_eq!(asked.trailers, ["x-sum: 17"]);
    let not_asked = gateway.get("/", "");
    assert_eq!((not_asked.text(), not_asked.end), ("fine", End::Whole));
    assert_eq!(origin.connections(), 1);
}

#[test]
fn trailers_of_a_request_reach_the_app() {
    let (received, _) = forwarded(
        "",
        "POST / HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         4\r\nbook\r\n0\r\nX-Sum: 17\r\n\r\n",
    );
    assert_eq!(received.body, b"book");
    assert_eq!(received.trailers, ["x-sum: 17"]);
}

#[test]
fn a_trailer_cannot_say_what_only_a_proxy_may_say() {
    let (received, answer) = forwarded(
        "",
        "POST / HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\
         Trailer: X-Sum, X-Request-ID, X-Forwarded-For, Connection, Authorization\r\n\r\n\
         4\r\nbook\r\n0\r\nX-Sum: 17\r\nX-Request-ID: evil\r\nX-Forwarded-For: 6.6.6.6\r\n\
         Connection: close\r\nAuthorization: Basic eA==\r\n\r\n",
    );
    assert_eq!(received.trailers, ["x-sum: 17"]);
    assert_eq!(received.header("trailer"), Some("x-sum"));
    assert_eq!(received.header("x-request-id"), Some(answer.id()));
}

const PROXIED: &str = "GET / HTTP/1.1\r\nHost: shop.example:8080\r\nVia: 1.1 front\r\n\
                       X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\
                       X-Forwarded-Host: www.shop.example\r\nForwarded: for=192.0.2.7;proto=https\r\n\r\n";

#[test]
fn what_a_stranger_says_of_the_way_is_replaced() {
    let (received, _) = forwarded("", PROXIED);
    assert_eq!(received.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(received.header("x-forwarded-proto"), Some("http"));
    assert_eq!(
        received.header("x-forwarded-host"),
        Some("shop.example:8080")
    );
    assert_eq!(
        received.header("forwarded"),
        Some("for=127.0.0.1;host=\"shop.example:8080\";proto=http")
    );
    assert_eq!(received.headers("via"), ["1.1 front", "1.1 pardon"]);
}

#[test]
fn what_a_trusted_proxy_says_of_the_way_is_continued() {
    let (received, _) = forwarded("server.trusted_proxies = [\"127.0.0.1\"]\n", PROXIED);
    assert_eq!(
        received.header("x-forwarded-for"),
        Some("192.0.2.7, 127.0.0.1")
    );
    assert_eq!(received.header("x-forwarded-proto"), Some("https"));
    assert_eq!(
        received.header("x-forwarded-host"),
        Some("www.shop.example")
    );
    assert_eq!(
        received.header("forwarded"),
        Some(
            "for=192.0.2.7;host=\"www.shop.example\";proto=https, for=127.0.0.1;host=\"shop.example:8080\";proto=http"
        )
    );
}

#[test]
fn via_can_be_left_out() {
    let (received, _) = forwarded(
        "server.via = false\n",
        "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    );
    assert_eq!(received.header("via"), None);
}

#[test]
fn the_host_is_kept_or_the_endpoints_or_a_name() {
    let origin = Origin::answering(FINE);
    let endpoint = origin.address().to_string();
    for (rule, host) in [
        ("keep", "Shop.example:8080"),
        ("endpoint", endpoint.as_str()),
        ("app.internal", "app.internal"),
    ] {
        let toml = format!("[upstreams.app]\nendpoints = [\"$ORIGIN\"]\nhost = \"{rule}\"\n");
        let gateway = Gateway::configured(&origin, &toml);
        gateway.ask("GET / HTTP/1.1\r\nHost: Shop.example:8080\r\n\r\n");
        let received = origin.requests().pop().unwrap();
        assert_eq!(received.header("host"), Some(host), "{rule}");
        assert_eq!(
            received.header("x-forwarded-host"),
            Some("Shop.example:8080")
        );
    }
}

#[test]
fn the_host_of_an_absolute_target_counts() {
    let (received, _) = forwarded(
        "",
        "GET http://shop.example/cart?id=1 HTTP/1.1\r\nHost: other.example\r\n\r\n",
    );
    assert_eq!(received.line(), "GET /cart?id=1 HTTP/1.1");
    assert_eq!(received.header("host"), Some("shop.example"));
}

#[test]
fn a_target_goes_on_as_it_came() {
    for target in [
        "/",
        "/a//b/../c;d=1?x=%20&y=a+b&&",
        "/%2e%2E/%C3%A4",
        "/?",
        "/a?b?c",
        "//double",
    ] {
        let (received, _) = forwarded(
            "",
            &format!("GET {target} HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
        );
        assert_eq!(received.line(), format!("GET {target} HTTP/1.1"));
    }
    for (target, asked) in [
        ("*", "*"),
        ("http://shop.example", "*"),
        ("http://shop.example/", "/"),
        ("http://shop.example/a?b", "/a?b"),
    ] {
        let request = format!("OPTIONS {target} HTTP/1.1\r\nHost: shop.example\r\n\r\n");
        let (received, _) = forwarded("", &request);
        assert_eq!(received.line(), format!("OPTIONS {asked} HTTP/1.1"));
        assert_eq!(received.header("host"), Some("shop.example"));
    }
}

#[test]
fn options_go_on_as_far_as_they_may() {
    let ask = |method: &str, most: &str| {
        format!("{method} / HTTP/1.1\r\nHost: shop.example\r\nMax-Forwards: {most}\r\n\r\n")
    };
    for (method, most, left) in [
        ("OPTIONS", "2", "1"),
        ("OPTIONS", "1", "0"),
        ("OPTIONS", "x", "x"),
        ("GET", "0", "0"),
    ] {
        let (received, _) = forwarded("", &ask(method, most));
        assert_eq!(
            received.header("max-forwards"),
            Some(left),
            "{method} {most}"
        );
    }
    let origin = Origin::answering(FINE);
    let gateway = Gateway::before(&origin);
    let answer = gateway.ask(ask("OPTIONS", "0"));
    assert_eq!((answer.status, answer.text()), (200, ""));
    assert!(answer.header("x-request-id").is_some());
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn an_old_client_is_served_and_its_connection_closed() {
    let origin = Origin::answering(FINE);
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    let answer = client.ask("GET / HTTP/1.0\r\n\r\n");
    assert_eq!((answer.text(), answer.end), ("fine", End::Whole));
    assert!(client.is_closed());
    let received = origin.request();
    assert_eq!(received.line(), "GET / HTTP/1.1");
    assert_eq!(
        received.header("host"),
        Some(origin.address().to_string().as_str())
    );
    assert_eq!(received.header("via"), Some("1.0 pardon"));
}

#[test]
fn an_old_client_may_ask_to_stay() {
    let origin = Origin::answering(FINE);
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    for _ in 0..2 {
        let answer = client.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!((answer.text(), answer.end), ("fine", End::Whole));
    }
}

#[test]
fn a_body_keeps_its_framing_and_no_body_gets_none() {
    let (length, chunked) = ("content-length", "transfer-encoding");
    for (method, framing, body, expected) in [
        ("GET", "", "", [None, None]),
        ("DELETE", "", "", [None, None]),
        ("POST", "", "", [None, None]),
        ("POST", "Content-Length: 0\r\n", "", [Some("0"), None]),
        ("POST", "Content-Length: 4\r\n", "book", [Some("4"), None]),
        (
            "POST",
            "Content-Length: 4\r\nContent-Length: 4\r\n",
            "book",
            [Some("4"), None],
        ),
        ("GET", "Content-Length: 4\r\n", "book", [Some("4"), None]),
        (
            "PUT",
            "Transfer-Encoding: chunked\r\n",
            "4\r\nbook\r\n0\r\n\r\n",
            [None, Some("chunked")],
        ),
        (
            "PUT",
            "Transfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
            [None, Some("chunked")],
        ),
    ] {
        let case = format!("{method} / HTTP/1.1\r\nHost: shop.example\r\n{framing}\r\n{body}");
        let (received, _) = forwarded("", &case);
        assert_eq!(
            [length, chunked].map(|name| received.header(name)),
            expected,
            "{case}"
        );
        let whole = if body.contains("book") { "book" } else { "" };
        assert_eq!(received.body, whole.as_bytes(), "{case}");
    }
}

#[test]
fn requests_that_come_at_once_are_answered_in_their_order() {
    let origin = Origin::new(|visit, received| {
        let path = received.line().split(' ').nth(1).unwrap();
        let length = path.len();
        visit.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{path}"
        ));
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    client.send(["/a", "/b", "/c"].map(request).concat());
    for path in ["/a", "/b", "/c"] {
        assert_eq!(client.answer().text(), path);
    }
}

#[test]
fn the_first_route_that_matches_wins() {
    let (shop, rest) = (
        Origin::saying(200, "", "shop"),
        Origin::saying(200, "", "rest"),
    );
    let toml = format!(
        r#"
        [upstreams.shop]
        endpoints = ["{}"]
        [upstreams.rest]
        endpoints = ["{}"]
        [[routes]]
        name = "cart"
        host = "*.example"
        path = "/cart"
        upstream = "shop"
        [[routes]]
        name = "shop"
        host = "shop.example"
        upstream = "shop"
        [[routes]]
        name = "api"
        path = "/api"
        upstream = "rest"
        "#,
        shop.url(),
        rest.url(),
    );
    let gateway = Gateway::configured(&shop, &toml);
    for (host, path, expected) in [
        ("a.example", "/cart", "shop"),
        ("a.example", "/cart/1", "shop"),
        ("SHOP.example:81", "/anything", "shop"),
        ("shop.example", "/api", "shop"),
        ("a.example", "/api?x", "rest"),
    ] {
        let answer = gateway.ask(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(answer.text(), expected, "{host}{path}");
    }
    for (host, path) in [
        ("a.example", "/"),
        ("a.example", "/carts"),
        ("a.example", "/apis"),
    ] {
        let answer = gateway.ask(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(answer.status, 404, "{host}{path}");
        assert!(answer.text().contains(answer.id()));
    }
}

#[test]
fn a_route_may_have_rules_of_its_own() {
    let origin = Origin::new(|visit, received| {
        if received.line().contains("/slow") {
            return visit.wait_for_close();
        }
        visit.send("HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nhunter2");
    });
    let gateway = Gateway::configured(
        &origin,
        r#"
        [upstreams.app]
        endpoints = ["$ORIGIN"]
        [[routes]]
        name = "strict"
        path = "/strict"
        [routes.intercept]
        statuses = ["404"]
        [routes.intercept.capture]
        max_body = "3B"
        [[routes]]
        name = "slow"
        path = "/slow"
        [routes.timeouts]
        head = "100ms"
        [[routes]]
        name = "rest"
        "#,
    );
    let passed = gateway.get("/", "");
    assert_eq!((passed.status, passed.text()), (404, "hunter2"));
    let replaced = gateway.get("/strict", "");
    assert_eq!(replaced.status, 404);
    assert!(!replaced.text().contains("hunter2"));
    let incident = gateway.incident(replaced.id());
    assert_eq!(&*incident.route, "strict");
    assert_eq!(&incident.body.as_ref().unwrap().content[..], b"hun");
    let slow = gateway.get("/slow", "");
    assert_eq!(slow.status, 504);
    assert_eq!(gateway.incident(slow.id()).cause, Cause::HeadTimeout);
}

#[test]
fn what_a_trusted_proxy_says_is_believed_in_either_form() {
    let origin = Origin::saying(500, "", "hunter2");
    let gateway = Gateway::set(&origin, "[server]\ntrusted_proxies = [\"127.0.0.0/8\"]");
    for (fields, visitor, chain, forwarded, proto) in [
        (
            "Forwarded: for=6.6.6.6;proto=https\r\n",
            "6.6.6.6",
            "6.6.6.6, 127.0.0.1",
            "for=6.6.6.6;proto=https, for=127.0.0.1;host=\"shop.example\";proto=http",
            "https",
        ),
        (
            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n",
            "6.6.6.6",
            "6.6.6.6, 127.0.0.1",
            "for=6.6.6.6;proto=https, for=127.0.0.1;host=\"shop.example\";proto=http",
            "https",
        ),
        (
            "Forwarded: for=9.9.9.9\r\nX-Forwarded-For: 6.6.6.6\r\n",
            "6.6.6.6",
            "6.6.6.6, 127.0.0.1",
            "for=6.6.6.6, for=127.0.0.1;host=\"shop.example\";proto=http",
            "http",
        ),
        (
            "X-Forwarded-Proto: https\r\n",
            "127.0.0.1",
            "127.0.0.1",
            "for=127.0.0.1;host=\"shop.example\";proto=https",
            "https",
        ),
        (
            "X-Forwarded-Proto: https;for=6.6.6.6\r\nX-Forwarded-Host: a\";for=6.6.6.6\r\n",
            "127.0.0.1",
            "127.0.0.1",
            "for=127.0.0.1;host=\"shop.example\";proto=http",
            "https;for=6.6.6.6",
        ),
        (
            "X-Forwarded-For:\r\nForwarded:\r\n",
            "127.0.0.1",
            "127.0.0.1",
            "for=127.0.0.1;host=\"shop.example\";proto=http",
            "http",
        ),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n");
        let answer = gateway.ask(request);
        let client = gateway.incident(answer.id()).request.client;
        assert_eq!(client.unwrap().to_string(), visitor, "{fields}");
        let requests = origin.requests();
        let received = requests.last().unwrap();
        assert_eq!(received.headers("x-forwarded-for"), [chain], "{fields}");
        assert_eq!(received.headers("forwarded"), [forwarded], "{fields}");
        assert_eq!(received.headers("x-forwarded-proto"), [proto], "{fields}");
    }
}

#[test]
fn a_trusted_proxys_word_on_the_visitor_goes_on() {
    let (received, _) = forwarded(
        "[server]\ntrusted_proxies = [\"127.0.0.0/8\"]",
        "GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-Port: 443\r\nX-Real-IP: 6.6.6.6\r\n\
         Proxy: http://6.6.6.6\r\n\r\n",
    );
    assert_eq!(received.header("x-forwarded-port"), Some("443"));
    assert_eq!(received.header("x-real-ip"), Some("6.6.6.6"));
    assert_eq!(received.header("proxy"), None);
}
