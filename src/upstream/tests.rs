//! What only an app that acts between two steps of ours can show: bytes and resets that come when nobody looks.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};
use http_body::Body;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local, yield_now};
use tokio::time::{Instant, timeout};

use super::name_server::{NameServer, Reply};
use super::names::Names;
use super::*;
use crate::config::units::Period;

/// The longest that a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(20);

const FINE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

/// What an app says without being asked.
const UNASKED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhunter2";

/// An app with its client, which may have so many connections.
struct Scene {
    listener: TcpListener,
    client: Client,
}

/// A request's head: a method, for `/`.
struct Asked(Method);

impl Head for Asked {
    fn method(&self) -> &Method {
        &self.0
    }

    fn target(&self) -> (&str, Option<&str>) {
        ("/", None)
    }

    fn fields(&self, _: &mut dyn FnMut(&HeaderName, &[&[u8]])) {}
}

impl Scene {
    async fn new(max_connections: usize) -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TcpListener::bind(free).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let settings = config::Upstream {
            endpoints: vec![endpoint.parse().unwrap()],
            max_connections,
            ..config::Upstream::default()
        };
        let upstream = Upstream::build("app", &settings, Path::new(""), 1).unwrap();
        let client = Client::new(Arc::new(upstream), 0);
        Self { listener, client }
    }

    async fn send(&self, method: Method, body: &RequestBody) -> Result<Answer, UpstreamError> {
        send(&self.client, method, body).await
    }

    /// Waits for a new connection and answers on it at once.
    async fn answer(&self) -> TcpStream {
        let (mut app, _) = self.listener.accept().await.unwrap();
        app.write_all(FINE).await.unwrap();
        app
    }

    /// Has one exchange, after which its connection is idle; the app's side of it.
    async fn idle(&self) -> TcpStream {
        let none = RequestBody::default();
        let (answer, app) = tokio::join!(self.send(Method::GET, &none), self.answer());
        assert_eq!(text(answer.unwrap()).await, "fine");
        app
    }
}

async fn send(
    client: &Client,
    method: Method,
    body: &RequestBody,
) -> Result<Answer, UpstreamError> {
    let timeouts = Timeouts::from(&config::UpstreamTimeouts {
        head: Period(Duration::from_secs(10)),
        ..config::UpstreamTimeouts::default()
    });
    let head = |_: &str| Asked(method.clone());
    client
        .send((&method, head), body, &timeouts, Instant::now())
        .await
}

/// Runs a case to its end, which has to come: a request that is lost is waited for in vain.
async fn within_patience(case: impl Future<Output = ()>) {
    let case = timeout(PATIENCE, case);
    LocalSet::new().run_until(case).await.expect("it ends");
}

/// An answer's whole body.
async fn text(mut answer: Answer) -> String {
    let mut text = Vec::new();
    while let Some(piece) = poll_fn(|cx| answer.body.poll_piece(cx)).await {
        text.extend_from_slice(&piece.unwrap().into_data().unwrap());
    }
    String::from_utf8(text).unwrap()
}

/// The body of this request as the server hands it over: its beginning, if there is any, has been read.
async fn body_of(request: &[u8]) -> (RequestBody, tokio::io::DuplexStream) {
    let (mut visitor, server) = tokio::io::duplex(64 * 1024);
    visitor.write_all(request).await.unwrap();
    let (sender, mut bodies) = mpsc::unbounded_channel();
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        sender.send(request.into_body()).unwrap();
        std::future::pending::<Result<hyper::Response<String>, Infallible>>()
    });
    let connection = hyper::server::conn::http1::Builder::new();
    spawn_local(connection.serve_connection(TokioIo::new(server), service));
    let limits = BodyLimits {
        least_rate: 0,
        pause: Duration::from_secs(10),
        size: None,
    };
    let body = RequestBody::new(bodies.recv().await.unwrap(), limits, false);
    (body, visitor)
}

/// Closes a connection with a reset.
fn reset(app: TcpStream) {
    let socket = SockRef::from(&app);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    drop(app);
}

