//! A connection's bytes, watched for a client that takes none, or sends nothing that leads to anything.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::frames::Frames;

use crate::http1::Stream;

/// What is seen of a connection's bytes; shared with the connection's task.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched(Rc<Sight>);

#[derive(Debug, Default)]
struct Sight {
    /// Since when the client takes nothing of what is to be written.
    stalled: Cell<Option<Instant>>,
    frames: RefCell<Frames>,
    /// Since when a head is half there.
    half: Cell<Option<Instant>>,
}

impl Watched {
    /// Since when the client takes nothing of what is to be written.
    pub(super) fn stalled(&self) -> Option<Instant> {
        self.0.stalled.get()
    }

    /// Since when a head is half there.
    pub(super) fn half(&self) -> Option<Instant> {
        self.0.half.get()
    }

    /// See [`Frames::is_flood`].
    pub(super) fn is_flood(&self) -> bool {
        self.0.frames.borrow().is_flood()
    }

    /// See [`Frames::is_foreign`].
    fn is_foreign(&self) -> bool {
        self.0.frames.borrow().is_foreign()
    }

    fn read(&self, bytes: &[u8]) {
        let mut frames = self.0.frames.borrow_mut();
        frames.take(bytes);
        if !frames.is_half() {
            self.0.half.set(None);
        } else if self.0.half.get().is_none() {
            self.0.half.set(Some(Instant::now()));
        }
    }

    fn note<T>(&self, polled: Poll<T>) -> Poll<T> {
        if polled.is_ready() {
            self.0.stalled.set(None);
        } else if self.0.stalled.get().is_none() {
            self.0.stalled.set(Some(Instant::now()));
        }
        polled
    }
}

/// A connection's stream, with what was read of it before.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    read: Bytes,
    watched: Watched,
}

impl Wire {
    pub(super) fn new(stream: Stream, read: Bytes, watched: Watched) -> Self {
        Self {
            stream,
            read,
            watched,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let begin = buf.filled().len();
        if self.read.has_remaining() {
            let size = self.read.len().min(buf.remaining());
            buf.put_slice(&self.read.split_to(size));
        } else {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        }
        let came = buf.filled().get(begin..).unwrap_or_default();
        self.watched.read(came);
        Poll::Ready(if self.watched.is_foreign() {
            let why = "no SETTINGS follow the preface (RFC 9113, 3.4)";
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        } else {
            Ok(())
        })
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watched.note(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watched.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.watched.note(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watched.note(polled)
    }
}
