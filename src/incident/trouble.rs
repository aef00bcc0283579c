//! How the store stands: what is wrong is said once, and once that it is well again.

use std::time::Instant;

use super::StoreError;
use crate::telemetry::names;

/// Whether incidents are being stored.
#[derive(Debug, Default)]
pub(super) struct Standing(Option<Down>);

#[derive(Debug)]
struct Down {
    said: String,
    since: Instant,
}

impl Standing {
    /// Something failed.
    pub(super) fn fell(&mut self, error: &StoreError) {
        let says = error.to_string();
        if self.0.as_ref().is_some_and(|down| down.said == says) {
            return;
        }
        let since = self.0.take().map_or_else(Instant::now, |down| down.since);
        let hint = Some(error.hint()).filter(|hint| !hint.is_empty());
        tracing::error!(target: names::STORE, hint, "incidents are not stored: {says}; pages go on, and the log has them in full");
        self.0 = Some(Down { said: says, since });
    }

    /// Something was stored.
    pub(super) fn rose(&mut self) {
        if let Some(down) = self.0.take() {
            let seconds = down.since.elapsed().as_secs();
            tracing::warn!(target: names::STORE, seconds, "incidents are stored again");
        }
    }
}
