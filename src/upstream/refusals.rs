//! What an endpoint that is down need not be asked.

use std::error::Error;
use std::time::Duration;

use tokio::time::Instant;

use super::error::UpstreamError;

/// How many connections an endpoint may refuse in how long before it is taken to refuse the others of that time too: a storm of
/// requests for an app that is down does not become a storm of connections, and nobody notices that it is back so much
/// later.
const REFUSALS: (u32, Duration) = (64, Duration::from_millis(20));

/// What an endpoint has refused of late; see [`REFUSALS`].
#[derive(Debug, Default)]
pub(super) struct Refusals {
    since: Option<Instant>,
    count: u32,
    why: String,
}

impl Refusals {
    /// Counts a connection that the app has refused, if that is what happened.
    pub(super) fn count(&mut self, error: &UpstreamError) {
        let Some(why) = error.source().filter(|_| error.refused) else {
            return;
        };
        if self.are_recent() {
            self.count += 1;
        } else {
            self.since = Some(Instant::now());
            self.count = 1;
            self.why = why.to_string();
        }
    }

    /// What the app would say to another connection, if that need not be tried.
    pub(super) fn answer(&self) -> Option<UpstreamError> {
        let many = self.count >= REFUSALS.0 && self.are_recent();
        many.then(|| UpstreamError::refused_lately(&self.why))
    }

    fn are_recent(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() < REFUSALS.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::ErrorKind;

    #[tokio::test(start_paused = true)]
    async fn a_storm_for_an_app_that_is_down_is_no_storm_of_connections_to_it() {
        let mut refused =
            UpstreamError::caused_by(ErrorKind::ConnectFailed, "192.0.2.1:80: refused");
        refused.refused = true;
        let mut refusals = Refusals::default();
        for _ in 1..REFUSALS.0 {
            refusals.count(&refused);
            assert!(refusals.answer().is_none(), "each is tried");
        }
        refusals.count(&UpstreamError::caused_by(
            ErrorKind::ConnectFailed,
            "unreachable",
        ));
        assert!(refusals.answer().is_none(), "that was no refusal");
        refusals.count(&refused);
        let answer = refusals.answer().unwrap();
        assert_eq!(answer.chain(), refused.chain());
        tokio::time::advance(REFUSALS.1).await;
        assert!(refusals.answer().is_none(), "it may be back");
        refusals.count(&refused);
        assert!(refusals.answer().is_none(), "it is asked again");
    }
}
