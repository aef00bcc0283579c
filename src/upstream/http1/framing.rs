//! Where an answer's body ends (RFC 9112, 6.3), and why it cannot be read on.

use std::fmt;
use std::io;

use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Method, StatusCode, Version, response};

use crate::http1::{Chunked, Decoder, Malformed, Padding, digits, has};
use crate::upstream::body::BodyFault;

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

/// Which fields a head has that frame a body.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stated {
    pub(super) coding: bool,
    pub(super) length: bool,
}

/// The body that follows a head which answers `method`; whether the connection is not to be trusted after it.
/// `stated` says whether the head has any field that frames a body.
pub(super) fn decoder(
    method: &Method,
    head: &mut response::Parts,
    stated: Stated,
) -> Result<(Decoder, bool), Broken> {
    let bodiless = is_bodiless(method, head.status);
    if stated.coding
        && let Some(coding) = coding(&head.headers)?
    {
        if head.version == Version::HTTP_10 {
            // RFC 9112, 6.1: its framing is faulty.
            return Err(Broken::Malformed("it is chunked, which HTTP/1.0 is not"));
        }
        // RFC 9112, 6.3: read as chunked, a length is dropped, and the connection is closed after it.
        let doubtful = head.headers.remove(CONTENT_LENGTH).is_some();
        return Ok(if bodiless {
            (Decoder::Length(0), doubtful)
        } else {
            (Decoder::Chunked(coding), doubtful)
        });
    }
    let length = if stated.length {
        plain_length(&mut head.headers)?
    } else {
        None
    };
    if bodiless {
        return Ok((Decoder::Length(0), false));
    }
    Ok((length.map_or(Decoder::Close, Decoder::Length), false))
}

/// Whether an answer has no body whatever its head says (RFC 9112, 6.3).
pub(super) fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    let statuses = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
    method == Method::HEAD || statuses.contains(&status)
}

/// Whether this is a switch to one of these protocols (RFC 9110, 7.8).
pub(super) fn switches(head: &response::Parts, asked: &HeaderValue) -> bool {
    let mut named = head.headers.get_all(UPGRADE).iter();
    match (named.next().map(HeaderValue::to_str), named.next()) {
        (Some(Ok(protocol)), None) => head.version == Version::HTTP_11 && has(asked, protocol),
        _ => false,
    }
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
    Ok(Some(Chunked::new(Padding::Allowed)))
}

/// Refuses a status that is none (RFC 9110, 15).
pub(in crate::upstream) fn check_status(status: StatusCode) -> Result<(), Broken> {
    if status.as_u16() > 599 {
        return Err(Broken::Malformed("its status is not within 100 to 599"));
    }
    Ok(())
}

/// The length that is stated, which stands in the head once and plainly after this: an answer without a body passes it on
/// as it is.
pub(in crate::upstream) fn plain_length(headers: &mut HeaderMap) -> Result<Option<u64>, Broken> {
    let length = length(headers)?;
    if let Some(length) = length
        && is_odd(headers)
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(length)
}

/// Whether the length is written in another way than once, without zeros before it.
fn is_odd(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let first = values.next().map_or(&[][..], HeaderValue::as_bytes);
    let zeros = first.starts_with(b"0") && first.len() > 1;
    values.next().is_some() || zeros || !first.iter().all(u8::is_ascii_digit)
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

impl From<Malformed> for Broken {
    fn from(Malformed(why): Malformed) -> Self {
        Self::Malformed(why)
    }
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
    use http::{HeaderName, Response};

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
        let stated = Stated {
            coding: fields.contains("transfer-encoding"),
            length: fields.contains("content-length"),
        };
        decoder(method, &mut response.into_parts().0, stated)
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

    #[test]
    fn a_length_that_is_none_is_malformed_without_a_body_too() {
        for length in ["five", "-2", "", "18446744073709551618", "5, 6"] {
            for (method, status) in [(Method::HEAD, 200), (Method::GET, 304)] {
                let found = of(&method, status, &format!("content-length: {length}"));
                assert!(
                    matches!(found, Err(Broken::Malformed(_))),
                    "{method} {length}"
                );
            }
        }
    }

    #[test]
    fn a_length_stands_once_and_plainly() {
        for stated in ["2", "0002", "2, 2", "00"] {
            let mut headers = HeaderMap::new();
            for _ in 0..2 {
                headers.append(CONTENT_LENGTH, HeaderValue::from_static(stated));
            }
            let length = plain_length(&mut headers).unwrap().unwrap();
            let values: Vec<_> = headers.get_all(CONTENT_LENGTH).iter().collect();
            assert_eq!(values, [&length.to_string()], "{stated}");
        }
        let mut headers = HeaderMap::new();
        headers.append(CONTENT_LENGTH, HeaderValue::from_static("0002"));
        plain_length(&mut headers).unwrap();
        assert_eq!(headers[CONTENT_LENGTH], "2");
    }
}
