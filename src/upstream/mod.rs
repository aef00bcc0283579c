//! The app behind: an exchange in, an [`Answer`] or an [`UpstreamError`] out.
//!
//! Promises: what is safe is tried again, what is not never; no wait is without end ([`Timeouts`]); connections stay
//! within the limits that the configuration states for the process; an endpoint that fails is left alone, but never all of
//! them for that. Bounds: connections and queue by `capacity.rs`,
//! an answer's head by the upstream's `max_head` and `max_headers`.

mod answer;
mod apps;
mod balance;
mod body;
mod budget;
mod capacity;
mod check;
mod client;
mod connect;
mod endpoint;
mod error;
mod health;
mod http1;
mod http2;
mod keeper;
#[cfg(test)]
mod name_server;
mod names;
mod pool;
mod refusals;
mod resolver;
mod roots;
mod roster;
mod sharing;
mod status;
mod tls;
mod watch;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::config;
use crate::telemetry::names as field;

use capacity::{Capacity, Room};
use check::Check;
use endpoint::{Endpoint, Site};
use roster::Roster;

pub use answer::{AnswerBody, AnswerFault};
pub use apps::Apps;
pub use balance::Seat;
pub use body::{BodyFault, BodyLimits, RequestBody, Tunnel};
pub use client::{Answer, Client};
pub use error::{ErrorKind, UpstreamError, chain};
pub use http1::{Broken, Head};
pub use status::EndpointStatus;
pub use watch::Watch;

/// The most that is read at once from an app whose heads are smaller, in bytes.
const READ: usize = 64 * 1024;

/// How long another attempt waits for a name to be resolved again: its addresses may be new.
const SETTLING: Duration = Duration::from_millis(250);

/// An app, as all workers share it.
pub struct Upstream {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Its endpoints as records show them where it came to none of them: `127.0.0.1:3000`.
    pub authority: Arc<str>,
    sites: Vec<Site>,
    roster: Roster,
    balance: config::Balance,
    protocol: config::Protocol,
    eject_after: u32,
    /// What its health is asked with.
    check: Option<Check>,
    attempts: u32,
    retry_budget: f64,
    idle_timeout: Duration,
    capacity: Arc<Capacity>,
    room: Room,
    limits: http1::Limits,
    workers: usize,
    started: Instant,
}

/// How long an exchange with an app may take; the parts of [`config::UpstreamTimeouts`] that a route may override.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For an answer's head, from the last piece of the request that was sent.
    pub head: Duration,
    /// Between two pieces of an answer's body.
    pub body: Duration,
    /// For everything up to the answer's head.
    pub total: Duration,
    /// For a place in the queue.
    pub queue: Duration,
}

impl From<&config::UpstreamTimeouts> for Timeouts {
    fn from(timeouts: &config::UpstreamTimeouts) -> Self {
        Self {
            connect: *timeouts.connect,
            head: *timeouts.head,
            body: *timeouts.body,
            total: *timeouts.total,
            queue: *timeouts.queue,
        }
    }
}

