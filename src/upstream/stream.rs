//! The bytes of a connection to an app: counted until an answer's head is there, and read to their end in any case.
//!
//! hyper reads through interim answers (1xx) without end and without letting go of its thread: an app that sends nothing
//! else would hold a worker up for seconds. And it gives a connection up as soon as it cannot be written to, although
//! the answer of an app that did not want the rest of a request may already be there. Bounds: [`Allowance`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes may come before an answer's head is complete. Shared by a connection's stream (which hyper wants
/// `Send`) and the request that waits; both are on one thread, so relaxed order suffices.
#[derive(Debug)]
pub(super) struct Allowance {
    bytes: usize,
    left: AtomicUsize,
}

/// What `left` is while no head is awaited.
const UNCOUNTED: usize = usize::MAX;

impl Allowance {
    /// For connections that are read `at_once` bytes at a time, which is no less than a head: room for a head, for
    /// interim answers before it, and for the beginning of the body that hyper reads together with it.
    pub(super) fn new(at_once: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes: at_once.saturating_mul(3).min(UNCOUNTED - 1),
            left: AtomicUsize::new(UNCOUNTED),
        })
    }

    /// A request goes out: from now on what comes is counted.
    pub(super) fn begin(&self) {
        self.left.store(self.bytes, Ordering::Relaxed);
    }

    /// The head is there.
    pub(super) fn end(&self) {
        self.left.store(UNCOUNTED, Ordering::Relaxed);
    }

    /// Whether more has come than may.
    pub(super) fn is_spent(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    fn take(&self, bytes: usize) -> io::Result<()> {
        let left = self.left.load(Ordering::Relaxed);
        if left == UNCOUNTED {
            return Ok(());
        }
        self.left
            .store(left.saturating_sub(bytes), Ordering::Relaxed);
        if self.is_spent() {
            return Err(io::Error::other("it sent interim answers without end"));
        }
        Ok(())
    }
}

/// A connection that ends when its [`Allowance`] is spent, or when there is nothing more to read.
pub(super) struct Stream<S> {
    io: S,
    allowance: Arc<Allowance>,
    /// Nothing more can be written. What is said to be written waits for ever: what was read says how it ends.
    deaf: bool,
}

impl<S> Stream<S> {
    pub(super) fn new(io: S, allowance: Arc<Allowance>) -> Self {
        Self {
            io,
            allowance,
            deaf: false,
        }
    }

    fn write<T>(
        &mut self,
        write: impl FnOnce(Pin<&mut S>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>>
    where
        S: Unpin,
    {
        if self.deaf {
            return Poll::Pending;
        }
        match write(Pin::new(&mut self.io)) {
            Poll::Ready(Err(_)) => {
                self.deaf = true;
                Poll::Pending
            }
            other => other,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.io).poll_read(cx, buf);
        match poll {
            Poll::Ready(Ok(())) => Poll::Ready(self.allowance.take(buf.filled().len() - before)),
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(|io| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(|io| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(|io| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_comes_before_a_head_is_counted() {
        let allowance = Allowance::new(10);
        assert!(allowance.take(1000).is_ok(), "no head is awaited");
        allowance.begin();
        assert!(allowance.take(29).is_ok());
        allowance.end();
        assert!(allowance.take(1000).is_ok());
        allowance.begin();
        assert!(allowance.take(29).is_ok());
        assert!(!allowance.is_spent());
        assert!(allowance.take(1).is_err());
        assert!(allowance.is_spent());
    }
}
