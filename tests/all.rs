//! The promises of the README, one module each.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs,
    unreachable_pub,
    reason = "all of this is a test, the functions that tests share too, and nobody's interface"
)]

mod broken_off;
mod failures;
mod forwarding;
mod layout;
mod passing;
mod pool;
mod refused;
mod streaming;
mod support;
