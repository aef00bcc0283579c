//! The app behind: an exchange in, an [`Answer`] or an [`UpstreamError`] out.
//!
//! Promises: what is safe is tried again, what is not never; no wait is without end ([`Timeouts`]); connections stay
//! within the limits that the configuration states for the process. Bounds: connections and queue by [`Capacity`],
//! an answer's head by the upstream's `max_head` and `max_headers`.

mod alarm;
mod answer;
mod balance;
mod body;
mod capacity;
mod client;
mod connect;
mod error;
mod health;
mod http1;
mod names;
mod pool;
mod stream;
mod tls;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::config;

pub use answer::{AnswerBody, AnswerFault};
pub use body::{BodyFault, BodyLimits, RequestBody, linger};
pub use capacity::Capacity;
pub use client::{Answer, Client};
pub use error::{ErrorKind, UpstreamError, chain};
pub use http1::{Broken, Head};

/// The most that is read at once from an app whose heads are smaller, in bytes.
const READ: usize = 64 * 1024;

/// An app, as all workers share it.
pub struct Upstream {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Its endpoint as records show it: `127.0.0.1:3000`.
    pub authority: Arc<str>,
    endpoint: config::Endpoint,
    attempts: u32,
    idle_timeout: Duration,
    capacity: Arc<Capacity>,
    names: Arc<names::Names>,
    tls: Option<tls::Tls>,
    limits: http1::Limits,
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
        let endpoint = settings
            .endpoints
            .first()
            .ok_or_else(|| format!("upstream `{name}` has no endpoint"))?
            .clone();
        let tls = match endpoint.scheme {
            config::Scheme::Https => Some(
                tls::tls(&endpoint.host, &settings.tls, folder)
                    .map_err(|error| format!("upstream `{name}`: {error}"))?,
            ),
            config::Scheme::Http => None,
            config::Scheme::Unix => {
                return Err(format!(
                    "upstream `{name}`: Unix sockets are not supported yet"
                ));
            }
        };
        if tls.is_some() && settings.tls.insecure {
            tracing::warn!(
                upstream = name,
                "certificates of this upstream are NOT verified"
            );
        }
        Ok(Self {
            name: name.into(),
            authority: authority(&endpoint).into(),
            attempts: settings.retry.attempts.max(1),
            idle_timeout: *settings.timeouts.idle,
            capacity: Capacity::new(settings.max_connections, settings.queue, workers),
            names: Arc::default(),
            tls,
            limits: http1::Limits {
                head: settings.max_head.bytes(),
                fields: settings.max_headers,
                read: settings.max_head.bytes().max(READ),
            },
            endpoint,
        })
    }
}

/// `host:port` as a `Host` field writes it (RFC 9110, 7.2).
fn authority(endpoint: &config::Endpoint) -> String {
    let port = endpoint.port;
    match &endpoint.host {
        host if host.contains(':') => format!("[{host}]:{port}"),
        host => format!("{host}:{port}"),
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upstream({} at {})", self.name, self.authority)
    }
}
