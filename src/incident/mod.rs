//! What is kept of a failure: the record, where it is kept, and what is taken out of it first.
//!
//! In comes what the exchange knows of a failed request, its headers and URL through the [`Redactor`], and the captured body; out comes an
//! [`Incident`] that its request ID finds, and its line in the log. Memory is bounded by `incidents.memory`, which captures under way
//! share with the incidents kept.

mod cause;
mod charset;
mod fingerprint;
mod keep;
mod log;
mod record;
mod redact;
mod summary;

pub use cause::Cause;
pub use charset::to_utf8;
pub use fingerprint::{Fingerprint, fingerprint};
pub use keep::{Budget, Commit, Confirmation, Counts, Incidents, Reservation};
pub use log::log;
pub use record::{
    Amendment, BodyRecord, HeaderField, Incident, RequestRecord, Served, UpstreamRecord,
};
pub use redact::{Mark, Redacted, Redactor};
pub use summary::summary;
