//! The origin: this program once more, started with `--origin`, as cheap as an app can be. In come requests and `HAProxy`'s log, out go
//! answers that were made before, and at a second port what it has seen.
//!
//! One thread, two system calls a request. It counts connections and requests, so that it is known whether a proxy keeps its own.

use std::cell::RefCell;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::rc::Rc;

use anyhow::{Context, Result};
use memchr::memmem;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{LocalSet, spawn_local};

use crate::failure::Failure;
use crate::shop;

/// Bytes of a download, and of an upload.
pub(crate) const GIB: u64 = 1 << 30;
/// Bytes of a streamed answer that are written at once.
const PIECE: usize = 256 << 10;
/// The largest request head, and the largest datagram.
const HEAD: usize = 64 << 10;
/// What waits to be read of a log: enough that a busy core loses none of it.
const LOG_BUFFER: usize = 4 << 20;

/// The ports that an origin has; the first line that it prints.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Ports {
    /// Where proxies send requests.
    pub(crate) http: u16,
    /// Where it tells what it has seen.
    pub(crate) seen: u16,
    /// Where it reads a log, by UDP.
    pub(crate) log: u16,
    /// A port of its own that refuses connections.
    pub(crate) closed: u16,
}

/// What it has seen since it began.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Connections accepted.
    pub(crate) connections: u64,
    /// Requests answered.
    pub(crate) requests: u64,
    /// Bytes of request bodies.
    pub(crate) uploaded: u64,
    /// Lines of log, each a datagram.
    pub(crate) lines: u64,
    /// The head of the last request.
    pub(crate) head: String,
    /// The last line of log.
    pub(crate) line: String,
    /// The last body that was unlike the others.
    pub(crate) body: String,
}

/// Runs the origin until the process is killed.
pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let http = listen(4096)?;
        let seen = listen(16)?;
        let log = UdpSocket::from_std(log_socket()?)?;
        // Bound and never listened on.
        let closed = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        closed.bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let closed_port = closed.local_addr()?.as_socket().context("an address")?;
        let ports = Ports {
            http: http.local_addr()?.port(),
            seen: seen.local_addr()?.port(),
            log: log.local_addr()?.port(),
            closed: closed_port.port(),
        };
        writeln!(io::stdout(), "{}", serde_json::to_string(&ports)?)?;
        let origin = Rc::new(Origin::new()?);
        spawn_local(Rc::clone(&origin).read_log(log));
        spawn_local(Rc::clone(&origin).tell(seen));
        origin.accept(http).await
    })
}

fn listen(backlog: i32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(backlog)?;
    TcpListener::from_std(socket.into())
}

fn log_socket() -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(LOG_BUFFER)?;
    socket.bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    Ok(socket.into())
}

