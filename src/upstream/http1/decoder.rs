//! Where an answer's body ends (RFC 9112, 6.3), and its pieces.

use std::fmt;
use std::io;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Version, response};
use http_body::SizeHint;

use super::chunked::{self, Chunked};
use crate::upstream::body::BodyFault;

/// An answer's body that is being read.
#[derive(Debug)]
pub(super) enum Decoder {
    /// So many bytes are to come; 0 is a body that is over.
    Length(u64),
    Chunked(Chunked),
    /// It ends with its connection.
    Close,
}

/// What comes next of a body.
#[derive(Debug)]
pub(in crate::upstream) enum Decoded {
    Data(Bytes),
    /// After the last piece.
    Trailers(HeaderMap),
    /// Nothing before more was read.
    More,
    Over,
}

/// Why what an app sends cannot be read on.
#[derive(Debug)]
pub enum Broken {
    /// It is not HTTP, or could be read in two ways: why.
    Malformed(&'static str),
    /// The connection ended in the middle.
    Closed(Option<io::Error>),
    /// The request's own body failed, which the app waits for.
    Request(BodyFault),
}

impl Decoder {
    /// The body that follows a head which answers `method`; whether the connection is not to be trusted after it.
    pub(super) fn of(method: &Method, head: &mut response::Parts) -> Result<(Self, bool), Broken> {
        let bodiless = is_bodiless(method, head.status);
        if let Some(coding) = coding(&head.headers)? {
            if head.version == Version::HTTP_10 {
                // RFC 9112, 6.1: its framing is faulty.
                return Err(Broken::Malformed("it is chunked, which HTTP/1.0 is not"));
            }
            // RFC 9112, 6.3: read as chunked, a length is dropped, and the connection is closed after it.
            let doubtful = head.headers.remove(CONTENT_LENGTH).is_some();
            return Ok(if bodiless {
                (Self::Length(0), doubtful)
            } else {
                (Self::Chunked(coding), doubtful)
            });
        }
        if bodiless {
            return Ok((Self::Length(0), false));
        }
        Ok((
            length(&head.headers)?.map_or(Self::Close, Self::Length),
            false,
        ))
    }

    /// Whether all of it was read.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_over(),
            Self::Close => false,
        }
    }

    /// Takes the next piece out of `input`.
    pub(super) fn decode(&mut self, input: &mut BytesMut) -> Result<Decoded, Broken> {
        match self {
            Self::Length(0) => Ok(Decoded::Over),
            Self::Length(left) => Ok(match chunked::take(input, *left) {
                Some(data) => {
                    *left -= data.len() as u64;
                    Decoded::Data(data)
                }
                None => Decoded::More,
            }),
            Self::Chunked(chunked) => chunked.decode(input),
            Self::Close => Ok(chunked::take(input, u64::MAX).map_or(Decoded::More, Decoded::Data)),
        }
    }

    /// The connection has ended: whether that ends the body.
    pub(super) fn close(&mut self) -> bool {
        let ends = matches!(self, Self::Close);
        if ends {
            *self = Self::Length(0);
        }
        ends || self.is_over()
    }

    /// What is known of the length of what is to come.
    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Length(left) => SizeHint::with_exact(*left),
            Self::Chunked(chunked) if chunked.is_over() => SizeHint::with_exact(0),
            Self::Chunked(_) | Self::Close => SizeHint::new(),
        }
    }
}

/// Whether an answer has no body whatever its head says (RFC 9112, 6.3).
pub(super) fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    let statuses = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
    method == Method::HEAD || statuses.contains(&status)
}

/// `chunked`, the only coding that is understood; `None` where there is no `Transfer-Encoding`.
fn coding(headers: &HeaderMap) -> Result<Option<Chunked>, Broken> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(None);
    };
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(Broken::Malformed(
            "its Transfer-Encoding is not `chunked` alone",
        ));
    }
    Ok(Some(Chunked::default()))
}

/// The length that is stated, once or several times alike (RFC 9110, 8.6).
fn length(headers: &HeaderMap) -> Result<Option<u64>, Broken> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for number in value.as_bytes().split(|byte| *byte == b',') {
            let stated = digits(number.trim_ascii())
                .ok_or(Broken::Malformed("its Content-Length is no number"))?;
            if length.is_some_and(|length| length != stated) {
                return Err(Broken::Malformed("it has two different lengths"));
            }
            length = Some(stated);
        }
    }
    Ok(length)
}

fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => f.write_str(why),
            Self::Closed(_) => f.write_str("the connection ended in the middle"),
            Self::Request(fault) => write!(f, "{fault}"),
        }
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Closed(Some(error)) => Some(error),
            Self::Malformed(_) | Self::Closed(None) | Self::Request(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue, Response};

    fn of(method: &Method, status: u16, fields: &str) -> Result<(Decoder, bool), Broken> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for field in fields.split('\n').filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once(": ").unwrap();
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            response
                .headers_mut()
                .append(name, HeaderValue::from_str(value).unwrap());
        }
        Decoder::of(method, &mut response.into_parts().0)
    }

    #[test]
    fn a_body_ends_where_its_head_says() {
        for (method, status, fields, expected) in [
            (Method::GET, 200, "content-length: 5", "Length(5) false"),
            (Method::GET, 200, "content-length: 5, 5", "Length(5) false"),
            (Method::GET, 200, "", "Close false"),
            (Method::HEAD, 200, "content-length: 5", "Length(0) false"),
            (Method::HEAD, 200, "", "Length(0) false"),
            (Method::GET, 204, "", "Length(0) false"),
            (Method::GET, 304, "content-length: 5", "Length(0) false"),
            (
                Method::HEAD,
                200,
                "transfer-encoding: chunked",
                "Length(0) false",
            ),
            (
                Method::GET,
                200,
                "transfer-encoding: Chunked",
                "Chunked false",
            ),
            (
                Method::GET,
                200,
                "transfer-encoding: chunked\ncontent-length: 5",
                "Chunked true",
            ),
            (
                Method::GET,
                200,
                "content-length: 5\ncontent-length: 6",
                "malformed",
            ),
            (Method::GET, 200, "content-length: +5", "malformed"),
            (Method::GET, 200, "content-length: ", "malformed"),
            (
                Method::GET,
                200,
                "content-length: 18446744073709551616",
                "malformed",
            ),
            (Method::HEAD, 200, "content-length: five", "Length(0) false"),
            (
                Method::GET,
                200,
                "transfer-encoding: gzip, chunked",
                "malformed",
            ),
            (Method::GET, 200, "transfer-encoding: identity", "malformed"),
        ] {
            let found = match of(&method, status, fields) {
                Ok((Decoder::Length(length), doubtful)) => format!("Length({length}) {doubtful}"),
                Ok((Decoder::Chunked(_), doubtful)) => format!("Chunked {doubtful}"),
                Ok((Decoder::Close, doubtful)) => format!("Close {doubtful}"),
                Err(_) => "malformed".to_owned(),
            };
            assert_eq!(found, expected, "{method} {status} {fields}");
        }
    }
}
