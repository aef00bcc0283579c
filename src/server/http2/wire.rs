//! A connection's bytes, watched for a client that takes none.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::http1::Stream;

/// Since when a connection's client takes nothing of what is to be written; shared with the connection's task.
#[derive(Clone, Debug, Default)]
pub(super) struct Stalled(Rc<Cell<Option<Instant>>>);

impl Stalled {
    pub(super) fn since(&self) -> Option<Instant> {
        self.0.get()
    }

    fn note<T>(&self, polled: Poll<T>) -> Poll<T> {
        if polled.is_ready() {
            self.0.set(None);
        } else if self.0.get().is_none() {
            self.0.set(Some(Instant::now()));
        }
        polled
    }
}

/// A connection's stream, with what was read of it before.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    read: Bytes,
    stalled: Stalled,
}

impl Wire {
    pub(super) fn new(stream: Stream, read: Bytes, stalled: Stalled) -> Self {
        Self {
            stream,
            read,
            stalled,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.has_remaining() {
            let size = self.read.len().min(buf.remaining());
            buf.put_slice(&self.read.split_to(size));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.stalled.note(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.stalled.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.stalled.note(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.stalled.note(polled)
    }
}
