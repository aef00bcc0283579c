//! A request's head, read strictly (RFC 9112, 2 to 6): what it says must not depend on who reads it.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, request};

use super::Unreadable;
use crate::config::Limits;
use crate::http1::{Chunked, Decoder, Padding, digits, has, is_token};

/// How many header fields are read without allocating.
const FIELDS: usize = 100;

/// How a TLS handshake begins (RFC 8446, 5.1).
const TLS: u8 = 22;

/// A request's head, and what it says about the connection.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is what one field says")]
pub(super) struct Parsed {
    pub(super) head: request::Parts,
    /// The body that follows.
    pub(super) decoder: Decoder,
    /// Whether the connection may stay open after it.
    pub(super) persistent: bool,
    /// Whether the client waits to be asked for the body (RFC 9110, 10.1.1).
    pub(super) expects: bool,
    /// Whether the client takes trailers (RFC 9110, 10.1.4).
    pub(super) trailers: bool,
    /// Whether the client asks for another protocol after the answer (RFC 9110, 7.8).
    pub(super) upgrades: bool,
}

/// A request that is refused: what is known of its head, and why.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) head: request::Parts,
    pub(super) why: Unreadable,
}

impl Refused {
    /// Nothing is known of it but what it begins with: a HEAD is told without a body.
    pub(super) fn of(text: &[u8], why: Unreadable) -> Box<Self> {
        let (mut head, ()) = Request::new(()).into_parts();
        if text.starts_with(b"HEAD ") {
            head.method = Method::HEAD;
        }
        Box::new(Self { head, why })
    }
}

/// Where a head that comes piece by piece is being looked for.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// So many bytes have no end of a head in them.
    searched: usize,
    /// Where the line begins that is being read.
    line: usize,
}

impl Search {
    /// Whether nothing was looked at yet.
    pub(super) fn is_new(&self) -> bool {
        self.searched == 0
    }

    /// Where the head ends that `input` begins with: after its first empty line. Called again when more has come.
    ///
    /// # Errors
    ///
    /// When no head can come of it any more.
    pub(super) fn end(
        &mut self,
        input: &[u8],
        limits: &Limits,
    ) -> Result<Option<usize>, Unreadable> {
        if input == b"\r" {
            return Ok(None);
        }
        if input.first() == Some(&TLS) {
            return Err(Unreadable::Malformed("TLS, which this port does not speak"));
        }
        if !input.first().is_none_or(|byte| is_token(*byte)) {
            return Err(Unreadable::Malformed("it begins with no method"));
        }
        for found in memchr::memchr_iter(b'\n', input.get(self.searched..).unwrap_or_default()) {
            let at = self.searched + found;
            if at == 0 || input.get(at - 1) != Some(&b'\r') {
                return Err(Unreadable::Malformed("a line that ends in a bare LF"));
            }
            if at - 1 == self.line {
                return within(at + 1, limits).map(Some);
            }
            self.line = at + 1;
        }
        self.searched = input.len();
        match within(input.len(), limits) {
            Err(_) if self.line == 0 => Err(Unreadable::TargetTooLong),
            checked => checked.map(|_| None),
        }
    }
}

fn within(length: usize, limits: &Limits) -> Result<usize, Unreadable> {
    if length > limits.head.bytes() {
        return Err(Unreadable::HeadTooLarge);
    }
    Ok(length)
}

/// How many bytes of empty lines come before a head (RFC 9112, 2.2).
pub(super) fn empty_lines(input: &[u8]) -> usize {
    input
        .chunks_exact(2)
        .take_while(|line| line == b"\r\n")
        .count()
        * 2
}

/// Reads a head that is whole.
pub(super) fn parse(head: &Bytes, limits: &Limits) -> Result<Parsed, Box<Refused>> {
    if limits.headers <= FIELDS {
        let mut room = [const { MaybeUninit::uninit() }; FIELDS];
        read(head, room.get_mut(..limits.headers).unwrap_or_default())
    } else {
        read(head, &mut vec![MaybeUninit::uninit(); limits.headers])
    }
}

fn read<'head>(
    text: &'head Bytes,
    room: &mut [MaybeUninit<httparse::Header<'head>>],
) -> Result<Parsed, Box<Refused>> {
    let mut line = httparse::Request::new(&mut []);
    let parsed =
        httparse::ParserConfig::default().parse_request_with_uninit_headers(&mut line, text, room);
    match parsed {
        Ok(httparse::Status::Complete(length)) if length == text.len() => {}
        Ok(_) => {
            let why = Unreadable::Malformed("a head that does not end where it seems to");
            return Err(Refused::of(text, why));
        }
        Err(error) => return Err(Refused::of(text, unreadable(text, error))),
    }
    let mut seen = Seen::default();
    let Some(mut head) = request_line(text, &line, &mut seen) else {
        let why = Unreadable::Malformed("its first line is no request line");
        return Err(Refused::of(text, why));
    };
    head.headers.reserve(line.headers.len());
    for field in line.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        // Shares the head's bytes.
        let value = HeaderValue::from_maybe_shared(text.slice_ref(field.value));
        let (Ok(name), Ok(value)) = (name, value) else {
            seen.fault("a header field that is none");
            continue;
        };
        seen.look(&name, &value);
        head.headers.append(name, value);
    }
    let fault = seen.fault.map_or(Ok(()), Err);
    match fault.and_then(|()| decoder(&head.headers, head.version, &seen)) {
        Ok(decoder) => Ok(Parsed {
            persistent: (head.version == Version::HTTP_11 || seen.stays) && !seen.closes,
            expects: seen.expects && head.version == Version::HTTP_11 && !decoder.is_over(),
            trailers: seen.trailers,
            upgrades: seen.connects
                && seen.upgrades
                && head.version == Version::HTTP_11
                && decoder.is_over(),
            decoder,
            head,
        }),
        Err(why) => Err(Box::new(Refused {
            head,
            why: Unreadable::Malformed(why),
        })),
    }
}

