//! What an app's name resolves to.
//!
//! The resolver is the C library's: it reads the hosts file, `resolv.conf` and its search list as every other program of
//! the machine does, in a static binary too. It does not say how long an address may be used. So a name is asked for
//! every [`NAME_LIFE`], behind the requests: the name server that answers keeps to the TTL.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

/// How often a name is resolved again.
pub(super) const NAME_LIFE: Duration = Duration::from_secs(5);

/// How long a name that did not resolve, or whose addresses are in doubt, is not asked for again.
pub(super) const NAME_SILENCE: Duration = Duration::from_secs(1);

/// What a name resolved to last, or why it did not.
pub(super) type Found = Result<Vec<SocketAddr>, Arc<str>>;

/// A name, resolved by one thread at a time however many requests wait for it: a resolver that does not answer holds
/// each thread up for half a minute, and cannot be called off.
#[derive(Debug)]
pub(super) struct Names {
    host: String,
    port: u16,
    known: Mutex<Option<(Found, Instant)>>,
    turn: Arc<Semaphore>,
    doubt: Notify,
}

impl Names {
    pub(super) fn of(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            known: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
            doubt: Notify::new(),
        }
    }

    /// The addresses of the name: asked for, unless that was done less than `life` ago. Dropped, it leaves at most one
    /// thread that still asks.
    ///
    /// # Errors
    ///
    /// What the resolver says.
    pub(super) async fn resolve(self: &Arc<Self>, life: Duration) -> Found {
        if let Some(found) = self.recall(life) {
            return found;
        }
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        // Whoever had the turn before has found it out.
        if let Some(found) = self.recall(life) {
            return found;
        }
        let names = Arc::clone(self);
        let asking = spawn_blocking(move || {
            let found = names.ask();
            *names.lock() = Some((found.clone(), Instant::now()));
            drop(turn);
            found
        });
        let asked = asking.await;
        asked.unwrap_or_else(|_| Err("the resolver's thread ended".into()))
    }

    fn ask(&self) -> Found {
        let found = (self.host.as_str(), self.port).to_socket_addrs();
        let found = found.map_err(|error| format!("{}: {error}", self.host))?;
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for address in found {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    fn recall(&self, life: Duration) -> Option<Found> {
        let known = self.lock();
        let (found, since) = known.as_ref()?;
        (since.elapsed() < life).then(|| found.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Found, Instant)>> {
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
