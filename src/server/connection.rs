//! One client connection, from its first byte to its last.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
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

/// Serves a connection to its end: closed by either side, overdue, or drained.
pub(super) async fn serve<H: Handler>(
    shared: Rc<Shared<H>>,
    tcp: TcpStream,
    address: std::net::SocketAddr,
) {
    let watch = Arc::new(Watch::new());
    let peer = Rc::new(Peer::new(address, Arc::clone(&watch)));
    let stream = TokioIo::new(Stream::new(tcp, Arc::clone(&watch)));
    let service = service_fn(|request| {
        let handler = Rc::clone(&shared.handler);
        let (peer, watch) = (Rc::clone(&peer), Arc::clone(&watch));
        async move {
            watch.exchange();
            let response = handler.handle(request, peer).await;
            Ok::<_, Infallible>(response.map(|body| Served {
                body,
                _ended: Ended(watch),
            }))
        }
    });
    let connection = Guarded {
        connection: shared.http.serve_connection(stream, service),
        watch: Arc::clone(&watch),
        timeouts: &shared.settings.timeouts,
        timer: sleep(std::time::Duration::ZERO),
        armed: false,
        told: false,
        drain: &shared.drain,
        place: shared.drain.enter(),
    };
    // What a client does to its own connection is no event of ours: what matters of it was seen by the handler.
    drop(connection.await);
}

pin_project_lite::pin_project! {
    /// A connection that ends when it is overdue, and finishes when its worker drains.
    struct Guarded<'a, C> {
        #[pin]
        connection: C,
        watch: Arc<Watch>,
        timeouts: &'a ServerTimeouts,
        #[pin]
        timer: Sleep,
        armed: bool,
        told: bool,
        drain: &'a Drain,
        place: Place,
    }

    impl<C> PinnedDrop for Guarded<'_, C> {
        fn drop(this: Pin<&mut Self>) {
            this.drain.leave(&this.place);
        }
    }
}

impl<S, B> Future for Guarded<'_, http1::Connection<TokioIo<Stream>, S>>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Output = hyper::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if this.drain.has_begun() && !*this.told {
            *this.told = true;
            this.connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(ended) = this.connection.poll(cx) {
            return Poll::Ready(ended);
        }
        this.watch.waits();
        if *this.told && this.watch.is_in_head() {
            // hyper would wait for the rest of a head that is not to be answered any more.
            return Poll::Ready(Ok(()));
        }
        if !*this.armed {
            // The task's waker stays the same, so the timer and the drain are told of it once.
            this.drain.wake_later(this.place, cx.waker());
        } else if !this.timer.is_elapsed() {
            return Poll::Pending;
        }
        *this.armed = true;
        loop {
            let Some(left) = this.watch.left(this.timeouts) else {
                return Poll::Ready(Ok(()));
            };
            this.timer
                .as_mut()
                .reset(tokio::time::Instant::now() + left);
            if this.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
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
