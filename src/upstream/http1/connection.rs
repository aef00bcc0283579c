//! A connection to an app, from one exchange to the next.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, response};
use http_body::{Body as _, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite as _, ReadBuf};
use tokio::time::Instant;

use super::framing::{self, Broken};
use super::head::{self, Head, Parsed};
use crate::http1::{Alarm, Decoded, Decoder, Framing, Input, Malformed, Output, Stream, Unsent};
use crate::upstream::answer::AtHand;
use crate::upstream::body::{BodyFault, RequestBody};

/// What bounds an answer.
#[derive(Clone, Copy, Debug)]
pub(in crate::upstream) struct Limits {
    /// A head's bytes.
    pub(in crate::upstream) head: usize,
    /// A head's fields.
    pub(in crate::upstream) fields: usize,
    /// The most bytes that are read at once.
    pub(in crate::upstream) read: usize,
}

/// A connection, with the exchange that is on it.
pub(in crate::upstream) struct Connection {
    stream: Stream,
    limits: Limits,
    input: Input,
    output: Output,
    /// The app does not read any more. What it has written already says how this ends.
    deaf: bool,
    method: Method,
    decoder: Decoder,
    /// Whether the answer has no body whatever its head says.
    bodiless: bool,
    /// Whether it can be used again, as far as is known.
    persistent: bool,
    /// How much may come before a head is whole: interim answers have no other end.
    allowance: usize,
    /// The length of a head that is not whole at which it was looked at last. It is looked at again at twice of that,
    /// so that a head of many small pieces costs no more than one of a few.
    checked: usize,
    alarm: Alarm,
    /// Why the rest of the request could not be sent.
    fault: Option<BodyFault>,
    /// Whether it has switched to another protocol, and what has ended since.
    tunnel: Option<Ends>,
    /// Who reads the answer while the rest of the request is sent.
    reader: Option<Waker>,
}

/// Which ends of a tunnel have come.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    /// The app's own was told.
    told: bool,
    /// The client's, and the app knows.
    client: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(in crate::upstream) enum Fault {
    /// What the app did.
    App(Broken),
    /// It did not answer in time.
    Late,
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Self::App(malformed.into())
    }
}

impl Connection {
    pub(in crate::upstream) fn new(stream: Stream, limits: Limits) -> Self {
        Self {
            stream,
            limits,
            input: Input::new(limits.read),
            output: Output::new(),
            deaf: false,
            method: Method::GET,
            decoder: Decoder::Length(0),
            bodiless: false,
            persistent: true,
            allowance: 0,
            checked: 0,
            alarm: Alarm::new(),
            fault: None,
            tunnel: None,
            reader: None,
        }
    }

    /// Begins an exchange. Nothing is written before [`Self::poll_answer`].
    pub(in crate::upstream) fn begin(&mut self, head: &impl Head, body: &RequestBody) {
        let framing = match body.size_hint().exact() {
            _ if body.is_empty() || body.wants_tunnel().is_some() => Framing::None,
            Some(length) => Framing::Length(length),
            None => Framing::Chunked,
        };
        self.output
            .begin(framing, |line| head::write(head, framing, line));
        self.deaf = false;
        self.method = head.method().clone();
        self.allowance = self.limits.read.saturating_mul(3);
        self.decoder = Decoder::Close;
        self.checked = 0;
        self.alarm.moved();
    }

