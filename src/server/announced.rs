//! The PROXY protocol: whom a proxy in front says that a connection comes from, before its first byte of TLS or HTTP.
//!
//! It is heard from trusted peers alone, and expected of each of them: one that begins otherwise is not served, since nobody could
//! tell whom it speaks for. Of version 2 what comes behind the addresses is skipped. Bounds: a line of version 1 has at most
//! [`LINE`] bytes, a header of version 2 at most [`HEADER`]; either has `server.timeouts.handshake` to come.

use std::io;
use std::net::SocketAddr;

use ipnet::IpNet;
use ppp::{v1, v2};
use tokio::time::timeout;

use super::Handler;
use super::shared::Shared;
use super::socket::Connection;

/// The longest line of version 1, its end included.
const LINE: usize = 107;

/// Bytes of a header of version 2 before its addresses.
const HEAD: usize = 16;

/// The longest header of version 2: with more behind the addresses than anybody sends.
const HEADER: usize = 4096;

/// Whether a peer says whom its connections come from.
pub(super) fn is_expected(trusted: Option<&[IpNet]>, peer: SocketAddr) -> bool {
    let ip = peer.ip().to_canonical();
    trusted.is_some_and(|trusted| trusted.iter().any(|network| network.contains(&ip)))
}

/// Hears whom a connection comes from; its peer itself where that speaks for nobody, nothing where it does not say, or its worker
/// drains.
pub(super) async fn hear<H: Handler>(
    stream: &mut Connection,
    peer: SocketAddr,
    shared: &Shared<H>,
) -> Option<SocketAddr> {
    let limit = *shared.settings.timeouts.handshake;
    let heard = shared
        .drain
        .until_begun(timeout(limit, read(stream)))
        .await?;
    match heard.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(source) => Some(source.unwrap_or(peer)),
        Err(error) => {
            tracing::debug!(%peer, %error, "a trusted peer has not said whom it speaks for");
            None
        }
    }
}

/// Reads a header and not a byte more.
async fn read(stream: &mut Connection) -> io::Result<Option<SocketAddr>> {
    let mut header = vec![0];
    stream.read_exact(&mut header).await?;
    if header.first() == v2::PROTOCOL_PREFIX.first() {
        read_binary(stream, &mut header).await
    } else {
        read_line(stream, &mut header).await
    }
}

async fn read_line(stream: &mut Connection, line: &mut Vec<u8>) -> io::Result<Option<SocketAddr>> {
    let mut ahead = [0; LINE];
    while !line.ends_with(b"\n") {
        // The rest mostly has come: it is looked at first, so that none of what follows it is taken.
        let count = stream.peek(&mut ahead).await?;
        let come = ahead.get(..count).unwrap_or_default();
        let end = memchr::memchr(b'\n', come).map_or(count, |at| at + 1);
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let begin = line.len();
        if begin + end > LINE {
            return Err(wrong("its line is too long"));
        }
        line.resize(begin + end, 0);
        stream
            .read_exact(line.get_mut(begin..).unwrap_or_default())
            .await?;
    }
    let header =
        v1::Header::try_from(line.as_slice()).map_err(|error| wrong(&error.to_string()))?;
    Ok(match header.addresses {
        v1::Addresses::Tcp4(tcp) => Some((tcp.source_address, tcp.source_port).into()),
        v1::Addresses::Tcp6(tcp) => Some((tcp.source_address, tcp.source_port).into()),
        v1::Addresses::Unknown => None,
    })
}

async fn read_binary(
    stream: &mut Connection,
    header: &mut Vec<u8>,
) -> io::Result<Option<SocketAddr>> {
    header.resize(HEAD, 0);
    stream
        .read_exact(header.get_mut(1..).unwrap_or_default())
        .await?;
    if !header.starts_with(v2::PROTOCOL_PREFIX) {
        return Err(wrong("it begins as no header does"));
    }
    let length = match header.as_slice() {
        [.., high, low] => usize::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    };
    if HEAD + length > HEADER {
        return Err(wrong("its header is too long"));
    }
    header.resize(HEAD + length, 0);
    let rest = header.get_mut(HEAD..).unwrap_or_default();
    stream.read_exact(rest).await?;
    let header =
        v2::Header::try_from(header.as_slice()).map_err(|error| wrong(&error.to_string()))?;
    // What a proxy sends by itself, such as its health check, is its own.
    if header.command == v2::Command::Local {
        return Ok(None);
    }
    Ok(match header.addresses {
        v2::Addresses::IPv4(tcp) => Some((tcp.source_address, tcp.source_port).into()),
        v2::Addresses::IPv6(tcp) => Some((tcp.source_address, tcp.source_port).into()),
        v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
    })
}

fn wrong(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
