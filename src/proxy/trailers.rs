//! Trailers on their way through, in either direction: what comes after a body says nothing that only a head may say, or
//! only a proxy (RFC 9110, 6.5.1).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, COOKIE,
    PROXY_AUTHORIZATION, SET_COOKIE, TRAILER,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};

use super::glance::{Role, is_disguised};

/// A request's body without the trailers that may not go on.
pub(super) struct Screened<B> {
    pub(super) body: B,
    pub(super) request_id: HeaderName,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Screened<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(match frame {
            Some(Ok(frame)) => screen(frame, &self.request_id).map(Ok),
            other => other,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A piece as it goes on; none where it is of trailers that all stay behind.
pub(super) fn screen(frame: Frame<Bytes>, request_id: &HeaderName) -> Option<Frame<Bytes>> {
    let mut trailers = match frame.into_trailers() {
        Ok(trailers) => trailers,
        Err(frame) => return Some(frame),
    };
    let doomed: Vec<_> = trailers
        .keys()
        .filter(|name| !may_trail(name, request_id))
        .cloned()
        .collect();
    for name in doomed {
        trailers.remove(name);
    }
    Some(Frame::trailers(trailers)).filter(|frame| {
        frame
            .trailers_ref()
            .is_some_and(|trailers| !trailers.is_empty())
    })
}

/// The fields that `Trailer` announces, but for those that may not go on.
pub(super) fn announced(headers: &HeaderMap, request_id: &HeaderName) -> Option<HeaderValue> {
    let names: Vec<_> = headers
        .get_all(TRAILER)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| may_trail(name, request_id))
        .map(|name| name.as_str().to_owned())
        .collect();
    HeaderValue::try_from(names.join(", "))
        .ok()
        .filter(|names| !names.is_empty())
}

/// Whether a field may come after a body: none that frames or routes a message, says who asks, or is set by a proxy.
fn may_trail(name: &HeaderName, request_id: &HeaderName) -> bool {
    let never = [
        AUTHORIZATION,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_RANGE,
        CONTENT_TYPE,
        COOKIE,
        PROXY_AUTHORIZATION,
        SET_COOKIE,
        TRAILER,
    ];
    !matches!(Role::of(name), Role::HopByHop | Role::Own | Role::Vouched)
        && !never.contains(name)
        && name != request_id
        && !is_disguised(name, request_id)
}
