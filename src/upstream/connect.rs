//! A new connection to an app: name, TCP, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::error::{ErrorKind, UpstreamError};
use super::http1::Connection;
use super::stream::Stream;
use super::{Timeouts, Upstream};

/// Connects to the upstream's endpoint, in at most `timeouts.connect`. Dropped, it leaves nothing open.
///
/// # Errors
///
/// `DnsFailed`, `ConnectFailed`, `TlsFailed`, or `ConnectTimeout`.
pub(super) async fn connect(
    upstream: &Upstream,
    timeouts: &Timeouts,
) -> Result<Connection, UpstreamError> {
    match timeout(timeouts.connect, open(upstream, timeouts)).await {
        Ok(connected) => connected,
        Err(_) => Err(UpstreamError::new(ErrorKind::ConnectTimeout)),
    }
}

async fn open(upstream: &Upstream, timeouts: &Timeouts) -> Result<Connection, UpstreamError> {
    let tcp = reach(upstream, timeouts.connect).await?;
    // Where this fails the first write does too, and says it better.
    drop(tcp.set_nodelay(true));
    let stream = match &upstream.tls {
        None => Stream::Plain(tcp),
        Some(tls) => {
            let secured = tls.connector.connect(tls.server_name.clone(), tcp).await;
            Stream::Tls(Box::new(secured.map_err(|error| {
                UpstreamError::caused_by(ErrorKind::TlsFailed, error)
            })?))
        }
    };
    Ok(Connection::new(stream, upstream.limits))
}

/// Tries the endpoint's addresses in their order. One that does not answer leaves their share of the time to the others.
async fn reach(upstream: &Upstream, limit: Duration) -> Result<TcpStream, UpstreamError> {
    let deadline = Instant::now() + limit;
    let addresses = resolve(upstream).await?;
    let mut failure = UpstreamError::new(ErrorKind::DnsFailed);
    let mut refusals = 0;
    for (tried, address) in addresses.iter().enumerate() {
        let others = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let left = deadline.saturating_duration_since(Instant::now()) / others;
        let (kind, why) = match timeout(left, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) if is_shortage(&error) => (ErrorKind::Overloaded, error.to_string()),
            Ok(Err(error)) => {
                refusals += usize::from(error.kind() == io::ErrorKind::ConnectionRefused);
                (ErrorKind::ConnectFailed, error.to_string())
            }
            Err(_) => (ErrorKind::ConnectTimeout, "no answer".to_owned()),
        };
        upstream.names.forget();
        failure = UpstreamError::caused_by(kind, format!("{address}: {why}"));
    }
    failure.refused = refusals == addresses.len();
    Err(failure)
}

/// Whether it is this process, or this machine, that has no descriptor left: EMFILE and ENFILE, which have no name in
/// [`std::io::ErrorKind`].
fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

async fn resolve(upstream: &Upstream) -> Result<Vec<SocketAddr>, UpstreamError> {
    let (host, port) = (upstream.endpoint.host.as_str(), upstream.endpoint.port);
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found = upstream.names.resolve(host, port).await;
    found.map_err(|error| UpstreamError::caused_by(ErrorKind::DnsFailed, &*error))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::path::Path;
    use std::sync::Arc;

    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::config;
    use crate::config::units::Period;

    /// An address that takes connections and never accepts one, and what has to be kept for that.
    fn black_hole() -> (SocketAddr, Socket, Vec<std::net::TcpStream>) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&free.into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let patience = Duration::from_millis(50);
        let connect = || std::net::TcpStream::connect_timeout(&address, patience).ok();
        let waiting = std::iter::from_fn(connect).take(8).collect();
        (address, socket, waiting)
    }

    #[tokio::test]
    async fn an_address_that_swallows_everything_leaves_time_for_the_next() {
        let (first, _socket, _waiting) = black_hole();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let settings = config::Upstream {
            endpoints: vec!["http://app.invalid".parse().unwrap()],
            timeouts: config::UpstreamTimeouts {
                connect: Period(Duration::from_millis(400)),
                ..config::UpstreamTimeouts::default()
            },
            ..config::Upstream::default()
        };
        let upstream = Upstream::build("app", &settings, Path::new(""), 1).unwrap();
        let found = vec![first, listener.local_addr().unwrap()];
        upstream.names.remember(Ok(found), Instant::now());
        let connected = connect(&upstream, &Timeouts::from(&settings.timeouts)).await;
        assert!(connected.is_ok(), "{:?}", connected.err());
    }

    #[tokio::test]
    async fn a_name_that_did_not_resolve_is_asked_for_once_by_many() {
        let names = Arc::new(crate::upstream::names::Names::default());
        let first = names.resolve("nothing.invalid", 80).await.unwrap_err();
        let second = names.resolve("nothing.invalid", 80).await.unwrap_err();
        assert!(first.starts_with("nothing.invalid: "), "{first}");
        assert!(Arc::ptr_eq(&first, &second), "the same failure");
    }
}
