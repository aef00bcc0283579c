//! HTTP/1.1 towards visitors (RFC 9112): one connection, one exchange on it at a time.
//!
//! One parser decides where a request ends, and what it finds is what the app is sent: nothing that two parsers could
//! read in two ways gets past [`head`]. What cannot be read is answered as well as what can ([`Unreadable`]), so that
//! a visitor sees a page with an ID and the log knows it.
//!
//! Heads are read into a buffer of the worker's, so a connection without a request holds a socket and a timer and no
//! buffer. A body is read by whoever wants it, straight from the connection; an answer is written, head and first piece,
//! in one system call.

mod answer;
mod body;
mod connection;
mod core;
mod head;
#[cfg(test)]
mod tests;
mod writer;

use http::StatusCode;

pub use body::{BodyBroken, Incoming};
pub(super) use connection::{Scratch, serve};

/// Why a request cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is not HTTP, or could be read in two ways: why.
    Malformed(&'static str),
    /// Its head has more bytes than `server.limits.head`.
    HeadTooLarge,
    /// Its head has more fields than `server.limits.headers`.
    TooManyFields,
    /// Its target does not end within the head's limit.
    TargetTooLong,
    /// Its head did not come within `server.timeouts.head`.
    Late,
}

impl Unreadable {
    /// The status that says so.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::HeadTooLarge | Self::TooManyFields => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// Why, for the log.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed(why) => why,
            Self::HeadTooLarge => "a head larger than `server.limits.head`",
            Self::TooManyFields => "more header fields than `server.limits.headers`",
            Self::TargetTooLong => "a target without end",
            Self::Late => "the head did not come in time",
        }
    }
}
