//! What an app's name resolves to, remembered for as long as may be.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::resolver::{Addresses, Resolver, UNSAID, Way, by_library};

/// How long a name that did not resolve, or whose addresses are in doubt, is not asked for again.
pub(super) const NAME_SILENCE: Duration = Duration::from_secs(1);

/// What a name resolved to last, or why it did not.
pub(super) type Found = Result<Vec<SocketAddr>, Arc<str>>;

/// A name, asked for once at a time however many requests wait for it: the C library holds each thread up for half a
/// minute where nobody answers, and cannot be called off.
#[derive(Debug)]
pub(super) struct Names {
    host: String,
    port: u16,
    resolver: Resolver,
    known: Mutex<Option<Known>>,
    turn: Arc<Semaphore>,
    doubt: Notify,
}

/// What was found out last.
#[derive(Debug)]
struct Known {
    found: Found,
    since: Instant,
    /// For how long it may be used.
    life: Duration,
}

impl Names {
    pub(super) fn of(host: &str, port: u16) -> Self {
        Self::by(Resolver::default(), host, port)
    }

    /// A name that this resolver is asked for.
    pub(super) fn by(resolver: Resolver, host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            resolver,
            known: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
            doubt: Notify::new(),
        }
    }

    /// The addresses of the name: asked for, unless that was done less than `silence` ago. Dropped, it leaves at most one
    /// thread that still asks.
    ///
    /// # Errors
    ///
    /// What the resolver says.
    pub(super) async fn resolve(self: &Arc<Self>, silence: Duration) -> Found {
        if let Some(found) = self.recall(silence) {
            return found;
        }
        // Only a semaphore that was closed has no turn, and this one never is.
        let turn = Arc::clone(&self.turn).acquire_owned().await.ok();
        // Whoever had the turn before has found it out.
        if let Some(found) = self.recall(silence) {
            return found;
        }
        match self.resolver.way(&self.host) {
            Way::Known(addresses) => self.note(Ok(addresses)),
            Way::Ask(question) => self.note(question.ask().await),
            Way::Library => self.by_library(turn).await,
        }
    }

    /// For how long what was found last may be used.
    pub(super) fn life(&self) -> Duration {
        let known = self.lock();
        known.as_ref().map_or(UNSAID, |known| known.life)
    }

    async fn by_library(self: &Arc<Self>, turn: Option<OwnedSemaphorePermit>) -> Found {
        let names = Arc::clone(self);
        let asking = spawn_blocking(move || {
            let found = names.note(by_library(&names.host));
            drop(turn);
            found
        });
        let asked = asking.await;
        asked.unwrap_or_else(|_| Err("the resolver's thread ended".into()))
    }

    fn note(&self, asked: Result<Addresses, String>) -> Found {
        let life = asked.as_ref().map_or(UNSAID, |addresses| addresses.life);
        let of_port = |address| SocketAddr::new(address, self.port);
        let found = match asked {
            Ok(addresses) => Ok(addresses.list.into_iter().map(of_port).collect()),
            Err(why) => Err(format!("{}: {why}", self.host).into()),
        };
        let since = Instant::now();
        *self.lock() = Some(Known {
            found: found.clone(),
            since,
            life,
        });
        found
    }

    fn recall(&self, silence: Duration) -> Option<Found> {
        let known = self.lock();
        let known = known.as_ref()?;
        (known.since.elapsed() < silence).then(|| known.found.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An address does not answer: the name may have moved.
    pub(super) fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// Ends when an address is in doubt.
    pub(super) async fn doubted(&self) {
        self.doubt.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_did_not_resolve_is_asked_for_once_by_many() {
        let names = Arc::new(Names::of("nothing.invalid", 80));
        let first = names.resolve(NAME_SILENCE).await.unwrap_err();
        let second = names.resolve(NAME_SILENCE).await.unwrap_err();
        assert!(first.starts_with("nothing.invalid: "), "{first}");
        assert!(Arc::ptr_eq(&first, &second), "the same failure");
    }

    #[tokio::test]
    async fn the_hosts_file_counts() {
        let names = Arc::new(Names::of("localhost", 81));
        let found = names.resolve(NAME_SILENCE).await.unwrap();
        assert!(
            found.contains(&"127.0.0.1:81".parse().unwrap()),
            "{found:?}"
        );
    }
}