/// What the first line says; what is wrong with it is left in `seen`, so that the rest is still read.
fn request_line(
    text: &Bytes,
    line: &httparse::Request<'_, '_>,
    seen: &mut Seen,
) -> Option<request::Parts> {
    let (mut head, ()) = Request::new(()).into_parts();
    match Method::from_bytes(line.method?.as_bytes()) {
        Ok(method) => head.method = method,
        Err(_) => seen.fault("its method is none"),
    }
    let target = line.path?;
    match Uri::from_maybe_shared(text.slice_ref(target.as_bytes())) {
        // A fragment is the client's own (RFC 9110, 7.1); the rest would be another target than was sent.
        Ok(_) if target.contains('#') => seen.fault("a target with a fragment"),
        Ok(uri) => head.uri = whole_server(&head.method, target, uri),
        Err(_) => seen.fault("a target that is none"),
    }
    head.version = if line.version? == 1 {
        Version::HTTP_11
    } else {
        Version::HTTP_10
    };
    Some(head)
}

/// The target as it means: OPTIONS of an absolute one without a path asks about the server, as `*` does (RFC 9112, 3.2.4).
fn whole_server(method: &Method, target: &str, uri: Uri) -> Uri {
    let after_scheme = || target.split_once("://").map(|(_, rest)| rest);
    if method != Method::OPTIONS || after_scheme().is_none_or(|rest| rest.contains(['/', '?'])) {
        return uri;
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_static("*"));
    Uri::from_parts(parts).unwrap_or(uri)
}

/// What the fields say that concern the connection.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is what one field says")]
struct Seen {
    closes: bool,
    stays: bool,
    expects: bool,
    trailers: bool,
    /// Whether `Connection` names `Upgrade`.
    connects: bool,
    upgrades: bool,
    coded: bool,
    sized: bool,
    hosts: u32,
    /// What is wrong with it.
    fault: Option<&'static str>,
}

impl Seen {
    fn fault(&mut self, why: &'static str) {
        self.fault.get_or_insert(why);
    }

    fn look(&mut self, name: &HeaderName, value: &HeaderValue) {
        if name == HOST {
            self.hosts += 1;
            if self.hosts > 1 {
                self.fault("several Hosts");
            }
        } else if name == UPGRADE {
            self.upgrades = true;
        } else if name == CONNECTION {
            self.connects |= has(value, "upgrade");
            self.closes |= has(value, "close");
            self.stays |= has(value, "keep-alive");
        } else if name == CONTENT_LENGTH {
            self.sized = true;
        } else if name == TRANSFER_ENCODING {
            self.coded = true;
        } else if name == EXPECT {
            // Whatever it expects: a client that is told otherwise may leave its body out.
            self.expects = true;
        } else if name == TE {
            self.trailers |= has(value, "trailers");
        }
    }
}

/// The body that follows a head: framed in one way only, and stated once (RFC 9112, 6).
fn decoder(headers: &HeaderMap, version: Version, seen: &Seen) -> Result<Decoder, &'static str> {
    if seen.coded {
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        let coding = codings.next().map(HeaderValue::as_bytes);
        return if version == Version::HTTP_10 {
            Err("Transfer-Encoding in HTTP/1.0")
        } else if codings.next().is_some()
            || !coding.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"))
        {
            Err("a Transfer-Encoding that is not `chunked` alone")
        } else if seen.sized {
            Err("Content-Length beside Transfer-Encoding")
        } else {
            Ok(Decoder::Chunked(Chunked::new(Padding::Refused)))
        };
    }
    if !seen.sized {
        return Ok(Decoder::Length(0));
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let first = lengths.next().map(HeaderValue::as_bytes);
    if lengths.any(|other| Some(other.as_bytes()) != first) {
        return Err("two different lengths");
    }
    first
        .and_then(digits)
        .map(Decoder::Length)
        .ok_or("a Content-Length that is not one number")
}

/// Why a head cannot be read.
fn unreadable(head: &[u8], error: httparse::Error) -> Unreadable {
    let folded = |head: &[u8]| {
        memchr::memmem::find(head, b"\r\n ").is_some()
            || memchr::memmem::find(head, b"\r\n\t").is_some()
    };
    Unreadable::Malformed(match error {
        httparse::Error::TooManyHeaders => return Unreadable::TooManyFields,
        httparse::Error::HeaderName if folded(head) => {
            "a header line that goes on in the next one (RFC 9112, 5.2)"
        }
        httparse::Error::HeaderName => "a header field's name is none",
        httparse::Error::HeaderValue => "a header field's value has bytes that none may have",
        httparse::Error::Version => "its version is not HTTP/1.0 or HTTP/1.1",
        httparse::Error::NewLine => "a line end that is none",
        _ => "its first line is no request line",
    })
}
