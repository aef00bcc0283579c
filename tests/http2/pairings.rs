//! The same exchanges over every way in which a visitor may come.

use http::{HeaderMap, Request};

use crate::support::http2::{DATA, END_STREAM, Frames, GET, Http2, Outcome, Reply, request};
use crate::support::tls::{Authority, Visitor};
use crate::support::{Client, End, Folder, Gateway, Origin};

/// How a visitor comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Http1,
    Http1Tls,
    Http2,
    Http2Tls,
}

pub const WAYS: [Way; 4] = [Way::Http1, Way::Http1Tls, Way::Http2, Way::Http2Tls];

/// A gateway on a plain port and on one with TLS.
pub struct Shop {
    pub gateway: Gateway,
    authority: Authority,
    _folder: Folder,
}

impl Shop {
    fn before(origin: &Origin) -> Self {
        let url = origin.url();
        Self::new(
            Authority::new(),
            &format!("[upstreams.app]\nendpoints = [\"{url}\"]\n"),
        )
    }

    /// Before an app of which these lines speak; its own certificate is from this authority.
    pub fn new(authority: Authority, app: &str) -> Self {
        let folder = Folder::new();
        let certificate = authority.certify(&["shop.example"]).write(&folder, "shop");
        let gateway = Gateway::of(&format!(
            "{app}[server]\nlisten = [\"127.0.0.1:80\", \"tls://127.0.0.1:443\"]\ntls.certificates = [{certificate}]\n"
        ));
        Self {
            gateway,
            authority,
            _folder: folder,
        }
    }

    /// A connection of HTTP/1.1; none for who comes by HTTP/2.
    pub fn client(&self, way: Way) -> Option<Client> {
        let (plain, secure) = (self.gateway.addresses()[0], self.gateway.addresses()[1]);
        match way {
            Way::Http1 => Some(Client::connect(plain)),
            Way::Http1Tls => {
                let visitor = Visitor::trusting(&self.authority).offering(&["http/1.1"]);
                Some(Client::within(visitor.connect(secure, "shop.example")))
            }
            Way::Http2 | Way::Http2Tls => None,
        }
    }

    /// A connection of HTTP/2, in the clear or, for `Http2Tls`, not.
    pub fn http2(&self, way: Way) -> Http2 {
        let (plain, secure) = (self.gateway.addresses()[0], self.gateway.addresses()[1]);
        if way == Way::Http2 {
            return Http2::connect(plain);
        }
        let visitor = Visitor::trusting(&self.authority).offering(&["h2"]);
        Http2::within(&visitor, secure, "shop.example")
    }

    pub fn get(&self, way: Way, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.ask(way, &request("GET", path, fields), b"")
    }

    pub fn ask(&self, way: Way, request: &Request<()>, body: &[u8]) -> Reply {
        match self.client(way) {
            Some(client) => over_http1(client, request, body),
            None => self.http2(way).ask(request.clone(), body),
        }
    }
}

fn over_http1(mut client: Client, request: &Request<()>, body: &[u8]) -> Reply {
    let fields: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()))
        .collect();
    let fields = fields.concat();
    let (method, path) = (request.method(), request.uri().path_and_query().unwrap());
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: shop.example\r\n{fields}{length}\r\n");
    let answer = client.ask([head.as_bytes(), body].concat());
    let mut headers = HeaderMap::new();
    for (name, value) in &answer.headers {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, value.parse().unwrap());
    }
    let mut trailers = HeaderMap::new();
    for line in &answer.trailers {
        let (name, value) = line.split_once(": ").unwrap();
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        trailers.append(name, value.parse().unwrap());
    }
    Reply {
        status: answer.status,
        headers,
        body: answer.body,
        trailers,
        reset: (answer.end != End::Whole).then_some(h2::Reason::INTERNAL_ERROR),
    }
}

