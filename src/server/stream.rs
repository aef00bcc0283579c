//! A client connection's bytes, watched: what comes in and what does not go out leaves its time in the [`Watch`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::deadline::Watch;

/// A TCP connection that keeps its [`Watch`] informed, and that is reset on drop when the watch says so.
pub(super) struct Stream {
    tcp: TcpStream,
    watch: Arc<Watch>,
    /// What was read and given back; it is read first.
    unread: Bytes,
}

impl Stream {
    pub(super) fn new(tcp: TcpStream, watch: Arc<Watch>) -> Self {
        Self {
            tcp,
            watch,
            unread: Bytes::new(),
        }
    }

    /// Gives back what was read and not used.
    pub(super) fn unread(&mut self, bytes: Bytes) {
        // An empty piece still holds the buffer that it was cut from.
        self.unread = if bytes.is_empty() {
            Bytes::new()
        } else {
            bytes
        };
    }

    /// Ready when there is something to read, or an end.
    pub(super) fn poll_called(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.unread.is_empty() {
            self.tcp.poll_read_ready(cx).map(|_| ())
        } else {
            Poll::Ready(())
        }
    }

    fn wrote<T>(&self, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &poll {
            Poll::Ready(_) => self.watch.unblocked(),
            Poll::Pending => self.watch.blocked(),
        }
        poll
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let count = self.unread.len().min(buf.remaining());
            buf.put_slice(&self.unread.split_to(count));
            self.watch.received();
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.tcp).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.watch.received();
        }
        poll
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.wrote(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.wrote(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.watch.is_aborted() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.watch.is_aborted() {
            // Where the option cannot be set the connection is gone already.
            drop(self.tcp.set_zero_linger());
        }
    }
}
