//! Why a request failed: every cause there is, in one list.

use std::fmt;

use serde::{Serialize, Serializer};

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The app answered with an intercepted status.
    UpstreamStatus,
    /// Refused, unreachable, or reset while connecting.
    ConnectFailed,
    /// No connection in time.
    ConnectTimeout,
    /// The endpoint's name did not resolve.
    DnsFailed,
    /// The handshake failed, or the certificate.
    TlsFailed,
    /// Closed before a response head.
    ClosedEarly,
    /// No response head in time.
    HeadTimeout,
    /// Not HTTP, or not in a way that can be understood in one way only.
    Malformed,
    /// The whole exchange took too long before the head.
    TotalTimeout,
    /// A panic or a bug of ours.
    Internal,
    /// All endpoints are ejected or unhealthy.
    NoEndpoint,
    /// The connection limit is reached and the queue is full.
    Overloaded,
    /// An answer below 500 that carries a failure.
    Disguised,
    /// The app stopped half way through a passing body.
    BrokenOff,
    /// We refused the request ourselves.
    Refused,
}

impl Cause {
    /// How many causes there are.
    pub const COUNT: usize = 15;

    /// Every cause, in the order of their declaration.
    pub const ALL: [Self; Self::COUNT] = [
        Self::UpstreamStatus,
        Self::ConnectFailed,
        Self::ConnectTimeout,
        Self::DnsFailed,
        Self::TlsFailed,
        Self::ClosedEarly,
        Self::HeadTimeout,
        Self::Malformed,
        Self::TotalTimeout,
        Self::Internal,
        Self::NoEndpoint,
        Self::Overloaded,
        Self::Disguised,
        Self::BrokenOff,
        Self::Refused,
    ];

    /// The cause as it stands in records, log lines and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UpstreamStatus => "upstream_status",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimeout => "connect_timeout",
            Self::DnsFailed => "dns_failed",
            Self::TlsFailed => "tls_failed",
            Self::ClosedEarly => "closed_early",
            Self::HeadTimeout => "head_timeout",
            Self::Malformed => "malformed",
            Self::TotalTimeout => "total_timeout",
            Self::Internal => "internal",
            Self::NoEndpoint => "no_endpoint",
            Self::Overloaded => "overloaded",
            Self::Disguised => "disguised",
            Self::BrokenOff => "broken_off",
            Self::Refused => "refused",
        }
    }

    /// The cause with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == name)
    }

    /// What happened, for an operator, where nothing more is known.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::UpstreamStatus => "the app answered with an error and no text",
            Self::ConnectFailed => "the app could not be reached",
            Self::ConnectTimeout => "the app could not be reached in time",
            Self::DnsFailed => "the app's name did not resolve",
            Self::TlsFailed => "no secure connection to the app",
            Self::ClosedEarly => "the app closed the connection before it answered",
            Self::HeadTimeout => "the app did not answer in time",
            Self::Malformed => "the app's answer was not understood",
            Self::TotalTimeout => "the app took too long",
            Self::Internal => "the proxy itself failed",
            Self::NoEndpoint => "no endpoint of the app is healthy",
            Self::Overloaded => "too many requests wait for the app",
            Self::Disguised => "the app answered with a hidden failure",
            Self::BrokenOff => "the app stopped half way through its answer",
            Self::Refused => "the request was refused",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_names_are_in_snake_case() {
        for (index, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, index);
            let debug = format!("{cause:?}");
            let snake: String = debug
                .char_indices()
                .flat_map(|(at, letter)| {
                    let gap = (at > 0 && letter.is_uppercase()).then_some('_');
                    gap.into_iter().chain(letter.to_lowercase())
                })
                .collect();
            assert_eq!(cause.as_str(), snake);
        }
    }
}
