//! Why there is no answer from an app.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::body::BodyFault;

/// Why an exchange with an app brought no answer: what the caller decides by, the cause beneath, and how far it came.
#[derive(Debug)]
pub struct UpstreamError {
    kind: ErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
    /// How often the request was sent, or tried to. 0 where an app had refused many others a moment ago.
    pub attempts: u32,
    /// The endpoint that failed last, where it came to one.
    pub endpoint: Option<Arc<str>>,
    /// Whether it might have been sent again, and was not for lack of a budget.
    pub withheld: bool,
    /// Nothing listens at the app's address.
    pub(super) refused: bool,
    /// This was known without asking.
    pub(super) known: bool,
}

/// The kinds of [`UpstreamError`]; each is a cause of the design's table of failures, but for [`ErrorKind::Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Refused, unreachable, or reset while connecting.
    ConnectFailed,
    /// No connection in time.
    ConnectTimeout,
    /// The name did not resolve.
    DnsFailed,
    /// The TLS handshake failed, or the certificate is not to be trusted.
    TlsFailed,
    /// Closed before a response head.
    ClosedEarly,
    /// No response head in time.
    HeadTimeout,
    /// What came is not HTTP, or could be read in two ways.
    Malformed,
    /// The exchange took too long before the head.
    TotalTimeout,
    /// The health checks of all endpoints fail.
    NoEndpoint,
    /// All connections are taken and the queue is full, or the place in it took too long.
    Overloaded,
    /// The request's own body failed, which is no failure of the app's.
    Request(BodyFault),
}

impl UpstreamError {
    pub(super) fn new(kind: ErrorKind) -> Self {
        Self {
            kind,
            source: None,
            attempts: 0,
            endpoint: None,
            withheld: false,
            refused: false,
            known: false,
        }
    }

    pub(super) fn caused_by(
        kind: ErrorKind,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            source: Some(source.into()),
            attempts: 0,
            endpoint: None,
            withheld: false,
            refused: false,
            known: false,
        }
    }

    /// Many connections were refused a moment ago, for this reason; this one was not tried.
    pub(super) fn refused_lately(why: &str) -> Self {
        Self {
            refused: true,
            known: true,
            ..Self::caused_by(ErrorKind::ConnectFailed, why)
        }
    }

    /// Whether another address may be better.
    pub(super) fn is_of_the_address(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::ConnectFailed | ErrorKind::ConnectTimeout
        )
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// [`chain`] of this error.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// An error and its causes on one line, for the operator; never for a visitor. What an error says that its cause says
/// too stands once.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = error.source();
    }
    text
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ErrorKind::ConnectFailed => "cannot connect to the app",
            ErrorKind::ConnectTimeout => "no connection to the app in time",
            ErrorKind::DnsFailed => "the app's name does not resolve",
            ErrorKind::TlsFailed => "the TLS handshake with the app failed",
            ErrorKind::ClosedEarly => "the app closed the connection before it answered",
            ErrorKind::HeadTimeout => "the app did not answer in time",
            ErrorKind::Malformed => "the app's answer is not valid HTTP",
            ErrorKind::TotalTimeout => "the exchange took too long before an answer",
            ErrorKind::NoEndpoint => "no endpoint of the app is healthy",
            ErrorKind::Overloaded => "there is no room for another connection to the app",
            ErrorKind::Request(BodyFault::Broken) => "the request's body broke off",
            ErrorKind::Request(BodyFault::Stalled) => "the request's body stopped coming",
            ErrorKind::Request(BodyFault::TooLarge) => "the request's body is too large",
        })
    }
}

impl Error for UpstreamError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
