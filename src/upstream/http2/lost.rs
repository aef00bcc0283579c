//! What a stream or a connection came to, in words for whoever looks after the app.

use std::fmt;

use super::pulse::PATIENCE;

/// Why nothing more comes.
#[derive(Debug)]
pub(super) enum Lost {
    /// What the library says of it.
    Told(h2::Error),
    /// The app was asked whether it is there, and did not say so.
    Silent,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = match self {
            Self::Told(error) => error,
            Self::Silent => return write!(f, "the app answered no PING within {PATIENCE:?}"),
        };
        match error.reason().filter(|_| error.is_remote()) {
            Some(reason) if error.is_go_away() => write!(f, "the app left: {reason:?}"),
            Some(reason) => write!(f, "the app reset the stream: {reason:?}"),
            None => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Lost {}

#[cfg(test)]
mod tests {
    use h2::Reason;

    use super::*;

    #[test]
    fn what_is_of_ours_is_not_said_of_the_app() {
        let own = h2::Error::from(Reason::INTERNAL_ERROR);
        assert!(!Lost::Told(own).to_string().contains("the app"));
        assert_eq!(
            Lost::Silent.to_string(),
            "the app answered no PING within 20s"
        );
    }
}
