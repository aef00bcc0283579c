//! One stream: a request on its way to an app, and its answer.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;
use http::{StatusCode, response};
use http_body::{Body as _, SizeHint};
use tokio::time::Instant;

use super::carrier::{Carrier, Place};
use super::lost::Lost;
use super::tunnel::Tunnel;
use super::{KEPT, request};
use crate::http1::{Alarm, Decoded, Malformed, are_tokens};
use crate::upstream::balance::Busy;
use crate::upstream::body::{BodyFault, RequestBody};
use crate::upstream::http1::{Broken, Fault, Head, check_status, plain_length};

const NO_NAME: &str = "a header field's name is none";

/// A stream. Dropped before its end, it is reset.
pub(in crate::upstream) struct Exchange {
    /// The answer's head, until it has come.
    answer: Option<ResponseFuture>,
    body: Option<RecvStream>,
    /// What is known of the length of the rest of the body.
    left: Option<u64>,
    /// Where the rest of the request goes; none where all of it was sent.
    sending: Option<SendStream<Bytes>>,
    piece: Bytes,
    last: bool,
    /// What was taken of the request's body, as long as that is little.
    kept: Option<BytesMut>,
    fault: Option<BodyFault>,
    /// Who reads the answer while the rest of the request is sent.
    reader: Option<Waker>,
    alarm: Alarm,
    /// Whether the app has said that it has not begun with it.
    refused: bool,
    over: bool,
    /// Where it is to become one, or is.
    tunnel: Option<Tunnel>,
    place: Place,
    _busy: Busy,
}

impl Exchange {
    /// Begins one on a connection.
    ///
    /// # Errors
    ///
    /// When HTTP/2 cannot say it, or the connection is gone, which is no failure of the app's.
    pub(in crate::upstream) fn begin(
        carrier: &Rc<Carrier>,
        head: &impl Head,
        body: &RequestBody,
    ) -> Result<Self, Fault> {
        let length = body.size_hint().exact();
        let request = request::request(head, carrier.scheme.clone(), length);
        let mut request = request.map_err(|why| Fault::App(Broken::Malformed(why)))?;
        let tunnel = body.wants_tunnel().map(|_| Tunnel::ask(&mut request));
        let place = carrier.enter();
        let begun = carrier.sender().send_request(request, body.is_empty());
        let (answer, sending) = begun.map_err(|error| {
            carrier.close();
            Fault::App(Broken::Closed(Some(io::Error::other(Lost::Told(error)))))
        })?;
        Ok(Self {
            answer: Some(answer),
            body: None,
            left: None,
            sending: (!body.is_empty()).then_some(sending),
            piece: Bytes::new(),
            last: false,
            kept: tunnel.is_none().then(BytesMut::new),
            fault: None,
            reader: None,
            alarm: Alarm::new(),
            refused: false,
            over: false,
            tunnel,
            _busy: carrier.seat.busy(),
            place,
        })
    }

    /// The connection that it is on.
    pub(in crate::upstream) fn carrier(&self) -> &Rc<Carrier> {
        &self.place.0
    }

