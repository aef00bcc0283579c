//! Connections that are served with the default deadlines, on a clock that stands still.

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::Response;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{advance, sleep};

use super::{Incoming, Unreadable, serve};
use crate::config::Server;
use crate::http1::Stream;
use crate::server::peer::Peer;
use crate::server::shared::Shared;
use crate::server::{Handler, Settings};

struct Echo;

impl Handler for Echo {
    type Body = Full<Bytes>;

    async fn handle(
        self: Rc<Self>,
        request: Request<Incoming>,
        _peer: Rc<Peer>,
    ) -> Response<Full<Bytes>> {
        if request.uri().path() == "/unread" {
            // Somebody may still read the body.
            let response = Response::new(Full::from("/unread"));
            spawn_local(async move {
                sleep(Duration::from_secs(20)).await;
                drop(request);
            });
            return response;
        }
        Response::new(Full::from(request.uri().path().to_owned()))
    }

    fn refuse(
        self: Rc<Self>,
        _: Request<()>,
        why: Unreadable,
        _: Rc<Peer>,
    ) -> Response<Full<Bytes>> {
        Response::builder()
            .status(why.status())
            .body(Full::from(why.reason()))
            .unwrap()
    }

    async fn settle(self: Rc<Self>) {}

    fn hurry(&self) {}
}

/// A client of a connection that is served with the default deadlines, on a clock that stands still.
async fn client() -> (TcpStream, Rc<Shared<Echo>>) {
    let settings = Settings {
        workers: 1,
        name: "test",
        max_connections: 1,
        timeouts: Server::default().timeouts,
        limits: Server::default().limits,
        drain: Duration::ZERO,
    };
    let shared = Rc::new(Shared::new(Rc::new(Echo), settings));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).await.unwrap();
    let (tcp, address) = listener.accept().await.unwrap();
    spawn_local(serve(
        Rc::clone(&shared),
        Stream::Plain(tcp),
        Rc::new(Peer::new(address, None)),
    ));
    (client, shared)
}

/// Sends this and reads until the answer ends so.
async fn ask(client: &mut TcpStream, text: &str, end: &str) {
    client.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0, "it closed");
    }
}

/// Lets a second pass, and the tasks do what they then do, so many times.
async fn seconds(number: u32) {
    for _ in 0..number {
        advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_rests_serves_again_and_ends_when_its_time_is_up() {
    let test = async {
        let (mut client, shared) = client().await;
        let idle = shared.settings.timeouts.idle.as_secs();
        for path in ["/first", "/second", "/third"] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
            ask(&mut client, &request, path).await;
            seconds(5).await;
        }
        let mut rest = [0];
        seconds(u32::try_from(idle).unwrap() - 6).await;
        assert!(client.try_read(&mut rest).is_err(), "it is still open");
        seconds(2).await;
        assert_eq!(client.read(&mut rest).await.unwrap(), 0, "it is closed");
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn half_a_head_behind_a_request_is_not_lost_and_does_not_wait_as_long_as_an_idle_one() {
    let test = async {
        for finished in [true, false] {
            let (mut client, shared) = client().await;
            let head = shared.settings.timeouts.head.as_secs();
            let request = "GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET /sec";
            ask(&mut client, request, "/first").await;
            seconds(5).await;
            if finished {
                ask(&mut client, "ond HTTP/1.1\r\nHost: a\r\n\r\n", "/second").await;
            } else {
                seconds(u32::try_from(head).unwrap()).await;
                let mut rest = Vec::new();
                client.read_to_end(&mut rest).await.unwrap();
                assert!(
                    rest.starts_with(b"HTTP/1.1 408 "),
                    "{}",
                    rest.escape_ascii()
                );
            }
        }
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_body_is_not_taken_for_a_request() {
    let test = async {
        let (mut client, _shared) = client().await;
        let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        let length = smuggled.len() + 100;
        let head = format!("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        ask(&mut client, &format!("{head}{}", "x".repeat(10)), "/unread").await;
        seconds(5).await;
        client.write_all(smuggled.as_bytes()).await.unwrap();
        seconds(5).await;
        let mut answer = [0; 100];
        let read = client.try_read(&mut answer);
        assert!(!matches!(read, Ok(1..)), "{read:?}");
    };
    LocalSet::new().run_until(test).await;
}