#[tokio::test]
async fn a_body_of_which_nothing_has_left_goes_out_whole_on_the_second_connection() {
    const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\n";
    for (request, rest, sent) in [
        (
            "Content-Length: 4\r\n\r\nbook",
            "",
            "Content-Length: 4\r\n\r\nbook",
        ),
        (
            "Content-Length: 8\r\n\r\nbook",
            "shop",
            "Content-Length: 8\r\n\r\nbookshop",
        ),
        (
            "Content-Length: 4\r\n\r\n",
            "book",
            "Content-Length: 4\r\n\r\nbook",
        ),
        (
            "Transfer-Encoding: chunked\r\n\r\n4\r\nbook\r\n",
            "0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n4\r\nbook\r\n0\r\n\r\n",
        ),
    ] {
        let case = async {
            let scene = Scene::new(8).await;
            let app = scene.idle().await;
            let (body, mut visitor) = body_of(format!("{HEAD}{request}").as_bytes()).await;
            // From here to the first write nothing waits, so that the runtime has no chance to notice the reset.
            reset(app);
            let second = async {
                let (mut app, _) = scene.listener.accept().await.unwrap();
                visitor.write_all(rest.as_bytes()).await.unwrap();
                let sent = format!("POST / HTTP/1.1\r\n{sent}").to_lowercase();
                let mut received = vec![0; sent.len()];
                app.read_exact(&mut received).await.unwrap();
                app.write_all(FINE).await.unwrap();
                (sent, String::from_utf8(received).unwrap())
            };
            let (answer, (sent, received)) = tokio::join!(scene.send(Method::POST, &body), second);
            assert_eq!(received.to_lowercase(), sent);
            let answer = answer.unwrap();
            assert_eq!(
                answer.attempts, 2,
                "the first connection was tried: {request}"
            );
            assert_eq!(text(answer).await, "fine");
            assert!(body.has_ended() && body.size_hint().exact() != Some(4));
        };
        within_patience(case).await;
    }
}

#[tokio::test]
async fn an_idle_connection_with_an_answer_that_nobody_asked_for_is_not_handed_out() {
    let case = async {
        let scene = Scene::new(8).await;
        let app = scene.idle().await;
        assert_eq!(app.try_write(UNASKED).unwrap(), UNASKED.len());
        // The runtime sees the bytes; the pool's keeper, which would close the connection, has its turn after this test.
        yield_now().await;
        let none = RequestBody::default();
        let (answer, _app) = tokio::join!(scene.send(Method::GET, &none), scene.answer());
        let answer = answer.unwrap();
        assert_eq!(answer.attempts, 1);
        assert_eq!(text(answer).await, "fine");
    };
    within_patience(case).await;
}

#[tokio::test]
async fn a_connection_with_an_answer_that_nobody_asked_for_is_not_handed_to_one_that_waits() {
    let case = async {
        let scene = Scene::new(1).await;
        let none = RequestBody::default();
        let (first, app) = tokio::join!(scene.send(Method::GET, &none), scene.answer());
        let first = first.unwrap();
        let (client, (told, answered)) = (scene.client.clone(), oneshot::channel());
        spawn_local(async move {
            let answer = send(&client, Method::GET, &RequestBody::default()).await;
            drop(told.send(text(answer.unwrap()).await));
        });
        // Now the second waits for the only connection.
        yield_now().await;
        assert_eq!(scene.client.upstream().capacity.waiting(), 1);
        assert_eq!(app.try_write(UNASKED).unwrap(), UNASKED.len());
        assert_eq!(text(first).await, "fine");
        let (answered, _app) = tokio::join!(answered, scene.answer());
        assert_eq!(answered.unwrap(), "fine");
    };
    within_patience(case).await;
}

