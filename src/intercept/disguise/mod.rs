//! Failures in disguise: answers below 500 that show what failed.
//!
//! What goes in is an answer's text as it passes, what comes out is [`Sign`]s: signatures of what frameworks, languages
//! and databases print, with their weights and places. 100 in sum make a verdict. Signatures are data, in
//! `signatures.toml`; what tells a failure from a page about failures is where it stands (`scan.rs`, `lead.rs`) and how
//! it is built (`json.rs`).

mod detector;
mod ends;
mod glimpse;
mod json;
mod lead;
mod literals;
mod proof;
mod scan;
mod signature;
mod suspect;
mod text;
mod unfold;
mod watch;

pub use detector::Detector;
pub use scan::{Scan, Sign, Subject};
pub use signature::{SignatureError, SignatureFile};
pub use text::Declared;
pub use watch::{Disguise, Watch};

#[cfg(test)]
mod tests;
