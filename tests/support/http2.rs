//! Two clients of HTTP/2: one that keeps the protocol, by the `h2` crate, and one that writes any frame by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::Bytes;
use h2::Reason;
use h2::client::{Builder, SendRequest};
use http::{HeaderMap, Request};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

use super::PATIENCE;
use super::tls::Visitor;

/// A connection of a client that keeps the protocol.
pub struct Http2 {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
}

/// What became of a request.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
    /// Why the answer ended early, where it did.
    pub reset: Option<Reason>,
}

impl Http2 {
    /// In the clear, by prior knowledge.
    pub fn connect(address: SocketAddr) -> Self {
        Self::begin(async move { tokio::net::TcpStream::connect(address).await.unwrap() })
    }

    /// Within TLS.
    pub fn within(visitor: &Visitor, address: SocketAddr, name: &str) -> Self {
        let connector = TlsConnector::from(visitor.config());
        let name = ServerName::try_from(name.to_owned()).unwrap();
        Self::begin(async move {
            let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
            let tls = connector.connect(name, tcp).await.unwrap();
            assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            tls
        })
    }

    fn begin<T>(connecting: impl Future<Output = T>) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let sender = runtime.block_on(async {
            let stream = connecting.await;
            let (sender, connection) = Builder::new()
                .initial_window_size(1024 * 1024)
                .initial_connection_window_size(4 * 1024 * 1024)
                .handshake(stream)
                .await
                .unwrap();
            tokio::spawn(async move { drop(connection.await) });
            sender
        });
        Self { runtime, sender }
    }

    /// Sends a request with a body and reads the answer.
    pub fn ask(&mut self, request: Request<()>, body: &[u8]) -> Reply {
        self.converse(request, body, HeaderMap::new())
    }

    /// With trailers behind the body.
    pub fn converse(&mut self, request: Request<()>, body: &[u8], trailers: HeaderMap) -> Reply {
        let sender = self.sender.clone();
        let body = Bytes::copy_from_slice(body);
        let asking = exchange(sender, request, body, trailers);
        self.runtime
            .block_on(async { tokio::time::timeout(PATIENCE, asking).await })
            .expect("an answer in time")
    }

    /// Asks, and gives what came first of the answer's body; the rest is left.
    pub fn first(&mut self, request: Request<()>) -> Bytes {
        let sender = self.sender.clone();
        let asking = async {
            let mut sender = sender.ready().await.unwrap();
            let (answer, _) = sender.send_request(request, true).unwrap();
            let mut body = answer.await.unwrap().into_body();
            body.data().await.unwrap().unwrap()
        };
        self.runtime
            .block_on(async { tokio::time::timeout(PATIENCE, asking).await })
            .expect("a beginning in time")
    }

    /// GET.
    pub fn get(&mut self, path: &str) -> Reply {
        self.ask(request("GET", path, &[]), b"")
    }
}

/// A request for the shop.
pub fn request(method: &str, path: &str, fields: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://shop.example{path}"));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

async fn exchange(
    sender: SendRequest<Bytes>,
    request: Request<()>,
    body: Bytes,
    trailers: HeaderMap,
) -> Reply {
    let mut sender = sender.ready().await.unwrap();
    let ends = body.is_empty() && trailers.is_empty();
    let (answer, mut stream) = sender.send_request(request, ends).unwrap();
    let sending = async {
        if !ends {
            let bare = trailers.is_empty();
            drop(stream.send_data(body, bare));
            if !bare {
                drop(stream.send_trailers(trailers));
            }
        }
    };
    let (answer, ()) = tokio::join!(answer, sending);
    let mut reply = Reply {
        status: 0,
        headers: HeaderMap::new(),
        body: Vec::new(),
        trailers: HeaderMap::new(),
        reset: None,
    };
    let mut body = match answer {
        Ok(answer) => {
            reply.status = answer.status().as_u16();
            reply.headers.clone_from(answer.headers());
            answer.into_body()
        }
        Err(error) => {
            reply.reset = error.reason();
            return reply;
        }
    };
    while let Some(data) = body.data().await {
        match data {
            Ok(data) => {
                drop(body.flow_control().release_capacity(data.len()));
                reply.body.extend_from_slice(&data);
            }
            Err(error) => {
                reply.reset = Some(error.reason().unwrap_or(Reason::INTERNAL_ERROR));
                return reply;
            }
        }
    }
    reply.trailers = body.trailers().await.ok().flatten().unwrap_or_default();
    reply
}

impl Reply {
    /// A header's value; none where it is absent. Fails where it stands more than once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.get_all(name).iter();
        let first = all.next().map(|value| value.to_str().unwrap());
        assert!(all.next().is_none(), "{name} stands once at most");
        first
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What asks for `/` of the shop.
pub const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "shop.example"),
];

