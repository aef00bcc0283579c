//! HTTP/1.1 on the wire (RFC 9112), as both sides of the proxy speak it: bodies read out of what comes in, messages
//! written, and one timer a connection. Nothing here knows who is a client and who is an app.

mod alarm;
mod chunked;
mod decoder;
mod field;
mod input;
mod output;
mod pace;
mod stream;

use bytes::Bytes;

pub(crate) use alarm::Alarm;
pub(crate) use chunked::{Chunked, Padding};
pub(crate) use decoder::{Decoded, Decoder};
pub(crate) use field::{are_tokens, digits, has, is_token, write_field};
pub(crate) use input::Input;
pub(crate) use output::{Framing, Output, Unsent};
pub(crate) use pace::{Pace, TooSlow};
pub(crate) use stream::Stream;

/// An answer's own reason phrase, where it is not the usual one: an extension of its head. It has no line end in it.
#[derive(Clone, Debug)]
pub(crate) struct Reason(pub(crate) Bytes);

/// What comes is not HTTP, or could be read in two ways: why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);
