//! A failure is kept: its original captured and read, its record handed in, its commit waited for, its log line written.
//!
//! What is waited for here holds a page up: the original at most `capture.hold`, reading and commit together at most `commit_wait`. What
//! takes longer goes on behind the page.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::Proxy;
use super::exchange::Exchange;
use super::original::{Original, Reading, UNREAD};
use super::route::Route;
use crate::incident::{self, Amendment, Cause, Commit, Confirmation, Incident, Recorded};
use crate::intercept::{Capture, FailedAnswer, Raw};

/// How long a drain that is over waits for an original that is being read.
const LAST_READING: Duration = Duration::from_millis(100);

impl Proxy {
    /// Waits until a record is committed or was waited for long enough. The work goes on if the visitor leaves, or if
    /// more of it is left than a page waits for.
    pub(super) async fn kept<W: Future<Output = ()> + 'static>(
        &self,
        exchange: &Exchange,
        work: impl FnOnce(oneshot::Sender<()>) -> W,
    ) {
        let (ready, page_may_go) = oneshot::channel();
        let mut work = self.afterwork.detached(work(ready));
        tokio::select! {
            biased;
            () = &mut work => {}
            sent = page_may_go => {
                if sent.is_err() {
                    tracing::error!(request_id = %exchange.id, "the incident's work ended without a word");
                }
            }
        }
    }

    /// Captures the body, as long as the page may be held, and records it; what comes later is added to the record. The
    /// log has the whole of it: its line is written when the original has been read.
    pub(super) async fn keep<R: FnMut(usize) -> bool + Send + 'static>(
        self: Rc<Self>,
        mut draft: Incident,
        captured: Capturing<R>,
        ready: oneshot::Sender<()>,
    ) {
        let Capturing {
            mut capture,
            hold,
            original,
        } = captured;
        let whole = tokio::select! {
            biased;
            read = timeout(hold, capture.read()) => read.is_ok(),
            () = self.afterwork.hurried() => false,
        };
        let span = self.span(original.begun);
        let rest = if whole {
            let mut reading = self.read(original, capture.finish());
            // The rest of the wait is for the commit.
            let half = span.until - self.settings.commit_wait / 2;
            if let Ok(found) = timeout_at(half, &mut reading).await {
                return self.keep_whole(draft, found, span, ready).await;
            }
            draft.name(Some(UNREAD));
            Rest::Unread(reading)
        } else {
            original.clone().begin(&mut draft, capture.so_far());
            Rest::Unfinished(capture, original)
        };
        draft.settled = false;
        let (recorded, confirmed) = self.commit(draft, span).await;
        // Where nobody waits any more the visitor has left.
        let _ = ready.send(());
        self.settle(&recorded, rest, confirmed).await;
    }

    /// Adds what is left to read of an original to its record, and writes the log line.
    async fn settle<R: FnMut(usize) -> bool + Send + 'static>(
        &self,
        recorded: &Recorded,
        rest: Rest<R>,
        confirmed: bool,
    ) {
        let incident = match self.read_rest(rest).await {
            Some(found) => self.desk.amend(recorded, found),
            None => self.desk.amend(recorded, recorded.incident.unread()),
        };
        incident::log(&incident, self.settings.log_body, confirmed);
    }

    /// The same for an original that was copied on its way to somebody who may see it.
    pub(super) async fn settle_copy<R: Send + 'static>(
        self: Rc<Self>,
        (recorded, confirmed): (Recorded, bool),
        original: Original,
        copied: (Raw, R),
    ) {
        let reading = self.read(original, copied);
        let rest = Rest::<fn(usize) -> bool>::Unread(reading);
        self.settle(&recorded, rest, confirmed).await;
    }

    /// Records a failure whose original was read in time, or has none.
    async fn keep_whole(
        &self,
        mut draft: Incident,
        found: Option<Amendment>,
        span: Span,
        ready: oneshot::Sender<()>,
    ) {
        match found {
            Some(found) => draft.amend(found),
            None if draft.summary.is_empty() => draft.name(Some(UNREAD)),
            None => {}
        }
        let (recorded, confirmed) = self.commit(draft, span).await;
        incident::log(&recorded.incident, self.settings.log_body, confirmed);
        // Where nobody waits any more the visitor has left.
        let _ = ready.send(());
    }

    /// Reads an original: a small one here, a large one on the thread for that. Nothing comes of one whose reading panicked.
    fn read<R: Send + 'static>(&self, original: Original, (raw, room): (Raw, R)) -> Reading {
        if !raw.is_large() {
            return Reading::Done(Some(original.described(raw)));
        }
        Reading::Apart(self.incidents.read_apart(move || {
            // The memory that the capture has taken is free when the original is read.
            let _room = room;
            original.described(raw)
        }))
    }

    /// Records a failure of which what is kept is here, and `room` the memory that it takes.
    pub(super) async fn keep_text<R: Send + 'static>(
        self: Rc<Self>,
        draft: Incident,
        original: Original,
        kept: (Raw, R),
        ready: oneshot::Sender<()>,
    ) {
        let begun = original.begun;
        let reading = self.read(original, kept);
        let found = self
            .read_rest(Rest::<fn(usize) -> bool>::Unread(reading))
            .await;
        self.keep_whole(draft, found, self.span(begun), ready).await;
    }

    /// Waits for what is left to read of an original; the end of a drain cuts it.
    async fn read_rest<R: FnMut(usize) -> bool + Send + 'static>(
        &self,
        rest: Rest<R>,
    ) -> Option<Amendment> {
        let mut reading = match rest {
            Rest::Unread(reading) => reading,
            Rest::Unfinished(mut capture, original) => {
                tokio::select! {
                    biased;
                    () = capture.read() => {}
                    () = self.afterwork.hurried() => {}
                }
                self.read(original, capture.finish())
            }
        };
        tokio::select! {
            biased;
            found = &mut reading => found,
            () = self.afterwork.hurried() => timeout(LAST_READING, reading).await.ok().flatten(),
        }
    }

    /// Records a failure that has no body.
    pub(super) async fn keep_bare(self: Rc<Self>, mut draft: Incident, ready: oneshot::Sender<()>) {
        if draft.summary.is_empty() {
            let upstream = draft.upstream.as_ref();
            let error = upstream.and_then(|upstream| upstream.error.clone());
            draft.name(error.as_deref());
        }
        let begun = Instant::now().checked_sub(draft.duration);
        let begun = begun.unwrap_or_else(Instant::now);
        let span = self.span(begun);
        self.keep_whole(draft, None, span, ready).await;
    }

    /// Records an incident, and waits for its commit no longer than its page may.
    async fn commit(&self, mut incident: Incident, span: Span) -> (Recorded, bool) {
        incident.duration = span.begun.elapsed();
        let (recorded, commit) = self.desk.record(incident);
        let confirmed = self.confirmed(&recorded, commit, span).await;
        (recorded, confirmed)
    }

    /// Waits for the commit of an incident no longer than what shows its ID may.
    pub(super) async fn confirmed(&self, recorded: &Recorded, commit: Commit, span: Span) -> bool {
        let waited = timeout_at(span.until, commit).await;
        let confirmed = waited == Ok(Confirmation::Committed);
        if !confirmed {
            self.desk.count_unconfirmed();
            if !recorded.incident.settled {
                // Its line comes when its capture ends; nothing else would know of it until then.
                incident::log(&recorded.incident, self.settings.log_body, confirmed);
            }
        }
        confirmed
    }

    /// From the exchange's beginning to when its page goes out at the latest, if its incident can be recorded from now on.
    pub(super) fn span(&self, begun: Instant) -> Span {
        Span {
            begun,
            until: Instant::now() + self.settings.commit_wait,
        }
    }

    pub(super) fn capture(
        &self,
        exchange: &Exchange,
        route: &Arc<Route>,
        answer: FailedAnswer,
    ) -> Capturing<impl FnMut(usize) -> bool + Send + use<>> {
        let limits = route.policy.capture.clone();
        let mut taken = self.incidents.budget().open();
        let room = move |bytes| taken.grow(bytes);
        let original = Original::new(route, &answer.headers, exchange.begun);
        let cause = match answer.disguised() {
            None => Cause::UpstreamStatus,
            Some(_) => Cause::Disguised,
        };
        let ahead = answer.ahead().to_vec();
        let hold = *limits.hold;
        let mut capture = Capture::new(answer.body, &answer.headers, limits, room);
        capture.begin_with(&ahead);
        Capturing {
            hold,
            original: original.of(cause),
            capture,
        }
    }
}

/// When an exchange began, and until when its page waits for its record.
#[derive(Clone, Copy)]
pub(super) struct Span {
    begun: Instant,
    until: Instant,
}

/// A capture on its way into a record.
pub(super) struct Capturing<R> {
    capture: Capture<R>,
    /// How long the page waits for it.
    hold: Duration,
    original: Original,
}

/// What is left to do when a page no longer waits.
enum Rest<R> {
    /// The original is there, and being read.
    Unread(Reading),
    /// It has not come whole.
    Unfinished(Capture<R>, Original),
}
