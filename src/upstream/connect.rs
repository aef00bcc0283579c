//! A new connection to an app: name, TCP, TLS, HTTP.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::body::RequestBody;
use super::error::{ErrorKind, UpstreamError};
use super::stream::{Allowance, Stream};
use super::{Timeouts, Upstream};

/// A connection that speaks HTTP: what sends requests on it, and what moves its bytes.
pub(super) struct Connected {
    pub(super) sender: SendRequest<RequestBody>,
    pub(super) driver: Driver,
    pub(super) allowance: Arc<Allowance>,
}

/// Moves a connection's bytes until it ends.
pub(super) type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>>>>;

/// Connects to the upstream's endpoint, in at most `timeouts.connect`. Dropped, it leaves nothing open.
///
/// # Errors
///
/// `DnsFailed`, `ConnectFailed`, `TlsFailed`, or `ConnectTimeout`.
pub(super) async fn connect(
    upstream: &Upstream,
    timeouts: &Timeouts,
) -> Result<Connected, UpstreamError> {
    match timeout(timeouts.connect, open(upstream)).await {
        Ok(connected) => connected,
        Err(_) => Err(UpstreamError::new(ErrorKind::ConnectTimeout)),
    }
}

async fn open(upstream: &Upstream) -> Result<Connected, UpstreamError> {
    let tcp = reach(upstream).await?;
    // Where this fails the first write does too, and says it better.
    drop(tcp.set_nodelay(true));
    match &upstream.tls {
        None => speak(upstream, tcp).await,
        Some(tls) => {
            let secured = tls.connector.connect(tls.server_name.clone(), tcp).await;
            let stream =
                secured.map_err(|error| UpstreamError::caused_by(ErrorKind::TlsFailed, error))?;
            speak(upstream, stream).await
        }
    }
}

/// Tries the endpoint's addresses in their order.
async fn reach(upstream: &Upstream) -> Result<TcpStream, UpstreamError> {
    let mut failure = UpstreamError::new(ErrorKind::DnsFailed);
    for address in resolve(upstream).await? {
        match TcpStream::connect(address).await {
            Ok(tcp) => return Ok(tcp),
            Err(error) => {
                upstream.names.forget();
                failure = UpstreamError::caused_by(
                    ErrorKind::ConnectFailed,
                    io::Error::new(error.kind(), format!("{address}: {error}")),
                );
            }
        }
    }
    Err(failure)
}

async fn resolve(upstream: &Upstream) -> Result<Vec<SocketAddr>, UpstreamError> {
    let (host, port) = (upstream.endpoint.host.as_str(), upstream.endpoint.port);
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    if let Some(addresses) = upstream.names.recall(Instant::now()) {
        return Ok(addresses);
    }
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| {
            UpstreamError::caused_by(
                ErrorKind::DnsFailed,
                io::Error::new(error.kind(), format!("{host}: {error}")),
            )
        })?;
    let addresses: Vec<_> = found.collect();
    upstream.names.remember(&addresses, Instant::now());
    Ok(addresses)
}

/// Begins HTTP/1.1 on a stream.
async fn speak<S>(upstream: &Upstream, stream: S) -> Result<Connected, UpstreamError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error| UpstreamError::caused_by(ErrorKind::ConnectFailed, error);
    let allowance = Allowance::new(upstream.read_buffer);
    let stream = Stream::new(stream, Arc::clone(&allowance));
    let handshake = upstream.http.handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(failed)?;
    Ok(Connected {
        sender,
        driver: Box::pin(connection),
        allowance,
    })
}

/// The most that hyper reads at once from an app whose heads have at most `max_head` bytes.
pub(super) fn read_buffer(max_head: usize) -> usize {
    max_head.max(64 * 1024)
}

/// hyper's settings for connections to an app.
pub(super) fn http(max_head: usize, max_headers: usize) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.max_header_size(max_head)
        .max_buf_size(read_buffer(max_head));
    if max_headers != 100 {
        // hyper keeps up to 100 fields on the stack and allocates for any other number.
        http.max_headers(max_headers);
    }
    http
}
