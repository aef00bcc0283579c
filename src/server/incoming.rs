//! A request's body, whatever version of HTTP brings it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{http1, http2};

/// A request's body. It can be read until the request is answered; dropped unread, what comes of it is thrown away.
#[derive(Debug, Default)]
pub struct Incoming(Source);

/// Where it comes from.
#[derive(Debug, Default)]
enum Source {
    /// There is none.
    #[default]
    Nothing,
    Http1(http1::Reader),
    Http2(http2::Reader),
    /// None yet: what comes belongs to the time after the switch of protocols.
    Offer(Box<Self>),
}

/// A request's body did not come whole: the client left, or broke its framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyBroken;

impl Incoming {
    pub(super) fn http1(reader: http1::Reader) -> Self {
        Self(Source::Http1(reader))
    }

    pub(super) fn http2(reader: http2::Reader) -> Self {
        Self(Source::Http2(reader))
    }

    /// The empty body of a request that asks for another protocol, with what comes after the switch.
    pub(super) fn offering(tunnel: Self) -> Self {
        Self(Source::Offer(Box::new(tunnel.0)))
    }

    /// Takes what the client sends after its connection has switched to another protocol; none where the request asks for
    /// no switch. It brings nothing before the server has begun to write a 101 as the answer, and ends with what the client
    /// sends.
    pub fn tunnel(&mut self) -> Option<Incoming> {
        match std::mem::take(&mut self.0) {
            Source::Offer(source) => {
                if let Source::Http1(reader) = &*source {
                    reader.ask();
                }
                Some(Self(*source))
            }
            other => {
                self.0 = other;
                None
            }
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = BodyBroken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        match &mut self.0 {
            Source::Nothing | Source::Offer(_) => Poll::Ready(None),
            Source::Http1(reader) => reader.poll_frame(cx),
            Source::Http2(reader) => reader.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Nothing | Source::Offer(_) => true,
            Source::Http1(reader) => reader.is_end_stream(),
            Source::Http2(reader) => reader.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Nothing | Source::Offer(_) => SizeHint::with_exact(0),
            Source::Http1(reader) => reader.size_hint(),
            Source::Http2(reader) => reader.size_hint(),
        }
    }
}

impl fmt::Display for BodyBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request's body did not come whole")
    }
}

impl std::error::Error for BodyBroken {}