#[test]
fn an_answer_passes_over_every_way() {
    let origin = Origin::saying(
        200,
        "X-Own: yes\r\nConnection: X-Hop\r\nX-Hop: 1\r\n",
        "all is well",
    );
    let shop = Shop::before(&origin);
    for way in WAYS {
        let reply = shop.get(way, "/path?and=query", &[]);
        assert_eq!(
            (reply.status, reply.text()),
            (200, "all is well"),
            "{way:?}"
        );
        assert_eq!(reply.header("x-own"), Some("yes"));
        assert_eq!(reply.header("content-length"), Some("11"));
        assert!(reply.header("date").is_some(), "{way:?}");
        assert_eq!(reply.header("x-hop"), None);
        assert_eq!(reply.header("connection"), None);
        assert_eq!(reply.reset, None);
        let received = origin.requests().pop().unwrap();
        assert_eq!(received.line(), "GET /path?and=query HTTP/1.1");
        assert_eq!(received.headers("host"), ["shop.example"], "{way:?}");
        assert_eq!(
            received.header("x-request-id"),
            reply.header("x-request-id")
        );
        let proto = if matches!(way, Way::Http1Tls | Way::Http2Tls) {
            "https"
        } else {
            "http"
        };
        assert_eq!(received.header("x-forwarded-proto"), Some(proto));
        let via = if matches!(way, Way::Http2 | Way::Http2Tls) {
            "2.0 pardon"
        } else {
            "1.1 pardon"
        };
        assert_eq!(received.header("via"), Some(via));
    }
}

#[test]
fn a_failure_is_replaced_over_every_way() {
    let origin = Origin::saying(
        500,
        "Set-Cookie: a=b\r\nETag: x\r\n",
        "the password is hunter2",
    );
    let shop = Shop::before(&origin);
    for way in WAYS {
        let reply = shop.get(way, "/", &[("accept", "text/html")]);
        assert_eq!(reply.status, 500, "{way:?}");
        let id = reply.header("x-request-id").unwrap();
        assert!(reply.text().contains(id) && !reply.text().contains("hunter2"));
        assert_eq!(
            reply.header("content-length"),
            Some(reply.body.len().to_string().as_str())
        );
        assert_eq!(
            (reply.header("set-cookie"), reply.header("etag")),
            (None, None)
        );
        let incident = shop.gateway.incident(id);
        assert_eq!(
            &incident.body.unwrap().content[..],
            b"the password is hunter2"
        );
    }
}

#[test]
fn heads_have_no_bodies_over_any_way() {
    let origin = Origin::new(|visit, received| {
        let line = received.line();
        visit.send(match line.split(' ').nth(1) {
            Some("/none") => &b"HTTP/1.1 204 No Content\r\n\r\n"[..],
            Some("/same") => b"HTTP/1.1 304 Not Modified\r\nETag: a\r\n\r\n",
            Some("/fails") => b"HTTP/1.1 500 Oh\r\nContent-Length: 5\r\n\r\n",
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        });
    });
    let shop = Shop::before(&origin);
    for way in WAYS {
        for (method, path, status, length) in [
            ("HEAD", "/", 200, Some("5")),
            ("GET", "/none", 204, None),
            ("GET", "/same", 304, None),
        ] {
            let reply = shop.ask(way, &request(method, path, &[]), b"");
            assert_eq!(
                (reply.status, reply.text(), reply.reset),
                (status, "", None),
                "{way:?}"
            );
            assert_eq!(reply.header("content-length"), length, "{way:?} {path}");
        }
        let reply = shop.ask(way, &request("HEAD", "/fails", &[]), b"");
        assert_eq!((reply.status, reply.text()), (500, ""), "{way:?}");
        assert_ne!(reply.header("content-length"), Some("5"));
    }
}

