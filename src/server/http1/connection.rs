//! One client connection, from its first byte to its last.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use tokio::time::{Instant, timeout};

use super::Unreadable;
use super::answer::{self, Asked, Sending};
use super::body::Reader;
use super::core::{Core, Switched};
use super::head::{self, Parsed, Refused, Search};
use super::preface::Preface;
use super::writer::Writer;
use crate::http1::{Alarm, Framing, Output, Pace, Stream, TooSlow, Unsent};
use crate::server::date::Date;
use crate::server::drain::Place;
use crate::server::peer::Peer;
use crate::server::shared::Shared;
use crate::server::{Handler, Incoming};

/// How much of a request's body is read and thrown away when nobody wants it any more, and for how long: so that the
/// client, which may not listen before it has sent everything, hears the answer instead of a reset, and can use its
/// connection again.
pub(super) const LINGER: (u64, Duration) = (1024 * 1024, Duration::from_secs(2));

/// How long a request may still take to come after the drain has begun: the rest of a head, or a new connection's first.
const LAST_CALL: Duration = Duration::from_secs(1);

/// Where a worker's connections read heads: what is not a whole head is kept by its connection.
#[derive(Debug)]
pub(in crate::server) struct Scratch {
    pub(super) room: RefCell<Box<[u8]>>,
    pub(in crate::server) date: Date,
}

impl Scratch {
    pub(in crate::server) fn new() -> Self {
        Self {
            room: RefCell::new(vec![0; 16 * 1024].into_boxed_slice()),
            date: Date::new(),
        }
    }
}

/// A connection whose client speaks HTTP/2, and what was read of it.
#[derive(Debug)]
pub(in crate::server) struct Handover(pub(in crate::server) Stream, pub(in crate::server) Bytes);

/// Serves a connection to its end: closed by either side, overdue, or drained; or until it turns out to be one of HTTP/2.
pub(in crate::server) async fn serve<H: Handler>(
    shared: Rc<Shared<H>>,
    stream: Stream,
    peer: Rc<Peer>,
) -> Option<Handover> {
    let mut connection = Connection::new(&shared, stream, peer);
    let ended = loop {
        let ended = match poll_fn(|cx| connection.poll_head(cx)).await {
            // Boxed, so that a connection without a request does not hold the room for one.
            Next::Request(parsed) => Box::pin(connection.exchange(*parsed)).await,
            Next::Refused(refused) => Box::pin(connection.refuse(*refused)).await,
            Next::Preface => {
                let core = Rc::clone(&connection.core);
                drop(connection);
                return Rc::into_inner(core).map(|core| core.into_inner().hand_over());
            }
            Next::End => Some(connection.leave().await),
        };
        if let Some(ended) = ended {
            break ended;
        }
    };
    match ended {
        End::Closed => {}
        End::Aborted => connection.core.borrow_mut().stream().abort(),
        // Boxed, so that no connection holds the room for it before.
        End::Unread => drop(timeout(LINGER.1, Box::pin(connection.linger())).await),
    }
    None
}

/// What a connection brings next.
enum Next {
    Request(Box<Parsed>),
    Refused(Box<Refused>),
    /// HTTP/2.
    Preface,
    /// Nothing: it was closed, its time is up, or its worker drains.
    End,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// There is nothing more to say or to hear.
    Closed,
    /// With a reset, so that what was sent does not look whole.
    Aborted,
    /// The client may still be sending, and would not hear the answer if it was reset for that.
    Unread,
}

/// A connection and what it has done.
pub(super) struct Connection<H: Handler> {
    pub(super) shared: Rc<Shared<H>>,
    peer: Rc<Peer>,
    pub(super) core: Rc<RefCell<Core>>,
    output: Output,
    search: Search,
    alarm: Alarm,
    /// Since when it waits for what it waits for: a request's first byte, the rest of a head, or a reader.
    pub(super) since: Instant,
    /// Whether it has had a request: the first may take as long as a head, others as long as an idle connection.
    used: bool,
    /// Whether an answer's end had to be waited for.
    pub(super) waited: bool,
    pub(super) pace: Pace,
    /// How many bytes had left when the client last was found not to read.
    pub(super) blocked_at: Option<u64>,
    place: Place,
    /// Whether the drain knows whom to wake.
    known: bool,
}