impl Upstream {
    /// An app as the configuration describes it, for a process with this many workers. `folder` is where relative
    /// paths start.
    ///
    /// # Errors
    ///
    /// A line that says what is wrong, when it has no endpoint or its TLS settings cannot be used.
    pub fn build(
        name: &str,
        settings: &config::Upstream,
        folder: &Path,
        workers: usize,
    ) -> Result<Self, String> {
        if settings.endpoints.is_empty() {
            return Err(format!("upstream `{name}` has no endpoint"));
        }
        let site = |endpoint| Site::build(endpoint, (settings.protocol, &settings.tls), folder);
        let sites = settings.endpoints.iter().map(site);
        let sites: Vec<Site> = sites
            .collect::<Result<_, _>>()
            .map_err(|error| format!("upstream `{name}`: {error}"))?;
        if settings.tls.insecure && sites.iter().any(|site| site.tls.is_some()) {
            tracing::warn!(
                upstream = name,
                "certificates of this upstream are NOT verified"
            );
        }
        let fixed = |(at, (site, endpoint)): (usize, (&Site, &config::Endpoint))| {
            let address = endpoint::fixed(endpoint)?;
            Some(Endpoint::new(at, site, address, workers))
        };
        let endpoints = sites.iter().zip(&settings.endpoints).enumerate();
        let known = |endpoint: &config::Endpoint| match endpoint.scheme {
            config::Scheme::Unix => endpoint.to_string(),
            _ => endpoint::authority(endpoint),
        };
        let room = Room {
            connections: settings.max_connections,
            waiting: settings.queue,
        };
        let authorities: Vec<_> = settings.endpoints.iter().map(known).collect();
        Ok(Self {
            name: name.into(),
            authority: authorities.join(", ").into(),
            roster: Roster::new(endpoints.filter_map(fixed).collect()),
            balance: settings.balance,
            protocol: settings.protocol,
            eject_after: settings.health.eject_after,
            check: Check::new(settings),
            attempts: settings.retry.attempts.max(1),
            retry_budget: settings.retry.budget,
            idle_timeout: *settings.timeouts.idle,
            capacity: Capacity::new(room, workers),
            room,
            limits: http1::Limits {
                head: settings.max_head.bytes(),
                fields: settings.max_headers,
                read: settings.max_head.bytes().max(READ),
            },
            sites,
            workers,
            started: Instant::now(),
        })
    }

    /// The same app with other settings: the connections that `former` still has count among its own.
    #[must_use]
    pub fn succeeding(mut self, former: &Self) -> Self {
        self.capacity = Arc::clone(&former.capacity);
        self
    }

    /// It is in force from now on.
    pub fn take_over(&self) {
        self.capacity.resize(self.room);
    }

    /// An endpoint as `Host` has it.
    fn host_of(&self, endpoint: &Endpoint) -> &str {
        let site = self.sites.get(endpoint.site);
        site.map_or("", |site| &site.authority)
    }

    /// Milliseconds from its start.
    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.started);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX >> 2)
    }

    /// Resolves the names of which no address is known.
    ///
    /// # Errors
    ///
    /// What the resolver says of the first of them, where no address of any endpoint is known.
    async fn resolve(&self) -> Result<(), Arc<str>> {
        let mut failure = None;
        for at in 0..self.sites.len() {
            let endpoints = self.roster.endpoints();
            if !endpoints.iter().any(|endpoint| endpoint.site == at)
                && let Err(why) = self.resolve_site(at, names::NAME_SILENCE).await
            {
                failure.get_or_insert(why);
            }
        }
        match failure {
            Some(why) if self.roster.endpoints().is_empty() => Err(why),
            _ => Ok(()),
        }
    }

    /// Resolves a site's name, if it is one, unless that was done less than `silence` ago. Where it fails the addresses that
    /// were known last stay.
    async fn resolve_site(&self, at: usize, silence: Duration) -> Result<(), Arc<str>> {
        let Some((site, names)) = self
            .sites
            .get(at)
            .and_then(|site| Some((site, site.names.as_ref()?)))
        else {
            return Ok(());
        };
        let found = names.resolve(silence).await;
        let lost = site.lost.swap(found.is_err(), Ordering::Relaxed);
        match &found {
            Ok(addresses) => {
                self.roster.place(at, site, addresses, self.workers);
                if lost {
                    tracing::info!(
                        { field::UPSTREAM } = &*self.name,
                        { field::ENDPOINT } = &*site.authority,
                        "the name resolves again"
                    );
                }
            }
            Err(why) if !lost => tracing::warn!(
                { field::UPSTREAM } = &*self.name,
                { field::ENDPOINT } = &*site.authority,
                "the name does not resolve: {why}; addresses that were known are used on"
            ),
            Err(_) => {}
        }
        found.map(drop)
    }

    /// Waits a moment for the name of an endpoint that has failed: it may have moved.
    async fn settle_name(&self, endpoint: &Endpoint) {
        let resolving = self.resolve_site(endpoint.site, names::NAME_SILENCE);
        // What came too late is there for the next.
        let _ = timeout(SETTLING, resolving).await;
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upstream({} at {})", self.name, self.authority)
    }
}

#[cfg(test)]
mod tests;
