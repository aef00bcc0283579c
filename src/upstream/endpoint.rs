//! Where an app listens: what the file says ([`Site`]), and each address that this comes to ([`Endpoint`]).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::health::Health;
use super::names::Names;
use super::tls::{self, Tls};
use crate::config::{self, Scheme};

/// What stands as `Host` for an app behind a Unix socket.
const UNIX_HOST: &str = "localhost";

/// An endpoint as the file has it: an address, or a name that stands for several.
pub(super) struct Site {
    /// `host:port` as a `Host` field writes it (RFC 9110, 7.2).
    pub(super) authority: Arc<str>,
    /// For each of its addresses.
    pub(super) weight: u32,
    pub(super) tls: Option<Tls>,
    /// Where its addresses come from, unless it is one.
    pub(super) names: Option<Arc<Names>>,
    /// Whether its name has stopped resolving, so that this is said once.
    pub(super) lost: AtomicBool,
}

/// One address of an app, as all workers share it.
pub(super) struct Endpoint {
    /// Which of the upstream's sites it belongs to.
    pub(super) site: usize,
    pub(super) address: Address,
    /// As records show it: `127.0.0.1:3000`, `app:3000 (10.0.0.3)`, `unix:/run/app.sock`.
    pub(super) name: Arc<str>,
    pub(super) weight: u32,
    pub(super) health: Health,
    /// Its name does not stand for it any more.
    retired: AtomicBool,
    /// Connections that are open.
    pub(super) open: AtomicUsize,
    /// Exchanges under way, by worker.
    busy: Box<[Busy]>,
}

/// How an address is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A worker's number: it alone writes here, so that workers do not fight for a cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Busy(AtomicUsize);

impl Site {
    /// What an endpoint of the file comes to. `folder` is where relative paths of its TLS settings start.
    ///
    /// # Errors
    ///
    /// When its TLS settings cannot be used.
    pub(super) fn build(
        endpoint: &config::Endpoint,
        (protocol, settings): (config::Protocol, &config::UpstreamTls),
        folder: &Path,
    ) -> Result<Self, String> {
        let (host, port) = (endpoint.host.as_str(), endpoint.port);
        let tls = (endpoint.scheme == Scheme::Https)
            .then(|| tls::tls((host, protocol), settings, folder))
            .transpose()?;
        let named = endpoint.scheme != Scheme::Unix && host.parse::<IpAddr>().is_err();
        Ok(Self {
            authority: authority(endpoint).into(),
            weight: endpoint.weight,
            tls,
            names: named.then(|| Arc::new(Names::of(host, port))),
            lost: AtomicBool::new(false),
        })
    }

    /// How records name one of its addresses.
    pub(super) fn name_of(&self, address: &Address) -> Arc<str> {
        match (address, &self.names) {
            (Address::Unix(path), _) => format!("unix:{}", path.display()).into(),
            (Address::Tcp(address), Some(_)) => {
                format!("{} ({})", self.authority, address.ip()).into()
            }
            (Address::Tcp(_), None) => Arc::clone(&self.authority),
        }
    }
}

/// The address of an endpoint that is no name.
pub(super) fn fixed(endpoint: &config::Endpoint) -> Option<Address> {
    if endpoint.scheme == Scheme::Unix {
        return Some(Address::Unix(endpoint.host.clone().into()));
    }
    let address = endpoint.host.parse::<IpAddr>().ok()?;
    Some(Address::Tcp(SocketAddr::new(address, endpoint.port)))
}

/// `host:port` as a `Host` field writes it (RFC 9110, 7.2).
pub(super) fn authority(endpoint: &config::Endpoint) -> String {
    let port = endpoint.port;
    match &endpoint.host {
        _ if endpoint.scheme == Scheme::Unix => UNIX_HOST.to_owned(),
        host if host.contains(':') => format!("[{host}]:{port}"),
        host => format!("{host}:{port}"),
    }
}

impl Endpoint {
    pub(super) fn new(at: usize, site: &Site, address: Address, workers: usize) -> Self {
        Self {
            site: at,
            name: site.name_of(&address),
            address,
            weight: site.weight,
            health: Health::default(),
            retired: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            busy: (0..workers).map(|_| Busy::default()).collect(),
        }
    }

    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// An exchange of `worker`'s begins. Only that worker calls this.
    pub(super) fn begin(&self, worker: usize) {
        if let Some(Busy(count)) = self.busy.get(worker) {
            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// An exchange of `worker`'s is over. Only that worker calls this.
    pub(super) fn end(&self, worker: usize) {
        if let Some(Busy(count)) = self.busy.get(worker) {
            let less = count.load(Ordering::Relaxed).saturating_sub(1);
            count.store(less, Ordering::Relaxed);
        }
    }

    /// Exchanges under way.
    pub(super) fn under_way(&self) -> usize {
        let count = |Busy(count): &Busy| count.load(Ordering::Relaxed);
        self.busy.iter().map(count).sum()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.name)
    }
}
