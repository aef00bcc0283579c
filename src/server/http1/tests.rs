//! Connections that are served with the default deadlines, on a clock that stands still.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, TRAILER};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{advance, sleep};

use super::{Scratch, Unreadable, serve};
use crate::config::Server;
use crate::http1::Stream;
use crate::server::peer::Peer;
use crate::server::shared::Shared;
use crate::server::{BodyBroken, Incoming};
use crate::server::{Handler, Settings};

const SUM: HeaderName = HeaderName::from_static("x-sum");

/// Answers by the path.
struct Echo;

/// A body of pieces whose length nobody knows beforehand.
struct Pieces(VecDeque<Result<Frame<Bytes>, BodyBroken>>);

impl Pieces {
    fn boxed(pieces: impl IntoIterator<Item = Result<Frame<Bytes>, BodyBroken>>) -> Answer {
        Self(pieces.into_iter().collect()).boxed_unsync()
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = BodyBroken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        Poll::Ready(self.0.pop_front())
    }
}

type Answer = UnsyncBoxBody<Bytes, BodyBroken>;

fn text(text: impl Into<Bytes>) -> Answer {
    Full::new(text.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

impl Handler for Echo {
    type Body = Answer;

    async fn handle(
        self: Rc<Self>,
        request: Request<Incoming>,
        _peer: Rc<Peer>,
    ) -> Response<Answer> {
        let (head, body) = request.into_parts();
        let data = |data: &'static str| Ok(Frame::data(Bytes::from_static(data.as_bytes())));
        let mut answer = Response::new(match head.uri.path() {
            "/unread" => {
                // Somebody may still read the body.
                spawn_local(async move {
                    sleep(Duration::from_secs(20)).await;
                    drop(body);
                });
                text("/unread")
            }
            "/body" => match body.collect().await {
                Ok(whole) => text(whole.to_bytes()),
                Err(BodyBroken) => text("broken"),
            },
            "/pieces" => {
                let sum = HeaderMap::from_iter([(SUM, HeaderValue::from_static("2"))]);
                Pieces::boxed([data("one"), data("two"), Ok(Frame::trailers(sum))])
            }
            "/broken" => Pieces::boxed([data("one"), Err(BodyBroken)]),
            "/huge" => text(vec![b'x'; 64 * 1024 * 1024]),
            path => text(path.to_owned()),
        });
        if head.uri.path() == "/pieces" {
            answer
                .headers_mut()
                .insert(TRAILER, HeaderValue::from_static("x-sum"));
        }
        if head.uri.path() == "/close" {
            answer
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    fn refuse(self: Rc<Self>, _: Request<()>, why: Unreadable, _: Rc<Peer>) -> Response<Answer> {
        let mut answer = Response::new(text(why.reason()));
        *answer.status_mut() = why.status();
        answer
    }

    async fn settle(self: Rc<Self>) {}

    fn hurry(&self) {}
}

/// A client of a connection that is served with the default deadlines, on a clock that stands still.
async fn client() -> (TcpStream, Rc<Shared<Echo>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(client, listener.accept());
    let (tcp, _) = accepted.unwrap();
    (client.unwrap(), serving(Stream::Plain(tcp)))
}

/// Serves a connection.
fn serving(stream: Stream) -> Rc<Shared<Echo>> {
    let settings = Settings {
        workers: 1,
        name: "test",
        max_connections: 1,
        timeouts: Server::default().timeouts,
        announcing: None,
        limits: Server::default().limits,
        drain: Duration::ZERO,
    };
    let shared = Rc::new(Shared::new(
        Rc::new(Echo),
        settings,
        Rc::new(Scratch::new()),
    ));
    let address = (Ipv4Addr::LOCALHOST, 1).into();
    let peer = Rc::new(Peer::new(address, None));
    spawn_local(serve(Rc::clone(&shared), stream, peer));
    shared
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

/// What a connection answers to these bytes until it ends, without the dates. The client says nothing more after them.
async fn all(pieces: &[&str]) -> String {
    let (mut client, _shared) = client().await;
    for piece in pieces {
        client.write_all(piece.as_bytes()).await.unwrap();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    let mut answer = Vec::new();
    // An end that is a reset is an end.
    drop(client.read_to_end(&mut answer).await);
    let answer = String::from_utf8(answer).unwrap();
    let lines = answer.split_inclusive("\r\n");
    lines.filter(|line| !line.starts_with("date: ")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_request_reads_the_same_however_it_is_cut() {
    let request = "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
                   5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nA: 1\r\n\r\n";
    let expected = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\nhello world";
    let test = async {
        for at in 1..request.len() {
            let (one, other) = request.split_at(at);
            assert_eq!(all(&[one, other]).await, expected, "cut at {at}");
        }
        let each: Vec<_> = request.split("").collect();
        assert_eq!(all(&each).await, expected, "one by one");
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn requests_that_come_at_once_are_answered_in_their_order() {
    let requests = "GET /one HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r\n\
                    POST /two HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /\
                    HEAD /three HTTP/1.1\r\nHost: a\r\n\r\n\
                    GET /close HTTP/1.1\r\nHost: a\r\n\r\n\
                    GET /never HTTP/1.1\r\nHost: a\r\n\r\n";
    let expected = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n/one\
                    HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n/two\
                    HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n\
                    HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n/close";
    let test = async { assert_eq!(all(&[requests]).await, expected) };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_framed_as_its_client_understands_it() {
    let test = async {
        for (request, expected) in [
            (
                "GET /pieces HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
                 3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n",
            ),
            (
                "GET /pieces HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
                 3\r\none\r\n3\r\ntwo\r\n0\r\nx-sum: 2\r\n\r\n",
            ),
            (
                "GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                "HTTP/1.0 200 OK\r\ntrailer: x-sum\r\nconnection: close\r\n\r\nonetwo",
            ),
            (
                "HEAD /pieces HTTP/1.0\r\n\r\n",
                "HTTP/1.0 200 OK\r\ntrailer: x-sum\r\nconnection: close\r\n\r\n",
            ),
            (
                "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
                "HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\n/a\
                 HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n/b",
            ),
            (
                "GET /broken HTTP/1.1\r\nHost: a\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n",
            ),
        ] {
            assert_eq!(all(&[request]).await, expected, "{request:?}");
        }
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_is_asked_for_its_body_when_somebody_wants_it() {
    let test = async {
        let head = |path: &str| {
            format!(
                "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
            )
        };
        let (mut client, _shared) = client().await;
        ask(&mut client, &head("/body"), "HTTP/1.1 100 Continue\r\n\r\n").await;
        ask(&mut client, "hi", "\r\n\r\nhi").await;
        // One that nobody wants is not asked for, and nothing can be told apart after it: whatever was expected.
        let other = head("/other").replace("100-continue", "a-lot");
        let answer = all(&[&other, "hi"]).await;
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        let answer = all(&[&head("/other")]).await;
        assert_eq!(
            answer,
            "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n/other"
        );
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn heads_past_a_limit_are_refused_with_the_status_that_says_so() {
    let test = async {
        let long = "x".repeat(70_000);
        let many = "a: 1\r\n".repeat(101);
        for (request, status) in [
            (format!("GET /{long}"), "414"),
            (format!("GET / HTTP/1.1\r\nHost: a\r\nx: {long}"), "431"),
            (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), "431"),
            ("\x16\x03\x01\x02\x00\x01".to_owned(), "400"),
            ("GET / HTTP/1.1\r\nHost: a\r\n".to_owned(), "408"),
        ] {
            let answer = all(&[&request]).await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{status}: {answer}"
            );
            assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        }
        assert_eq!(all(&[""]).await, "", "one that says nothing hears nothing");
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_is_let_go() {
    let test = async {
        let (mut client, shared) = client().await;
        let write = shared.settings.timeouts.write.as_secs();
        client
            .write_all(b"GET /huge HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        seconds(u32::try_from(write).unwrap() + 2).await;
        let mut answer = Vec::new();
        let read = client.read_to_end(&mut answer).await;
        assert!(read.is_err(), "it is reset");
        assert!(answer.len() < 64 * 1024 * 1024);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_below_the_least_rate_is_let_go() {
    let test = async {
        for (bytes, borne) in [(100, false), (1000, true)] {
            // Whose buffer is small, so that what it reads makes room at once.
            let (mut client, ours) = UnixStream::pair().unwrap();
            socket2::SockRef::from(&ours)
                .set_send_buffer_size(4096)
                .unwrap();
            let shared = serving(Stream::Unix(ours));
            let request = b"GET /huge HTTP/1.1\r\nHost: a\r\n\r\n";
            client.write_all(request).await.unwrap();
            let mut piece = vec![0; bytes];
            client.read_exact(&mut piece).await.unwrap();
            let reading = async {
                for _ in 0..120 {
                    client.read_exact(&mut piece).await.unwrap();
                    seconds(1).await;
                }
            };
            let let_go = tokio::select! {
                () = reading => false,
                () = shared.drain.empty() => true,
            };
            assert_eq!(let_go, !borne, "{bytes} bytes a second");
        }
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn empty_lines_do_not_prolong_the_wait_for_a_request() {
    let test = async {
        let (mut client, shared) = client().await;
        ask(&mut client, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n", "/a").await;
        let idle = u32::try_from(shared.settings.timeouts.idle.as_secs()).unwrap();
        for second in 0..idle + 2 {
            let half = if second % 2 == 0 { b"\r" } else { b"\n" };
            drop(client.write_all(half).await);
            seconds(1).await;
        }
        assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0, "it is closed");
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn what_has_come_when_the_drain_begins_is_answered() {
    let test = async {
        // A whole request, in the socket of a connection that nobody has looked at yet; one that comes a moment later; and
        // the rest of a head.
        let request = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
        for (before, after) in [(request, ""), ("", request), request.split_at(20)] {
            let (mut client, shared) = client().await;
            client.write_all(before.as_bytes()).await.unwrap();
            shared.drain.begin();
            seconds(0).await;
            tokio::task::yield_now().await;
            client.write_all(after.as_bytes()).await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        }
        let (mut client, shared) = client().await;
        ask(&mut client, request, "/a").await;
        let begun = tokio::time::Instant::now();
        shared.drain.begin();
        assert_eq!(
            client.read(&mut [0]).await.unwrap(),
            0,
            "one that is idle ends"
        );
        assert_eq!(begun.elapsed(), Duration::ZERO, "at once");
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_length_arrives_whole_beside_a_body_that_nobody_read() {
    let test = async {
        let (mut client, _shared) = client().await;
        let head = "POST /pieces HTTP/1.0\r\nContent-Length: 300000\r\n\r\n";
        client.write_all(head.as_bytes()).await.unwrap();
        client.write_all(&vec![b'x'; 300_000]).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("onetwo"), "{answer}");
    };
    LocalSet::new().run_until(test).await;
}
