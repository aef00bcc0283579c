//! Sockets that listen, and those that they accept: on TCP, or at a path.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net as unix;
use std::task::{Context, Poll};

use rustix::net::RecvFlags;
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::http1::Stream;

/// Whoever comes by a path is on this machine, and counts as its loopback address.
const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A socket that listens; non-blocking.
#[derive(Debug)]
pub enum Socket {
    /// On TCP.
    Tcp(std::net::TcpListener),
    /// At a path.
    Unix(unix::UnixListener),
}

/// The same, in a worker's reactor.
pub(super) enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// What was accepted, in a worker's reactor.
pub(super) enum Connection {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The same, in none.
#[derive(Debug)]
pub(super) enum Loose {
    Tcp(std::net::TcpStream),
    Unix(unix::UnixStream),
}

impl Socket {
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(tcp) => Self::Tcp(tcp.try_clone()?),
            Self::Unix(unix) => Self::Unix(unix.try_clone()?),
        })
    }

    /// Where it listens; the loopback address without a port where that is a path.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(tcp) => tcp.local_addr(),
            Self::Unix(_) => Ok(LOCAL),
        }
    }

    pub(super) fn into_reactor(self) -> io::Result<Acceptor> {
        Ok(match self {
            Self::Tcp(tcp) => Acceptor::Tcp(TcpListener::from_std(tcp)?),
            Self::Unix(unix) => Acceptor::Unix(UnixListener::from_std(unix)?),
        })
    }
}

impl Acceptor {
    /// Cancel safe.
    pub(super) async fn accept(&self) -> io::Result<(Connection, SocketAddr)> {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }

    pub(super) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Connection, SocketAddr)>> {
        match self {
            Self::Tcp(tcp) => tcp
                .poll_accept(cx)
                .map_ok(|(stream, address)| (Connection::Tcp(stream), address)),
            Self::Unix(unix) => unix
                .poll_accept(cx)
                .map_ok(|(stream, _)| (Connection::Unix(stream), LOCAL)),
        }
    }
}

impl Connection {
    pub(super) fn loosen(self) -> io::Result<Loose> {
        Ok(match self {
            Self::Tcp(tcp) => Loose::Tcp(tcp.into_std()?),
            Self::Unix(unix) => Loose::Unix(unix.into_std()?),
        })
    }

    /// Looks at what comes next without taking it: how many bytes there are, 0 at the end.
    ///
    /// Cancel safe.
    pub(super) async fn peek(&self, ahead: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.peek(ahead).await,
            Self::Unix(unix) => {
                let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
                let look = || Ok(rustix::net::recv(unix, &mut *ahead, flags)?.0);
                unix.async_io(Interest::READABLE, look).await
            }
        }
    }

    pub(super) async fn read_exact(&mut self, room: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.read_exact(room).await?,
            Self::Unix(unix) => unix.read_exact(room).await?,
        };
        Ok(())
    }

    pub(super) fn into_stream(self) -> Stream {
        match self {
            Self::Tcp(tcp) => Stream::Plain(tcp),
            Self::Unix(unix) => Stream::Unix(unix),
        }
    }
}

impl Loose {
    pub(super) fn into_reactor(self) -> io::Result<Connection> {
        Ok(match self {
            Self::Tcp(tcp) => Connection::Tcp(TcpStream::from_std(tcp)?),
            Self::Unix(unix) => Connection::Unix(UnixStream::from_std(unix)?),
        })
    }

    /// Writes as much as is taken at once.
    pub(super) fn say(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.write(bytes),
            Self::Unix(unix) => unix.write(bytes),
        }
    }
}
