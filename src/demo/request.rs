//! What the app understands of a request: the line, the three fields it needs, and where the body ends.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of a request head.
const MAX_HEAD: usize = 16 * 1024;

/// Bytes of a request body that are read so that the connection can be used again.
const MAX_BODY: u64 = 256 * 1024;

/// A request whose head, and body where it is short, have been read.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) host: String,
    /// The ID that Pardon gave it; empty where it came without Pardon.
    pub(super) id: String,
    pub(super) keep_alive: bool,
    length: u64,
    chunked: bool,
    expects: bool,
}

impl Request {
    /// Reads the next request; `None` where the connection ends before one begins. What follows it stays in `buffer`.
    pub(super) async fn read(
        stream: &mut TcpStream,
        buffer: &mut BytesMut,
    ) -> io::Result<Option<Self>> {
        let Some(head) = read_head(stream, buffer).await? else {
            return Ok(None);
        };
        let mut request = Self::parse(&head).ok_or(io::ErrorKind::InvalidData)?;
        if request.chunked || request.length > MAX_BODY {
            // Not worth following: the answer goes out and the connection ends.
            request.keep_alive = false;
        } else {
            request.skip_body(stream, buffer).await?;
        }
        Ok(Some(request))
    }

    /// `None` where the head is not one of HTTP/1.
    fn parse(head: &str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let mut request = Self {
            method: method.to_owned(),
            path: target.split('?').next()?.to_owned(),
            keep_alive: version == "HTTP/1.1",
            ..Self::default()
        };
        if !version.starts_with("HTTP/1.") || !request.path.starts_with('/') {
            return None;
        }
        for line in lines {
            let (name, value) = line.split_once(':')?;
            request.take_field(name, value.trim())?;
        }
        Some(request)
    }

    fn take_field(&mut self, name: &str, value: &str) -> Option<()> {
        match name.to_ascii_lowercase().as_str() {
            "host" => value.clone_into(&mut self.host),
            "x-request-id" => value.clone_into(&mut self.id),
            "connection" if value.eq_ignore_ascii_case("close") => self.keep_alive = false,
            "content-length" => self.length = value.parse().ok()?,
            "transfer-encoding" => self.chunked = true,
            "expect" => self.expects = true,
            _ => {}
        }
        Some(())
    }

    async fn skip_body(&self, stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<()> {
        if self.expects && self.length > 0 {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let mut left = self.length;
        loop {
            let here = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            drop(buffer.split_to(here));
            left -= here as u64;
            if left == 0 {
                return Ok(());
            }
            if stream.read_buf(buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// A head without the empty line that ends it.
async fn read_head(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Option<String>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = buffer.split_to(end + 4);
            let text = head.get(..end).unwrap_or_default();
            return Ok(Some(String::from_utf8_lossy(text).into_owned()));
        }
        if buffer.len() > MAX_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Request;

    #[test]
    fn the_parts_of_a_head_are_found() {
        let head =
            "POST /a?b=c HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 7\r\nX-Request-ID: abc";

        let request = Request::parse(head).unwrap();

        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/a")
        );
        assert_eq!(
            (request.host.as_str(), request.id.as_str()),
            ("shop.test", "abc")
        );
        assert_eq!((request.length, request.keep_alive), (7, true));
    }

    #[test]
    fn what_ends_a_connection_is_noticed() {
        for head in ["GET / HTTP/1.0", "GET / HTTP/1.1\r\nConnection: Close"] {
            assert!(!Request::parse(head).unwrap().keep_alive, "{head}");
        }
    }

    #[test]
    fn what_is_not_a_head_is_refused() {
        for head in [
            "",
            "GET /",
            "GET / SPDY/3",
            "GET x HTTP/1.1",
            "GET / HTTP/1.1\r\nno colon",
            "GET / HTTP/1.1\r\nContent-Length: -1",
        ] {
            assert!(Request::parse(head).is_none(), "{head:?}");
        }
    }
}
