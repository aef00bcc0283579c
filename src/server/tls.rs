//! How a connection over TLS begins: its handshake, on the worker that serves it.
//!
//! One [`Tls`] is shared by all workers, so that a session of one is resumed at another. Bounds: a handshake takes no longer than
//! `server.timeouts.handshake`, and ends when its worker drains; until a client's first byte it holds a socket and nothing else.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::Handler;
use super::shared::Shared;
use crate::http1::Stream;
use crate::tls::{self, Certificates};

/// How a handshake's first record begins (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// The answer to what is not TLS: most likely a person who wrote `http://`.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 56\r\n\
    cache-control: no-store\r\nconnection: close\r\n\r\n\
    This port speaks TLS. Use an address of https:// for it.";

/// What is spoken within it, the most wanted first (RFC 7301). A client that names none speaks HTTP/1.1.
const ALPN: [&[u8]; 2] = [tls::HTTP2, tls::HTTP1];

/// How much of such a request is read, so that its client hears the answer instead of a reset.
const LINGER: u64 = 64 * 1024;

/// TLS as a listener speaks it.
#[derive(Debug)]
pub struct Tls {
    config: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
}

/// What is known of a client from its handshake.
#[derive(Debug)]
pub(super) struct Secured {
    /// The name that it asked for.
    name: Option<Box<str>>,
    http2: bool,
    certificates: Arc<Certificates>,
}

impl Tls {
    /// TLS 1.3, and 1.2 unless `only_newest`, with these certificates. Sessions are resumed by tickets alone: this process's
    /// key, which changes every six hours, opens them, and nothing is kept for them. No request is taken before the handshake
    /// is over (0-RTT), because anyone could send it again.
    ///
    /// # Errors
    ///
    /// When there is no randomness for the tickets' key.
    pub(crate) fn new(certificates: Arc<Certificates>, only_newest: bool) -> io::Result<Self> {
        let versions: &[_] = if only_newest {
            &[&TLS13]
        } else {
            &[&TLS13, &TLS12]
        };
        let resolver = Arc::clone(&certificates);
        let mut config = ServerConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(versions)
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = tls::alpn(&ALPN);
        config.ticketer = Ticketer::new().map_err(io::Error::other)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self {
            config: Arc::new(config),
            certificates,
        })
    }
}

impl Secured {
    /// See [`super::Peer::is_misdirected`].
    pub(super) fn misdirects(&self, host: &str) -> bool {
        let name = self.name.as_deref().unwrap_or_default();
        self.certificates.misdirects(name, host)
    }

    /// Whether HTTP/2 was agreed on.
    pub(super) fn speaks_http2(&self) -> bool {
        self.http2
    }
}

/// Makes the handshake; nothing where it fails, is late, or its worker drains.
pub(super) async fn accept<H: Handler>(
    tcp: TcpStream,
    tls: Arc<Tls>,
    shared: &Shared<H>,
) -> Option<(Stream, Secured)> {
    let limit = *shared.settings.timeouts.handshake;
    let handshake = timeout(limit, shake_hands(tcp, tls));
    let failed = match shared.drain.until_begun(handshake).await? {
        Ok(Ok(begun)) => return Some(begun),
        Ok(Err(error)) => error,
        Err(_) => io::Error::from(io::ErrorKind::TimedOut),
    };
    tracing::debug!(error = %failed, "a connection ended in its handshake");
    None
}

async fn shake_hands(tcp: TcpStream, tls: Arc<Tls>) -> io::Result<(Stream, Secured)> {
    let mut first = [0];
    if tcp.peek(&mut first).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if first != [HANDSHAKE] {
        return Err(answer_in_the_clear(tcp).await);
    }
    let stream = TlsAcceptor::from(Arc::clone(&tls.config))
        .accept(tcp)
        .await?;
    let session = stream.get_ref().1;
    let secured = Secured {
        name: session.server_name().map(Box::from),
        http2: session.alpn_protocol() == Some(tls::HTTP2),
        certificates: Arc::clone(&tls.certificates),
    };
    Ok((Stream::Tls(Box::new(stream.into())), secured))
}

/// Says that this is the wrong port for what has come, and hears it out.
async fn answer_in_the_clear(mut tcp: TcpStream) -> io::Error {
    let said = async {
        tcp.write_all(NOT_TLS).await?;
        tcp.shutdown().await?;
        tokio::io::copy(&mut tcp.take(LINGER), &mut tokio::io::empty()).await
    };
    let not_tls = || io::Error::new(io::ErrorKind::InvalidData, "it does not speak TLS");
    said.await.err().unwrap_or_else(not_tls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_in_the_clear_states_its_length() {
        let text = str::from_utf8(NOT_TLS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{}",
            body.len()
        );
    }
}
