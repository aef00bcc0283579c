//! The same exchanges over every pairing of a visitor and an app: each by HTTP/1.1 or HTTP/2, in the clear or within TLS.

mod app;

use http::{HeaderMap, Version};

use crate::http2::pairings::{Shop, WAYS, Way};
use crate::support::Folder;
use crate::support::http2::request;
use crate::support::tls::Authority;
use app::{App, Spoken};

/// Runs a test body over all sixteen.
fn over_all(body: impl Fn(&Shop, Way, &App)) {
    for spoken in Spoken::ALL {
        let (authority, folder) = (Authority::new(), Folder::new());
        folder.write("authority.pem", authority.pem());
        let path = folder.path().join("authority.pem").display().to_string();
        let app = App::start(spoken, &authority);
        let shop = Shop::new(authority, &app.toml(&path));
        for way in WAYS {
            // What fails is seen beneath this line.
            eprintln!("a visitor by {way:?}, an app by {spoken:?}");
            body(&shop, way, &app);
            let wanted = match spoken {
                Spoken::Http1 | Spoken::Http1Tls => Version::HTTP_11,
                Spoken::Http2 | Spoken::Http2Tls => Version::HTTP_2,
            };
            assert_eq!(app.last().version, wanted);
        }
    }
}

fn comes_by_http1(way: Way) -> bool {
    matches!(way, Way::Http1 | Way::Http1Tls)
}

#[test]
fn answers_with_and_without_a_body_pass() {
    over_all(|shop, way, app| {
        for (path, text) in [("/empty", ""), ("/small?a=b", "hello")] {
            let reply = shop.get(way, path, &[("x-own", "1")]);
            assert_eq!((reply.status, reply.text(), reply.reset), (200, text, None));
            assert_eq!(reply.header("x-app"), Some("one"));
            let seen = app.last();
            assert_eq!(seen.headers["x-own"], "1");
            assert_eq!(
                reply.header("x-request-id").unwrap(),
                seen.headers["x-request-id"]
            );
        }
    });
}

#[test]
fn a_megabyte_passes_both_ways() {
    let body: Vec<u8> = (0..1_048_576_u32)
        .map(|at| at.to_le_bytes()[at as usize % 4])
        .collect();
    over_all(|shop, way, _| {
        let reply = shop.ask(way, &request("POST", "/echo", &[]), &body);
        assert_eq!((reply.status, reply.reset), (200, None));
        assert!(reply.body == body, "{} bytes", reply.body.len());
    });
}

#[test]
fn a_body_of_unsaid_length_passes_with_its_trailers() {
    over_all(|shop, way, app| {
        let sent = if let Some(mut client) = shop.client(way) {
            let answer = client.ask(
                "POST /echo HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
                 3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nx-sum: 5\r\n\r\n",
            );
            (answer.status, answer.body)
        } else {
            let trailers = [(http::HeaderName::from_static("x-sum"), "5".parse().unwrap())];
            let asking = request("POST", "/echo", &[("trailer", "x-sum")]);
            let trailers = HeaderMap::from_iter(trailers);
            let reply = shop.http2(way).converse(asking, b"abcde", trailers);
            (reply.status, reply.body)
        };
        assert_eq!(sent, (200, b"abcde".to_vec()));
        let seen = app.last();
        assert_eq!(seen.body, "abcde");
        assert_eq!(seen.trailers["x-sum"], "5");
    });
}

