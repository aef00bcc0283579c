//! The same bytes to Pardon as a client and to hyper's client: what each reads of them.

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, Method, Request, response};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use pardon::config;
use pardon::upstream::{Client, Head, RequestBody, Timeouts, Upstream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;
use tokio::time::{Instant, timeout};

use super::message::{Message, PATIENCE};

/// An app that says what it is told to, and the two that ask it.
pub struct Answers {
    runtime: Runtime,
    app: UnixListener,
    place: PathBuf,
    upstream: Arc<Upstream>,
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

impl Answers {
    pub fn new() -> Self {
        let name = format!("pardon-differential-{}.sock", std::process::id());
        let place = std::env::temp_dir().join(name);
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let app = runtime
            .block_on(async { UnixListener::bind(&place) })
            .unwrap();
        let mut settings = config::Upstream {
            endpoints: vec![format!("unix:{}", place.display()).parse().unwrap()],
            ..config::Upstream::default()
        };
        settings.retry.attempts = 1;
        settings.health.eject_after = 0;
        let upstream = Upstream::build("app", &settings, Path::new(""), 1).unwrap();
        Self {
            runtime,
            app,
            place,
            upstream: Arc::new(upstream),
        }
    }

    /// How many answers Pardon has let through whole: to a GET, and to a HEAD.
    ///
    /// # Errors
    ///
    /// What both have read, where that is not the same.
    pub fn compare(&self, input: &[u8]) -> Result<usize, String> {
        let mut whole = 0;
        for method in [Method::GET, Method::HEAD] {
            let Some(ours) = self.ours(&method, input) else {
                continue;
            };
            let theirs = self.theirs(&method, input);
            let same = theirs.as_ref().is_some_and(|theirs| ours.agrees(theirs));
            if !same {
                return Err(format!("{method}\npardon: {ours:?}\nhyper:  {theirs:?}"));
            }
            whole += usize::from(ours.whole);
        }
        Ok(whole)
    }

    fn ours(&self, method: &Method, input: &[u8]) -> Option<Message> {
        let asking = async {
            let client = Client::new(Arc::clone(&self.upstream), 0);
            let timeouts = Timeouts::from(&config::UpstreamTimeouts::default());
            let head = |_: &str| Asked(method.clone());
            let none = RequestBody::default();
            let sent = client.send((method, head), &none, &timeouts, Instant::now());
            let mut answer = sent.await.ok()?;
            let mut message = begun(&answer.head);
            while let Some(piece) = poll_fn(|cx| answer.body.poll_piece(cx)).await {
                let Ok(frame) = piece else {
                    return Some(message);
                };
                message.add(frame);
            }
            message.whole = true;
            Some(message)
        };
        let app = async {
            let (stream, _) = self.app.accept().await.unwrap();
            say(stream, input).await;
        };
        self.first(asking, app)
    }

    fn theirs(&self, method: &Method, input: &[u8]) -> Option<Message> {
        let (client, app) = tokio::io::duplex(64 * 1024);
        let asking = async {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(client))
                    .await
                    .unwrap();
            tokio::task::spawn_local(connection);
            let request = Request::builder().method(method).uri("/");
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            let (head, mut body) = sender.send_request(request).await.ok()?.into_parts();
            let mut message = begun(&head);
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else {
                    return Some(message);
                };
                message.add(frame);
            }
            message.whole = true;
            Some(message)
        };
        self.first(asking, say(app, input))
    }

    /// What is read; the app is there for as long as that takes.
    fn first(
        &self,
        asking: impl Future<Output = Option<Message>>,
        app: impl Future<Output = ()>,
    ) -> Option<Message> {
        let both = async {
            tokio::select! {
                read = asking => read,
                () = app => unreachable!("it stays"),
            }
        };
        let within = async { timeout(PATIENCE, both).await.unwrap() };
        LocalSet::new().block_on(&self.runtime, within)
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.place));
    }
}

/// An answer's head. What frames its body is told by the body: Pardon takes a length away that counts for nothing.
fn begun(head: &response::Parts) -> Message {
    let mut headers = head.headers.clone();
    headers.remove(http::header::CONTENT_LENGTH);
    Message::new(
        format!("{:?} {}", head.version, head.status.as_u16()),
        &headers,
    )
}

/// Hears a request's head, says this and no more, and stays.
async fn say(mut stream: impl AsyncRead + AsyncWrite + Unpin, input: &[u8]) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.unwrap() > 0 {}
    // Whoever has heard enough may have left.
    drop(stream.write_all(input).await);
    drop(stream.shutdown().await);
    std::future::pending::<()>().await;
}
