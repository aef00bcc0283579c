//! HTTP/1.1 towards an app (RFC 9112): one connection, one exchange on it at a time.
//!
//! Ours instead of hyper's, which gives each connection a task and each message three channels: a quarter of the time
//! that a passing request spends outside the kernel (`docs/PERFORMANCE.md`). Here an exchange is polled by the one task
//! that wants its answer. It writes the request for as long as there is something to write, also while the answer comes;
//! it reads an answer to its end even where the app stops reading; and nothing is held between two exchanges but a
//! socket, a timer and an empty buffer.

mod connection;
mod framing;
mod head;

pub(super) use connection::{Connection, Fault, Limits};
pub use framing::Broken;
pub(super) use framing::{check_status, plain_length};
pub use head::Head;