#[test]
fn a_trailer_says_nothing_that_only_a_head_or_a_proxy_may_say() {
    let said = [
        ("x-sum", "5"),
        ("x-request-id", "evil"),
        ("x_request_id", "evil"),
        ("x-forwarded-for", "192.0.2.7"),
        ("forwarded", "for=192.0.2.7"),
        ("authorization", "Basic eA=="),
        ("host", "other.example"),
        ("x-real-ip", "192.0.2.7"),
    ];
    over_all(|shop, way, app| {
        let names = said.map(|(name, _)| name).join(", ");
        let status = if let Some(mut client) = shop.client(way) {
            let lines = said.map(|(name, value)| format!("{name}: {value}\r\n"));
            let answer = client.ask(format!(
                "POST /echo HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\nTrailer: {names}\r\n\r\n\
                 3\r\nabc\r\n0\r\n{}content-length: 7\r\nconnection: close\r\n\r\n",
                lines.concat()
            ));
            answer.status
        } else {
            let trailers = said.map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, http::HeaderValue::from_static(value))
            });
            let asking = request("POST", "/echo", &[("trailer", &names)]);
            let trailers = HeaderMap::from_iter(trailers);
            shop.http2(way).converse(asking, b"abc", trailers).status
        };
        assert_eq!(status, 200);
        let seen = app.last();
        assert_eq!(seen.body, "abc");
        assert_eq!(seen.trailers.keys().collect::<Vec<_>>(), ["x-sum"]);

        let reply = shop.get(way, "/odd-trailers", &[("te", "trailers")]);
        assert_eq!((reply.text(), reply.reset), ("abc", None));
        assert_eq!(reply.trailers.keys().collect::<Vec<_>>(), ["x-sum"]);
    });
}

#[test]
fn an_answers_trailers_pass() {
    over_all(|shop, way, _| {
        let reply = shop.get(way, "/trailers", &[("te", "trailers")]);
        assert_eq!((reply.text(), reply.reset), ("abc", None));
        assert_eq!(reply.trailers["x-sum"], "3");
    });
}

#[test]
fn a_failure_is_replaced() {
    over_all(|shop, way, _| {
        let reply = shop.get(way, "/fail", &[("accept", "text/html")]);
        assert_eq!((reply.status, reply.reset), (500, None));
        let id = reply.header("x-request-id").unwrap();
        assert!(reply.text().contains(id) && !reply.text().contains("hunter2"));
        assert_eq!(reply.header("set-cookie"), None);
        let incident = shop.gateway.incident(id);
        let kept = &incident.body.unwrap().content[..];
        assert_eq!(kept, b"hunter2 and the stack of it");
    });
}

#[test]
fn answers_that_have_no_body_have_none() {
    over_all(|shop, way, _| {
        for (method, path, status, length) in
            [("HEAD", "/", 200, Some("5")), ("GET", "/same", 304, None)]
        {
            let reply = shop.ask(way, &request(method, path, &[]), b"");
            assert_eq!(
                (reply.status, reply.text(), reply.reset),
                (status, "", None)
            );
            assert_eq!(reply.header("content-length"), length, "{method} {path}");
        }
        let failed = shop.ask(way, &request("HEAD", "/fail", &[]), b"");
        assert_eq!((failed.status, failed.text()), (500, ""));
    });
}

#[test]
fn an_event_comes_at_once() {
    const EVENT: &[u8] = b"data: first\n\n";
    over_all(|shop, way, _| {
        if let Some(mut client) = shop.client(way) {
            client.send("GET /events HTTP/1.1\r\nHost: shop.example\r\n\r\n");
            assert_eq!(client.head().status, 200);
            let mut come = Vec::new();
            while !come.ends_with(EVENT) {
                come.extend(client.read(1));
            }
        } else {
            let first = shop.http2(way).first(request("GET", "/events", &[]));
            assert_eq!(first, EVENT);
        }
    });
}

#[test]
fn cookies_reach_the_app_as_one() {
    over_all(|shop, way, app| {
        let crumbs: &[_] = if comes_by_http1(way) {
            &[("cookie", "a=1; b=2; c=3")]
        } else {
            &[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")]
        };
        assert_eq!(shop.get(way, "/", crumbs).status, 200);
        let seen = app.last();
        let cookies: Vec<_> = seen.headers.get_all("cookie").iter().collect();
        assert_eq!(cookies, ["a=1; b=2; c=3"]);
    });
}

#[test]
fn an_answer_that_breaks_off_is_never_ended() {
    over_all(|shop, way, _| {
        let reply = shop.get(way, "/half", &[]);
        assert!(reply.reset.is_some(), "{reply:?}");
        // A stream that is reset at once may lose its head too.
        if let Some(id) = reply.header("x-request-id") {
            shop.gateway
                .incident_when(id, |incident| incident.cause.as_str() == "broken_off");
        }
    });
}
