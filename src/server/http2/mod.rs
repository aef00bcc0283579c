//! HTTP/2 towards visitors (RFC 9113): one connection, many exchanges on it at a time, each a task of its own.
//!
//! The frames are read and written by the `h2` crate; what is decided here is what the stage answers for: which requests are
//! none ([`request`]), how long a client may keep an answer waiting ([`sending`]), how much of its waywardness is borne with
//! ([`connection`]). A handler sees a request as it would have come in HTTP/1.1: a target in origin form and one `Host`.
//!
//! Bounds: streams by `server.limits.h2_streams`, resets by `server.limits.h2_resets`, heads by `server.limits.head` and
//! `headers`; what comes of bodies ahead of their readers by the windows, what goes of answers ahead of the client by
//! [`connection::AHEAD`] a stream. Frames that do nothing are counted, and a head
//! that stops half way has `server.timeouts.head` ([`frames`]). A client that takes nothing is let go after `server.timeouts.write`: its stream where the
//! stream's window is closed, its connection where the socket is full.

mod answer;
mod body;
mod connection;
mod exchange;
mod frames;
mod request;
mod sending;
#[cfg(test)]
mod tests;
mod upgrade;
mod wire;

pub(super) use body::Reader;
pub(super) use connection::serve;
