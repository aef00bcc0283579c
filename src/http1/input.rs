//! What has come and was not read yet.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What is read at first, in bytes; more at a time where more comes.
const FIRST_READ: usize = 16 * 1024;

/// A connection's bytes on their way in: read in pieces that grow with what comes, taken out without a copy.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) bytes: BytesMut,
    /// How much is read at once.
    reads: usize,
    most: usize,
}

impl Input {
    /// Reads at most `most` bytes at once.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            bytes: BytesMut::new(),
            reads: FIRST_READ.min(most),
            most,
        }
    }

    /// Reads what has come; how much, 0 at the end.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<usize>> {
        if self.bytes.capacity() - self.bytes.len() < self.reads / 4 {
            self.bytes.reserve(self.reads);
        }
        let room = self.bytes.capacity() - self.bytes.len();
        let count = ready!(pin!(io.read_buf(&mut self.bytes)).poll(cx))?;
        if count == room {
            self.reads = (self.reads * 2).min(self.most);
        }
        Poll::Ready(Ok(count))
    }

    /// Lets go of the buffer, and of what is left in it.
    pub(crate) fn clear(&mut self) {
        self.bytes = BytesMut::new();
    }
}
