//! A new connection to an endpoint: TCP or a Unix socket, TLS.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use super::Upstream;
use super::endpoint::{Address, Endpoint};
use super::error::{ErrorKind, UpstreamError};
use super::http1::Connection;
use super::stream::Stream;

/// A Unix socket whose backlog is full says so at once, where TCP waits: how long until it is asked again.
const BACKLOG_PAUSE: Duration = Duration::from_millis(5);

/// Connects to an endpoint; an address that says nothing is waited for no longer than `limit`. Dropped, it leaves nothing
/// open.
///
/// # Errors
///
/// `ConnectFailed`, `ConnectTimeout`, `TlsFailed`, or `Overloaded` where this process has no descriptor left.
pub(super) async fn connect(
    upstream: &Upstream,
    endpoint: &Endpoint,
    limit: Duration,
) -> Result<Connection, UpstreamError> {
    let stream = reach(endpoint, limit).await?;
    let site = upstream.sites.get(endpoint.site);
    let stream = match (stream, site.and_then(|site| site.tls.as_ref())) {
        (Stream::Plain(tcp), Some(tls)) => {
            let secured = tls.connector.connect(tls.server_name.clone(), tcp).await;
            Stream::Tls(Box::new(secured.map_err(|error| {
                UpstreamError::caused_by(ErrorKind::TlsFailed, error)
            })?))
        }
        (stream, _) => stream,
    };
    Ok(Connection::new(stream, upstream.limits))
}

async fn reach(endpoint: &Endpoint, limit: Duration) -> Result<Stream, UpstreamError> {
    let connecting = async {
        match &endpoint.address {
            Address::Tcp(address) => TcpStream::connect(address).await.map(|tcp| {
                // Where this fails the first write does too, and says it better.
                drop(tcp.set_nodelay(true));
                Stream::Plain(tcp)
            }),
            Address::Unix(path) => unix(path).await.map(Stream::Unix),
        }
    };
    let (kind, why) = match timeout(limit, connecting).await {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(error)) => {
            let kind = if is_shortage(&error) {
                ErrorKind::Overloaded
            } else {
                ErrorKind::ConnectFailed
            };
            (kind, Ok(error))
        }
        Err(_) => (ErrorKind::ConnectTimeout, Err("no answer")),
    };
    let refused = why.as_ref().is_ok_and(is_refusal);
    let address = &endpoint.address;
    let why = why.map_or_else(str::to_owned, |error| error.to_string());
    let mut error = UpstreamError::caused_by(kind, format!("{address}: {why}"));
    error.refused = refused;
    Err(error)
}

async fn unix(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(BACKLOG_PAUSE).await,
            connected => return connected,
        }
    }
}

/// Whether nothing listens there.
fn is_refusal(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::ConnectionRefused | K::NotFound)
}

/// Whether it is this process, or this machine, that has no descriptor left: EMFILE and ENFILE, which have no name in
/// [`std::io::ErrorKind`].
fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}