struct Origin {
    kilobyte: Vec<u8>,
    tiny: Vec<u8>,
    alike: Vec<u8>,
    /// Pages of HTML, by their paths.
    pages: [(&'static [u8], Vec<u8>); 4],
    state: RefCell<State>,
}

struct State {
    seen: Seen,
    head: Vec<u8>,
    line: Vec<u8>,
    failure: Failure,
}

impl Origin {
    fn new() -> io::Result<Self> {
        let mut failure = Failure::new();
        let (small, large) = (shop::page(10 << 10), shop::page(1 << 20));
        let coded = "text/html\r\nContent-Encoding: gzip";
        Ok(Self {
            kilobyte: answer("text/plain", &[b'.'; 1024]),
            tiny: answer("text/plain", b"fine\n"),
            alike: failure.next().to_vec(),
            pages: [
                (b"/10k", answer("text/html", &small)),
                (b"/10k.gz", answer(coded, &shop::gzip(&small)?)),
                (b"/1m", answer("text/html", &large)),
                (b"/1m.gz", answer(coded, &shop::gzip(&large)?)),
            ],
            state: RefCell::new(State {
                seen: Seen::default(),
                head: Vec::new(),
                line: Vec::new(),
                failure,
            }),
        })
    }

    async fn accept(self: Rc<Self>, listener: TcpListener) -> Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            self.state.borrow_mut().seen.connections += 1;
            let origin = Rc::clone(&self);
            // A proxy that goes away is of no interest here.
            spawn_local(async move { drop(origin.serve(stream).await) });
        }
    }

    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; HEAD];
        let mut filled = 0;
        loop {
            let read = stream
                .read(buffer.get_mut(filled..).unwrap_or_default())
                .await?;
            if read == 0 {
                return Ok(());
            }
            filled += read;
            let come = buffer.get(..filled).unwrap_or_default();
            let Some(end) = memmem::find(come, b"\r\n\r\n") else {
                continue;
            };
            let (head, rest) = come.split_at(end + 4);
            let already = rest.len() as u64;
            self.answer(&mut stream, head, already).await?;
            filled = 0;
        }
    }

    /// Answers a request; `already` bytes of its body came with the head.
    async fn answer(&self, stream: &mut TcpStream, head: &[u8], already: u64) -> io::Result<()> {
        let path = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        {
            let mut state = self.state.borrow_mut();
            state.seen.requests += 1;
            state.head.clear();
            state.head.extend_from_slice(head);
        }
        match path {
            b"/1k" => stream.write_all(&self.kilobyte).await,
            b"/fail" => stream.write_all(&self.alike).await,
            b"/unlike" => {
                // Written at once as a rule; the copy is for the case that it is not.
                let answer = self.state.borrow_mut().failure.next().to_vec();
                stream.write_all(&answer).await
            }
            b"/gib" => stream_gib(stream).await,
            b"/echo" => echo(stream).await,
            b"/upload" => {
                let length = content_length(head).ok_or(io::ErrorKind::InvalidData)?;
                self.count(stream, length, already).await?;
                stream.write_all(&self.tiny).await
            }
            _ => {
                let page = self.pages.iter().find(|(of, _)| *of == path);
                let answer = page.map_or(&self.tiny, |(_, page)| page);
                stream.write_all(answer).await
            }
        }
    }

    async fn count(&self, stream: &mut TcpStream, length: u64, already: u64) -> io::Result<()> {
        let mut buffer = vec![0; PIECE];
        let mut come = already;
        while come < length {
            match stream.read(&mut buffer).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => come += read as u64,
            }
        }
        self.state.borrow_mut().seen.uploaded += come;
        Ok(())
    }

    async fn read_log(self: Rc<Self>, log: UdpSocket) {
        let mut datagram = vec![0; HEAD];
        while let Ok(length) = log.recv(&mut datagram).await {
            let mut state = self.state.borrow_mut();
            state.seen.lines += 1;
            state.line.clear();
            let line = datagram.get(..length).unwrap_or_default();
            state.line.extend_from_slice(line);
        }
    }

    /// Tells what it has seen to whoever connects.
    async fn tell(self: Rc<Self>, listener: TcpListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            let seen = {
                let state = self.state.borrow();
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                Seen {
                    head: text(&state.head),
                    line: text(&state.line),
                    body: text(state.failure.body()),
                    ..state.seen.clone()
                }
            };
            let text = serde_json::to_vec(&seen).unwrap_or_default();
            drop(stream.write_all(&text).await);
        }
    }
}

fn answer(kind: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

async fn stream_gib(stream: &mut TcpStream) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {GIB}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let piece = vec![b'.'; PIECE];
    for _ in 0..GIB / PIECE as u64 {
        stream.write_all(&piece).await?;
    }
    Ok(())
}

/// Switches to a tunnel that sends back what comes, until its end. Its key is the one that every visitor here sends.
async fn echo(stream: &mut TcpStream) -> io::Result<()> {
    let head =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    stream.write_all(head).await?;
    let mut buffer = vec![0; HEAD];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                let come = buffer.get(..read).unwrap_or_default();
                stream.write_all(come).await?;
            }
        }
    }
}

fn content_length(head: &[u8]) -> Option<u64> {
    let head = std::str::from_utf8(head).ok()?;
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut values = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    values.next()?.1.trim().parse().ok()
}