/// A connection whose app has answered `method` with `answer`.
async fn after(method: Method, answer: &[u8]) -> (http1::Connection, TcpStream) {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = TcpListener::bind(free).await.unwrap();
    let connecting = TcpStream::connect(listener.local_addr().unwrap());
    let (ours, accepted) = tokio::join!(connecting, listener.accept());
    let (mut app, _) = accepted.unwrap();
    app.write_all(answer).await.unwrap();
    let limits = http1::Limits {
        head: READ,
        fields: 8,
        read: READ,
    };
    let mut connection = http1::Connection::new(crate::http1::Stream::Plain(ours.unwrap()), limits);
    let mut body = RequestBody::default();
    connection.begin(&Asked(method), &body);
    let soon = Instant::now() + Duration::from_secs(10);
    poll_fn(|cx| connection.poll_answer(cx, &mut body, |_| soon))
        .await
        .unwrap();
    (connection, app)
}

#[tokio::test]
async fn a_body_behind_a_head_that_has_none_ends_its_connection() {
    for (method, head) in [
        (
            Method::HEAD,
            "HTTP/1.1 200 OK\r\nContent-Length: 39\r\n\r\n",
        ),
        (Method::GET, "HTTP/1.1 304 Not Modified\r\n\r\n"),
        (Method::GET, "HTTP/1.1 204 No Content\r\n\r\n"),
    ] {
        let (mut clean, _app) = after(method.clone(), head.as_bytes()).await;
        assert!(clean.settle(), "{head}");
        let (mut dirty, app) = after(method, head.as_bytes()).await;
        // The runtime, which has seen that nothing more was there, does not look again before the connection is settled.
        assert_eq!(app.try_write(UNASKED).unwrap(), UNASKED.len());
        assert!(!dirty.settle(), "{head}");
    }
}

/// An app at an address that says its own name on every connection.
async fn named(address: SocketAddr, name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn_local(async move {
        while let Ok((mut visit, _)) = listener.accept().await {
            spawn_local(async move {
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{name}");
                while visit.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
                    visit.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    address
}

/// Asks until the answers are as they should be; each of them has to come.
async fn ask_until(client: &Client, mut done: impl FnMut(&str) -> bool) {
    loop {
        let answer = send(client, Method::POST, &RequestBody::default()).await;
        if done(&text(answer.unwrap()).await) {
            return;
        }
    }
}

#[tokio::test]
async fn a_name_that_moves_is_followed_by_its_ttl_and_no_request_fails() {
    let case = async {
        let old = named((Ipv4Addr::LOCALHOST, 0).into(), "old").await;
        let new = SocketAddr::new([127, 0, 0, 2].into(), old.port());
        let new = named(new, "new").await;
        let reply = Arc::new(std::sync::Mutex::new(Reply::Records(vec![old.ip()], 1)));
        let told = Arc::clone(&reply);
        let server = NameServer::new(move |_| told.lock().unwrap().clone());
        let settings = config::Upstream {
            endpoints: vec![format!("http://app.test:{}", old.port()).parse().unwrap()],
            ..config::Upstream::default()
        };
        let mut upstream = Upstream::build("app", &settings, Path::new(""), 1).unwrap();
        let names = Names::by(server.resolver(), "app.test", old.port());
        upstream.sites[0].names = Some(Arc::new(names));
        let upstream = Arc::new(upstream);
        let client = Client::new(Arc::clone(&upstream), 0);
        let _watch = Watch::start(std::iter::once(Arc::clone(&upstream))).unwrap();
        ask_until(&client, |name| name == "old").await;
        *reply.lock().unwrap() = Reply::Records(vec![old.ip(), new.ip()], 1);
        let mut both = std::collections::HashSet::new();
        ask_until(&client, |name| {
            both.insert(name.to_owned()) && both.len() == 2
        })
        .await;
        *reply.lock().unwrap() = Reply::Records(vec![new.ip()], 1);
        let moved = || upstream.endpoints().len() == 1;
        ask_until(&client, |_| moved()).await;
        ask_until(&client, |name| name == "new").await;
        *reply.lock().unwrap() = Reply::NoSuchName;
        let lost = || upstream.sites[0].lost.load(Ordering::Relaxed);
        ask_until(&client, |name| name == "new" && lost()).await;
        ask_until(&client, |name| name == "new").await;
        assert!(moved(), "the last address stays");
    };
    within_patience(case).await;
}
