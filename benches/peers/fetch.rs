//! One answer, fetched by a client that is nobody's: what verification looks at.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use memchr::memmem;

use crate::origin::Seen;

/// The host that all requests name, whichever port they go to, so that pages that name it are of one length.
pub(crate) const HOST: &str = "shop.example";
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer as a client understands it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    /// Without the frame of its chunks.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }
}

/// The value of a field in a head.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let found = fields.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim())
}

/// Asks the server at a port for a path on a connection of its own, and reads the whole answer.
pub(crate) fn fetch(port: u16, path: &str) -> Result<Answer> {
    ask(&mut connect(port)?, path).with_context(|| format!("port {port}, {path}"))
}

/// Asks for a path on a connection, which stays open.
pub(crate) fn ask(stream: &mut TcpStream, path: &str) -> Result<Answer> {
    stream.write_all(request(path).as_bytes())?;
    answer(stream)
}

/// A request as all visitors send it.
fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/html\r\n\r\n")
}

/// Reads an answer.
fn answer(stream: &mut TcpStream) -> Result<Answer> {
    let mut bytes = Vec::new();
    let mut piece = [0; 8192];
    while !is_whole(&bytes) {
        match stream.read(&mut piece)? {
            0 => break,
            read => bytes.extend_from_slice(piece.get(..read).unwrap_or_default()),
        }
    }
    parse(&bytes)
}

/// A connection whose reads and writes end some time.
pub(crate) fn connect(port: u16) -> Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What the origin has seen, as it tells at a port of its own.
pub(crate) fn seen(port: u16) -> Result<Seen> {
    let mut text = Vec::new();
    connect(port)?.read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Whether an answer has all of the length that it announced, or its last chunk.
fn is_whole(bytes: &[u8]) -> bool {
    let whole = || {
        let end = memmem::find(bytes, b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(bytes.get(..end)?).ok()?;
        let Some(length) = field(head, "content-length") else {
            return Some(bytes.ends_with(b"\r\n0\r\n\r\n"));
        };
        Some(bytes.len() >= end + length.parse::<usize>().ok()?)
    };
    whole().unwrap_or(false)
}

fn parse(bytes: &[u8]) -> Result<Answer> {
    let end = memmem::find(bytes, b"\r\n\r\n").context("no end of its head")?;
    let (head, body) = bytes.split_at(end + 4);
    let head = String::from_utf8_lossy(head).into_owned();
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
    let chunked = field(&head, "transfer-encoding").is_some();
    let body = if chunked {
        without_chunks(body)?
    } else {
        body.to_vec()
    };
    if let Some(length) = field(&head, "content-length")
        && length.parse() != Ok(body.len())
    {
        bail!("{length} bytes announced, {} came", body.len());
    }
    Ok(Answer {
        status: status.context("no status")?,
        head,
        body,
    })
}

fn without_chunks(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = memmem::find(rest, b"\r\n").context("a chunk without its length")?;
        let (length, after) = rest.split_at(end);
        let length = usize::from_str_radix(std::str::from_utf8(length)?.trim(), 16)?;
        if length == 0 {
            return Ok(body);
        }
        let chunk = after.get(2..2 + length).context("a chunk cut off")?;
        body.extend_from_slice(chunk);
        rest = after.get(2 + length + 2..).context("a chunk cut off")?;
    }
}
