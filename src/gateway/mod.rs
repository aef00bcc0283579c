//! The parts of a running proxy, put together: from a checked configuration to listeners that serve.

mod build;
mod certificates;
mod descriptors;
mod files;
mod inherited;
mod listeners;
mod operators;
mod reload;
mod unix;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use http::{Request, Response};

use crate::admin::{self, Asks, Sources, State};
use crate::config::{Config, Listen, Report};
use crate::incident::{Incidents, Recording, StoreError};
use crate::maintenance::Watched;
use crate::proxy::{Body, Proxies, Snapshot, Worker};
use crate::request_id::IdKey;
use crate::server::{Handler, Incoming, Listener, Peer, Server, Settings, Tls, Unreadable};
use crate::telemetry::Meters;
use crate::upstream;

use build::{App, snapshot};
use certificates::{Secure, Secured};
use inherited::Inherited;
use listeners::{Bound, bind_operators, bound, doors, first};
use operators::{serve_admin, token};
use unix::SocketFile;

pub use build::{Findings, findings, workers};
pub use files::SourceFiles;

/// A running proxy. Dropped, it ends at once.
pub struct Gateway {
    /// What is in force.
    config: Config,
    workers: usize,
    apps: Vec<App>,
    /// The apps, as whoever asks how they are finds them.
    asked: Arc<upstream::Apps>,
    asks: Option<Asks>,
    server: Server,
    bound: Vec<Bound>,
    /// Those of listeners that it has bound at a path.
    files: Vec<SocketFile>,
    secure: Option<Secure>,
    admin: Option<Server>,
    state: Arc<State>,
    watch: upstream::Watch,
    in_force: tokio::sync::watch::Sender<Arc<Snapshot>>,
    incidents: Incidents,
    /// What `pardon maintenance` has ordered.
    ordered: Watched,
    // Last: what the workers have handed in is written before this is gone.
    recording: Recording,
}

impl Gateway {
    /// Binds and serves what the configuration says.
    ///
    /// # Errors
    ///
    /// Every problem that keeps it from running.
    pub fn start(config: &Config) -> Result<Self, Report> {
        let workers = workers(config);
        let ordered = Watched::beside(&config.incidents.path);
        let (snapshot, apps) = snapshot(config, workers, &[], ordered.board())?;
        let token = token(config)?;
        let secure = Secure::read(config, None)?.map(Secured::show);
        let (listeners, files) = listen(config, secure.as_ref().map(|secure| &secure.tls))?;
        let operators = bind_operators(&config.admin)?;
        let started = Incidents::start(&config.incidents);
        let (incidents, recording) = started.map_err(|error| unstored(&error))?;
        let failed = |error: io::Error| Report::of(format!("cannot start: {error}"), "");
        let upstreams = || apps.iter().map(|app| Arc::clone(&app.upstream));
        let watch = upstream::Watch::start(upstreams()).map_err(failed)?;
        let asked = Arc::new(upstream::Apps::new(upstreams()));
        let key = Arc::new(IdKey::with_floor(incidents.newest_millis()));
        let (kept, meters) = (incidents.clone(), Arc::new(Meters::new(workers)));
        let (in_force, settled) = tokio::sync::watch::channel(Arc::new(snapshot));
        let counted = Arc::clone(&meters);
        let make = move |number| {
            let worker = Worker {
                number,
                incidents: kept.clone(),
                key: Arc::clone(&key),
                meters: Arc::clone(&counted),
            };
            Proxies::new(worker, settled.clone())
        };
        let server = Server::start(&listeners, &settings(config, workers), make).map_err(failed)?;
        let (reloads, asks) = admin::Reloads::new();
        let state = state(&asked);
        let sources = Sources {
            state: Arc::clone(&state),
            meters,
            incidents: incidents.clone(),
            upstreams: Arc::clone(&asked),
            crew: server.crew(),
            started: SystemTime::now(),
            reloads,
        };
        let admin = serve_admin(&operators, sources, token).map_err(failed)?;
        Ok(Self {
            bound: bound(&config.server.listen, server.addresses()),
            config: config.clone(),
            files,
            workers,
            apps,
            asked,
            asks: Some(asks),
            server,
            secure,
            admin,
            state,
            watch,
            in_force,
            incidents,
            ordered,
            recording,
        })
    }