#[test]
fn bodies_go_both_ways_whole() {
    let origin = Origin::new(|visit, received| {
        let body = &received.body;
        visit.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ));
        visit.send(body);
    });
    let shop = Shop::before(&origin);
    let body: Vec<u8> = (0..3_000_000_u32)
        .map(|at| at.to_le_bytes()[at as usize % 4])
        .collect();
    for way in WAYS {
        let reply = shop.ask(way, &request("POST", "/echo", &[]), &body);
        assert_eq!(reply.status, 200, "{way:?}");
        assert!(reply.body == body, "{way:?}: {} bytes", reply.body.len());
    }
}

#[test]
fn trailers_reach_those_who_ask_for_them() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n",
    );
    let shop = Shop::before(&origin);
    for way in WAYS {
        let reply = shop.get(way, "/", &[("te", "trailers")]);
        assert_eq!(reply.text(), "abc", "{way:?}");
        assert_eq!(reply.trailers.get("x-sum").unwrap(), "3", "{way:?}");
        let chunked = matches!(way, Way::Http1 | Way::Http1Tls).then_some("chunked");
        assert_eq!(reply.header("transfer-encoding"), chunked);
    }
    let reply = shop.get(Way::Http2, "/", &[]);
    assert_eq!(
        (reply.text(), reply.trailers.len(), reply.reset),
        ("abc", 0, None)
    );
}

#[test]
fn a_requests_trailers_reach_the_app() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let shop = Shop::before(&origin);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "3".parse().unwrap());
    let mut client = Http2::connect(shop.gateway.address());
    let asking = request("POST", "/", &[("trailer", "x-sum")]);
    assert_eq!(client.converse(asking, b"abc", trailers).status, 200);
    let received = origin.request();
    assert_eq!(
        (&received.body[..], &received.trailers[..]),
        (&b"abc"[..], &["x-sum: 3".to_owned()][..])
    );
}

#[test]
fn an_answer_that_breaks_off_is_never_ended() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let origin = Origin::new(move |visit, _| {
            visit.send(answer);
            visit.close();
        });
        let shop = Shop::before(&origin);
        for way in [Way::Http2, Way::Http2Tls] {
            let reply = shop.get(way, "/", &[]);
            assert_eq!(reply.reset, Some(h2::Reason::INTERNAL_ERROR), "{way:?}");
        }
    }
}

#[test]
fn cookie_crumbs_become_one_field() {
    let origin = Origin::saying(200, "", "");
    let shop = Shop::before(&origin);
    let crumbs = [
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("x", "y"),
        ("cookie", "c=3"),
    ];
    shop.get(Way::Http2, "/", &crumbs);
    assert_eq!(origin.request().headers("cookie"), ["a=1; b=2; c=3"]);
}

#[test]
fn the_authority_wins_over_host() {
    let origin = Origin::saying(200, "", "");
    let shop = Shop::before(&origin);
    shop.get(
        Way::Http2,
        "/",
        &[("host", "other.example"), ("host", "third.example")],
    );
    let received = origin.request();
    assert_eq!(received.headers("host"), ["shop.example"]);
    assert_eq!(received.header("x-forwarded-host"), Some("shop.example"));
}

