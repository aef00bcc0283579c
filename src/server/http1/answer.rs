//! An answer's head, written (RFC 9112, 4 and 6).

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRAILER};
use http::{HeaderValue, StatusCode, Version, response};
use http_body::SizeHint;

use crate::http1::{Framing, Reason, has, write_field};

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
            persistent: persistent && framing != Framing::Close,
        }
    }
}

impl Sending {
    /// How an answer is sent after which the connection speaks another protocol.
    pub(super) fn switching() -> Self {
        Self {
            framing: Framing::Close,
            length: None,
            persistent: false,
        }
    }
}

/// Whether an answer has no body because of its status (RFC 9112, 6.3).
fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational()
        || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
}

/// Writes an answer's head; what it announces as trailers, where the client takes any. The answer may say by itself that
/// the connection ends with it.
pub(super) fn write(
    head: &response::Parts,
    asked: Asked,
    sending: &mut Sending,
    date: &str,
    out: &mut Vec<u8>,
) -> Option<HeaderValue> {
    let framing = sending.framing;
    write_status_line(head, asked.version, out);
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
            sending.persistent &= !has(value, "close");
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
    if framing == Framing::Close && head.status == StatusCode::SWITCHING_PROTOCOLS {
        out.extend_from_slice(b"connection: upgrade\r\n");
    } else if !sending.persistent {
        out.extend_from_slice(b"connection: close\r\n");
    } else if asked.version == Version::HTTP_10 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    if !dated {
        out.extend_from_slice(date.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    announced
}

fn write_status_line(head: &response::Parts, version: Version, out: &mut Vec<u8>) {
    out.extend_from_slice(match version {
        Version::HTTP_10 => b"HTTP/1.0 ",
        _ => b"HTTP/1.1 ",
    });
    out.extend_from_slice(head.status.as_str().as_bytes());
    out.push(b' ');
    let own = head.extensions.get::<Reason>();
    // Without one, an app's or a usual one, it is a page.
    let usual = || head.status.canonical_reason().unwrap_or("Error").as_bytes();
    out.extend_from_slice(own.map_or_else(usual, |Reason(reason)| reason));
    out.extend_from_slice(b"\r\n");
}

fn write_length(length: u64, out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(digits.format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}