    /// The addresses that visitors reach it at.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        self.server.addresses()
    }

    /// Where visitors reach it, as the configuration would say it.
    pub fn listening(&self) -> impl Iterator<Item = &Listen> {
        self.bound.iter().map(|bound| &bound.actual)
    }

    /// Takes certificates over whose files have changed; to be called every few seconds.
    pub fn look_at_certificates(&mut self) {
        if let Some(secure) = &mut self.secure {
            secure.look();
        }
    }

    /// Takes over what `pardon maintenance` has ordered; to be called several times a second.
    pub fn look_at_orders(&mut self) {
        self.ordered.look();
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What asks at the operator's listener to have the configuration read again; there is one of it.
    pub fn take_asks(&mut self) -> Option<Asks> {
        self.asks.take()
    }

    /// The addresses of the operator's listener.
    #[must_use]
    pub fn admin_addresses(&self) -> &[SocketAddr] {
        self.admin.as_ref().map_or(&[], Server::addresses)
    }

    /// What is kept of its failures.
    #[must_use]
    pub fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// The visitors' connections open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    /// Says from now on that it is not ready, and serves on. Ends when `server.shutdown_delay` is over.
    ///
    /// Cancel safe.
    pub async fn announce_end(&self) {
        self.state.drain();
        tokio::time::sleep(*self.config.server.shutdown_delay).await;
    }

    /// Accepts nothing more, says that it is not ready, finishes what is in flight, and ends when that is done or
    /// `server.drain` is over.
    pub async fn drain(&mut self) {
        self.state.drain();
        // Before the listeners close: whoever comes next to these paths finds them free.
        self.files.clear();
        self.server.drain();
        self.server.ended().await;
    }

    /// Ends what is left, and has the last incidents written.
    pub fn end(self) {
        self.server.end();
        if let Some(admin) = self.admin {
            admin.end();
        }
        drop(self.watch);
        drop(self.recording);
    }
}

impl Handler for Proxies {
    type Body = Body;

    fn handle(
        self: Rc<Self>,
        request: Request<Incoming>,
        peer: Rc<Peer>,
    ) -> impl Future<Output = Response<Body>> {
        Self::handle(&self, request, peer)
    }

    fn refuse(
        self: Rc<Self>,
        request: Request<()>,
        why: Unreadable,
        peer: Rc<Peer>,
    ) -> Response<Body> {
        self.unreadable(request, why, peer)
    }

    async fn settle(self: Rc<Self>) {
        Self::settle(&self).await;
    }

    fn hurry(&self) {
        Self::hurry(self);
    }
}

/// Whether the process is ready: as far as it goes, while its apps are.
fn state(apps: &Arc<upstream::Apps>) -> Arc<State> {
    let apps = Arc::clone(apps);
    Arc::new(State::new(move || apps.are_usable()))
}

fn unstored(error: &StoreError) -> Report {
    Report::of(error.to_string(), error.hint())
}

/// The listeners of a process that begins: bound, or handed to it; and the files of those that it bound at a path.
fn listen(
    config: &Config,
    tls: Option<&Arc<Tls>>,
) -> Result<(Vec<Listener>, Vec<SocketFile>), Report> {
    let listen = &config.server.listen;
    let mut inherited = Inherited::take()?;
    let own: Vec<_> = listen.iter().filter(|one| !inherited.offers(one)).collect();
    let listeners = first(doors(listen, tls, &[], &mut inherited)?);
    inherited.warn();
    Ok((listeners, unix::files(own)))
}

fn settings(config: &Config, workers: usize) -> Settings {
    Settings {
        workers,
        name: "worker",
        max_connections: descriptors::visitors(config, workers),
        timeouts: config.server.timeouts.clone(),
        announcing: (config.server.proxy_protocol)
            .then(|| config.server.trusted_proxies.as_slice().into()),
        limits: config.server.limits.clone(),
        drain: *config.server.drain,
    }
}
