//! What is kept of a failure: the record, where it is kept, and what is taken out of it first.
//!
//! In comes what the exchange knows of a failed request, its headers and URL through the [`Redactor`], and the captured body; out comes an
//! [`Incident`] that its request ID finds, and its line in the log. A worker hands it in at its [`Desk`]; it waits in the queue for the
//! incident thread, which writes it to the [store] and rings. Memory is bounded by `incidents.memory`, which captures under way share with
//! what waits.

mod budget;
mod cause;
mod charset;
mod describe;
mod desk;
mod fingerprint;
mod incidents;
mod log;
mod originals;
mod queue;
mod record;
mod recorder;
mod redact;
pub mod store;
mod trouble;

pub use budget::{Budget, Reservation};
pub use cause::Cause;
pub use charset::to_utf8;
pub use describe::{Description, describe};
pub use desk::{Commit, Confirmation, Desk, Recorded};
pub use fingerprint::Fingerprint;
pub use incidents::{Incidents, Recording};
pub use log::log;
pub use queue::Counts;
pub use record::{
    Amendment, BodyRecord, Evidence, HeaderField, Incident, RequestRecord, Served, UpstreamRecord,
};
pub use redact::{Mark, Redacted, Redactor};
pub use store::{Losses, StoreError, Trouble};

#[cfg(test)]
pub(crate) use record::tests;