/// A connection whose frames are written by hand.
pub struct Frames {
    stream: TcpStream,
}

/// A frame as it came.
#[derive(Clone, Debug)]
pub struct Frame {
    pub kind: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// How a stream ended, or its connection with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Answered(u16),
    Reset(u32),
    GoneAway(u32),
    Closed,
}

impl Frames {
    /// After the preface and empty settings.
    pub fn connect(address: SocketAddr) -> Self {
        Self::with_settings(address, &[])
    }

    /// With these settings: an identifier and a value each.
    pub fn with_settings(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut frames = Self { stream };
        frames.write(PREFACE);
        let settings = settings.iter();
        let payload: Vec<u8> = settings
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        frames.send(SETTINGS, 0, 0, &payload);
        frames
    }

    /// Writes bytes; whether they could be.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends a frame; whether it could be.
    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.write(&frame(kind, flags, stream, payload))
    }

    /// Sends a whole head.
    pub fn head<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        stream: u32,
        fields: &[(N, V)],
        ends: bool,
    ) -> bool {
        let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
        self.send(HEADERS, flags, stream, &block(fields))
    }

    /// The next frame; none at the connection's end.
    pub fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let size = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; size as usize];
        self.stream.read_exact(&mut payload).ok()?;
        Some(Frame {
            kind: head[3],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }

    /// Reads on until it is known what becomes of a stream.
    pub fn outcome(&mut self, stream: u32) -> Outcome {
        while let Some(frame) = self.next() {
            match frame.kind {
                HEADERS if frame.stream == stream => {
                    return Outcome::Answered(status(&frame.payload));
                }
                RST_STREAM if frame.stream == stream => {
                    return Outcome::Reset(number(&frame.payload[..4]));
                }
                GOAWAY if number(&frame.payload[4..8]) != 0 => {
                    return Outcome::GoneAway(number(&frame.payload[4..8]));
                }
                _ => {}
            }
        }
        Outcome::Closed
    }

    /// Reads on until the connection ends; the error that it was told with, where it was.
    pub fn end(&mut self) -> Option<u32> {
        let mut error = None;
        while let Some(frame) = self.next() {
            if frame.kind == GOAWAY {
                error = Some(number(&frame.payload[4..8]));
            }
        }
        error
    }
}

/// A frame's bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&size[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A block of literal fields, none of them remembered (RFC 7541, 6.2.2).
pub fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name.as_ref(), value.as_ref()] {
            length(text.len(), &mut block);
            block.extend_from_slice(text);
        }
    }
    block
}

/// A string's length, in seven bits and as many more as it takes (RFC 7541, 5.1).
fn length(mut length: usize, block: &mut Vec<u8>) {
    if length < 127 {
        block.push(u8::try_from(length).unwrap());
        return;
    }
    block.push(127);
    length -= 127;
    while length >= 128 {
        block.push(u8::try_from(length % 128).unwrap() | 128);
        length /= 128;
    }
    block.push(u8::try_from(length).unwrap());
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}

/// The status that a block begins with: one of the table's, or three digits in Huffman's code.
fn status(block: &[u8]) -> u16 {
    let known = [200, 204, 206, 304, 400, 404, 500];
    if (0x88..=0x8e).contains(&block[0]) {
        return known[usize::from(block[0] - 0x88)];
    }
    assert_eq!(block[0], 0x48, "a block that begins with a status");
    let size = usize::from(block[1] & 127);
    let mut bits = block[2..2 + size]
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
    let mut take = |count: usize| bits.by_ref().take(count).fold(0, |sum, bit| sum * 2 + bit);
    let mut digit = || match take(5) {
        code @ 0..=2 => code,
        code => code * 2 + take(1) - 22,
    };
    (0..3).fold(0, |sum, _| sum * 10 + digit())
}
