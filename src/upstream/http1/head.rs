//! The two heads of an exchange: the request's written, the answer's read (RFC 9112, 2 to 5).

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, Version, response};

use super::framing::{Broken, Stated, check_status};
use crate::http1::{Framing, Reason, has, write_field};

/// How many header fields are read without allocating.
const FIELDS: usize = 100;

const FOLDED: &str = "a header line is continued on the next one (obsolete folding, RFC 9112 section 5.2); the app must send \
     each header field in one line";

/// A request's head, as it is written for an app.
pub trait Head {
    /// The method.
    fn method(&self) -> &Method;

    /// Path and query, or `*` (RFC 9112, 3.2).
    fn target(&self) -> (&str, Option<&str>);

    /// Gives each header field in its order, but for those that frame the body: its name, and its value in pieces.
    fn fields(&self, put: &mut dyn FnMut(&HeaderName, &[&[u8]]));
}

/// Writes a request's head with a body framed like this; what it announces as trailers.
pub(super) fn write(head: &impl Head, framing: Framing, out: &mut Vec<u8>) -> Option<HeaderValue> {
    let mut announced = None;
    let (path, query) = head.target();
    out.extend_from_slice(head.method().as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(path.as_bytes());
    if let Some(query) = query {
        out.push(b'?');
        out.extend_from_slice(query.as_bytes());
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let mut put = |name: &HeaderName, value: &[&[u8]]| {
        write_field(out, name, value);
        if name == TRAILER {
            announced = HeaderValue::from_bytes(&value.concat()).ok();
        }
    };
    head.fields(&mut put);
    match framing {
        Framing::None | Framing::Close => {}
        Framing::Length(length) => {
            put(&CONTENT_LENGTH, &[length.to_string().as_bytes()]);
        }
        Framing::Chunked => put(&TRANSFER_ENCODING, &[b"chunked"]),
    }
    out.extend_from_slice(b"\r\n");
    announced
}

/// An answer's head.
pub(super) struct Parsed {
    pub(super) head: response::Parts,
    /// Whether the connection stays open after it.
    pub(super) persistent: bool,
    /// What it says of its body.
    pub(super) stated: Stated,
}

/// Takes an answer's head out of `input`; `None` where it is not whole yet. It may have so many bytes and fields.
pub(super) fn parse(
    input: &mut BytesMut,
    (bytes, fields): (usize, usize),
) -> Result<Option<Parsed>, Broken> {
    input.advance(empty_lines(input));
    let end = end(input);
    if end.unwrap_or(input.len()) > bytes {
        return Err(Broken::Malformed("its head is larger than `max_head`"));
    }
    match end {
        Some(end) => {
            let parsed = with_room(&input.split_to(end).freeze(), fields, read)?;
            check_status(parsed.head.status)?;
            Ok(Some(parsed))
        }
        None => Ok(None),
    }
}

/// How many bytes of empty lines come before a head.
fn empty_lines(input: &[u8]) -> usize {
    let mut rest = input;
    while let Some(behind) = rest
        .strip_prefix(b"\r\n")
        .or_else(|| rest.strip_prefix(b"\n"))
    {
        rest = behind;
    }
    input.len() - rest.len()
}

/// Whether a head that is not whole can still become one.
pub(super) fn check(input: &[u8], fields: usize) -> Result<(), Broken> {
    with_room(input, fields, |input, room| {
        let mut line = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        config.parse_response_with_uninit_headers(&mut line, input, room)?;
        Ok(())
    })
}

/// Parses with room for so many fields.
fn with_room<'head, I: ?Sized + AsRef<[u8]>, T>(
    head: &'head I,
    fields: usize,
    parse: impl FnOnce(
        &'head I,
        &mut [MaybeUninit<httparse::Header<'head>>],
    ) -> Result<T, httparse::Error>,
) -> Result<T, Broken> {
    let parsed = if fields <= FIELDS {
        let mut room = [const { MaybeUninit::uninit() }; FIELDS];
        parse(head, room.get_mut(..fields).unwrap_or_default())
    } else {
        parse(head, &mut vec![MaybeUninit::uninit(); fields])
    };
    parsed.map_err(|error| {
        Broken::Malformed(match error {
            httparse::Error::TooManyHeaders => "it has more header fields than `max_headers`",
            httparse::Error::HeaderName if is_folded(head.as_ref()) => FOLDED,
            httparse::Error::HeaderName => "a header field's name is none",
            httparse::Error::HeaderValue => "a header field's value has bytes that none may have",
            httparse::Error::Version => "its version is not HTTP/1.0 or HTTP/1.1",
            _ => "its first line is no status line",
        })
    })
}

/// Whether a header field goes on in a line that begins with white space (RFC 9112, 5.2).
fn is_folded(head: &[u8]) -> bool {
    let mut ends = memchr::memchr_iter(b'\n', head).skip(1);
    ends.any(|at| matches!(head.get(at + 1), Some(b' ' | b'\t')))
}

/// Where a head ends: after its first empty line.
fn end(input: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', input).find_map(|at| match input.get(at + 1..)? {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

fn read<'head>(
    head: &'head Bytes,
    room: &mut [MaybeUninit<httparse::Header<'head>>],
) -> Result<Parsed, httparse::Error> {
    let mut line = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    config.parse_response_with_uninit_headers(&mut line, head, room)?;
    let (Some(code), Some(version)) = (line.code, line.version) else {
        return Err(httparse::Error::Status);
    };
    let status = StatusCode::from_u16(code).map_err(|_| httparse::Error::Status)?;
    let (mut parsed, ()) = Response::new(()).into_parts();
    parsed.status = status;
    parsed.version = if version == 1 {
        Version::HTTP_11
    } else {
        Version::HTTP_10
    };
    if line.reason != status.canonical_reason()
        && let Some(reason) = line.reason
    {
        let reason = Bytes::copy_from_slice(reason.as_bytes());
        parsed.extensions.insert(Reason(reason));
    }
    let (mut closes, mut stays) = (false, version == 1);
    let mut stated = Stated::default();
    parsed.headers.reserve(line.headers.len());
    for field in line.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes())
            .map_err(|_| httparse::Error::HeaderName)?;
        // Shares the head's bytes.
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value))
            .map_err(|_| httparse::Error::HeaderValue)?;
        if name == CONNECTION {
            closes |= has(&value, "close");
            stays |= has(&value, "keep-alive");
        } else if name == CONTENT_LENGTH {
            stated.length = true;
        } else if name == TRANSFER_ENCODING {
            stated.coding = true;
        }
        parsed.headers.append(name, value);
    }
    Ok(Parsed {
        head: parsed,
        persistent: stays && !closes,
        stated,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_all(text: &str) -> Result<Option<Parsed>, Broken> {
        parse(&mut BytesMut::from(text), (200, 4))
    }

    #[test]
    fn heads_are_read_as_their_senders_meant_them() {
        for (text, status, persistent) in [
            ("HTTP/1.1 200 OK\r\n\r\n", 200, true),
            ("\r\nHTTP/1.1 200 OK\r\n\r\n", 200, true),
            ("HTTP/1.1 200\r\n\r\n", 200, true),
            ("HTTP/1.1 299 Fine, thanks\r\n\r\n", 299, true),
            ("HTTP/1.1 200 OK\nA: 1\n\n", 200, true),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", 200, false),
            (
                "HTTP/1.1 200 OK\r\nConnection: keep-alive, Close\r\n\r\n",
                200,
                false,
            ),
            ("HTTP/1.0 200 OK\r\n\r\n", 200, false),
            (
                "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n",
                200,
                true,
            ),
        ] {
            let parsed = parse_all(text).unwrap().unwrap();
            assert_eq!(parsed.head.status, status, "{text:?}");
            assert_eq!(parsed.persistent, persistent, "{text:?}");
        }
    }

    #[test]
    fn heads_that_are_none_are_refused_with_a_reason() {
        for (text, why) in [
            (
                "HTTP/2 200 OK\r\n\r\n",
                "its version is not HTTP/1.0 or HTTP/1.1",
            ),
            (
                "SSH-2.0-OpenSSH\r\n\r\n",
                "its version is not HTTP/1.0 or HTTP/1.1",
            ),
            ("HTTP/1.1 20 OK\r\n\r\n", "its first line is no status line"),
            (
                "\rHTTP/1.1 200 OK\r\n\r\n",
                "its first line is no status line",
            ),
            (
                "\r\n\r\rHTTP/1.1 200 OK\r\n\r\n",
                "its first line is no status line",
            ),
            (
                "HTTP/1.1 099 Low\r\n\r\n",
                "its first line is no status line",
            ),
            (
                "HTTP/1.1 600 High\r\n\r\n",
                "its status is not within 100 to 599",
            ),
            (
                "HTTP/1.1 999 High\r\n\r\n",
                "its status is not within 100 to 599",
            ),
            (
                "HTTP/1.1 200 OK\r\nA b: 1\r\n\r\n",
                "a header field's name is none",
            ),
            (
                "HTTP/1.1 200 OK\r\n A: 1\r\n\r\n",
                "a header field's name is none",
            ),
            ("HTTP/1.1 200 OK\r\nA: 1\r\n b\r\n\r\n", FOLDED),
            ("HTTP/1.1 200 OK\nA: 1\n\tb: 2\n\n", FOLDED),
            (
                "HTTP/1.1 200 OK\r\nA: \u{1}\r\n\r\n",
                "a header field's value has bytes that none may have",
            ),
            (
                "HTTP/1.1 200 OK\r\na:1\r\nb:1\r\nc:1\r\nd:1\r\ne:1\r\n\r\n",
                "it has more header fields than `max_headers`",
            ),
            (
                &format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "x".repeat(200)),
                "its head is larger than `max_head`",
            ),
            (&"x".repeat(201), "its head is larger than `max_head`"),
        ] {
            let error = parse_all(text).err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), Some(why), "{text:?}");
        }
    }

    #[test]
    fn a_head_that_is_not_whole_stays_where_it_is() {
        let mut input = BytesMut::from("HTTP/1.1 200 OK\r\nA: 1\r\n\r");
        assert!(parse(&mut input, (200, 4)).unwrap().is_none());
        input.extend_from_slice(b"\nbody");
        let parsed = parse(&mut input, (200, 4)).unwrap().unwrap();
        assert_eq!(parsed.head.headers["a"], "1");
        assert_eq!(&input[..], b"body");
    }
}
