//! What a handler sees of a tunnel, what its client does, and what streams have to do with each other.

use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

use super::serve;
use crate::config::Server;
use crate::http1::Stream;
use crate::server::http1::Scratch;
use crate::server::peer::Peer;
use crate::server::shared::Shared;
use crate::server::{Handler, Incoming, Settings, Unreadable};

/// Switches protocols and sends back what comes after that.
struct Echo;

impl Handler for Echo {
    type Body = Incoming;

    async fn handle(self: Rc<Self>, request: Request<Incoming>, _: Rc<Peer>) -> Response<Incoming> {
        let (head, mut body) = request.into_parts();
        let mut answer = Response::new(Incoming::default());
        let Some(tunnel) = body.tunnel() else {
            // The request's own body, as it comes.
            *answer.body_mut() = body;
            return answer;
        };
        assert!(body.is_end_stream() && body.tunnel().is_none());
        assert_eq!((head.method, head.uri.path()), (Method::GET, "/chat"));
        assert_eq!(head.headers[CONNECTION], "upgrade");
        assert_eq!(head.headers[UPGRADE], "websocket");
        assert_eq!(head.headers[SEC_WEBSOCKET_KEY].len(), 24);
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        for (name, value) in [
            (CONNECTION, "upgrade"),
            (UPGRADE, "websocket"),
            (SEC_WEBSOCKET_ACCEPT, "x"),
        ] {
            answer
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        *answer.body_mut() = tunnel;
        answer
    }

    fn refuse(self: Rc<Self>, _: Request<()>, _: Unreadable, _: Rc<Peer>) -> Response<Incoming> {
        Response::default()
    }

    async fn settle(self: Rc<Self>) {}

    fn hurry(&self) {}
}

/// A client of a connection that is served with the defaults; its streams' windows are of this size.
async fn client(window: u32) -> SendRequest<Bytes> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (tcp, address) = accepted.unwrap();
    let settings = Settings {
        workers: 1,
        name: "test",
        max_connections: 1,
        timeouts: Server::default().timeouts,
        announcing: None,
        limits: Server::default().limits,
        drain: Duration::ZERO,
    };
    let scratch = Rc::new(Scratch::new());
    let shared = Rc::new(Shared::new(Rc::new(Echo), settings, scratch));
    let peer = Rc::new(Peer::new(address, None));
    spawn_local(serve(shared, Stream::Plain(tcp), Bytes::new(), peer));
    let handshake = h2::client::Builder::new()
        .initial_window_size(window)
        .handshake(client.unwrap());
    let (sender, connection) = handshake.await.unwrap();
    spawn_local(async move { connection.await.unwrap() });
    // The server's settings have come by then.
    let mut sender = sender.ready().await.unwrap();
    let first = Request::get("http://shop.example/").body(()).unwrap();
    sender.send_request(first, true).unwrap().0.await.unwrap();
    sender
}

/// A tunnel that was opened.
async fn tunnel(sender: &mut SendRequest<Bytes>) -> (RecvStream, SendStream<Bytes>) {
    let mut asking = Request::new(());
    *asking.method_mut() = Method::CONNECT;
    *asking.uri_mut() = "http://shop.example/chat".parse().unwrap();
    asking
        .extensions_mut()
        .insert(Protocol::from_static("websocket"));
    let (answer, stream) = sender.send_request(asking, false).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    for name in [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT] {
        assert!(!answer.headers().contains_key(name));
    }
    (answer.into_body(), stream)
}

/// Nobody takes the answers, which are the bodies, so that nobody reads these.
#[tokio::test]
async fn bodies_that_nobody_reads_hold_up_no_other() {
    let local = LocalSet::new();
    let run = local.run_until(async {
        let mut sender = client(0).await;
        let mut post = || {
            let request = Request::post("http://shop.example/").body(()).unwrap();
            sender.send_request(request, false).unwrap()
        };
        let mut unread = Vec::new();
        for _ in 0..100 {
            let (answer, mut body) = post();
            let more_than_there_is_room_for = Bytes::from(vec![b'x'; 1 << 20]);
            body.send_data(more_than_there_is_room_for, false).unwrap();
            unread.push((answer.await.unwrap(), body));
        }
        let (_answer, mut body) = post();
        body.reserve_capacity(64 << 10);
        let room = async {
            while body.capacity() < 64 << 10 {
                poll_fn(|cx| body.poll_capacity(cx)).await.unwrap().unwrap();
            }
        };
        let waited = timeout(Duration::from_secs(10), room).await;
        waited.expect("room for another body");
        drop(unread);
    });
    run.await;
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_and_ends_with_either_side() {
    let local = LocalSet::new();
    let run = local.run_until(async {
        let mut sender = client(65_535).await;
        let (mut theirs, mut ours) = tunnel(&mut sender).await;
        ours.send_data(Bytes::from_static(b"hello"), false).unwrap();
        assert_eq!(theirs.data().await.unwrap().unwrap(), "hello");
        // Half closed, which the app sees, and closes too.
        ours.send_data(Bytes::from_static(b"bye"), true).unwrap();
        assert_eq!(theirs.data().await.unwrap().unwrap(), "bye");
        assert!(theirs.data().await.is_none());
    });
    run.await;
}

/// Whether a reader is still served after a minute that opens its window by so many bytes a second, which is half of it.
async fn is_borne(bytes: usize) -> bool {
    // A clock that stands still jumps when nothing is to be done but to wait for a socket.
    spawn_local(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    let mut sender = client(u32::try_from(bytes).unwrap() * 2).await;
    let post = Request::post("http://shop.example/").body(()).unwrap();
    let (answer, mut stream) = sender.send_request(post, false).unwrap();
    stream.send_data(vec![b'x'; 100_000].into(), true).unwrap();
    let mut theirs = answer.await.unwrap().into_body();
    let mut came = 0;
    for second in 1..=60 {
        while came < bytes * (second + 1) {
            match theirs.data().await.unwrap() {
                Ok(data) => came += data.len(),
                Err(error) => {
                    assert_eq!(error.reason(), Some(Reason::CANCEL));
                    return false;
                }
            }
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        theirs.flow_control().release_capacity(bytes).unwrap();
    }
    true
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_drips_is_given_up() {
    for (bytes, borne) in [(100, false), (1000, true)] {
        let local = LocalSet::new();
        assert_eq!(local.run_until(is_borne(bytes)).await, borne, "{bytes}");
    }
}
