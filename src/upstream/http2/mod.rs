//! HTTP/2 towards apps (RFC 9113): many exchanges share a connection, which its worker keeps.
//!
//! The frames are the `h2` library's. A [`Carrier`] is one connection, driven by a task of its own; it takes no more streams than the
//! app allows, and none any more once the app has said that it leaves or does not say that it is there ([`pulse`]). An [`Exchange`] is one stream on it: polled, like one of
//! HTTP/1.1, by the task that wants the answer.
//!
//! Bounds: of an answer's body [`WINDOW`] may be under way, of the [`STREAMS`] of a connection [`ALL_WINDOWS`], so that one whose
//! visitor does not read holds up itself; [`AHEAD`] of a request's body waits to be written; heads by the upstream's `max_head` and
//! `max_headers`. What was taken of a request's body is kept up to [`KEPT`], to send it again where the app says that it has not
//! begun.

mod carrier;
mod exchange;
mod lost;
mod pulse;
mod request;
mod tunnel;

pub(super) use carrier::{Carrier, Carriers, ask};
pub(super) use exchange::Exchange;

/// Bytes of an answer's body that may be under way or wait to be read.
const WINDOW: u32 = 256 * 1024;
/// Streams that a connection has at once, where the app allows as many: more could hold up each other.
const STREAMS: usize = 64;
/// The same for all answers of a connection together: what all of them can hold up.
const ALL_WINDOWS: u32 = 16 * 1024 * 1024;
/// Bytes of a request's body that wait to be written.
const AHEAD: usize = 64 * 1024;
/// Bytes of a request's body that are kept.
const KEPT: usize = 16 * 1024;
