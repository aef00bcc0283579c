//! The built-in failing app of `pardon demo`: every way to fail, each behind a link.
//!
//! In comes plain HTTP/1.1 on a loopback port; out goes what a broken app would send, byte by byte and by hand,
//! because no HTTP library lets one misbehave enough. Nearly every failure carries a made-up secret, so that one sees
//! what would have leaked. It promises to stay small whatever is asked of it: connections, request heads and waits
//! are bounded by the constants beside their use.

mod act;
mod answer;
mod connection;
mod failures;
mod request;
mod start_page;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

pub use failures::{Failure, Group, Outcome, failures};

/// Connections open at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 256;

/// The pause after a failed accept, so that a lack of file descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The failing app, bound to a free port of the loopback interface.
#[derive(Debug)]
pub struct App {
    listener: TcpListener,
    address: SocketAddr,
}

impl App {
    /// Binds a free port. Connections wait in the backlog until [`App::serve`] runs.
    ///
    /// # Errors
    ///
    /// Those of binding a socket.
    pub async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where the app listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is dropped, which also ends every connection.
    ///
    /// Runs where `tokio::task::spawn_local` does: on a `LocalRuntime` or in a `LocalSet`.
    pub async fn serve(self) {
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            if connections.len() >= MAX_CONNECTIONS {
                connections.join_next().await;
                continue;
            }
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    connections.spawn_local(connection::serve(stream, self.address));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

#[cfg(test)]
mod tests;
