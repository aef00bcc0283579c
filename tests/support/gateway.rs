//! The proxy on a free port, with what it keeps.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use pardon::config::{self, Config, Listen};
use pardon::incident::{Incident, Incidents};

use super::{Answer, Client, Origin, eventually};

/// A running proxy; it ends with this value.
pub struct Gateway {
    inner: pardon::gateway::Gateway,
}

impl Gateway {
    /// A proxy with the defaults before an app.
    pub fn before(origin: &Origin) -> Self {
        Self::with(origin, |_| {})
    }

    /// A proxy before an app, its configuration changed. What is changed on the root is not on the route that flags
    /// make: change `config.routes[0]`, or use [`Gateway::configured`].
    pub fn with(origin: &Origin, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config::for_upstream(&origin.url(), None).unwrap().config;
        change(&mut config);
        Self::start(config)
    }

    /// A proxy as a file configures it; `$ORIGIN` in the text stands for the app's URL. Listeners are replaced by free
    /// loopback ports.
    pub fn configured(origin: &Origin, toml: &str) -> Self {
        let text = toml.replace("$ORIGIN", &origin.url());
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let loaded = config::parse(&text, "test.toml", folder);
        Self::start(loaded.unwrap_or_else(|report| panic!("{report}")).config)
    }

    /// A proxy before one app, with these lines of configuration beside the app's endpoint.
    pub fn set(origin: &Origin, toml: &str) -> Self {
        Self::configured(
            origin,
            &format!("{toml}\n[upstreams.app]\nendpoints = [\"$ORIGIN\"]\n"),
        )
    }

    /// A proxy before an endpoint that no [`Origin`] stands for, with these lines of configuration beside it.
    pub fn at(endpoint: &str, toml: &str) -> Self {
        let text = format!("{toml}\n[upstreams.app]\nendpoints = [\"{endpoint}\"]\n");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let loaded = config::parse(&text, "test.toml", folder);
        Self::start(loaded.unwrap_or_else(|report| panic!("{report}")).config)
    }

    /// Why a proxy with these lines of configuration is refused, be it by the file's checks or at the start.
    pub fn refused(toml: &str) -> String {
        let text = format!("{toml}\n[upstreams.app]\nendpoints = [\"http://127.0.0.1:9\"]\n");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        match config::parse(&text, "test.toml", folder) {
            Ok(loaded) => Self::try_start(loaded.config)
                .err()
                .expect("a refusal")
                .to_string(),
            Err(report) => report.to_string(),
        }
    }

    fn start(config: Config) -> Self {
        Self::try_start(config).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn try_start(mut config: Config) -> Result<Self, config::Report> {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config.server.listen = vec![Listen::Tcp(free)];
        config.admin.listen = vec![free];
        config.server.workers.get_or_insert(2);
        let inner = pardon::gateway::Gateway::start(&config)?;
        Ok(Self { inner })
    }

    pub fn address(&self) -> SocketAddr {
        self.inner.addresses()[0]
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// Sends raw bytes on a new connection and reads the answer.
    pub fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        self.connect().ask(request)
    }

    /// GET with these header lines, each with its line end.
    pub fn get(&self, path: &str, headers: &str) -> Answer {
        self.ask(format!(
            "GET {path} HTTP/1.1\r\nHost: shop.example\r\n{headers}\r\n"
        ))
    }

    /// All incidents, the newest first.
    pub fn incidents(&self) -> Vec<Arc<Incident>> {
        self.inner.incidents().newest(1000)
    }

    /// The only incident with this ID, as it is now.
    pub fn incident(&self, id: &str) -> Arc<Incident> {
        let mut found = self.inner.incidents().find(id);
        assert_eq!(found.len(), 1, "one incident with the ID {id}");
        found.remove(0)
    }

    /// The incident with this ID once `ready` says that it is as it should be.
    pub fn incident_when(&self, id: &str, ready: impl Fn(&Incident) -> bool) -> Arc<Incident> {
        eventually("the incident to be as it should", || {
            self.inner
                .incidents()
                .find(id)
                .into_iter()
                .find(|incident| ready(incident))
        })
    }

    /// Where its incidents are kept.
    pub fn store(&self) -> &Incidents {
        self.inner.incidents()
    }

    /// The visitors' connections open now.
    pub fn connections(&self) -> usize {
        self.inner.connections()
    }
}
