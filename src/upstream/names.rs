//! What an app's name resolves to.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// How long a name's addresses are used before it is resolved again.
const NAME_LIFE: Duration = Duration::from_secs(5);

/// How long a name that did not resolve is not asked for again.
const NAME_SILENCE: Duration = Duration::from_secs(1);

/// What a name resolved to last, or why it did not.
type Found = Result<Vec<SocketAddr>, Arc<str>>;

/// An upstream's name, resolved by one thread at a time however many requests wait for it: a resolver that does not
/// answer holds each thread up for half a minute, and cannot be called off.
#[derive(Debug)]
pub(super) struct Names {
    known: Mutex<Option<(Found, Instant)>>,
    turn: Arc<Semaphore>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Names {
    /// The addresses of a name, known or asked for. Dropped, it leaves at most one thread that still asks.
    ///
    /// # Errors
    ///
    /// What the resolver says.
    pub(super) async fn resolve(self: &Arc<Self>, host: &str, port: u16) -> Found {
        if let Some(found) = self.recall(Instant::now()) {
            return found;
        }
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        // Whoever had the turn before has found it out.
        if let Some(found) = self.recall(Instant::now()) {
            return found;
        }
        let (names, asked) = (Arc::clone(self), (host.to_owned(), port));
        let asking = spawn_blocking(move || {
            let found = asked.to_socket_addrs().map(Iterator::collect);
            let found = found.map_err(|error| format!("{}: {error}", asked.0).into());
            names.remember(found, Instant::now());
            drop(turn);
        });
        let asked = asking.await;
        let lost = || Err("the resolver's thread ended".into());
        asked.map_or_else(
            |_| lost(),
            |()| self.recall(Instant::now()).unwrap_or_else(lost),
        )
    }

    fn recall(&self, now: Instant) -> Option<Found> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (found, since) = known.as_ref()?;
        let life = match found {
            Ok(_) => NAME_LIFE,
            Err(_) => NAME_SILENCE,
        };
        (now.duration_since(*since) < life).then(|| found.clone())
    }

    pub(super) fn remember(&self, found: Found, now: Instant) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((found, now));
    }

    /// The addresses do not answer: the name may have moved.
    pub(super) fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
