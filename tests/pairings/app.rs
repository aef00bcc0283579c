//! One app that speaks HTTP/1.1 or HTTP/2, with or without TLS, and answers alike: by hyper, which knows nothing of ours.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use crate::support::Served;
use crate::support::tls::Authority;

/// How an app is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    Http1,
    Http1Tls,
    Http2,
    Http2Tls,
}

impl Spoken {
    pub(super) const ALL: [Self; 4] = [Self::Http1, Self::Http1Tls, Self::Http2, Self::Http2Tls];

    fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Http2Tls)
    }

    fn is_secure(self) -> bool {
        matches!(self, Self::Http1Tls | Self::Http2Tls)
    }
}

/// A request as the app had it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) version: http::Version,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: HeaderMap,
}

/// An app on a free loopback port; it ends with this value.
pub(super) struct App {
    spoken: Spoken,
    served: Served,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl App {
    /// One whose certificate, where it has one, is from this authority for `app.example`.
    pub(super) fn start(spoken: Spoken, authority: &Authority) -> Self {
        let tls = spoken.is_secure().then(|| acceptor(spoken, authority));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let served = Served::start(move |stream| {
            let (tls, log) = (tls.clone(), Arc::clone(&log));
            async move {
                match tls {
                    None => converse(stream, spoken, log).await,
                    Some(tls) => converse(tls.accept(stream).await.unwrap(), spoken, log).await,
                }
            }
        });
        Self {
            spoken,
            served,
            seen,
        }
    }

    /// What a file says of it; `authority` is where the authority's certificate is.
    pub(super) fn toml(&self, authority: &str) -> String {
        let scheme = if self.spoken.is_secure() {
            "https"
        } else {
            "http"
        };
        // With TLS the app's ALPN decides.
        let protocol = match self.spoken {
            Spoken::Http2 => "http2",
            _ => "auto",
        };
        format!(
            "[upstreams.app]\nendpoints = [\"{scheme}://127.0.0.1:{}\"]\nprotocol = \"{protocol}\"\n\
             [upstreams.app.tls]\nca = {authority:?}\nserver_name = \"app.example\"\n",
            self.served.address.port()
        )
    }

    /// The last request.
    pub(super) fn last(&self) -> Seen {
        let seen = self.seen.lock().unwrap();
        seen.last().expect("a request").clone()
    }
}

fn acceptor(spoken: Spoken, authority: &Authority) -> TlsAcceptor {
    let protocol: &[u8] = if spoken.is_http2() {
        b"h2"
    } else {
        b"http/1.1"
    };
    let issued = authority.certify(&["app.example"]);
    TlsAcceptor::from(Arc::new(issued.serving(&[protocol])))
}

async fn converse<T>(stream: T, spoken: Spoken, log: Arc<Mutex<Vec<Seen>>>)
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let service = service_fn(move |request| answer(request, Arc::clone(&log)));
    let stream = TokioIo::new(stream);
    // Where the proxy leaves, or an answer breaks off, the connection ends with an error, which is no matter.
    if spoken.is_http2() {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        drop(builder.serve_connection(stream, service).await);
    } else {
        let builder = hyper::server::conn::http1::Builder::new();
        drop(builder.serve_connection(stream, service).await);
    }
}

async fn answer(
    request: Request<Incoming>,
    log: Arc<Mutex<Vec<Seen>>>,
) -> Result<Response<Script>, Infallible> {
    let (head, body) = request.into_parts();
    let whole = body.collect().await.unwrap();
    let trailers = whole.trailers().cloned().unwrap_or_default();
    let body = whole.to_bytes();
    let is_head = head.method == Method::HEAD;
    log.lock().unwrap().push(Seen {
        version: head.version,
        headers: head.headers,
        body: body.clone(),
        trailers,
    });
    let response = Response::builder().header("x-app", "one");
    let said = |text: &'static [u8]| Piece::Data(Bytes::from_static(text));
    let (response, pieces) = match head.uri.path() {
        "/empty" => (response, vec![]),
        "/echo" => (
            response.header("content-length", body.len()),
            vec![Piece::Data(body)],
        ),
        "/same" => (response.status(304).header("etag", "\"a\""), vec![]),
        "/fail" => (
            response.status(500).header("set-cookie", "a=b"),
            vec![said(b"hunter2 and the stack of it")],
        ),
        "/events" => (
            response.header("content-type", "text/event-stream"),
            vec![said(b"data: first\n\n"), Piece::Wait],
        ),
        "/half" => (response, vec![said(b"begun"), Piece::Break]),
        "/trailers" => {
            let trailers = HeaderMap::from_iter([(
                http::HeaderName::from_static("x-sum"),
                HeaderValue::from_static("3"),
            )]);
            let response = response.header("trailer", "x-sum");
            (response, vec![said(b"abc"), Piece::Trailers(trailers)])
        }
        "/odd-trailers" => {
            let names = ["x-sum", "x-request-id", "set-cookie", "authorization"];
            let trailers = names.map(|name| {
                let value = HeaderValue::from_static("3");
                (http::HeaderName::from_static(name), value)
            });
            let response = response.header("trailer", names.join(", "));
            let trailers = Piece::Trailers(HeaderMap::from_iter(trailers));
            (
                response,
                vec![Piece::Data(Bytes::from_static(b"abc")), trailers],
            )
        }
        _ if is_head => (response.header("content-length", 5), vec![]),
        _ => (response.header("content-length", 5), vec![said(b"hello")]),
    };
    Ok(response.body(Script(pieces.into())).unwrap())
}

/// What an answer's body does next.
enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    /// Nothing more comes, and no end.
    Wait,
    /// It breaks off, once what came before has left.
    Break,
    /// It has.
    Snap,
}

struct Script(VecDeque<Piece>);

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.0.pop_front() {
            None => Poll::Ready(None),
            Some(Piece::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Piece::Trailers(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Some(Piece::Wait) => {
                self.0.push_front(Piece::Wait);
                Poll::Pending
            }
            Some(Piece::Break) => {
                // The next time that this is polled the beginning was written.
                self.0.push_front(Piece::Snap);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Piece::Snap) => Poll::Ready(Some(Err(io::Error::other("as the script says")))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if self.0.is_empty() {
            SizeHint::with_exact(0)
        } else {
            SizeHint::new()
        }
    }
}