impl<H: Handler> Connection<H> {
    fn new(shared: &Rc<Shared<H>>, stream: Stream, peer: Rc<Peer>) -> Self {
        Self {
            peer,
            core: Rc::new(RefCell::new(Core::new(stream))),
            output: Output::new(),
            search: Search::default(),
            alarm: Alarm::new(),
            since: Instant::now(),
            used: false,
            waited: false,
            pace: Pace::new(shared.settings.timeouts.min_rate.0),
            blocked_at: None,
            place: shared.drain.enter(),
            known: false,
            shared: Rc::clone(shared),
        }
    }

    /// Waits for the next request's head.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        if !self.known {
            // The task's waker stays the same.
            self.shared.drain.wake_later(&self.place, cx.waker());
            self.known = true;
        }
        let shared = Rc::clone(&self.shared);
        let core = Rc::clone(&self.core);
        let mut core = core.borrow_mut();
        let mut scratch = shared.scratch.room.borrow_mut();
        loop {
            if !core.input.bytes.is_empty()
                && let Some(next) = self.kept_head(&mut core)
            {
                return Poll::Ready(next);
            }
            let begun = !core.input.bytes.is_empty();
            match core.poll_read(cx, &mut scratch) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Next::End),
                Poll::Ready(Ok(count)) => {
                    let came = scratch.get(..count).unwrap_or_default();
                    if begun {
                        core.input.bytes.extend_from_slice(came);
                        continue;
                    }
                    if let Some(next) = self.new_head(&mut core, came) {
                        return Poll::Ready(next);
                    }
                    if self.used && core.is_begun() {
                        self.since = Instant::now();
                    }
                }
                Poll::Pending => break,
            }
        }
        let timeouts = &shared.settings.timeouts;
        let begun = core.is_begun();
        let head = self.since + *timeouts.head;
        let drained = shared.drain.since();
        let due = match (begun || !self.used, drained) {
            (true, None) => head,
            (false, None) => self.since + *timeouts.idle,
            // What is under way by now is answered, and what a new connection was opened for.
            (true, Some(drained)) => head.min(drained + LAST_CALL),
            (false, Some(_)) => return Poll::Ready(Next::End),
        };
        ready!(self.alarm.poll_over(cx, || due));
        Poll::Ready(if begun && drained.is_none() {
            Next::Refused(Refused::of(&core.input.bytes, Unreadable::Late))
        } else {
            Next::End
        })
    }

    /// Looks for a head in what has just come, where nothing came before it: mostly it is one, and whole.
    fn new_head(&mut self, core: &mut Core, came: &[u8]) -> Option<Next> {
        match self.preface(came) {
            Preface::Whole => {
                core.input.bytes.extend_from_slice(came);
                return Some(Next::Preface);
            }
            Preface::Begun => {
                core.input.bytes.extend_from_slice(came);
                return None;
            }
            Preface::None => {}
        }
        let rest = came.get(head::empty_lines(came)..).unwrap_or_default();
        self.search = Search::default();
        match self.search.end(rest, &self.shared.settings.limits) {
            Ok(Some(end)) => {
                let (text, rest) = rest.split_at_checked(end)?;
                core.input.bytes.extend_from_slice(rest);
                Some(self.read(&Bytes::copy_from_slice(text)))
            }
            Ok(None) => {
                core.input.bytes.extend_from_slice(rest);
                None
            }
            Err(why) => Some(Next::Refused(Refused::of(rest, why))),
        }
    }

    /// Looks for a head in what was kept.
    fn kept_head(&mut self, core: &mut Core) -> Option<Next> {
        let input = &mut core.input.bytes;
        match self.preface(input) {
            Preface::Whole => return Some(Next::Preface),
            Preface::Begun => return None,
            Preface::None => {}
        }
        if self.search.is_new() {
            input.advance(head::empty_lines(input));
        }
        match self.search.end(input, &self.shared.settings.limits) {
            Ok(Some(end)) => {
                let text = input.split_to(end).freeze();
                Some(self.read(&text))
            }
            Ok(None) => None,
            Err(why) => Some(Next::Refused(Refused::of(input, why))),
        }
    }

    /// Whether a connection begins as one of HTTP/2. Within TLS the client has said before what it speaks.
    fn preface(&self, first: &[u8]) -> Preface {
        if self.used || self.peer.is_secure() {
            return Preface::None;
        }
        Preface::of(first)
    }

    fn read(&mut self, text: &Bytes) -> Next {
        self.search = Search::default();
        self.used = true;
        match head::parse(text, &self.shared.settings.limits) {
            Ok(parsed) => Next::Request(Box::new(parsed)),
            Err(refused) => Next::Refused(refused),
        }
    }

    /// Has a request answered; how the connection ends, where it does not go on.
    async fn exchange(&mut self, parsed: Parsed) -> Option<End> {
        let Parsed {
            head,
            decoder,
            persistent,
            expects,
            trailers,
            upgrades,
        } = parsed;
        let asked = Asked {
            head: head.method == Method::HEAD,
            version: head.version,
            trailers,
        };
        let body = if decoder.is_over() {
            let exchange = self.core.borrow_mut().begin(decoder, false);
            if upgrades {
                let tunnel = Reader::of_tunnel(&self.core, exchange);
                Incoming::offering(Incoming::http1(tunnel))
            } else {
                Incoming::default()
            }
        } else {
            let exchange = self.core.borrow_mut().begin(decoder, expects);
            Incoming::http1(Reader::new(&self.core, exchange))
        };
        let request = Request::from_parts(head, body);
        let answering = Rc::clone(&self.shared.handler).handle(request, Rc::clone(&self.peer));
        let response = {
            let mut answering = pin!(answering);
            poll_fn(|cx| match answering.as_mut().poll(cx) {
                Poll::Ready(response) => Poll::Ready(Some(response)),
                Poll::Pending => self.poll_gone(cx).map(|()| None),
            })
            .await
        };
        // What a client that has left does to its own connection is no event of ours.
        let Some(response) = response else {
            return Some(End::Closed);
        };
        self.answer(response, asked, persistent).await
    }

    /// Answers a request that cannot be read.
    async fn refuse(&mut self, refused: Refused) -> Option<End> {
        let Refused { head, why } = refused;
        let asked = Asked {
            head: head.method == Method::HEAD,
            version: head.version,
            trailers: false,
        };
        let request = Request::from_parts(head, ());
        let peer = Rc::clone(&self.peer);
        let response = Rc::clone(&self.shared.handler).refuse(request, why, peer);
        let ended = self.answer(response, asked, false).await;
        // What follows it cannot be told apart.
        Some(match ended {
            Some(End::Closed) | None => End::Unread,
            Some(ended) => ended,
        })
    }

    /// Sends an answer; how the connection ends, where it does not go on.
    async fn answer(
        &mut self,
        response: Response<H::Body>,
        asked: Asked,
        persistent: bool,
    ) -> Option<End> {
        let (head, body) = response.into_parts();
        let switched = match head.status {
            StatusCode::SWITCHING_PROTOCOLS => self.switch(),
            _ => Switched::No,
        };
        if switched == Switched::Early {
            tracing::debug!("a client sent more before its connection had switched protocols");
            return Some(End::Aborted);
        }
        let mut sending = if switched == Switched::Yes {
            Sending::switching()
        } else {
            let mut core = self.core.borrow_mut();
            let unasked = core.answered();
            let persistent = persistent
                && !unasked
                && !self.shared.drain.has_begun()
                && core.size_hint().lower() <= LINGER.0;
            asked.sending(&head, &body.size_hint(), persistent)
        };
        self.since = Instant::now();
        let (date, now) = (&self.shared.scratch.date, self.since);
        self.output.begin(sending.framing, |line| {
            answer::write(&head, asked, &mut sending, &date.line(now), line)
        });
        drop(head);
        let sent = {
            let mut body = pin!(body);
            let sent = poll_fn(|cx| self.poll_send(cx, body.as_mut())).await;
            if switched == Switched::Yes && sent == Sent::Whole {
                Box::pin(self.hear_out(body.as_mut())).await
            } else {
                sent
            }
        };
        self.output.rest();
        match sent {
            Sent::Whole if switched == Switched::Yes => Some(End::Closed),
            Sent::Whole => self.settle(sending.persistent).await,
            Sent::Broken if sending.framing == Framing::Close => Some(End::Aborted),
            Sent::Broken | Sent::Gone => Some(End::Closed),
            Sent::Unheard => Some(End::Aborted),
        }
    }

    /// Switches to another protocol, where nothing was sent before that.
    fn switch(&self) -> Switched {
        let mut cx = Context::from_waker(Waker::noop());
        match self.poll_gone(&mut cx) {
            Poll::Ready(()) => Switched::Early,
            Poll::Pending => self.core.borrow_mut().switch(),
        }
    }

    /// Sends the rest of an answer.
    fn poll_send(&mut self, cx: &mut Context<'_>, body: Pin<&mut H::Body>) -> Poll<Sent> {
        if let Poll::Ready(sent) = self.poll_output(cx, body) {
            return Poll::Ready(sent);
        }
        self.waited = true;
        if self.poll_gone(cx).is_ready() {
            return Poll::Ready(Sent::Gone);
        }
        let left = self.output.left();
        let switched = self.core.borrow().has_switched();
        if let Some(before) = self.blocked_at
            && left > before
            && !switched
            && self.pace.moved(left - before) == Err(TooSlow)
        {
            return Poll::Ready(Sent::Unheard);
        }
        if !self.output.is_blocked() {
            self.blocked_at = None;
            return Poll::Pending;
        }
        if self.blocked_at.replace(left) != Some(left) {
            self.since = Instant::now();
        }
        self.pace.waits();
        let due = self.since + *self.shared.settings.timeouts.write;
        self.alarm.poll_over(cx, || due).map(|()| Sent::Unheard)
    }

    /// A client that was given nothing of an answer would take its connection for one that was closed while it was idle, and
    /// send its request again: so the head leaves however the body ends.
    fn poll_output(&mut self, cx: &mut Context<'_>, body: Pin<&mut H::Body>) -> Poll<Sent> {
        let mut writer = Writer(&self.core);
        if !self.output.has_failed() {
            match ready!(self.output.poll_send(cx, &mut writer, body)) {
                Ok(()) => return Poll::Ready(Sent::Whole),
                Err(Unsent::Io) => return Poll::Ready(Sent::Gone),
                Err(Unsent::Body(_) | Unsent::Length) => self.output.fail(),
            }
        }
        let taken = ready!(self.output.poll_taken(cx, &mut writer));
        Poll::Ready(taken.map_or(Sent::Gone, |()| Sent::Broken))
    }

    /// Ready when the client has left.
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = self.shared.scratch.room.borrow_mut();
        self.core.borrow_mut().poll_gone(cx, &mut scratch)
    }
}

impl<H: Handler> Drop for Connection<H> {
    fn drop(&mut self) {
        // The time is up: an answer that ends with its connection would look whole.
        if self.output.ends_with_connection()
            && let Ok(mut core) = self.core.try_borrow_mut()
            && !core.has_switched()
        {
            core.stream().abort();
        }
        self.shared.drain.leave(&self.place);
    }
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Whole,
    /// Its body failed.
    Broken,
    /// The client has left.
    Gone,
    /// The client takes nothing.
    Unheard,
}
