//! A connection's bytes and the request that is being read: what the connection and the reader of a body share.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::Handover;
use crate::http1::{Decoded, Decoder, Input, Stream};
use crate::server::BodyBroken;

/// What asks a client for its body (RFC 9110, 10.1.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The most that is read of a body at once.
const READ: usize = 256 * 1024;

/// Bytes of requests that may come while another is answered.
const AHEAD: usize = 64 * 1024;

/// Whether the connection goes on in another protocol.
#[derive(Debug)]
enum Switch {
    /// Nobody wants that.
    Unasked,
    /// Somebody waits for what comes after it.
    Asked(Option<Waker>),
    Done,
}

/// What became of a switch to another protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Switched {
    No,
    Yes,
    /// Bytes have come that were sent before it: whose they are cannot be told.
    Early,
}

/// A connection's bytes and the request that is being read.
#[derive(Debug)]
pub(super) struct Core {
    stream: Stream,
    pub(super) input: Input,
    decoder: Decoder,
    /// Which exchange the connection is in: a body of an earlier one has nothing to read any more.
    exchange: u64,
    /// Whether the client waits to be asked for the body, and was not.
    unasked: bool,
    /// Whether the body's framing is broken, so that nothing can be read after it.
    broken: bool,
    switch: Switch,
    /// The connection's task, which is told when somebody else has read the body.
    watcher: Option<Waker>,
}

impl Core {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            input: Input::new(READ),
            decoder: Decoder::Length(0),
            exchange: 0,
            unasked: false,
            broken: false,
            switch: Switch::Unasked,
            watcher: None,
        }
    }

    pub(super) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// The stream and what was read of it, for another version of HTTP.
    pub(super) fn hand_over(self) -> Handover {
        Handover(self.stream, self.input.bytes.freeze())
    }

    /// Begins an exchange whose request has this body; its number.
    pub(super) fn begin(&mut self, decoder: Decoder, expects: bool) -> u64 {
        self.exchange += 1;
        self.decoder = decoder;
        self.unasked = expects;
        self.switch = Switch::Unasked;
        self.exchange
    }

    /// Ends it: nobody reads its body any more. Whether nothing has come after it.
    pub(super) fn end(&mut self) -> bool {
        self.exchange += 1;
        self.watcher = None;
        let nothing_follows = self.input.bytes.is_empty();
        if nothing_follows {
            self.input.clear();
        }
        nothing_follows
    }

    pub(super) fn is_at(&self, exchange: u64) -> bool {
        self.exchange == exchange
    }

    /// Whether the request's body was read to its end.
    pub(super) fn is_read(&self) -> bool {
        self.decoder.is_over()
    }

    /// Whether a head has begun to come; half an empty line is none.
    pub(super) fn is_begun(&self) -> bool {
        !matches!(&self.input.bytes[..], b"" | b"\r")
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.decoder.size_hint()
    }

    /// The request is being answered, so its body is not asked for any more: it comes, or it does not. Whether that is so
    /// because it was never asked for: nothing after it can be told apart then (RFC 9110, 10.1.1).
    pub(super) fn answered(&mut self) -> bool {
        std::mem::replace(&mut self.unasked, false)
    }

    /// What comes after a switch is wanted.
    pub(super) fn ask(&mut self) {
        self.switch = Switch::Asked(None);
    }

    /// The answer says that the connection switches, where that was wanted.
    pub(super) fn switch(&mut self) -> Switched {
        if !matches!(self.switch, Switch::Asked(_)) {
            return Switched::No;
        }
        // Asked of the kernel: what has come since the runtime last looked is early too. With TLS it may be TLS's own.
        let came = !self.stream.is_tls() && self.stream.peek().is_ok_and(|count| count > 0);
        if came || !self.input.bytes.is_empty() {
            return Switched::Early;
        }
        self.decoder = Decoder::Close;
        if let Switch::Asked(Some(reader)) = std::mem::replace(&mut self.switch, Switch::Done) {
            reader.wake();
        }
        Switched::Yes
    }

    /// Whether the connection speaks another protocol by now.
    pub(super) fn has_switched(&self) -> bool {
        matches!(self.switch, Switch::Done)
    }

    /// The next of what comes after the switch.
    pub(super) fn poll_tunnel(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        if let Switch::Asked(reader) = &mut self.switch {
            *reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.poll_body(cx)
    }

    /// The next of the request's body.
    pub(super) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        if self.broken {
            return Poll::Ready(Some(Err(BodyBroken)));
        }
        if self.unasked {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, CONTINUE));
            self.unasked = false;
            // A socket takes so few bytes whole.
            if !written.is_ok_and(|count| count == CONTINUE.len()) {
                return self.fail();
            }
            drop(Pin::new(&mut self.stream).poll_flush(cx));
        }
        loop {
            match self.decoder.decode(&mut self.input.bytes) {
                Ok(Decoded::Data(data)) => {
                    self.notice();
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(Decoded::Trailers(fields)) => {
                    self.notice();
                    return Poll::Ready(Some(Ok(Frame::trailers(fields))));
                }
                Ok(Decoded::Over) => return Poll::Ready(None),
                Ok(Decoded::More) => {}
                Err(_) => return self.fail(),
            }
            match ready!(self.input.poll_fill(cx, &mut self.stream)) {
                Ok(0) if self.decoder.close() => return Poll::Ready(None),
                Ok(0) | Err(_) => return self.fail(),
                Ok(_) => {}
            }
        }
    }

    /// Reads a body that nobody wants and throws it away: ready with whether it came to its end within `budget`, which is
    /// what may still come, in bytes.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>, budget: &mut u64) -> Poll<bool> {
        loop {
            match ready!(self.poll_body(cx)) {
                None => return Poll::Ready(true),
                Some(Err(BodyBroken)) => return Poll::Ready(false),
                Some(Ok(frame)) => {
                    let size = frame.data_ref().map_or(0, |data| data.len() as u64);
                    let Some(left) = budget.checked_sub(size) else {
                        return Poll::Ready(false);
                    };
                    *budget = left;
                }
            }
        }
    }

    /// Reads what comes between two requests into `scratch` and behind what is there; how much, 0 at the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(scratch);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room))?;
        Poll::Ready(Ok(room.filled().len()))
    }

    /// Ready when the client has left, as far as that can be known: while its request's body is being read, the reader
    /// will find out. What it sends of its next requests is kept.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<()> {
        if self.has_switched() {
            // Whoever reads it will find out, and one that has ended its side only listens on.
            return Poll::Pending;
        }
        if !self.is_read() {
            if !(self.watcher.as_ref()).is_some_and(|watcher| watcher.will_wake(cx.waker())) {
                self.watcher = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        while self.input.bytes.len() < AHEAD {
            match ready!(self.poll_read(cx, scratch)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(count) => {
                    let came = scratch.get(..count).unwrap_or_default();
                    self.input.bytes.extend_from_slice(came);
                }
            }
        }
        Poll::Pending
    }

    fn fail(&mut self) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        self.broken = true;
        self.wake();
        Poll::Ready(Some(Err(BodyBroken)))
    }

    /// Tells the connection when the body was read to its end.
    fn notice(&mut self) {
        if self.is_read() {
            self.wake();
        }
    }

    fn wake(&mut self) {
        if let Some(watcher) = self.watcher.take() {
            watcher.wake();
        }
    }
}
