//! A request on its way out: its head, and its body as pieces come.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue};
use http_body::Body;
use tokio::io::AsyncWrite;

use super::head::{self, Head};
use crate::upstream::body::{BodyFault, RequestBody};

/// How much room for heads a connection keeps between two exchanges, in bytes.
const KEPT: usize = 2048;

/// How a request's body is framed (RFC 9112, 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no body.
    None,
    /// So many bytes are still to be taken of it.
    Length(u64),
    Chunked,
}

/// What is to be written, in its order: a line or a head, a piece of the body, the end of its chunk.
#[derive(Debug)]
pub(super) struct Output {
    line: Vec<u8>,
    /// How much of `line` was written.
    written: usize,
    piece: Bytes,
    end: &'static [u8],
    framing: Framing,
    announced: Option<HeaderValue>,
    /// Nothing more is to be taken of the body.
    ended: bool,
    state: State,
    /// Whether anything of this request has left.
    pub(super) begun: bool,
    /// Whether the body's trailers were taken.
    trailers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Sending,
    Sent,
    /// The app does not read any more. What it has written already says how this ends.
    Deaf,
}

impl Output {
    pub(super) fn new() -> Self {
        Self {
            line: Vec::new(),
            written: 0,
            piece: Bytes::new(),
            end: b"",
            framing: Framing::None,
            announced: None,
            ended: true,
            state: State::Sent,
            begun: false,
            trailers: false,
        }
    }

    /// A new request is to be written.
    pub(super) fn begin(&mut self, head: &impl Head, body: &RequestBody) {
        self.framing = match body.size_hint().exact() {
            _ if body.is_empty() => Framing::None,
            Some(length) => Framing::Length(length),
            None => Framing::Chunked,
        };
        self.line.clear();
        self.written = 0;
        self.announced = head::write(head, &self.framing, &mut self.line);
        self.ended = self.framing == Framing::None;
        self.state = State::Sending;
        self.begun = false;
        self.trailers = false;
        self.piece = Bytes::new();
        self.end = b"";
    }

    /// Whether all of the request was written.
    pub(super) fn is_sent(&self) -> bool {
        self.state == State::Sent
    }

    /// What was taken of the body when nothing has left; `None` where more was taken than one piece.
    pub(super) fn take_unsent(&mut self) -> Option<Bytes> {
        let whole = !self.begun && !self.trailers;
        whole.then(|| std::mem::take(&mut self.piece))
    }

    /// Keeps no more than a small buffer until the next request.
    pub(super) fn rest(&mut self) {
        if self.line.capacity() > KEPT {
            self.line = Vec::new();
        }
    }

    /// Writes for as long as there is something to write; ready when all is written, or nobody reads it.
    ///
    /// # Errors
    ///
    /// When the body fails: the app will wait for the rest in vain.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut (impl AsyncWrite + Unpin),
        body: &mut RequestBody,
    ) -> Poll<Result<(), BodyFault>> {
        if self.state != State::Sending {
            return Poll::Ready(Ok(()));
        }
        loop {
            let waits = self.wants_piece() && self.poll_piece(cx, body)?.is_pending();
            if self.is_empty() {
                if self.wants_piece() && !waits {
                    continue;
                }
                if ready!(Pin::new(&mut *io).poll_flush(cx)).is_err() {
                    self.state = State::Deaf;
                } else if waits {
                    return Poll::Pending;
                } else {
                    self.state = State::Sent;
                }
                return Poll::Ready(Ok(()));
            }
            match ready!(self.poll_write(cx, io)) {
                Ok(count) if count > 0 => self.wrote(count),
                Ok(_) | Err(_) => {
                    self.state = State::Deaf;
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// Whether the body's next piece has room.
    fn wants_piece(&self) -> bool {
        !self.ended && self.piece.is_empty() && self.end.is_empty()
    }

    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut RequestBody,
    ) -> Result<Poll<()>, BodyFault> {
        match Pin::new(body).poll_frame(cx) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(None) => self.finish(&HeaderMap::new())?,
            Poll::Ready(Some(frame)) => match frame?.into_data() {
                Ok(data) => self.take(data)?,
                Err(other) => self.finish(&other.into_trailers().unwrap_or_default())?,
            },
        }
        Ok(Poll::Ready(()))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<usize>> {
        let line = self.line.get(self.written..).unwrap_or_default();
        let io = Pin::new(io);
        if self.piece.is_empty() && self.end.is_empty() {
            return io.poll_write(cx, line);
        }
        let slices = [
            IoSlice::new(line),
            IoSlice::new(&self.piece),
            IoSlice::new(self.end),
        ];
        io.poll_write_vectored(cx, &slices)
    }

    /// So many bytes have left.
    fn wrote(&mut self, count: usize) {
        self.begun = true;
        let of_line = count.min(self.line.len() - self.written);
        self.written += of_line;
        let of_piece = (count - of_line).min(self.piece.len());
        self.piece.advance(of_piece);
        let of_end = count - of_line - of_piece;
        self.end = self.end.get(of_end..).unwrap_or_default();
    }

    /// Makes room for a line after those that were written.
    fn begin_line(&mut self) {
        if self.written == self.line.len() {
            self.line.clear();
            self.written = 0;
        }
    }

    fn is_empty(&self) -> bool {
        self.written == self.line.len() && self.piece.is_empty() && self.end.is_empty()
    }

    /// A piece of the body comes next.
    fn take(&mut self, data: Bytes) -> Result<(), BodyFault> {
        match &mut self.framing {
            _ if data.is_empty() => return Ok(()),
            Framing::None => return Err(BodyFault::Broken),
            Framing::Length(left) => {
                let rest = left.checked_sub(data.len() as u64);
                *left = rest.ok_or(BodyFault::Broken)?;
            }
            Framing::Chunked => {
                self.begin_line();
                self.line
                    .extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
                self.end = b"\r\n";
            }
        }
        self.piece = data;
        Ok(())
    }

    /// The body is over.
    fn finish(&mut self, trailers: &HeaderMap) -> Result<(), BodyFault> {
        self.ended = true;
        self.trailers = !trailers.is_empty();
        match self.framing {
            Framing::None | Framing::Length(0) => return Ok(()),
            Framing::Length(_) => return Err(BodyFault::Broken),
            Framing::Chunked => {}
        }
        self.begin_line();
        self.line.extend_from_slice(b"0\r\n");
        for (name, value) in trailers {
            let announced = self.announced.as_ref();
            if announced.is_some_and(|list| head::has(list, name.as_str())) {
                head::write_field(&mut self.line, name, &[value.as_bytes()]);
            }
        }
        self.line.extend_from_slice(b"\r\n");
        Ok(())
    }
}