    /// Sends the request and waits for the answer's head. `due` says by when it has to be there.
    pub(in crate::upstream) fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut RequestBody,
        due: impl Fn(&RequestBody) -> Instant,
    ) -> Poll<Result<response::Parts, Fault>> {
        // What goes through a tunnel waits until it is open.
        if self.tunnel.is_none()
            && let Poll::Ready(Err(fault)) = self.poll_send(cx, body)
        {
            return Poll::Ready(Err(Fault::App(Broken::Request(fault))));
        }
        match self.poll_head(cx, body) {
            Poll::Ready(answer) => Poll::Ready(answer),
            Poll::Pending => {
                let over = self.alarm.poll_over(cx, || due(body));
                over.map(|()| {
                    // Others may wait for it in vain too: the app is asked whether it is there.
                    self.carrier().pulse.doubt();
                    Err(Fault::Late)
                })
            }
        }
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut RequestBody,
    ) -> Poll<Result<response::Parts, Fault>> {
        let Some(answer) = &mut self.answer else {
            return Poll::Pending;
        };
        while let Poll::Ready(Some(Ok(interim))) = answer.poll_informational(cx) {
            if interim.status() == StatusCode::CONTINUE {
                body.open_gate();
                // The body is polled again for that.
                cx.waker().wake_by_ref();
            }
        }
        let answer = ready!(Pin::new(answer).poll(cx));
        self.answer = None;
        self.carrier().pulse.hear();
        Poll::Ready(match answer {
            Ok(answer) => self.take_head(answer),
            Err(error) => Err(Fault::App(self.broken(error))),
        })
    }

    fn take_head(&mut self, answer: http::Response<RecvStream>) -> Result<response::Parts, Fault> {
        let (mut head, body) = answer.into_parts();
        if head.headers.len() > self.carrier().limits.fields {
            return Err(Malformed("it has more header fields than `max_headers`").into());
        }
        if !are_tokens(&head.headers) {
            return Err(Malformed(NO_NAME).into());
        }
        check_status(head.status).map_err(Fault::App)?;
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Malformed("it switched to a protocol that nobody asked for").into());
        }
        self.over = body.is_end_stream();
        self.body = Some(body);
        if self.opens_tunnel(&mut head) {
            return Ok(head);
        }
        self.left = plain_length(&mut head.headers).map_err(Fault::App)?;
        Ok(head)
    }

    /// Whether the app opens the tunnel that was asked for. Where it does not, nothing more is sent.
    fn opens_tunnel(&mut self, head: &mut response::Parts) -> bool {
        let Some(tunnel) = &mut self.tunnel else {
            return false;
        };
        tunnel.answered(head);
        if tunnel.is_open {
            return true;
        }
        self.tunnel = None;
        if let Some(mut sending) = self.sending.take() {
            // Where the stream is over already it needs no end.
            drop(sending.send_data(Bytes::new(), true));
        }
        false
    }

    /// Sends the request for as long as the app takes it; ready when all is sent, or nobody wants it.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut RequestBody,
    ) -> Poll<Result<(), BodyFault>> {
        let sent = ready!(self.poll_pieces(cx, body));
        if sent.is_err()
            && let Some(sending) = &mut self.sending
        {
            sending.send_reset(Reason::CANCEL);
        }
        self.sending = None;
        Poll::Ready(sent)
    }

    fn poll_pieces(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut RequestBody,
    ) -> Poll<Result<(), BodyFault>> {
        while let Some(sending) = &mut self.sending {
            if self.piece.is_empty() && !self.last {
                let frame = match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                    Some(frame) => frame?,
                    None => http_body::Frame::data(Bytes::new()),
                };
                match frame.into_data() {
                    Ok(data) => {
                        self.last = data.is_empty() || body.is_end_stream();
                        keep(&mut self.kept, &data);
                        self.piece = data;
                    }
                    Err(other) => {
                        self.kept = None;
                        let trailers = other.into_trailers().unwrap_or_default();
                        // Where the stream is over its answer says why.
                        drop(sending.send_trailers(trailers));
                        return Poll::Ready(Ok(()));
                    }
                }
            }
            if !self.piece.is_empty() && sending.capacity() == 0 {
                sending.reserve_capacity(self.piece.len());
                match sending.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(_))) => continue,
                    Poll::Ready(_) => return Poll::Ready(Ok(())),
                    Poll::Pending if sending.capacity() > 0 => {}
                    Poll::Pending => return Poll::Pending,
                }
            }
            let count = sending.capacity().min(self.piece.len());
            let piece = self.piece.split_to(count);
            let ends = self.last && self.piece.is_empty();
            if sending.send_data(piece, ends).is_err() || ends {
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends the rest of the request while somebody else reads the answer. What is wrong with it is said by
    /// [`Self::poll_body`].
    pub(in crate::upstream) fn poll_rest(
        &mut self,
        cx: &mut Context<'_>,
        request: &mut RequestBody,
    ) -> Poll<()> {
        let sent = ready!(self.poll_send(cx, request));
        self.fault = sent.err();
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(())
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
        let frame = match self.poll_frame(cx) {
            Poll::Ready(Ok(Decoded::Over | Decoded::Trailers(_))) if self.tunnel.is_some() => {
                self.poll_ends()
            }
            frame => frame,
        };
        match frame {
            Poll::Ready(frame) => {
                self.alarm.moved();
                Poll::Ready(frame.map_err(Fault::App))
            }
            Poll::Pending if self.sending.is_none() && self.tunnel.is_none() => {
                let over = self.alarm.poll_pause(cx, || None, pause);
                over.map(|()| Err(Fault::Late))
            }
            Poll::Pending if self.tunnel.is_some() => {
                self.reader = Some(cx.waker().clone());
                let over = self.alarm.poll_pause(cx, || request.moved(), pause);
                over.map(|()| Err(Fault::Late))
            }
            Poll::Pending => {
                self.reader = Some(cx.waker().clone());
                let over = self.alarm.poll_pause(cx, || request.progress(), pause);
                over.map(|()| Err(Fault::Late))
            }
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Decoded, Broken>> {
        let Some(body) = self.body.as_mut().filter(|_| !self.over) else {
            return Poll::Ready(Ok(Decoded::Over));
        };
        match ready!(body.poll_data(cx)) {
            Some(Ok(data)) => {
                // What was taken may come again; a stream that is over has no more to come.
                drop(body.flow_control().release_capacity(data.len()));
                if let Some(left) = &mut self.left {
                    *left = left.saturating_sub(data.len() as u64);
                }
                self.over = body.is_end_stream();
                self.carrier().pulse.hear();
                return Poll::Ready(Ok(Decoded::Data(data)));
            }
            Some(Err(error)) => return Poll::Ready(Err(self.broken(error))),
            None => {}
        }
        let trailers = ready!(body.poll_trailers(cx));
        self.over = true;
        Poll::Ready(match trailers {
            Ok(Some(trailers)) if are_tokens(&trailers) => Ok(Decoded::Trailers(trailers)),
            Ok(Some(_)) => Err(Broken::Malformed(NO_NAME)),
            Ok(None) => Ok(Decoded::Over),
            Err(error) => Err(self.broken(error)),
        })
    }

    /// The app has ended its side of a tunnel, which is said with trailers; it is over when the client's has ended.
    fn poll_ends(&mut self) -> Poll<Result<Decoded, Broken>> {
        match &mut self.tunnel {
            Some(tunnel) if !tunnel.told => {
                tunnel.told = true;
                Poll::Ready(Ok(Decoded::Trailers(HeaderMap::new())))
            }
            Some(_) if self.sending.is_some() => Poll::Pending,
            _ => Poll::Ready(Ok(Decoded::Over)),
        }
    }

    /// Whether all of the answer was read, and of a tunnel, both sides have ended.
    pub(in crate::upstream) fn is_over(&self) -> bool {
        let tunnel = self.tunnel.as_ref();
        self.over && tunnel.is_none_or(|tunnel| tunnel.told && self.sending.is_none())
    }

    /// Whether all of the request was sent.
    pub(in crate::upstream) fn is_sent(&self) -> bool {
        self.sending.is_none()
    }

    /// What is known of the length of the rest of the answer.
    pub(in crate::upstream) fn size_hint(&self) -> SizeHint {
        match self.left {
            _ if self.is_over() => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::new(),
        }
    }

    /// Whether the app has said that it has not begun with the request.
    pub(in crate::upstream) fn is_refused(&self) -> bool {
        self.refused
    }

    /// What was taken of the request's body; none where that was more than is kept.
    pub(in crate::upstream) fn take_kept(&mut self) -> Option<Bytes> {
        self.kept.take().map(BytesMut::freeze)
    }

    /// What a stream's error says of the app.
    fn broken(&mut self, error: h2::Error) -> Broken {
        let left = error.is_go_away() && error.is_remote();
        self.refused = left || error.reason() == Some(Reason::REFUSED_STREAM);
        if left || error.is_io() {
            self.carrier().close();
        }
        if error.is_library() {
            return Broken::Malformed("it is not valid HTTP/2, or not as long as it says");
        }
        let lost = if error.is_io() && self.carrier().pulse.is_lost() {
            Lost::Silent
        } else {
            Lost::Told(error)
        };
        Broken::Closed(Some(io::Error::other(lost)))
    }
}

/// Keeps a piece with those before it, as long as that is little.
fn keep(kept: &mut Option<BytesMut>, data: &Bytes) {
    match kept {
        Some(bytes) if bytes.len() + data.len() <= KEPT => bytes.extend_from_slice(data),
        other => *other = None,
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange")
            .field("left", &self.left)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}
