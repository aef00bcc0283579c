//! Whether a connection is alive, and the task that drives it: what waits on one whose app is gone is told so.
//!
//! An app that says nothing for [`QUIET`] while it has streams to answer, or one that is late with an answer, is sent a PING; one
//! without an answer to that within [`PATIENCE`] is given up, and the streams fail. Apps take many PINGs for an attack (gRPC's
//! servers leave at the third in five minutes that they say nothing in), so that there are two in a silence, and then one each
//! [`RARELY`].

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::Connection;
use h2::{Ping, PingPong};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

/// How long an app may say nothing until it is asked whether it is there.
const QUIET: Duration = Duration::from_secs(10);
/// How long it may take to say so: one that computes for long does not read meanwhile.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Between two PINGs of a long silence.
const RARELY: Duration = Duration::from_mins(6);
/// PINGs at the beginning of a silence.
const OFTEN: u32 = 2;
/// How long a connection that nobody has any more may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(5);

/// What is known of a connection's life, by those who use it and the task that drives it.
#[derive(Debug)]
pub(super) struct Pulse {
    /// Streams that are open.
    pub(super) open: Cell<usize>,
    /// Whether it takes no more streams.
    pub(super) closing: Cell<bool>,
    /// Whether anything of an answer has come since the last look.
    heard: Cell<bool>,
    /// Whether the app was late, and has not yet said that it is there.
    doubted: Cell<bool>,
    /// Whether the app was given up.
    lost: Cell<bool>,
    /// Whether nobody has it any more.
    left: Cell<bool>,
    doubts: Notify,
    /// Told when a stream may be opened, or none any more.
    room: Rc<Notify>,
}

/// How an app is asked.
#[derive(Debug, Default)]
struct Asked {
    /// How often in this silence.
    times: u32,
    last: Option<Instant>,
}

impl Pulse {
    pub(super) fn new(room: Rc<Notify>) -> Self {
        Self {
            open: Cell::new(0),
            closing: Cell::new(false),
            heard: Cell::new(true),
            doubted: Cell::new(false),
            lost: Cell::new(false),
            left: Cell::new(false),
            doubts: Notify::new(),
            room,
        }
    }

    /// Something of an answer has come.
    pub(super) fn hear(&self) {
        self.heard.set(true);
    }

    /// An answer is late: no stream is begun before the app has said that it is there.
    pub(super) fn doubt(&self) {
        self.doubted.set(true);
        self.doubts.notify_one();
    }

    fn trust(&self) {
        self.doubted.set(false);
        self.room.notify_waiters();
    }

    /// No more streams.
    pub(super) fn close(&self) {
        self.closing.set(true);
        self.room.notify_waiters();
    }

    /// Nobody has the connection any more.
    pub(super) fn leave(&self) {
        self.left.set(true);
        self.doubts.notify_one();
    }

    /// A stream has ended.
    pub(super) fn ended(&self) {
        self.open.set(self.open.get() - 1);
        self.room.notify_waiters();
    }

    /// Whether a stream may be begun, as far as the app's life goes.
    pub(super) fn is_sure(&self) -> bool {
        !self.closing.get() && !self.doubted.get()
    }

    /// Whether the app was given up since it answered no PING.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.get()
    }
}

impl Asked {
    /// Whether an app is asked now that was late (`doubted`), or said nothing for a while.
    fn take(&mut self, doubted: bool, now: Instant) -> bool {
        let often = if doubted { OFTEN } else { OFTEN - 1 };
        let rested = self.last.is_none_or(|last| now - last >= RARELY);
        let due = self.times < often || rested;
        if due {
            self.times += 1;
            self.last = Some(now);
        }
        due
    }
}

/// Drives a connection to its end. Dropped before, as where the app is given up, it fails the streams.
pub(super) async fn drive<T>(
    connection: Connection<T, Bytes>,
    mut pings: Option<PingPong>,
    pulse: Rc<Pulse>,
) where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = pin!(async {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection of HTTP/2 to an app ended");
        }
    });
    let over = tokio::select! {
        () = connection.as_mut() => true,
        () = watch(pings.as_mut(), &pulse) => false,
    };
    if !over && pulse.left.get() && timeout(FAREWELL, connection).await.is_err() {
        tracing::debug!("an app let a connection of HTTP/2 not be closed");
    }
    pulse.close();
}

