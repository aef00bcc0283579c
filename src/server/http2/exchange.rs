//! One stream: a request, and its answer.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Method, Request, Response};
use http_body::Body;
use tokio::time::Instant;

use super::answer::{self, Asked, Follows};
use super::body::{Reader, Respond};
use super::request::{self, Read, Refused};
use super::sending::{Sending, Unsent};
use super::upgrade;
use crate::server::peer::Peer;
use crate::server::shared::Shared;
use crate::server::{Handler, Incoming};

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// By this side: with an answer, or because it gave up.
    Here,
    /// By the client, before it had its answer.
    Reset,
}

/// Answers one request. Ends at once when the client resets the stream; dropped, it resets the stream itself.
pub(super) async fn serve<H: Handler>(
    shared: Rc<Shared<H>>,
    peer: Rc<Peer>,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) -> Ended {
    let respond = Rc::new(RefCell::new(respond));
    let (head, stream) = request.into_parts();
    let mut asked = Asked {
        head: head.method == Method::HEAD,
        trailers: request::takes_trailers(&head.headers),
        tunnel: false,
    };
    let handler = Rc::clone(&shared.handler);
    let response = match request::read(head, &shared.settings.limits) {
        Ok(read) => {
            asked.tunnel = read.tunnel;
            let request = with_body(read, stream, &respond);
            answered(handler.handle(request, peer), &respond).await
        }
        Err(refused) => {
            let Refused { head, why } = *refused;
            drop(stream);
            Some(handler.refuse(Request::from_parts(head, ()), why, peer))
        }
    };
    let Some(response) = response else {
        return Ended::Reset;
    };
    match send(&shared, &respond, response, asked).await {
        Err(Unsent::Gone) => Ended::Reset,
        Ok(()) | Err(Unsent::Broken | Unsent::Unheard) => Ended::Here,
    }
}

/// The request with its body, as far as it has one.
fn with_body(read: Read, stream: RecvStream, respond: &Respond) -> Request<Incoming> {
    let body = if read.tunnel {
        Incoming::offering(Incoming::http2(Reader::new(stream, None, None)))
    } else if stream.is_end_stream() || read.length == Some(0) {
        Incoming::default()
    } else {
        let unasked = read.expects.then(|| Rc::clone(respond));
        Incoming::http2(Reader::new(stream, read.length, unasked))
    };
    Request::from_parts(read.head, body)
}

/// The handler's answer; none where the client has reset the stream or left.
async fn answered<T>(answering: impl Future<Output = T>, respond: &Respond) -> Option<T> {
    let mut answering = pin!(answering);
    poll_fn(|cx| {
        // First, so that nothing is begun for a stream that was reset right after its request.
        if respond.borrow_mut().poll_reset(cx).is_ready() {
            return Poll::Ready(None);
        }
        answering.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Sends an answer.
async fn send<H: Handler>(
    shared: &Shared<H>,
    respond: &Respond,
    response: Response<H::Body>,
    asked: Asked,
) -> Result<(), Unsent> {
    let (mut head, body) = response.into_parts();
    let opened = asked.tunnel && upgrade::answer(&mut head);
    if head.status.is_informational() {
        // It is no answer, and nothing can follow it.
        respond.borrow_mut().send_reset(Reason::INTERNAL_ERROR);
        return Err(Unsent::Broken);
    }
    let date = shared.date().value(Instant::now());
    let follows = answer::settle(&mut head, asked, (&body.size_hint(), opened), date);
    let ends = follows == Follows::Nothing;
    let sent = (respond.borrow_mut()).send_response(Response::from_parts(head, ()), ends);
    let stream = sent.map_err(|_| Unsent::Gone)?;
    let Follows::Body(length) = follows else {
        return Ok(());
    };
    let timeouts = &shared.settings.timeouts;
    let mut sending = Sending::new(stream, timeouts, length, asked.trailers);
    if opened {
        sending.take_time();
    }
    let mut body = pin!(body);
    let sent = poll_fn(|cx| sending.poll_send(cx, body.as_mut())).await;
    if let Err(why) = sent {
        sending.give_up(why);
    } else if opened {
        // The app has ended its side of the tunnel; the client's comes to its end too, which is the body's.
        poll_fn(|cx| sending.poll_rest(cx, body.as_mut())).await?;
    }
    sent
}
