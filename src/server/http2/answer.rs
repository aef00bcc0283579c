//! An answer's head, as HTTP/2 has it.

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, StatusCode, response};
use http_body::SizeHint;

/// What an answer has to know of its request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) head: bool,
    /// Whether the client takes trailers.
    pub(super) trailers: bool,
    pub(super) tunnel: bool,
}

/// What follows an answer's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    Nothing,
    /// A body, of this length where it is known.
    Body(Option<u64>),
}

/// Fields that belong to one connection, which HTTP/2 does not have (RFC 9113, 8.2.2).
pub(super) const OF_CONNECTION: [HeaderName; 5] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Makes a head ready to be sent; what follows it. `opened` is the head of a tunnel.
pub(super) fn settle(
    head: &mut response::Parts,
    asked: Asked,
    (size, opened): (&SizeHint, bool),
    date: Option<HeaderValue>,
) -> Follows {
    for name in OF_CONNECTION {
        head.headers.remove(name);
    }
    if let Some(date) = date {
        head.headers.entry(DATE).or_insert(date);
    }
    if opened {
        head.headers.remove(CONTENT_LENGTH);
        return Follows::Body(None);
    }
    let bodiless = asked.head || is_bodiless(head.status);
    let length = size.exact();
    match length {
        // A HEAD is told what a GET would be, where that is known; a 304 says by itself what it stands for.
        _ if bodiless => state_other(
            &mut head.headers,
            head.status,
            length.filter(|_| asked.head),
        ),
        // That nothing follows a head is said by the frame.
        Some(0) => {}
        Some(length) => {
            head.headers.insert(CONTENT_LENGTH, length.into());
        }
        None => {
            head.headers.remove(CONTENT_LENGTH);
        }
    }
    if bodiless || length == Some(0) {
        Follows::Nothing
    } else {
        Follows::Body(length)
    }
}

/// States the length of a body that does not come.
fn state_other(headers: &mut HeaderMap, status: StatusCode, length: Option<u64>) {
    if status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    } else if let Some(length) = length.filter(|length| *length > 0) {
        headers.insert(CONTENT_LENGTH, length.into());
    }
}

fn is_bodiless(status: StatusCode) -> bool {
    [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
}