#[test]
fn exchanges_share_a_connection_without_waiting_for_each_other() {
    let origin = Origin::new(|visit, received| {
        let slow = received.line().contains("/slow");
        if slow {
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha");
            visit.wait_for_close();
        } else {
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfast");
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = Frames::connect(gateway.address());
    let slow = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/slow"),
        (":authority", "a"),
    ];
    client.head(1, &slow, true);
    assert_eq!(client.outcome(1), Outcome::Answered(200));
    client.head(3, &GET, true);
    assert_eq!(client.outcome(3), Outcome::Answered(200));
}

#[test]
fn a_failed_call_of_grpc_is_told_in_its_own_way() {
    let origin = Origin::new(|visit, _| visit.close());
    let shop = Shop::before(&origin);
    let fields = [("content-type", "application/grpc"), ("te", "trailers")];
    let reply = shop.ask(
        Way::Http2,
        &request("POST", "/shop.Cart/Add", &fields),
        b"\0\0\0\0\0",
    );
    assert_eq!(
        (reply.status, reply.body.len(), reply.reset),
        (200, 0, None)
    );
    assert_eq!(reply.header("content-type"), Some("application/grpc"));
    assert_eq!(reply.header("grpc-status"), Some("14"));
    let id = reply.header("x-request-id").unwrap();
    assert!(reply.header("grpc-message").unwrap().contains(id));
}

#[test]
fn a_late_call_of_grpc_is_told_that_its_deadline_is_over() {
    let origin = Origin::new(|visit, _| visit.wait_for_close());
    let gateway = Gateway::configured(
        &origin,
        "[upstreams.app]\nendpoints = [\"$ORIGIN\"]\ntimeouts.head = \"100ms\"\n",
    );
    let fields = [("content-type", "application/grpc"), ("te", "trailers")];
    let asking = request("POST", "/shop.Cart/Add", &fields);
    let reply = Http2::connect(gateway.address()).ask(asking, b"\0\0\0\0\0");
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(reply.header("grpc-status"), Some("4"));
}

#[test]
fn who_waits_to_be_asked_for_a_body_is_asked() {
    let origin = Origin::on_head(|visit, head| {
        visit.send("HTTP/1.1 100 Continue\r\n\r\n");
        let received = visit.finish(head);
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        Some(received)
    });
    let gateway = Gateway::before(&origin);
    let mut client = Frames::connect(gateway.address());
    let mut post = GET.to_vec();
    post[0].1 = "POST";
    post.extend([("expect", "100-continue"), ("content-length", "4")]);
    client.head(1, &post, false);
    assert_eq!(client.outcome(1), Outcome::Answered(100));
    client.send(DATA, END_STREAM, 1, b"body");
    assert_eq!(client.outcome(1), Outcome::Answered(200));
    assert_eq!(origin.request().body, b"body");
}

#[test]
fn who_is_answered_without_being_asked_for_a_body_keeps_the_connection() {
    let origin = Origin::on_head(|visit, _| {
        visit.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        visit.wait_for_close();
        None
    });
    let gateway = Gateway::before(&origin);
    let mut client = Frames::connect(gateway.address());
    let mut post = GET.to_vec();
    post[0].1 = "POST";
    post.push(("content-length", "4"));
    let mut expecting = post.clone();
    expecting.push(("expect", "100-continue"));
    for (stream, head) in [(1, &expecting), (3, &post), (5, &expecting)] {
        client.head(stream, head, false);
        assert_eq!(client.outcome(stream), Outcome::Answered(404));
        // Nothing more of the request is wanted, and nothing is wrong (RFC 9113, 8.1).
        assert_eq!(client.outcome(stream), Outcome::Reset(0));
    }
}

#[test]
fn a_host_of_another_certificate_is_sent_elsewhere_and_the_connection_stays() {
    let origin = Origin::saying(200, "", "fine");
    let authority = Authority::new();
    let folder = Folder::new();
    let certificates: Vec<_> = ["shop.example", "blog.example"]
        .iter()
        .map(|name| authority.certify(&[name]).write(&folder, name))
        .collect();
    let gateway = Gateway::set(
        &origin,
        &format!(
            "[server]\nlisten = [\"tls://127.0.0.1:443\"]\ntls.certificates = [{}]\n",
            certificates.join(", ")
        ),
    );
    let visitor = Visitor::trusting(&authority).offering(&["h2"]);
    let mut client = Http2::within(&visitor, gateway.address(), "shop.example");
    let mut elsewhere = request("GET", "/", &[]);
    *elsewhere.uri_mut() = "https://blog.example/".parse().unwrap();
    assert_eq!(client.ask(elsewhere, b"").status, 421);
    assert_eq!(client.get("/").text(), "fine");
}