    /// Sends the request and reads until the answer's head is there. `due` says by when it has to be.
    pub(in crate::upstream) fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut RequestBody,
        due: impl Fn(&RequestBody) -> Instant,
    ) -> Poll<Result<response::Parts, Fault>> {
        loop {
            if let Poll::Ready(Err(fault)) = self.poll_send(cx, body) {
                return Poll::Ready(Err(Fault::App(Broken::Request(fault))));
            }
            match self.poll_head(cx) {
                Poll::Ready(Ok(head)) if head.status == StatusCode::CONTINUE => body.open_gate(),
                Poll::Ready(Ok(head)) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                    return Poll::Ready(self.switch(head, body));
                }
                Poll::Ready(Ok(head)) if head.status.is_informational() => {}
                Poll::Ready(answer) => return Poll::Ready(answer.map_err(Fault::App)),
                Poll::Pending => break,
            }
        }
        self.alarm
            .poll_over(cx, || due(body))
            .map(|()| Err(Fault::Late))
    }

    /// The app switches to another protocol: what follows on both sides is no HTTP any more.
    fn switch(
        &mut self,
        head: response::Parts,
        body: &RequestBody,
    ) -> Result<response::Parts, Fault> {
        let asked = body.wants_tunnel();
        if !asked.is_some_and(|tunnel| framing::switches(&head, &tunnel.protocols)) {
            return Err(Malformed("it switched to a protocol that nobody asked for").into());
        }
        self.tunnel = Some(Ends::default());
        self.persistent = false;
        self.output.switch();
        Ok(head)
    }

    /// The next head, interim or final; a final one's body comes next.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<response::Parts, Broken>> {
        loop {
            let limits = (self.limits.head, self.limits.fields);
            if !self.input.bytes.is_empty()
                && let Some(parsed) = head::parse(&mut self.input.bytes, limits)?
            {
                self.checked = 0;
                let Parsed {
                    mut head,
                    persistent,
                    stated,
                } = parsed;
                if !head.status.is_informational() {
                    let (decoder, doubtful) = framing::decoder(&self.method, &mut head, stated)?;
                    self.persistent &= persistent && !doubtful;
                    self.bodiless = framing::is_bodiless(&self.method, head.status);
                    self.decoder = decoder;
                }
                return Poll::Ready(Ok(head));
            }
            if self.input.bytes.len() > 2 * self.checked {
                head::check(&self.input.bytes, self.limits.fields)?;
                self.checked = self.input.bytes.len();
            }
            let count = ready!(self.input.poll_fill(cx, &mut self.stream))
                .map_err(|error| Broken::Closed(Some(error)))?;
            if count == 0 {
                head::check(&self.input.bytes, self.limits.fields)?;
                return Poll::Ready(Err(Broken::Closed(None)));
            }
            self.allowance = self.allowance.saturating_sub(count);
            if self.allowance == 0 {
                return Poll::Ready(Err(Broken::Malformed(
                    "it sent interim answers without end",
                )));
            }
        }
    }

    /// Writes the request for as long as there is something to write; ready when all is written, or nobody reads it.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut RequestBody,
    ) -> Poll<Result<(), BodyFault>> {
        if self.deaf {
            return Poll::Ready(Ok(()));
        }
        let sent = ready!(self.output.poll_send(cx, &mut self.stream, Pin::new(body)));
        Poll::Ready(match sent {
            Ok(()) => Ok(()),
            Err(Unsent::Body(fault)) => Err(fault),
            Err(Unsent::Length) => Err(BodyFault::Broken),
            Err(Unsent::Io) => {
                self.deaf = true;
                Ok(())
            }
        })
    }

    /// Sends the rest of the request while somebody else reads the answer: ready when there is nothing left to send. What
    /// is wrong with it is said by [`Self::poll_body`].
    pub(in crate::upstream) fn poll_rest(
        &mut self,
        cx: &mut Context<'_>,
        request: &mut RequestBody,
    ) -> Poll<()> {
        let sent = ready!(self.poll_send(cx, request));
        if let Some(ends) = &mut self.tunnel {
            if sent.is_ok() && !self.deaf {
                // One that has left needs no farewell.
                drop(ready!(Pin::new(&mut self.stream).poll_shutdown(cx)));
            }
            ends.client = sent.is_ok();
        }
        self.fault = sent.err();
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(())
    }

    /// What came of the answer's body with its head: a body that is broken in its first piece is no answer at all.
    ///
    /// # Errors
    ///
    /// When it is.
    pub(in crate::upstream) fn take_at_hand(&mut self) -> Result<Option<AtHand>, Fault> {
        if self.input.bytes.is_empty() || self.tunnel.is_some() || self.decoder.is_over() {
            return Ok(None);
        }
        Ok(match self.decoder.decode(&mut self.input.bytes)? {
            Decoded::More | Decoded::Over => None,
            Decoded::Data(data) => Some(AtHand::Data(data)),
            Decoded::Trailers(trailers) => Some(AtHand::Trailers(Box::new(trailers))),
        })
    }

    /// The next of the answer's body.
    pub(in crate::upstream) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        request: &RequestBody,
        pause: Duration,
    ) -> Poll<Result<Decoded, Fault>> {
        if let Some(fault) = self.fault {
            return Poll::Ready(Err(Fault::App(Broken::Request(fault))));
        }
        loop {
            if self.tunnel.is_some() && self.decoder.is_over() {
                return self.poll_ends(cx, request, pause);
            }
            match self.decoder.decode(&mut self.input.bytes)? {
                Decoded::More => {}
                decoded => {
                    self.alarm.moved();
                    return Poll::Ready(Ok(decoded));
                }
            }
            match self.input.poll_fill(cx, &mut self.stream) {
                // It was reset, which the sending side has found out.
                Poll::Ready(Ok(0)) if self.tunnel.is_some() && self.deaf => {
                    return Poll::Ready(Err(Fault::App(Broken::Closed(None))));
                }
                Poll::Ready(Ok(0)) if self.decoder.close() => self.persistent = false,
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Fault::App(Broken::Closed(None)))),
                Poll::Ready(Ok(_)) => self.alarm.moved(),
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(Fault::App(Broken::Closed(Some(error)))));
                }
                Poll::Pending if self.tunnel.is_some() => {
                    self.reader = Some(cx.waker().clone());
                    let over = self.alarm.poll_pause(cx, || request.moved(), pause);
                    return over.map(|()| Err(Fault::Late));
                }
                Poll::Pending if self.output.is_sent() => {
                    let over = self.alarm.poll_pause(cx, || None, pause);
                    return over.map(|()| Err(Fault::Late));
                }
                Poll::Pending => {
                    self.reader = Some(cx.waker().clone());
                    // The app may wait for the request, as long as that moves.
                    let over = self.alarm.poll_pause(cx, || request.progress(), pause);
                    return over.map(|()| Err(Fault::Late));
                }
            }
        }
    }

    /// The app has ended its side of a tunnel, which is said with trailers, and the tunnel is over when the client's has ended.
    fn poll_ends(
        &mut self,
        cx: &mut Context<'_>,
        request: &RequestBody,
        pause: Duration,
    ) -> Poll<Result<Decoded, Fault>> {
        match &mut self.tunnel {
            Some(ends) if !ends.told => {
                ends.told = true;
                Poll::Ready(Ok(Decoded::Trailers(HeaderMap::new())))
            }
            Some(ends) if !ends.client => {
                self.reader = Some(cx.waker().clone());
                let over = self.alarm.poll_pause(cx, || request.moved(), pause);
                over.map(|()| Err(Fault::Late))
            }
            _ => Poll::Ready(Ok(Decoded::Over)),
        }
    }

    /// Whether all of the answer was read, and of a tunnel, both sides have ended.
    pub(in crate::upstream) fn is_over(&self) -> bool {
        self.decoder.is_over() && self.tunnel.is_none_or(|ends| ends.told && ends.client)
    }

    /// What is known of the length of the rest of the answer.
    pub(in crate::upstream) fn size_hint(&self) -> SizeHint {
        self.decoder.size_hint()
    }

    /// Whether all of the request was sent.
    pub(in crate::upstream) fn is_sent(&self) -> bool {
        self.output.is_sent()
    }

    /// What was taken of the request's body when nothing of the request has left; `None` where that cannot be undone.
    pub(in crate::upstream) fn take_unsent(&mut self) -> Option<Bytes> {
        self.output.take_unsent()
    }

    /// Whether anything of the request has left.
    pub(in crate::upstream) fn has_begun(&self) -> bool {
        self.output.has_begun()
    }

    /// Ends an exchange; whether the connection can take another: request and answer were whole, nothing came after
    /// them, and the app did not say otherwise.
    pub(in crate::upstream) fn settle(&mut self) -> bool {
        let mut reusable = self.persistent
            && self.decoder.is_over()
            && self.output.is_sent()
            && self.input.bytes.is_empty();
        if reusable && self.bodiless {
            // Apps that send a body all the same send it a little later.
            reusable = self.is_surely_quiet();
        }
        self.reader = None;
        self.input.clear();
        self.output.rest();
        reusable
    }

    /// Whether an idle connection is still good: it is not once it has ended, or anything has come that nobody asked
    /// for. `cx` is woken when that changes.
    pub(in crate::upstream) fn is_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        let mut room = [0];
        let mut room = ReadBuf::new(&mut room);
        Pin::new(&mut self.stream)
            .poll_read(cx, &mut room)
            .is_pending()
    }

    /// [`Self::is_quiet`], now.
    pub(in crate::upstream) fn is_quiet_now(&mut self) -> bool {
        self.is_quiet(&mut Context::from_waker(Waker::noop()))
    }

    /// [`Self::is_quiet`], asked of the kernel: what has come since the runtime last looked counts too.
    pub(in crate::upstream) fn is_surely_quiet(&mut self) -> bool {
        let nothing_came = self
            .stream
            .peek()
            .is_err_and(|error| matches!(error.kind(), io::ErrorKind::WouldBlock));
        // What came may be TLS's own.
        nothing_came || (self.stream.is_tls() && self.is_quiet_now())
    }
}

impl Drop for Connection {
    /// A tunnel that has not come to its end breaks off on both sides.
    fn drop(&mut self) {
        if self.tunnel.is_some() && !self.is_over() {
            self.stream.abort();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("decoder", &self.decoder)
            .field("persistent", &self.persistent)
            .finish_non_exhaustive()
    }
}
