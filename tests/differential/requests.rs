//! The same bytes to Pardon's server and to hyper's: what each reads of them.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, request};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pardon::config;
use pardon::server::{Handler, Incoming, Listener, Peer, Server, Settings, Socket, Unreadable};
use tokio::io::AsyncWriteExt;
use tokio::runtime::Runtime;

use super::message::{Message, PATIENCE};

type Seen = Arc<Mutex<Vec<Message>>>;

/// Both servers.
pub struct Requests {
    address: SocketAddr,
    seen: Seen,
    hyper: Runtime,
    /// Ours, for as long as it is to run.
    _server: Server,
}

impl Requests {
    pub fn new() -> Self {
        let name = format!("pardon-differential-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name).unwrap();
        let socket = UnixListener::bind_addr(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        let listener = Listener {
            socket: Socket::Unix(socket),
            tls: None,
        };
        let defaults = config::Server::default();
        let settings = Settings {
            workers: 1,
            name: "differential",
            max_connections: 16,
            timeouts: defaults.timeouts,
            announcing: None,
            limits: defaults.limits,
            drain: Duration::ZERO,
        };
        let seen = Seen::default();
        let ours = Arc::clone(&seen);
        let make = move |_| Rc::new(Reader(Arc::clone(&ours)));
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        Self {
            address,
            seen,
            hyper: runtime.enable_all().build().unwrap(),
            _server: Server::start(&[listener], &settings, make).unwrap(),
        }
    }

    /// How many requests Pardon has let through whole.
    ///
    /// # Errors
    ///
    /// What both have read, where hyper has not read one of Pardon's, or has read it in another way.
    pub fn compare(&self, input: &[u8]) -> Result<usize, String> {
        // That is a connection of HTTP/2 to one of them.
        if input.starts_with(b"PRI ") {
            return Ok(0);
        }
        let (ours, theirs) = (self.ours(input), self.theirs(input));
        let agreed = ours
            .iter()
            .zip(&theirs)
            .filter(|(one, other)| one.agrees(other));
        if agreed.count() < ours.len() {
            return Err(format!("pardon: {ours:?}\nhyper:  {theirs:?}"));
        }
        Ok(ours.iter().filter(|message| message.whole).count())
    }

    fn ours(&self, input: &[u8]) -> Vec<Message> {
        let mut client = UnixStream::connect_addr(&self.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        // A server that has refused the first of it need not take the rest.
        drop(client.write_all(input));
        drop(client.shutdown(Shutdown::Write));
        let mut answers = Vec::new();
        if let Err(error) = client.read_to_end(&mut answers) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    fn theirs(&self, input: &[u8]) -> Vec<Message> {
        let seen = Seen::default();
        let service = service_fn(|request: Request<hyper::body::Incoming>| async {
            let (head, body) = request.into_parts();
            let message = read(&head, body).await;
            seen.lock().unwrap().push(message);
            Ok::<_, Infallible>(answer())
        });
        let serving = async {
            let (mut client, server) = tokio::io::duplex(1024 * 1024);
            client.write_all(input).await.unwrap();
            client.shutdown().await.unwrap();
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.half_close(true).header_read_timeout(None);
            // However it ends: what it has read is what counts.
            drop(
                builder
                    .serve_connection(TokioIo::new(server), service)
                    .await,
            );
        };
        self.hyper
            .block_on(async { tokio::time::timeout(PATIENCE, serving).await })
            .unwrap();
        std::mem::take(&mut seen.lock().unwrap())
    }
}

/// Keeps what Pardon's server has read.
struct Reader(Seen);

impl Handler for Reader {
    type Body = Empty<Bytes>;

    async fn handle(
        self: Rc<Self>,
        request: Request<Incoming>,
        _: Rc<Peer>,
    ) -> Response<Empty<Bytes>> {
        let (head, body) = request.into_parts();
        let message = read(&head, body).await;
        self.0.lock().unwrap().push(message);
        answer()
    }

    fn refuse(
        self: Rc<Self>,
        _: Request<()>,
        _: Unreadable,
        _: Rc<Peer>,
    ) -> Response<Empty<Bytes>> {
        answer()
    }

    async fn settle(self: Rc<Self>) {}

    fn hurry(&self) {}
}

/// One that grants nothing that was asked for: no tunnel, no other protocol.
fn answer() -> Response<Empty<Bytes>> {
    let mut answer = Response::new(Empty::new());
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
}

async fn read(head: &request::Parts, body: impl Body<Data = Bytes>) -> Message {
    let line = format!("{} {} {:?}", head.method, head.uri, head.version);
    let mut message = Message::new(line, &head.headers);
    let mut body = std::pin::pin!(body);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return message;
        };
        message.add(frame);
    }
    message.whole = true;
    message
}
