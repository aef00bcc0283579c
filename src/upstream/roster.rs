//! The endpoints of an upstream as they are now: those that the file has by address, and those that its names stand for.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::endpoint::{Address, Endpoint, Site};

/// Addresses that one name may stand for; the others are left out.
const ADDRESSES: usize = 256;

/// The endpoints, in the order of their sites. A worker looks at the generation and takes the list when that has changed.
#[derive(Debug)]
pub(super) struct Roster {
    generation: AtomicU64,
    endpoints: Mutex<Arc<[Arc<Endpoint>]>>,
    changed: Notify,
}

impl Roster {
    pub(super) fn new(endpoints: Vec<Endpoint>) -> Self {
        Self {
            generation: AtomicU64::new(1),
            endpoints: Mutex::new(endpoints.into_iter().map(Arc::new).collect()),
            changed: Notify::new(),
        }
    }

    /// It changes with the list.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn endpoints(&self) -> Arc<[Arc<Endpoint>]> {
        Arc::clone(&self.lock())
    }

    /// Ends when the list has changed since the last call.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes over what a site's name resolves to. An address that stays keeps its state; whether anything has changed.
    pub(super) fn place(
        &self,
        at: usize,
        site: &Site,
        found: &[SocketAddr],
        workers: usize,
    ) -> bool {
        let mut endpoints = self.lock();
        let stays = |endpoint: &Arc<Endpoint>| {
            endpoint.site != at
                || matches!(&endpoint.address, Address::Tcp(address) if found.contains(address))
        };
        let mut list: Vec<_> = endpoints.iter().filter(|&e| stays(e)).cloned().collect();
        let gone = endpoints.iter().filter(|&endpoint| !stays(endpoint));
        gone.for_each(|endpoint| endpoint.retire());
        let kept = list.len();
        for address in found.iter().take(ADDRESSES) {
            let address = Address::Tcp(*address);
            if !list.iter().any(|e| e.site == at && e.address == address) {
                list.push(Arc::new(Endpoint::new(at, site, address, workers)));
            }
        }
        if kept == endpoints.len() && list.len() == kept {
            return false;
        }
        list.sort_by_key(|endpoint| endpoint.site);
        *endpoints = list.into();
        self.generation.fetch_add(1, Ordering::Release);
        self.changed.notify_one();
        true
    }

    fn lock(&self) -> MutexGuard<'_, Arc<[Arc<Endpoint>]>> {
        // No code panics while it holds the lock; if one did, the list would still be a list.
        self.endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    fn site(url: &str) -> Site {
        let endpoint = url.parse().unwrap();
        Site::build(
            &endpoint,
            (config::Protocol::Auto, &config::UpstreamTls::default()),
            Path::new(""),
        )
        .unwrap()
    }

    fn names(roster: &Roster) -> Vec<String> {
        let endpoints = roster.endpoints();
        endpoints.iter().map(|e| e.name.to_string()).collect()
    }

    #[test]
    fn all_addresses_of_a_name_are_endpoints_and_those_that_stay_are_the_same() {
        let site = site("http://app:80");
        let roster = Roster::new(Vec::new());
        let [a, b, c] = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"].map(|a| a.parse().unwrap());
        assert!(roster.place(0, &site, &[a, b], 1));
        let before = roster.endpoints();
        let generation = roster.generation();
        assert!(
            !roster.place(0, &site, &[b, a], 1),
            "another order is no change"
        );
        assert_eq!(roster.generation(), generation);
        assert!(roster.place(0, &site, &[b, c], 1));
        assert_eq!(names(&roster), ["app:80 (10.0.0.2)", "app:80 (10.0.0.3)"]);
        assert!(Arc::ptr_eq(&before[1], &roster.endpoints()[0]));
        assert!(before[0].is_retired() && !before[1].is_retired());
    }
}
