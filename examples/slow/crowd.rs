//! Many who are there and ask nothing, and some who send as slowly as is borne.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::ordinary::Ordinary;
use crate::proxy_process::ProxyProcess;

/// How long the ordinary visitor is watched.
const WATCHED: Duration = Duration::from_secs(10);
/// A sender's pause, and what it sends then: 512 bytes a second, twice what is asked for.
const PAUSE: Duration = Duration::from_secs(1);
const PIECE: [u8; 512] = [b'x'; 512];
/// After which the proxy has let go of what only an answer needs.
const SETTLING: Duration = Duration::from_secs(3);
/// Connections that are opened at once.
const AT_ONCE: usize = 50;

/// What came of it.
pub(crate) struct Crowded {
    before: Ordinary,
    pub(crate) during: Ordinary,
    idle: (usize, f64),
    streams: (usize, f64),
    senders: (usize, f64),
    /// Those that were there at the end still.
    left: (usize, usize),
}

/// An idle connection.
enum Guest {
    Http1(TcpStream),
    Http2 {
        driven: JoinHandle<()>,
        _open: SendRequest<Bytes>,
    },
}

pub(crate) fn measure(
    proxy: &ProxyProcess,
    (idle, streams, senders): (usize, usize, usize),
) -> io::Result<Crowded> {
    let address = proxy.address;
    let (before, ()) = Ordinary::watched(address, || thread::sleep(WATCHED / 2))?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let empty = resident(proxy)?;
    let mut guests = open(&runtime, idle, || http1(address))?;
    let with_idle = resident(proxy)?;
    guests.extend(open(&runtime, streams, || http2(address))?);
    let with_streams = resident(proxy)?;
    let sending: Vec<_> = (0..senders).map(|_| runtime.spawn(send(address))).collect();
    let (during, ()) =
        Ordinary::watched(address, || runtime.block_on(async { sleep(WATCHED).await }))?;
    let with_senders = resident(proxy)?;
    let still_sending = sending.iter().filter(|one| !one.is_finished()).count();
    let still_there = guests.iter().filter(|guest| guest.is_there()).count();
    let each = |count: usize, before: u64, after: u64| {
        let bytes = u32::try_from(after.saturating_sub(before)).unwrap_or(u32::MAX);
        let count = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        f64::from(bytes) / f64::from(count)
    };
    Ok(Crowded {
        before,
        during,
        idle: (idle, each(idle, empty, with_idle)),
        streams: (streams, each(streams, with_idle, with_streams)),
        senders: (senders, each(senders, with_streams, with_senders)),
        left: (still_there, still_sending),
    })
}

/// Opens so many connections, some at once, and gives the proxy a moment to forget how.
fn open<F>(runtime: &Runtime, count: usize, connect: impl Fn() -> F) -> io::Result<Vec<Guest>>
where
    F: Future<Output = io::Result<Guest>> + Send + 'static,
{
    let mut guests = Vec::with_capacity(count);
    while guests.len() < count {
        let some: Vec<_> = (guests.len()..count)
            .take(AT_ONCE)
            .map(|_| runtime.spawn(connect()))
            .collect();
        for one in some {
            guests.push(runtime.block_on(one).map_err(io::Error::other)??);
        }
    }
    runtime.block_on(async { sleep(SETTLING).await });
    Ok(guests)
}

async fn http1(address: SocketAddr) -> io::Result<Guest> {
    let mut stream = TcpStream::connect(address).await?;
    let request = b"GET / HTTP/1.1\r\nHost: slow.example\r\n\r\n";
    stream.write_all(request).await?;
    let (mut answer, mut piece) = (Vec::new(), [0; 1024]);
    while !answer.ends_with(b"fine") {
        match stream.read(&mut piece).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => answer.extend_from_slice(piece.get(..length).unwrap_or_default()),
        }
    }
    Ok(Guest::Http1(stream))
}

async fn http2(address: SocketAddr) -> io::Result<Guest> {
    let stream = TcpStream::connect(address).await?;
    let (sender, connection) = h2::client::handshake(stream)
        .await
        .map_err(io::Error::other)?;
    // How it ends the requests on it tell.
    let driven = tokio::spawn(async { drop(connection.await) });
    let mut sender = sender.ready().await.map_err(io::Error::other)?;
    let request = Request::get("http://slow.example/").body(());
    let request = request.map_err(io::Error::other)?;
    let (answer, _) = sender
        .send_request(request, true)
        .map_err(io::Error::other)?;
    let mut body = answer.await.map_err(io::Error::other)?.into_body();
    while let Some(piece) = body.data().await {
        piece.map_err(io::Error::other)?;
    }
    Ok(Guest::Http2 {
        driven,
        _open: sender,
    })
}

/// Sends a body as slowly as is borne, until it is not borne.
async fn send(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let head = b"POST / HTTP/1.1\r\nHost: slow.example\r\nContent-Length: 10000000\r\n\r\n";
    stream.write_all(head).await?;
    loop {
        stream.write_all(&PIECE).await?;
        sleep(PAUSE).await;
    }
}

impl Guest {
    fn is_there(&self) -> bool {
        match self {
            Self::Http1(stream) => stream
                .try_read(&mut [0; 1])
                .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock),
            Self::Http2 { driven, .. } => !driven.is_finished(),
        }
    }
}

/// The proxy's resident memory, in bytes.
fn resident(proxy: &ProxyProcess) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", proxy.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<u64> = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

impl fmt::Display for Crowded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |f: &mut fmt::Formatter<'_>, (count, each): (usize, f64), what: &str| {
            writeln!(f, "{count} {what}: {:.1} KiB each", each / 1024.0)
        };
        part(f, self.idle, "idle connections of HTTP/1.1")?;
        part(f, self.streams, "idle connections of HTTP/2")?;
        part(f, self.senders, "slow senders, with those at the app")?;
        let (there, sending) = self.left;
        writeln!(
            f,
            "of them {there} idle ones and {sending} senders were there at the end"
        )?;
        writeln!(f, "an ordinary visitor before: {}", self.before)?;
        writeln!(f, "the ordinary visitor meanwhile: {}", self.during)
    }
}
