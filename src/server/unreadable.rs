//! Why a request cannot be read, whatever version of HTTP it came in.

use http::StatusCode;

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
    /// It asks for a tunnel of another protocol than `WebSocket`.
    Protocol,
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
            Self::Protocol => StatusCode::NOT_IMPLEMENTED,
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
            Self::Protocol => "a tunnel of another protocol than WebSocket",
        }
    }
}