/// Ends when the app was given up, or nobody has the connection any more.
async fn watch(mut pings: Option<&mut PingPong>, pulse: &Pulse) {
    let mut asked = Asked::default();
    loop {
        tokio::select! {
            () = sleep(QUIET) => {}
            () = pulse.doubts.notified() => {}
        }
        if pulse.left.get() {
            return;
        }
        let (heard, doubted) = (pulse.heard.replace(false), pulse.doubted.get());
        if heard {
            asked.times = 0;
        }
        let silent = !heard && pulse.open.get() > 0;
        if let Some(pings) = &mut pings
            && (doubted || silent)
            && asked.take(doubted, Instant::now())
            && !is_there(pings.ping(Ping::opaque())).await
        {
            tracing::debug!("an app answers no PING within {PATIENCE:?}");
            pulse.lost.set(true);
            return;
        }
        pulse.trust();
    }
}

/// Whether the app answers a PING. Where the connection has ended its driver says why.
async fn is_there<T>(pong: impl Future<Output = Result<T, h2::Error>>) -> bool {
    match timeout(PATIENCE, pong).await {
        Ok(Ok(_)) => true,
        Ok(Err(_)) => std::future::pending().await,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use h2::client::SendRequest;
    use http::Request;
    use tokio::io::DuplexStream;
    use tokio::task::{JoinHandle, LocalSet, spawn_local};

    use super::*;

    struct Visit {
        sender: SendRequest<Bytes>,
        pulse: Rc<Pulse>,
        driver: JoinHandle<()>,
    }

    /// A connection whose app reads and writes for as long as `lives`, and never answers a request.
    async fn visit(lives: Duration) -> Visit {
        let (near, far) = tokio::io::duplex(64 * 1024);
        spawn_local(app(far, lives));
        let (sender, mut connection) = h2::client::handshake(near).await.unwrap();
        let pings = connection.ping_pong();
        let pulse = Rc::new(Pulse::new(Rc::default()));
        let driver = spawn_local(drive(connection, pings, Rc::clone(&pulse)));
        Visit {
            sender,
            pulse,
            driver,
        }
    }

    async fn app(stream: DuplexStream, lives: Duration) {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let mut kept = Vec::new();
        let serve = async {
            while let Some(Ok(request)) = connection.accept().await {
                kept.push(request);
            }
        };
        drop(timeout(lives, serve).await);
        // It holds its end, and says nothing.
        std::future::pending::<()>().await;
    }

    async fn answered(visit: &mut Visit) -> h2::Error {
        visit.pulse.open.set(1);
        let request = Request::get("http://app.example/").body(()).unwrap();
        poll_fn(|cx| visit.sender.poll_ready(cx)).await.unwrap();
        let (answer, _) = visit.sender.send_request(request, true).unwrap();
        answer.await.unwrap_err()
    }

    const LONG: Duration = Duration::from_hours(24);

    #[tokio::test(start_paused = true)]
    async fn an_app_that_is_gone_fails_its_streams() {
        let test = async {
            let mut visit = visit(Duration::from_secs(1)).await;
            let begun = Instant::now();
            let error = answered(&mut visit).await;
            assert!(error.is_io(), "{error}");
            assert!(begun.elapsed() <= QUIET * 2 + PATIENCE);
            assert!(visit.pulse.is_lost() && visit.pulse.closing.get());
        };
        LocalSet::new().run_until(test).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_app_that_takes_long_is_waited_for() {
        let test = async {
            let mut visit = visit(LONG).await;
            let waited = timeout(Duration::from_hours(1), answered(&mut visit)).await;
            assert!(waited.is_err());
            assert!(!visit.pulse.is_lost() && visit.pulse.is_sure());
        };
        LocalSet::new().run_until(test).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_app_that_was_late_is_asked_before_it_gets_more() {
        let test = async {
            let visit = visit(LONG).await;
            visit.pulse.doubt();
            assert!(!visit.pulse.is_sure());
            let begun = Instant::now();
            visit.pulse.room.notified().await;
            assert!(visit.pulse.is_sure() && begun.elapsed() < QUIET);
        };
        LocalSet::new().run_until(test).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_nobody_has_ends_soon() {
        let test = async {
            let visit = visit(Duration::ZERO).await;
            drop(visit.sender);
            visit.pulse.leave();
            let ended = timeout(FAREWELL * 2, visit.driver).await;
            assert!(ended.is_ok());
        };
        LocalSet::new().run_until(test).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_silence_has_few_pings() {
        let mut asked = Asked::default();
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert!(asked.take(false, at(10)));
        assert!(!asked.take(false, at(20)));
        assert!(asked.take(true, at(21)));
        assert!(!asked.take(true, at(22)));
        assert!(!asked.take(false, at(380)));
        assert!(asked.take(false, at(381)));
    }
}
