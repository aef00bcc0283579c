//! HTTP/1.1 towards visitors (RFC 9112): one connection, one exchange on it at a time.
//!
//! One parser decides where a request ends, and what it finds is what the app is sent: nothing that two parsers could
//! read in two ways gets past [`head`]. What cannot be read is answered as well as what can ([`Unreadable`]), so that
//! a visitor sees a page with an ID and the log knows it.
//!
//! Heads are read into a buffer of the worker's, so a connection without a request holds a socket and a timer and no
//! buffer. A body is read by whoever wants it, straight from the connection; an answer is written, head and first piece,
//! in one system call.

mod answer;
mod body;
mod connection;
mod core;
mod ending;
mod head;
mod preface;
#[cfg(test)]
mod tests;
mod writer;

use super::Unreadable;

pub(super) use body::Reader;
pub(super) use connection::{Handover, Scratch, serve};
