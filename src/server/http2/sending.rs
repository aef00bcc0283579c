//! An answer's body on its way into its stream, as fast as the client takes it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HOST, TE};
use http_body::Body;
use tokio::time::Instant;

use super::answer::OF_CONNECTION;
use super::connection::AHEAD;
use crate::config::ServerTimeouts;
use crate::http1::{Alarm, Pace, TooSlow};

/// Why an answer was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The client wants no more of it, or has left.
    Gone,
    /// Its body failed, or is not as long as it was said to be.
    Broken,
    /// The client takes nothing, or too little.
    Unheard,
}

/// An answer's body and the stream that it goes into.
pub(super) struct Sending<'a> {
    stream: SendStream<Bytes>,
    timeouts: &'a ServerTimeouts,
    /// Whether the client takes trailers.
    trailers: bool,
    /// How much is still to be sent, where that was stated.
    left: Option<u64>,
    /// What was taken of the body and is not sent yet.
    piece: Bytes,
    /// Since when the client is waited for.
    since: Option<Instant>,
    alarm: Alarm,
    pace: Pace,
}

impl<'a> Sending<'a> {
    pub(super) fn new(
        stream: SendStream<Bytes>,
        timeouts: &'a ServerTimeouts,
        length: Option<u64>,
        trailers: bool,
    ) -> Self {
        Self {
            stream,
            timeouts,
            trailers,
            left: length,
            piece: Bytes::new(),
            since: None,
            alarm: Alarm::new(),
            pace: Pace::new(timeouts.min_rate.0),
        }
    }

    /// Holds it to no least rate: who speaks through a tunnel may have little to say.
    pub(super) fn take_time(&mut self) {
        self.pace = Pace::new(0);
    }

    /// Waits for the end of a body of which nothing more is sent.
    pub(super) fn poll_rest<B: Body<Data = Bytes>>(
        &mut self,
        cx: &mut Context<'_>,
        mut body: Pin<&mut B>,
    ) -> Poll<Result<(), Unsent>> {
        loop {
            match body.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Unsent::Broken)),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => return self.poll_gone(cx),
            }
        }
    }

    /// Says why the stream ends before the answer does, where the client does not know.
    pub(super) fn give_up(&mut self, why: Unsent) {
        match why {
            Unsent::Gone => {}
            Unsent::Broken => self.stream.send_reset(Reason::INTERNAL_ERROR),
            Unsent::Unheard => self.stream.send_reset(Reason::CANCEL),
        }
    }

    /// Sends what there is; ready when all of it is.
    pub(super) fn poll_send<B: Body<Data = Bytes>>(
        &mut self,
        cx: &mut Context<'_>,
        mut body: Pin<&mut B>,
    ) -> Poll<Result<(), Unsent>> {
        loop {
            while self.piece.is_empty() {
                let Poll::Ready(next) = body.as_mut().poll_frame(cx) else {
                    return self.poll_gone(cx);
                };
                match next {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => self.take(data)?,
                        Err(frame) => return Poll::Ready(self.end(frame.into_trailers().ok())),
                    },
                    Some(Err(_)) => return Poll::Ready(Err(Unsent::Broken)),
                    None => return Poll::Ready(self.end(None)),
                }
            }
            let room = ready!(self.poll_room(cx))?;
            let piece = self.piece.split_to(room.min(self.piece.len()));
            if self.pace.moved(piece.len() as u64) == Err(TooSlow) {
                return Poll::Ready(Err(Unsent::Unheard));
            }
            let last = self.piece.is_empty() && body.is_end_stream() && self.left.unwrap_or(0) == 0;
            self.stream
                .send_data(piece, last)
                .map_err(|_| Unsent::Gone)?;
            if last {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn take(&mut self, data: Bytes) -> Result<(), Unsent> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(data.len() as u64).ok_or(Unsent::Broken)?;
        }
        self.piece = data;
        Ok(())
    }

    /// Waits for room in the client's windows and in what may be sent ahead; how much there is.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Unsent>> {
        self.stream.reserve_capacity(self.piece.len().min(AHEAD));
        loop {
            let room = self.stream.capacity();
            if room > 0 {
                self.since = None;
                return Poll::Ready(Ok(room));
            }
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return Poll::Ready(Err(Unsent::Gone)),
                Poll::Pending => break,
            }
        }
        self.pace.waits();
        let since = *self.since.get_or_insert_with(Instant::now);
        let due = since + *self.timeouts.write;
        self.alarm
            .poll_over(cx, || due)
            .map(|()| Err(Unsent::Unheard))
    }

    /// Ready when the client has reset the stream, or left.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unsent>> {
        self.stream.poll_reset(cx).map(|_| Err(Unsent::Gone))
    }

    /// Ends the stream, with trailers where there are some for this client.
    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Unsent> {
        if self.left.unwrap_or(0) > 0 {
            return Err(Unsent::Broken);
        }
        let trailers = trailers.filter(|_| self.trailers).map(without_framing);
        match trailers.filter(|trailers| !trailers.is_empty()) {
            Some(trailers) => self.stream.send_trailers(trailers),
            None => self.stream.send_data(Bytes::new(), true),
        }
        .map_err(|_| Unsent::Gone)
    }
}

/// Trailers without the fields that would frame or route a message (RFC 9110, 6.5.1).
fn without_framing(mut trailers: HeaderMap) -> HeaderMap {
    for name in OF_CONNECTION.iter().chain(&[CONTENT_LENGTH, HOST, TE]) {
        trailers.remove(name);
    }
    trailers
}
