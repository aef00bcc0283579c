//! What each failure comes to: its cause in the record, its status and its words on the page (the design's section 6).

use http::StatusCode;

use super::refuse::Refusal;
use crate::incident::Cause;
use crate::page::Notice;
use crate::upstream::{BodyFault, ErrorKind};

/// What a failure of the way to the app comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A failure: a page and a record.
    Failed(Terms),
    /// The client's own doing.
    Refused(Refusal),
}

/// The terms of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) cause: Cause,
    pub(super) notice: Notice,
    pub(super) status: StatusCode,
    /// In seconds.
    pub(super) retry_after: Option<u32>,
}

impl Terms {
    pub(super) const fn new(cause: Cause, notice: Notice, status: StatusCode) -> Self {
        Self {
            cause,
            notice,
            status,
            retry_after: None,
        }
    }

    /// A panic or a bug of ours.
    pub(super) const INTERNAL: Self = Self::new(
        Cause::Internal,
        Notice::Internal,
        StatusCode::INTERNAL_SERVER_ERROR,
    );
}

/// What having no answer comes to.
pub(super) fn outcome(kind: ErrorKind) -> Outcome {
    use StatusCode as S;
    Outcome::Failed(match kind {
        ErrorKind::ConnectFailed => {
            Terms::new(Cause::ConnectFailed, Notice::AppUnreachable, S::BAD_GATEWAY)
        }
        ErrorKind::ConnectTimeout => Terms::new(
            Cause::ConnectTimeout,
            Notice::AppUnreachable,
            S::GATEWAY_TIMEOUT,
        ),
        ErrorKind::DnsFailed => {
            Terms::new(Cause::DnsFailed, Notice::AppUnreachable, S::BAD_GATEWAY)
        }
        ErrorKind::TlsFailed => {
            Terms::new(Cause::TlsFailed, Notice::AppUnreachable, S::BAD_GATEWAY)
        }
        ErrorKind::ClosedEarly => {
            Terms::new(Cause::ClosedEarly, Notice::AppBadAnswer, S::BAD_GATEWAY)
        }
        ErrorKind::HeadTimeout => {
            Terms::new(Cause::HeadTimeout, Notice::AppTooSlow, S::GATEWAY_TIMEOUT)
        }
        ErrorKind::Malformed => Terms::new(Cause::Malformed, Notice::AppBadAnswer, S::BAD_GATEWAY),
        ErrorKind::TotalTimeout => {
            Terms::new(Cause::TotalTimeout, Notice::AppTooSlow, S::GATEWAY_TIMEOUT)
        }
        ErrorKind::NoEndpoint => Terms::new(
            Cause::NoEndpoint,
            Notice::AppUnreachable,
            S::SERVICE_UNAVAILABLE,
        ),
        ErrorKind::Overloaded => Terms {
            retry_after: Some(5),
            ..Terms::new(Cause::Overloaded, Notice::Busy, S::SERVICE_UNAVAILABLE)
        },
        ErrorKind::Request(BodyFault::TooLarge) => return Outcome::Refused(Refusal::BodyTooLarge),
        ErrorKind::Request(BodyFault::Stalled) => return Outcome::Refused(Refusal::BodyStalled),
        ErrorKind::Request(BodyFault::Broken) => return Outcome::Refused(Refusal::BodyBroken),
    })
}
