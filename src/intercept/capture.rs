//! The capture of a failed answer: a bounded copy of its body, read to the end where that is near, so that the
//! connection can be used again.
//!
//! Bounds: [`config::Capture`]'s `max_body` of what is kept, `drain` of what is read, `deadline` of how long; and the
//! room that all captures of the process share.

use std::future::poll_fn;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use tokio::time::{Instant, timeout_at};

use super::decode::decode;
use crate::config;
use crate::config::units::Size;
use crate::upstream::AnswerBody;

/// A body of more bytes is large; coded ones unfold to about sixteen times as much.
const LARGE: usize = 16 << 10;

/// A capture under way. `R` takes room for this many more bytes out of the memory that all captures share, or says
/// that there is none left and takes nothing.
pub struct Capture<R> {
    body: Option<AnswerBody>,
    codings: String,
    limits: config::Capture,
    deadline: Instant,
    room: R,
    raw: Vec<u8>,
    seen: u64,
    ended: bool,
    trouble: Option<String>,
}

/// What a capture has read, not decoded yet.
#[derive(Clone, Debug)]
pub struct Raw {
    bytes: Vec<u8>,
    codings: String,
    max_body: usize,
    seen: u64,
    /// Whether the body has ended, and its bytes are all here.
    whole: bool,
    trouble: Option<String>,
}

/// What a capture holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// What is kept, decoded where that was possible; at most `max_body` bytes.
    pub content: Bytes,
    /// Bytes of the body that came from the app.
    pub seen: u64,
    /// Whether `content` is all of the body.
    pub complete: bool,
    /// Whether `content` is free of content codings; where it is not, it is kept as it came.
    pub decoded: bool,
    /// What went wrong, where something did; for the operator.
    pub trouble: Option<String>,
}

impl<R: FnMut(usize) -> bool> Capture<R> {
    /// A capture of `body`, the body of an answer with these headers. Its deadline runs from now.
    pub fn new(body: AnswerBody, headers: &HeaderMap, limits: config::Capture, room: R) -> Self {
        Self {
            body: Some(body),
            codings: codings(headers),
            deadline: Instant::now() + *limits.deadline,
            limits,
            room,
            raw: Vec::new(),
            seen: 0,
            ended: false,
            trouble: None,
        }
    }

    /// A copy of a body that somebody else reads, piece by piece. Of the limits `max_body` counts.
    pub fn beside(headers: &HeaderMap, limits: &config::Capture, room: R) -> Self {
        Self {
            body: None,
            codings: codings(headers),
            deadline: Instant::now() + *limits.deadline,
            limits: config::Capture {
                drain: Size(u64::MAX),
                ..limits.clone()
            },
            room,
            raw: Vec::new(),
            seen: 0,
            ended: false,
            trouble: None,
        }
    }

    /// Takes the next piece of a body that somebody else reads.
    pub fn copy(&mut self, piece: &[u8]) {
        self.keep(piece);
    }

    /// The body that somebody else reads has come to its end, or to grief.
    pub fn end(&mut self, trouble: Option<String>) {
        self.ended = trouble.is_none() && self.trouble.is_none();
        if let Some(trouble) = trouble {
            self.stop(trouble);
        }
    }

    /// Takes what was read of the body before.
    pub fn begin_with(&mut self, pieces: &[Bytes]) {
        for piece in pieces {
            self.keep(piece);
        }
    }

    /// Reads to the body's end, `drain`, the deadline, or a fault, whichever is first. Where the end was reached the
    /// connection is back in its pool, elsewhere it is closed.
    ///
    /// Cancel safe: dropped and called again, it goes on where it was.
    pub async fn read(&mut self) {
        while let Some(body) = &mut self.body {
            match timeout_at(self.deadline, poll_fn(|cx| body.poll_piece(cx))).await {
                Ok(Some(Ok(piece))) => {
                    if let Ok(data) = piece.into_data() {
                        self.keep(&data);
                    }
                }
                Ok(Some(Err(fault))) => self.stop(fault.to_string()),
                Ok(None) => {
                    self.ended = true;
                    self.body = None;
                }
                Err(_) => {
                    let deadline = *self.limits.deadline;
                    self.stop(format!("the app's answer had not ended after {deadline:?}"));
                }
            }
        }
    }

    /// What there is now; the capture may go on.
    #[must_use]
    pub fn so_far(&self) -> Raw {
        self.with(self.raw.clone())
    }

    /// What there is in the end, and the room that was taken for it.
    #[must_use]
    pub fn finish(mut self) -> (Raw, R) {
        let raw = std::mem::take(&mut self.raw);
        (self.with(raw), self.room)
    }

    fn with(&self, bytes: Vec<u8>) -> Raw {
        Raw {
            whole: self.ended && bytes.len() as u64 == self.seen,
            bytes,
            codings: self.codings.clone(),
            max_body: self.limits.max_body.bytes(),
            seen: self.seen,
            trouble: self.trouble.clone(),
        }
    }

    fn keep(&mut self, data: &[u8]) {
        self.seen += data.len() as u64;
        let wanted = data
            .get(..self.limits.max_body.bytes() - self.raw.len())
            .unwrap_or(data);
        if self.trouble.is_none() && !wanted.is_empty() {
            if (self.room)(wanted.len()) {
                self.raw.extend_from_slice(wanted);
            } else {
                self.trouble = Some("no memory was left for more of the body".to_owned());
            }
        }
        if self.seen > self.limits.drain.0 {
            let drain = self.limits.drain.0;
            self.stop(format!(
                "the body is longer than the {drain} bytes that are read"
            ));
        }
    }

    fn stop(&mut self, trouble: String) {
        self.trouble.get_or_insert(trouble);
        self.body = None;
    }
}

impl Raw {
    /// The text of an answer that has passed, which takes no decoding; `seen` is what came of the answer, in bytes.
    #[must_use]
    pub fn of_text(text: Vec<u8>, seen: u64, whole: bool, trouble: Option<String>) -> Self {
        Self {
            max_body: text.len(),
            bytes: text,
            codings: String::new(),
            seen,
            whole,
            trouble,
        }
    }

    /// Whether decoding and reading it takes so long that it is not to be done on a worker.
    #[must_use]
    pub fn is_large(&self) -> bool {
        let bound = if self.codings.is_empty() {
            LARGE
        } else {
            LARGE / 16
        };
        self.bytes.len() > bound
    }

    /// Takes the content codings off.
    #[must_use]
    pub fn decoded(self) -> Captured {
        let whole = self.whole;
        let mut captured = Captured {
            seen: self.seen,
            trouble: self.trouble,
            ..Captured::default()
        };
        if self.codings.is_empty() {
            captured.complete = whole;
            captured.decoded = true;
            captured.content = self.bytes.into();
            return captured;
        }
        match decode(&self.codings, &self.bytes, self.max_body) {
            Ok(decoded) => {
                captured.complete = whole && decoded.complete;
                captured.decoded = true;
                captured.content = decoded.content.into();
            }
            Err(error) => {
                captured.complete = whole;
                captured.content = self.bytes.into();
                captured
                    .trouble
                    .get_or_insert(format!("kept as it came: {error}"));
            }
        }
        captured
    }
}

/// The content codings of an answer, in the order in which they were applied; empty where there is none.
fn codings(headers: &HeaderMap) -> String {
    let mut codings = String::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let value = String::from_utf8_lossy(value.as_bytes());
        if !value.trim().eq_ignore_ascii_case("identity") && !value.trim().is_empty() {
            codings.push_str(if codings.is_empty() { "" } else { "," });
            codings.push_str(&value);
        }
    }
    codings
}
