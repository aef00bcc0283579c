//! The proxy on a free port, with what it keeps.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use pardon::config::units::Period;
use pardon::config::{self, Config, Listen};
use pardon::incident::store::{Filter, Found, How, Reader};
use pardon::incident::{Counts, Incident};

use super::{Answer, Client, Folder, Origin, eventually};

/// A running proxy; it ends with this value.
pub struct Gateway {
    inner: pardon::gateway::Gateway,
    store: PathBuf,
    // Last: it is removed when nothing is written to it any more.
    _folder: Folder,
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
        Self::of(&toml.replace("$ORIGIN", &origin.url()))
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
        Self::of(&format!(
            "{toml}\n[upstreams.app]\nendpoints = [\"{endpoint}\"]\n"
        ))
    }

    /// A proxy as this file has it.
    pub fn of(toml: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let loaded = config::parse(toml, "test.toml", folder);
        Self::start(loaded.unwrap_or_else(|report| panic!("{report}")).config)
    }

    /// A proxy before an app at this URL that is spoken to by HTTP/2.
    pub fn by_http2(endpoint: &str, toml: &str) -> Self {
        Self::of(&format!(
            "{toml}\n[upstreams.app]\nprotocol = \"http2\"\nendpoints = [\"{endpoint}\"]\n"
        ))
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
        for listen in &mut config.server.listen {
            *listen = match listen {
                Listen::Tls(_) => Listen::Tls(free),
                _ => Listen::Tcp(free),
            };
        }
        config.admin.listen = vec![free];
        config.server.workers.get_or_insert(2);
        let incidents = &mut config.incidents;
        if incidents.commit_wait == config::Incidents::default().commit_wait {
            // On a busy machine too, what a visitor has seen can be looked up.
            incidents.commit_wait = Period::seconds(10);
        }
        let folder = Folder::new();
        if config.incidents.path == config::Incidents::default().path {
            config.incidents.path = folder.path().join("pardon.db");
        }
        let inner = pardon::gateway::Gateway::start(&config)?;
        Ok(Self {
            inner,
            store: config.incidents.path,
            _folder: folder,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.inner.addresses()[0]
    }

    /// Where it listens, in the order of its configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.inner.addresses()
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

    /// All incidents that have been written, the newest first.
    pub fn incidents(&self) -> Vec<Incident> {
        let reader = self.reader();
        let listed = reader.list(&Filter::default(), 1000).unwrap();
        let each = listed.iter();
        each.filter_map(|one| reader.incident(one.seq).unwrap())
            .collect()
    }

    /// The only incident with this ID, once it is written and its body was read.
    pub fn incident(&self, id: &str) -> Incident {
        self.incident_when(id, |incident| incident.settled)
    }

    /// The only incident with this ID once `ready` says that it is as it should be.
    pub fn incident_when(&self, id: &str, ready: impl Fn(&Incident) -> bool) -> Incident {
        eventually("the incident to be as it should", || {
            let mut found = self.find(id);
            assert!(found.len() < 2, "one incident with the ID {id}");
            found.pop().filter(&ready)
        })
    }

    /// The incidents and refusals with this ID that have been written.
    pub fn find(&self, id: &str) -> Vec<Incident> {
        match self.reader().find(id).unwrap() {
            Found::Incidents(How::Id, found) => found,
            _ => Vec::new(),
        }
    }

    /// Its store, to be asked.
    pub fn reader(&self) -> Reader {
        Reader::open(&self.store).unwrap()
    }

    /// Where its store is, for other processes.
    pub fn store_path(&self) -> &Path {
        &self.store
    }

    /// How many bytes its captures and waiting incidents take now.
    pub fn memory_taken(&self) -> usize {
        self.inner.incidents().budget().taken()
    }

    /// What it counts of its incidents.
    pub fn counts(&self) -> Counts {
        self.inner.incidents().counts()
    }

    /// The visitors' connections open now.
    pub fn connections(&self) -> usize {
        self.inner.connections()
    }
}
