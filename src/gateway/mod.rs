//! The parts of a running proxy, put together: from a checked configuration to listeners that serve.

mod build;
mod certificates;
mod listeners;
mod operators;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use http::{Request, Response};

use crate::admin::{Sources, State};
use crate::config::{Config, Listen, Report};
use crate::incident::{Incidents, Recording};
use crate::proxy::{Body, Proxies, Snapshot, Worker};
use crate::request_id::IdKey;
use crate::server::{Handler, Incoming, Peer, Server, Settings, Unreadable};
use crate::telemetry::Meters;
use crate::tls::Watch;
use crate::upstream;

use build::snapshot;
use certificates::{secure, tell};
use listeners::{bind_listeners, bind_operators, listening};
use operators::{serve_admin, token};

pub use build::{problems, workers};

/// A running proxy. Dropped, it ends at once.
pub struct Gateway {
    server: Server,
    listening: Vec<Listen>,
    certificates: Option<Watch>,
    admin: Option<Server>,
    state: Arc<State>,
    watch: upstream::Watch,
    in_force: tokio::sync::watch::Sender<Arc<Snapshot>>,
    incidents: Incidents,
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
        let snapshot = Arc::new(snapshot(config, workers)?);
        let token = token(config)?;
        let (tls, certificates) = secure(config)?.unzip();
        let listeners = bind_listeners(&config.server.listen, tls.as_ref())?;
        let operators = bind_operators(&config.admin)?;
        let started = Incidents::start(&config.incidents);
        let (incidents, recording) =
            started.map_err(|error| Report::of(error.to_string(), error.hint()))?;
        let failed = |error: io::Error| Report::of(format!("cannot start: {error}"), "");
        let upstreams = snapshot.upstreams.iter();
        let upstreams = upstreams.map(|(upstream, _)| Arc::clone(upstream));
        let watch = upstream::Watch::start(upstreams).map_err(failed)?;
        let key = Arc::new(IdKey::with_floor(incidents.newest_millis()));
        let kept = incidents.clone();
        let meters = Arc::new(Meters::new(workers));
        let (in_force, settled) = tokio::sync::watch::channel(Arc::clone(&snapshot));
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
        let apps = snapshot.upstreams.iter();
        let apps: Vec<_> = apps.map(|(app, _)| Arc::clone(app)).collect();
        let asked = apps.clone();
        let state = Arc::new(State::new(move || asked.iter().any(|app| app.is_usable())));
        let sources = Sources {
            state: Arc::clone(&state),
            meters,
            incidents: incidents.clone(),
            upstreams: apps,
            crew: server.crew(),
            started: SystemTime::now(),
        };
        let admin = (!operators.is_empty())
            .then(|| serve_admin(&operators, sources, token))
            .transpose()
            .map_err(failed)?;
        Ok(Self {
            listening: listening(&server, &listeners),
            server,
            certificates,
            admin,
            state,
            watch,
            in_force,
            incidents,
            recording,
        })
    }

    /// The addresses that visitors reach it at.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        self.server.addresses()
    }

    /// Where visitors reach it, as the configuration would say it.
    #[must_use]
    pub fn listening(&self) -> &[Listen] {
        &self.listening
    }

    /// Takes certificates over whose files change. Does not end.
    ///
    /// Cancel safe.
    pub async fn keep_certificates(&mut self) {
        let Some(watch) = &mut self.certificates else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(Watch::EVERY).await;
            watch.look().into_iter().for_each(tell);
        }
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

    /// Accepts nothing more, says that it is not ready, finishes what is in flight, and ends when that is done or
    /// `server.drain` is over.
    pub async fn drain(&mut self) {
        self.state.drain();
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

fn settings(config: &Config, workers: usize) -> Settings {
    Settings {
        workers,
        name: "worker",
        max_connections: config.server.max_connections,
        timeouts: config.server.timeouts.clone(),
        limits: config.server.limits.clone(),
        drain: *config.server.drain,
    }
}
