//! A message as one parser or the other has read it.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;

/// The longest that anything takes.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Its first line, in our words.
    pub line: String,
    pub fields: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, Vec<u8>)>,
    /// Whether the body came to its end.
    pub whole: bool,
}

impl Message {
    pub fn new(line: String, headers: &HeaderMap) -> Self {
        Self {
            line,
            fields: fields(headers),
            ..Self::default()
        }
    }

    /// Takes what comes next of it.
    pub fn add(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(data) => self.body.extend_from_slice(&data),
            Err(frame) => self.trailers = fields(frame.trailers_ref().unwrap()),
        }
    }

    /// Whether the other parser, which may have gone on where this one found a fault, has read the same.
    pub fn agrees(&self, other: &Self) -> bool {
        if self.whole {
            return self == other;
        }
        self.line == other.line && self.fields == other.fields && other.body.starts_with(&self.body)
    }
}

/// The fields in their order; of lengths that are stated again, which hyper makes one of, the first.
fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let named =
        |(name, value): (&HeaderName, &HeaderValue)| (name.to_string(), value.as_bytes().to_vec());
    let mut fields: Vec<_> = headers.iter().map(named).collect();
    fields.dedup_by(|one, other| one == other && one.0 == CONTENT_LENGTH.as_str());
    fields
}
