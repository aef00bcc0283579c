//! A new connection to an endpoint: TCP or a Unix socket, TLS.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use super::Upstream;
use super::endpoint::{Address, Endpoint};
use super::error::{ErrorKind, UpstreamError};
use crate::config::Protocol;
use crate::http1::Stream;

/// A Unix socket whose backlog is full says so at once, where TCP waits: how long until it is asked again.
const BACKLOG_PAUSE: Duration = Duration::from_millis(5);

/// A connection, and what is spoken on it.
pub(super) enum Connected {
    Http1(Stream),
    Http2(Stream),
}

/// Connects to an endpoint, by HTTP/1.1 where `http1` says that nothing else will do; an address that says nothing is waited for no longer than `limit`. Dropped, it leaves nothing
/// open.
///
/// # Errors
///
/// `ConnectFailed`, `ConnectTimeout`, `TlsFailed`, or `Overloaded` where this process has no descriptor left.
pub(super) async fn connect(
    upstream: &Upstream,
    endpoint: &Endpoint,
    limit: Duration,
    http1: bool,
) -> Result<Connected, UpstreamError> {
    let stream = reach(endpoint, limit).await?;
    let site = upstream.sites.get(endpoint.site);
    let stream = match (stream, site.and_then(|site| site.tls.as_ref())) {
        (Stream::Plain(tcp), Some(tls)) => {
            let connector = if http1 { &tls.http1 } else { &tls.connector };
            let secured = connector.connect(tls.server_name.clone(), tcp).await;
            let secured =
                secured.map_err(|error| UpstreamError::caused_by(ErrorKind::TlsFailed, error))?;
            let agreed = secured.get_ref().1.alpn_protocol() == Some(crate::tls::HTTP2);
            if upstream.protocol == Protocol::Http2 && !agreed {
                let why = "it does not speak HTTP/2 (ALPN h2), which `protocol` asks for";
                return Err(UpstreamError::caused_by(ErrorKind::TlsFailed, why));
            }
            let stream = Stream::Tls(Box::new(secured.into()));
            return Ok(if agreed {
                Connected::Http2(stream)
            } else {
                Connected::Http1(stream)
            });
        }
        (stream, _) => stream,
    };
    Ok(if upstream.protocol == Protocol::Http2 {
        Connected::Http2(stream)
    } else {
        Connected::Http1(stream)
    })
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream as Client};
    use std::path::PathBuf;

    use socket2::{Domain, SockAddr, Socket, Type};

    use super::*;
    use crate::config;

    fn endpoint(path: &Path) -> Endpoint {
        let written = format!("unix:{}", path.display()).parse().unwrap();
        let tls = config::UpstreamTls::default();
        let site =
            crate::upstream::Site::build(&written, (config::Protocol::Auto, &tls), Path::new(""))
                .unwrap();
        Endpoint::new(0, &site, Address::Unix(path.to_owned()), 1)
    }

    fn free_path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("pardon-{name}-{}.sock", std::process::id()));
        drop(std::fs::remove_file(&path));
        path
    }

    #[tokio::test]
    async fn a_unix_socket_whose_backlog_is_full_is_waited_for() {
        let path = free_path("full");
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        socket.listen(0).unwrap();
        let _first = Client::connect(&path).unwrap();
        let endpoint = endpoint(&path);
        let full = reach(&endpoint, BACKLOG_PAUSE * 4).await;
        assert_eq!(
            full.err().map(|error| error.kind()),
            Some(ErrorKind::ConnectTimeout)
        );
        let accept = async {
            tokio::task::yield_now().await;
            let listener = UnixListener::from(socket);
            listener.accept().unwrap();
            listener
        };
        let limit = Duration::from_secs(10);
        let (_listener, reached) = tokio::join!(accept, reach(&endpoint, limit));
        drop(std::fs::remove_file(&path));
        assert!(reached.is_ok());
    }

    #[tokio::test]
    async fn a_unix_socket_that_is_not_there_counts_as_a_refusal() {
        let nowhere = endpoint(&free_path("nowhere"));
        let error = reach(&nowhere, Duration::from_secs(10))
            .await
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectFailed);
        assert!(error.refused);
    }
}
