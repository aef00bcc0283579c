//! A scripted app of HTTP/2, by the `h2` crate.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::support::{Served, eventually};

/// An answer of which nothing was taken for this long is stalled.
const STALLED: Duration = Duration::from_millis(300);

/// How it behaves.
#[derive(Clone, Copy)]
pub(super) struct Script {
    /// Streams that it allows at once.
    pub(super) streams: u32,
    /// Requests that it refuses at first.
    pub(super) refusals: usize,
    /// Whether it opens tunnels (RFC 8441).
    pub(super) tunnels: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            streams: 100,
            refusals: 0,
            tunnels: false,
        }
    }
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Request<()>>>,
    /// Those of extended CONNECTs.
    protocols: Mutex<Vec<h2::ext::Protocol>>,
    connections: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
    /// Answers that wait for the proxy to take more.
    stalled: AtomicUsize,
}

/// An app on a free loopback port; it ends with this value.
pub(super) struct H2Origin {
    url: String,
    seen: Arc<Seen>,
    _served: Served,
}

impl H2Origin {
    pub(super) fn new(script: Script) -> Self {
        Self::start(script, None)
    }

    /// One behind TLS.
    pub(super) fn within(tls: ServerConfig) -> Self {
        Self::start(Script::default(), Some(TlsAcceptor::from(Arc::new(tls))))
    }

    fn start(script: Script, tls: Option<TlsAcceptor>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        let served = Served::start(move |stream| {
            shared.connections.fetch_add(1, Ordering::SeqCst);
            let (seen, tls) = (Arc::clone(&shared), tls.clone());
            async move {
                match tls {
                    None => converse(stream, script, seen).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            converse(stream, script, seen).await;
                        }
                    }
                }
            }
        });
        Self {
            url: format!("{scheme}://{}", served.address),
            seen,
            _served: served,
        }
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    pub(super) fn requests(&self) -> Vec<Request<()>> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// What was asked for by extended CONNECTs, in order.
    pub(super) fn protocols(&self) -> Vec<String> {
        let protocols = self.seen.protocols.lock().unwrap();
        let protocols = protocols.iter();
        protocols.map(|it| it.as_str().to_owned()).collect()
    }

    pub(super) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many of its answers to `/big` wait for the proxy.
    pub(super) fn when_stalled(&self, many: usize) {
        eventually("the answers to be stalled", || {
            (self.seen.stalled.load(Ordering::SeqCst) >= many).then_some(())
        });
    }

    /// The most requests that it has had at once.
    pub(super) fn most_at_once(&self) -> usize {
        self.seen.most.load(Ordering::SeqCst)
    }
}

async fn converse<T>(stream: T, script: Script, seen: Arc<Seen>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = Builder::new();
    builder.max_concurrent_streams(script.streams);
    if script.tunnels {
        builder.enable_connect_protocol();
    }
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(answer(request, respond, script, Arc::clone(&seen)));
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    script: Script,
    seen: Arc<Seen>,
) {
    let (head, mut body) = request.into_parts();
    let now = seen.now.fetch_add(1, Ordering::SeqCst) + 1;
    seen.most.fetch_max(now, Ordering::SeqCst);
    let path = head.uri.path().to_owned();
    let protocol = head.extensions.get::<h2::ext::Protocol>();
    seen.protocols.lock().unwrap().extend(protocol.cloned());
    let earlier = {
        let mut requests = seen.requests.lock().unwrap();
        requests.push(Request::from_parts(head, ()));
        requests.len() - 1
    };
    if path == "/never" {
        drop(poll_fn(|cx| respond.poll_reset(cx)).await);
    }
    let status = if path == "/fail" { 500 } else { 200 };
    let response = Response::builder().status(status).header("x-app", "one");
    let response = response.body(()).unwrap();
    if earlier < script.refusals {
        // By then some of its body may have come.
        drop(body.data().await);
        respond.send_reset(Reason::REFUSED_STREAM);
    } else if let Ok(mut sending) = respond.send_response(response, false) {
        match path.as_str() {
            "/echo" => {
                while let Some(Ok(data)) = body.data().await {
                    drop(body.flow_control().release_capacity(data.len()));
                    send(&mut sending, data).await;
                }
                let trailers = body.trailers().await.unwrap().unwrap_or_default();
                end(&mut sending, trailers);
            }
            "/half" => {
                // More than a window: what was first has reached the proxy when the last is taken.
                send(&mut sending, Bytes::from(vec![b'.'; 512 * 1024])).await;
                sending.send_reset(Reason::INTERNAL_ERROR);
            }
            "/big" => send_for_ever(&mut sending, &seen).await,
            "/fail" => {
                let text = "hunter2 and the stack of it";
                send(&mut sending, Bytes::from_static(text.as_bytes())).await;
                end(&mut sending, HeaderMap::new());
            }
            _ => {
                send(&mut sending, Bytes::from_static(b"hello")).await;
                end(&mut sending, HeaderMap::new());
            }
        }
    }
    seen.now.fetch_sub(1, Ordering::SeqCst);
}

/// Sends for as long as the proxy takes it; one that takes no more is counted.
async fn send_for_ever(sending: &mut SendStream<Bytes>, seen: &Seen) {
    let piece = Bytes::from(vec![b'.'; 64 * 1024]);
    loop {
        match timeout(STALLED, send(sending, piece.clone())).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => break,
        }
    }
    seen.stalled.fetch_add(1, Ordering::SeqCst);
    sending.reserve_capacity(0);
    // It keeps what was sent open until the proxy leaves.
    drop(poll_fn(|cx| sending.poll_reset(cx)).await);
}

fn end(sending: &mut SendStream<Bytes>, trailers: HeaderMap) {
    // A proxy that has left is no matter.
    if trailers.is_empty() {
        drop(sending.send_data(Bytes::new(), true));
    } else {
        drop(sending.send_trailers(trailers));
    }
}

/// Sends a piece as the proxy takes it; whether it still does.
async fn send(sending: &mut SendStream<Bytes>, mut piece: Bytes) -> bool {
    while !piece.is_empty() {
        sending.reserve_capacity(piece.len());
        while sending.capacity() == 0 {
            let room = poll_fn(|cx| sending.poll_capacity(cx)).await;
            if !matches!(room, Some(Ok(_))) {
                return false;
            }
        }
        let count = sending.capacity().min(piece.len());
        if sending.send_data(piece.split_to(count), false).is_err() {
            return false;
        }
    }
    true
}
