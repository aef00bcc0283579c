//! One client connection, from its first byte to its last.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::deadline::Watch;
use super::drain::{Drain, Place};
use super::peer::Peer;
use super::stream::Stream;
use super::{Handler, Settings};
use crate::config::ServerTimeouts;

/// What all connections of a worker share.
pub(super) struct Shared<H> {
    pub(super) handler: Rc<H>,
    pub(super) settings: Settings,
    pub(super) drain: Drain,
    pub(super) http: http1::Builder,
}

/// hyper's settings for client connections.
pub(super) fn http(settings: &Settings) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.max_header_size(settings.limits.head.bytes())
        .max_buf_size(settings.limits.head.bytes() + 16 * 1024);
    if settings.limits.headers != 100 {
        // hyper keeps up to 100 fields on the stack and allocates for any other number.
        http.max_headers(settings.limits.headers);
    }
    http
}

/// After how long without a request a connection is taken back from hyper, which keeps 20 KB for it. What is left is its
/// socket and its task.
const PARK: Duration = Duration::from_secs(1);

/// How often a connection without a request is looked at, which is not due before: its timer says when that is.
const PARKED_LOOK: Duration = Duration::from_hours(1);

/// Serves a connection to its end: closed by either side, overdue, or drained.
pub(super) async fn serve<H: Handler>(
    shared: Rc<Shared<H>>,
    tcp: TcpStream,
    address: std::net::SocketAddr,
) {
    let watch = Arc::new(Watch::new());
    let peer = Rc::new(Peer::new(address, Arc::clone(&watch)));
    let service = || {
        service_fn(|request: Request<Incoming>| {
            let handler = Rc::clone(&shared.handler);
            let (peer, watch) = (Rc::clone(&peer), Arc::clone(&watch));
            async move {
                watch.exchange(!request.body().is_end_stream());
                let response = handler.handle(request, peer).await;
                Ok::<_, Infallible>(response.map(|body| Served {
                    body,
                    _ended: Ended(watch),
                }))
            }
        })
    };
    let mut guard = Guard::new(&watch, &shared);
    let mut stream = Stream::new(tcp, Arc::clone(&watch));
    while poll_fn(|cx| guard.poll_parked(cx, &stream)).await == Parked::Called {
        let connection = shared
            .http
            .serve_connection(TokioIo::new(stream), service());
        let mut connection = Box::new(connection);
        // What a client does to its own connection is no event of ours: what matters of it was seen by the handler.
        match poll_fn(|cx| guard.poll_busy(cx, &mut connection)).await {
            Busy::Ended => return,
            Busy::Idle => {
                let parts = connection.into_parts();
                stream = parts.io.into_inner();
                stream.unread(parts.read_buf);
            }
        }
    }
}

/// How a connection that waited for its next request goes on.
#[derive(Debug, PartialEq, Eq)]
enum Parked {
    /// There is something to read, if only its end.
    Called,
    /// Its time is up, or its worker drains.
    Ended,
}

/// How hyper is done with a connection.
#[derive(Debug, PartialEq, Eq)]
enum Busy {
    /// It has no request, and nothing is to be written.
    Idle,
    /// Closed, or its time is up.
    Ended,
}

/// Ends a connection that is overdue, and lets it finish when its worker drains.
struct Guard<'a> {
    watch: &'a Watch,
    timeouts: &'a ServerTimeouts,
    /// How often a connection with a request is looked at: whatever it does then, it is not overdue before.
    look: Duration,
    timer: Pin<Box<Sleep>>,
    /// Whether the timer is set for what the connection does now.
    armed: bool,
    told: bool,
    drain: &'a Drain,
    place: Place,
}

impl<'a> Guard<'a> {
    fn new<H>(watch: &'a Watch, shared: &'a Shared<H>) -> Self {
        let timeouts = &shared.settings.timeouts;
        let least = (*timeouts.head).min(*timeouts.write).min(*timeouts.idle);
        Self {
            watch,
            timeouts,
            look: PARK.min(least),
            timer: Box::pin(sleep(Duration::ZERO)),
            armed: false,
            told: false,
            drain: &shared.drain,
            place: shared.drain.enter(),
        }
    }

    /// Waits for a request's first byte.
    fn poll_parked(&mut self, cx: &mut Context<'_>, stream: &Stream) -> Poll<Parked> {
        if stream.poll_called(cx).is_ready() {
            self.armed = false;
            return Poll::Ready(Parked::Called);
        }
        if self.drain.has_begun() {
            return Poll::Ready(Parked::Ended);
        }
        self.poll_overdue(cx, PARKED_LOOK).map(|()| Parked::Ended)
    }

    /// Serves requests.
    fn poll_busy<S, B>(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut http1::Connection<TokioIo<Stream>, S>,
    ) -> Poll<Busy>
    where
        S: hyper::service::HttpService<Incoming, ResBody = B>,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: Body + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut connection = Pin::new(connection);
        if self.drain.has_begun() && !self.told {
            self.told = true;
            connection.as_mut().graceful_shutdown();
        }
        if connection.poll(cx).is_ready() {
            return Poll::Ready(Busy::Ended);
        }
        self.watch.waits();
        if self.told && self.watch.is_in_head() {
            // hyper would wait for the rest of a head that is not to be answered any more.
            return Poll::Ready(Busy::Ended);
        }
        if self.armed && self.timer.is_elapsed() && self.watch.has_rested(PARK) && !self.told {
            self.armed = false;
            return Poll::Ready(Busy::Idle);
        }
        self.poll_overdue(cx, self.look).map(|()| Busy::Ended)
    }

    /// Ready when the connection's time is up. Looks at it when the timer fires, after `look` at most.
    fn poll_overdue(&mut self, cx: &mut Context<'_>, look: Duration) -> Poll<()> {
        if self.armed && !self.timer.is_elapsed() {
            return Poll::Pending;
        }
        if !self.armed {
            // The task's waker stays the same, so the timer and the drain are told of it once.
            self.drain.wake_later(&self.place, cx.waker());
        }
        self.armed = true;
        loop {
            let Some(left) = self.watch.left(self.timeouts, look) else {
                return Poll::Ready(());
            };
            self.timer
                .as_mut()
                .reset(tokio::time::Instant::now() + left);
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.drain.leave(&self.place);
    }
}

pin_project_lite::pin_project! {
    /// An answer's body, whose end makes its connection idle.
    struct Served<B> {
        #[pin]
        body: B,
        _ended: Ended,
    }
}

struct Ended(Arc<Watch>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.idle();
    }
}

impl<B: Body<Data = Bytes>> Body for Served<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The answer to a connection past the limit, ready to be written: there is no exchange that could make a page.
pub(super) const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 58\r\n\
    retry-after: 5\r\ncache-control: no-store\r\nconnection: close\r\n\r\n\
    Too many people are here at once. Please try again soon.\r\n";

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use http::Response;
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::{LocalSet, spawn_local};
    use tokio::time::advance;

    use super::*;
    use crate::config::Server;

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
        let shared = Rc::new(Shared {
            handler: Rc::new(Echo),
            http: http(&settings),
            settings,
            drain: Drain::default(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).await.unwrap();
        let (tcp, address) = listener.accept().await.unwrap();
        spawn_local(serve(Rc::clone(&shared), tcp, address));
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
                    assert!(rest.is_empty(), "it is closed, without an answer");
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
            let head =
                format!("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
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
}
