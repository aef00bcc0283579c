//! Where a body ends (RFC 9112, 6.3), and its pieces.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::SizeHint;

use super::Malformed;
use super::chunked::{self, Chunked};

/// A body that is being read.
#[derive(Debug)]
pub(crate) enum Decoder {
    /// So many bytes are to come; 0 is a body that is over.
    Length(u64),
    Chunked(Chunked),
    /// It ends with its connection.
    Close,
}

/// What comes next of a body.
#[derive(Debug)]
pub(crate) enum Decoded {
    Data(Bytes),
    /// After the last piece.
    Trailers(HeaderMap),
    /// Nothing before more was read.
    More,
    Over,
}

impl Decoder {
    /// Whether all of it was read.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_over(),
            Self::Close => false,
        }
    }

    /// Takes the next piece out of `input`.
    pub(crate) fn decode(&mut self, input: &mut BytesMut) -> Result<Decoded, Malformed> {
        match self {
            Self::Length(0) => Ok(Decoded::Over),
            Self::Length(left) => Ok(match chunked::take(input, *left) {
                Some(data) => {
                    *left -= data.len() as u64;
                    Decoded::Data(data)
                }
                None => Decoded::More,
            }),
            Self::Chunked(chunked) => chunked.decode(input),
            Self::Close => Ok(chunked::take(input, u64::MAX).map_or(Decoded::More, Decoded::Data)),
        }
    }

    /// The connection has ended: whether that ends the body.
    pub(crate) fn close(&mut self) -> bool {
        let ends = matches!(self, Self::Close);
        if ends {
            *self = Self::Length(0);
        }
        ends || self.is_over()
    }

    /// What is known of the length of what is to come.
    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Length(left) => SizeHint::with_exact(*left),
            Self::Chunked(chunked) if chunked.is_over() => SizeHint::with_exact(0),
            Self::Chunked(_) | Self::Close => SizeHint::new(),
        }
    }
}
