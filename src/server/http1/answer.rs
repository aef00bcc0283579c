//! An answer's head, written (RFC 9112, 4 and 6).

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRAILER};
use http::{HeaderValue, StatusCode, Version, response};
use http_body::SizeHint;
use hyper::ext::ReasonPhrase;

use crate::http1::{Framing, has, write_field};

/// What an answer's head has to know of its request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) head: bool,
    pub(super) version: Version,
    /// Whether the client takes trailers.
    pub(super) trailers: bool,
}

/// What an answer's head has to know of its body and of its connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sending {
    pub(super) framing: Framing,
    /// The body's length, where it is known.
    length: Option<u64>,
    /// Whether the connection stays open after it.
    pub(super) persistent: bool,
}

impl Asked {
    /// How an answer is sent that has this status and a body of this size, on a connection that may stay open.
    pub(super) fn sending(
        self,
        head: &response::Parts,
        size: &SizeHint,
        persistent: bool,
    ) -> Sending {
        let length = size.exact();
        let framing = match length {
            _ if self.head || is_bodiless(head.status) => Framing::None,
            Some(length) => Framing::Length(length),
            None if self.version == Version::HTTP_11 => Framing::Chunked,
            None => Framing::Close,
        };
        Sending {
            framing,
            length,
            persistent: persistent && framing != Framing::Close && !closes(head),
        }
    }
}

/// Whether an answer has no body because of its status (RFC 9112, 6.3).
fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational()
        || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
}

/// Whether an answer says that the connection ends with it.
fn closes(head: &response::Parts) -> bool {
    let mut fields = head.headers.get_all(CONNECTION).iter();
    fields.any(|field| has(field, "close"))
}

/// Writes an answer's head; what it announces as trailers, where the client takes any.
pub(super) fn write(
    head: &response::Parts,
    asked: Asked,
    sending: Sending,
    date: &Date,
    out: &mut Vec<u8>,
) -> Option<HeaderValue> {
    let framing = sending.framing;
    out.extend_from_slice(match asked.version {
        Version::HTTP_10 => b"HTTP/1.0 ",
        _ => b"HTTP/1.1 ",
    });
    out.extend_from_slice(head.status.as_str().as_bytes());
    out.push(b' ');
    match head.extensions.get::<ReasonPhrase>() {
        Some(reason) => out.extend_from_slice(reason.as_bytes()),
        None => out.extend_from_slice(head.status.canonical_reason().unwrap_or("").as_bytes()),
    }
    out.extend_from_slice(b"\r\n");
    let (mut dated, mut announced) = (false, None);
    // A HEAD is told what a GET would be, where that is known; a 304 says by itself what it stands for.
    let mut length = match framing {
        Framing::Length(length) => Some(length),
        Framing::None if asked.head => sending.length.filter(|length| *length > 0),
        Framing::None | Framing::Chunked | Framing::Close => None,
    };
    let of_another = framing == Framing::None && head.status != StatusCode::NO_CONTENT;
    for (name, value) in &head.headers {
        if name == CONNECTION {
            continue;
        }
        if name == CONTENT_LENGTH {
            match length.take() {
                Some(length) => write_length(length, out),
                None if of_another => write_field(out, name, &[value.as_bytes()]),
                None => {}
            }
            continue;
        }
        if name == DATE {
            dated = true;
        } else if name == TRAILER && asked.trailers {
            announced = Some(value.clone());
        }
        write_field(out, name, &[value.as_bytes()]);
    }
    if let Some(length) = length {
        write_length(length, out);
    }
    if framing == Framing::Chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    if !sending.persistent {
        out.extend_from_slice(b"connection: close\r\n");
    } else if asked.version == Version::HTTP_10 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    if !dated {
        date.write(out);
    }
    out.extend_from_slice(b"\r\n");
    announced
}

fn write_length(length: u64, out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(digits.format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The `Date` field (RFC 9110, 6.6.1), written out once a second.
#[derive(Debug)]
pub(super) struct Date(RefCell<(u64, String)>);

impl Date {
    pub(super) fn new() -> Self {
        Self(RefCell::new((0, String::new())))
    }

    fn write(&self, out: &mut Vec<u8>) {
        let now = SystemTime::now();
        let second = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .as_ref()
            .map_or(0, Duration::as_secs);
        let mut last = self.0.borrow_mut();
        if last.0 != second || last.1.is_empty() {
            *last = (
                second,
                format!("date: {}\r\n", httpdate::fmt_http_date(now)),
            );
        }
        out.extend_from_slice(last.1.as_bytes());
    }
}
