//! A message on its way out: its head, and its body as pieces come.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue};
use http_body::Body;
use tokio::io::AsyncWrite;

use super::field::{has, write_field};

/// How much room for heads a connection keeps between two messages, in bytes.
const KEPT: usize = 2048;

/// How a body is framed (RFC 9112, 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is no body.
    None,
    /// So many bytes are still to be taken of it.
    Length(u64),
    Chunked,
    /// It ends with its connection.
    Close,
}

/// What is to be written, in its order: a line or a head, a piece of the body, the end of its chunk.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a thing that has happened, in any order"
)]
pub(crate) struct Output {
    line: Vec<u8>,
    /// How much of `line` was written.
    written: usize,
    piece: Bytes,
    end: &'static [u8],
    framing: Framing,
    announced: Option<HeaderValue>,
    /// Nothing more is to be taken of the body.
    ended: bool,
    sent: bool,
    begun: bool,
    /// Whether what was written is held up below: TLS has room of its own.
    held_up: bool,
    /// Whether the body's trailers were taken.
    trailers: bool,
    /// Whether the body has failed: what was taken of it before leaves still.
    failed: bool,
    /// How many bytes have left so far, of this message and those before it.
    left: u64,
}

/// Why a message did not leave whole.
#[derive(Debug)]
pub(crate) enum Unsent<E> {
    /// Its body failed.
    Body(E),
    /// Its body is longer or shorter than was said before it.
    Length,
    /// Nobody reads it any more.
    Io,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self {
            line: Vec::new(),
            written: 0,
            piece: Bytes::new(),
            end: b"",
            framing: Framing::None,
            announced: None,
            ended: true,
            sent: true,
            begun: false,
            held_up: false,
            trailers: false,
            failed: false,
            left: 0,
        }
    }

    /// A new message is to be written: `head` writes its head and says which trailers are announced in it.
    pub(crate) fn begin(
        &mut self,
        framing: Framing,
        head: impl FnOnce(&mut Vec<u8>) -> Option<HeaderValue>,
    ) {
        self.framing = framing;
        self.line.clear();
        self.written = 0;
        self.announced = head(&mut self.line);
        self.ended = framing == Framing::None;
        self.sent = false;
        self.begun = false;
        self.trailers = false;
        self.failed = false;
        self.piece = Bytes::new();
        self.end = b"";
    }

    /// The connection speaks another protocol after this message: a body follows it to the connection's end.
    pub(crate) fn switch(&mut self) {
        self.framing = Framing::Close;
        self.ended = false;
        self.sent = false;
    }

    /// Whether all of the message was written.
    pub(crate) fn is_sent(&self) -> bool {
        self.sent
    }

    /// Whether anything of the message has left.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// How many bytes have left so far, of this message and those before it.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// Whether something is waiting to leave.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.is_empty() || self.held_up
    }

    /// What was taken of the body when nothing has left; `None` where more was taken than one piece.
    pub(crate) fn take_unsent(&mut self) -> Option<Bytes> {
        let whole = !self.begun && !self.trailers;
        whole.then(|| std::mem::take(&mut self.piece))
    }

    /// Keeps no more than a small buffer until the next message.
    pub(crate) fn rest(&mut self) {
        // An empty piece still holds the buffer that it was cut from.
        self.piece = Bytes::new();
        self.announced = None;
        if self.line.capacity() > KEPT {
            self.line = Vec::new();
        }
    }

    /// The body has failed.
    pub(crate) fn fail(&mut self) {
        self.failed = true;
    }

    /// Whether it has.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Writes what was taken of a body that has failed since; ready when all of that is written.
    ///
    /// # Errors
    ///
    /// When nobody reads it any more.
    pub(crate) fn poll_taken(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            match ready!(self.poll_write(cx, io))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.wrote(count),
            }
        }
        Pin::new(io).poll_flush(cx)
    }

    /// Whether a message is under way whose body ends with its connection.
    pub(crate) fn ends_with_connection(&self) -> bool {
        !self.sent && self.framing == Framing::Close
    }

    /// Writes for as long as there is something to write; ready when all is written.
    ///
    /// # Errors
    ///
    /// When the rest will not be written: the other end will wait for it in vain.
    pub(crate) fn poll_send<B: Body<Data = Bytes>>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut (impl AsyncWrite + Unpin),
        mut body: Pin<&mut B>,
    ) -> Poll<Result<(), Unsent<B::Error>>> {
        if self.sent {
            return Poll::Ready(Ok(()));
        }
        loop {
            let waits = self.wants_piece() && self.poll_piece(cx, body.as_mut())?.is_pending();
            if self.is_empty() {
                if self.wants_piece() && !waits {
                    continue;
                }
                let flushed = Pin::new(&mut *io).poll_flush(cx);
                self.held_up = flushed.is_pending();
                ready!(flushed).map_err(|_| Unsent::Io)?;
                if waits {
                    return Poll::Pending;
                }
                self.sent = true;
                return Poll::Ready(Ok(()));
            }
            let count = ready!(self.poll_write(cx, io)).map_err(|_| Unsent::Io)?;
            if count == 0 {
                return Poll::Ready(Err(Unsent::Io));
            }
            self.wrote(count);
        }
    }

    /// Whether the body's next piece has room.
    fn wants_piece(&self) -> bool {
        !self.ended && self.piece.is_empty() && self.end.is_empty()
    }

    fn poll_piece<B: Body<Data = Bytes>>(
        &mut self,
        cx: &mut Context<'_>,
        mut body: Pin<&mut B>,
    ) -> Result<Poll<()>, Unsent<B::Error>> {
        match body.as_mut().poll_frame(cx) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(None) => self.finish(&HeaderMap::new())?,
            Poll::Ready(Some(frame)) => match frame.map_err(Unsent::Body)?.into_data() {
                Ok(data) => self.take(data, body.is_end_stream())?,
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
        self.left += count as u64;
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

    /// A piece of the body comes next, the last one perhaps.
    fn take<E>(&mut self, data: Bytes, last: bool) -> Result<(), Unsent<E>> {
        match &mut self.framing {
            _ if data.is_empty() => {
                return if last {
                    self.finish(&HeaderMap::new())
                } else {
                    Ok(())
                };
            }
            Framing::None => return Err(Unsent::Length),
            Framing::Length(left) => {
                let rest = left.checked_sub(data.len() as u64);
                *left = rest.ok_or(Unsent::Length)?;
                if last && *left > 0 {
                    return Err(Unsent::Length);
                }
            }
            Framing::Close => {}
            Framing::Chunked => {
                self.begin_line();
                self.line
                    .extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
                self.end = if last { b"\r\n0\r\n\r\n" } else { b"\r\n" };
            }
        }
        self.ended = last;
        self.piece = data;
        Ok(())
    }

    /// The body is over.
    fn finish<E>(&mut self, trailers: &HeaderMap) -> Result<(), Unsent<E>> {
        self.ended = true;
        self.trailers = !trailers.is_empty();
        match self.framing {
            Framing::None | Framing::Length(0) | Framing::Close => return Ok(()),
            Framing::Length(_) => return Err(Unsent::Length),
            Framing::Chunked => {}
        }
        self.begin_line();
        self.line.extend_from_slice(b"0\r\n");
        for (name, value) in trailers {
            let announced = self.announced.as_ref();
            if announced.is_some_and(|list| has(list, name.as_str())) {
                write_field(&mut self.line, name, &[value.as_bytes()]);
            }
        }
        self.line.extend_from_slice(b"\r\n");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    /// Takes everything and holds it, as TLS does while its socket has no room.
    struct Holding;

    impl AsyncWrite for Holding {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[test]
    fn what_is_held_below_has_not_been_taken() {
        let mut output = Output::new();
        output.begin(Framing::Length(4), |line| {
            line.extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\n");
            None
        });
        let mut body = Full::new(Bytes::from_static(b"fine"));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let sent = output.poll_send(&mut cx, &mut Holding, Pin::new(&mut body));
        assert!(sent.is_pending());
        assert_eq!((output.is_blocked(), output.left()), (true, 23));
    }
}
