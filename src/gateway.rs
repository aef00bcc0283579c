//! The parts of a running proxy, put together: from a checked configuration to listeners that serve.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Request, Response};
use rustls::pki_types::UnixTime;
use socket2::{Domain, Protocol, Socket, Type};

use crate::admin::{Admin, Sources, State};
use crate::config::{self, Config, Listen, Report, Token, TokenProblem};
use crate::incident::{Incidents, Recording, Redactor};
use crate::page::{PageProblem, Pages};
use crate::proxy::{Body, Proxy, Route, Snapshot};
use crate::request_id::IdKey;
use crate::server::{Handler, Incoming, Listener, Peer, Server, Settings, Tls, Unreadable};
use crate::telemetry::Meters;
use crate::tls::{Certificates, Files, Pair, Taken, Watch};
use crate::upstream::{self, BodyLimits, Upstream};

/// Connections that the kernel holds for a listener until a worker accepts them.
const BACKLOG: i32 = 1024;

/// A running proxy. Dropped, it ends at once.
pub struct Gateway {
    server: Server,
    listening: Vec<Listen>,
    certificates: Option<Watch>,
    admin: Option<Server>,
    state: Arc<State>,
    watch: upstream::Watch,
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
        let (settled, counted) = (Arc::clone(&snapshot), Arc::clone(&meters));
        let make = move |worker| {
            let settings = Arc::clone(&settled);
            Proxy::new(settings, kept.clone(), &key, (&counted, worker))
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

impl Handler for Proxy {
    type Body = Body;

    async fn handle(self: Rc<Self>, request: Request<Incoming>, peer: Rc<Peer>) -> Response<Body> {
        Self::handle(self, request, peer).await
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
        Self::settle(self).await;
    }

    fn hurry(&self) {
        Self::hurry(self);
    }
}

/// What only building the parts finds out: templates, logos, authorities. Nothing is bound or started. The configuration may be
/// one that lacks what was wrong with it.
#[must_use]
pub fn problems(config: &Config) -> Report {
    let mut problems = Report::default();
    for (name, settings) in &config.upstreams {
        let built = Upstream::build(name, settings, &config.folder, 1);
        if let (Err(problem), false) = (built, settings.endpoints.is_empty()) {
            problems.add(Report::of(problem, ""));
        }
    }
    let mut tried = vec![(&config.pages, &config.brand)];
    for route in &config.routes {
        let own = (&route.pages, &route.brand);
        if !tried.contains(&own) {
            tried.push(own);
        }
    }
    for (pages, brand) in tried {
        if let Err(found) = Pages::build(pages, brand, &config.folder) {
            add(&mut problems, found);
        }
    }
    problems
}

fn add(problems: &mut Report, found: Vec<PageProblem>) {
    for problem in found {
        problems.add(problem.into());
    }
}

/// What a configuration comes to, without binding anything.
fn snapshot(config: &Config, workers: usize) -> Result<Snapshot, Report> {
    let mut problems = Report::default();
    let upstreams = upstreams(config, workers, &mut problems);
    let routes = routes(config, &mut problems);
    let pages = Pages::build(&config.pages, &config.brand, &config.folder);
    let pages = pages.map_err(|found| add(&mut problems, found));
    let (Ok(pages), true) = (pages, problems.is_empty()) else {
        return Err(problems);
    };
    let server = &config.server;
    Ok(Snapshot {
        routes,
        upstreams,
        pages,
        redactor: Redactor::new(&config.intercept.redact, config.incidents.client),
        request_id: server.request_id.clone(),
        trusted_proxies: server.trusted_proxies.clone(),
        via: server.via,
        traceparent: server.traceparent,
        limits: server.limits.clone(),
        body_limits: BodyLimits {
            pause: *server.timeouts.body,
            least_rate: server.timeouts.min_rate.0,
            size: (server.limits.body.0 > 0).then_some(server.limits.body.0),
        },
        tunnel_idle: *server.timeouts.tunnel,
        access: config.log.access,
        log_body: config.incidents.log_body.bytes(),
        commit_wait: *config.incidents.commit_wait,
        instance: instance(&config.incidents),
    })
}

fn upstreams(
    config: &Config,
    workers: usize,
    problems: &mut Report,
) -> Vec<(Arc<Upstream>, config::HostHeader)> {
    let mut built = Vec::with_capacity(config.upstreams.len());
    for (name, settings) in &config.upstreams {
        match Upstream::build(name, settings, &config.folder, workers) {
            Ok(upstream) => built.push((Arc::new(upstream), settings.host.clone())),
            Err(problem) => problems.add(Report::of(problem, "")),
        }
    }
    built
}

fn routes(config: &Config, problems: &mut Report) -> Vec<Arc<Route>> {
    let mut built = Vec::with_capacity(config.routes.len());
    for route in &config.routes {
        let own = built.len();
        let Some(upstream) = config
            .upstreams
            .keys()
            .position(|name| *name == route.upstream)
        else {
            let (route, upstream) = (&route.name, &route.upstream);
            let problem =
                format!("route `{route}` names upstream `{upstream}`, which is not there");
            problems.add(Report::of(problem, ""));
            continue;
        };
        match Route::build(
            route,
            (own, upstream),
            config.incidents.client,
            &config.folder,
        ) {
            Ok(route) => built.push(Arc::new(route)),
            Err(found) => add(problems, found),
        }
    }
    built
}

/// The worker threads that a configuration asks for, or one a CPU that the process may use.
#[must_use]
pub fn workers(config: &Config) -> usize {
    let available = || std::thread::available_parallelism().map_or(1, usize::from);
    config
        .server
        .workers
        .unwrap_or_else(available)
        .clamp(1, 256)
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

/// The token that the operator's listener asks for, if there is to be one.
fn token(config: &Config) -> Result<Option<Token>, Report> {
    let Some(file) = &config.admin.token_file else {
        return Ok(None);
    };
    let read = Token::read(&config.folder.join(file));
    let unfit = |problem: TokenProblem| {
        let title = format!("`{}` holds no token: {problem}", file.display());
        Report::of(title, problem.hint())
    };
    read.map(Some).map_err(unfit)
}

fn serve_admin(
    listeners: &[Listener],
    sources: Sources,
    token: Option<Token>,
) -> io::Result<Server> {
    let settings = Settings {
        workers: 1,
        name: "admin",
        max_connections: 256,
        timeouts: config::ServerTimeouts::default(),
        limits: config::Limits::default(),
        drain: Duration::from_secs(1),
    };
    Server::start(listeners, &settings, move |_| {
        Admin::new(sources.clone(), token.as_ref())
    })
}

/// TLS with the configured certificates, where anything listens with it, and what looks after their files.
fn secure(config: &Config) -> Result<Option<(Arc<Tls>, Watch)>, Report> {
    let settings = &config.server.tls;
    if !(config.server.listen.iter()).any(|listen| matches!(listen, Listen::Tls(_))) {
        return Ok(None);
    }
    let (mut pairs, mut problems) = (Vec::new(), Report::default());
    for certificate in &settings.certificates {
        let files = Files {
            chain: config.folder.join(&certificate.chain),
            key: config.folder.join(&certificate.key),
        };
        match Pair::read(&files) {
            Ok(pair) => pairs.push(pair),
            Err(faults) => faults
                .into_iter()
                .for_each(|fault| problems.add(Report::of(fault.title, fault.hint))),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let certificates = Arc::new(Certificates::new(&pairs));
    let tls = Tls::new(Arc::clone(&certificates), settings.min_version == "1.3")
        .map_err(|error| Report::of(format!("cannot start TLS: {error}"), ""))?;
    Ok(Some((Arc::new(tls), Watch::new(certificates, pairs))))
}

/// Says what became of a certificate whose files have changed.
fn tell(taken: Taken) {
    match taken {
        Taken::New(pair) => {
            tracing::info!(chain = %pair.files.chain.display(), "a changed certificate is in use");
            for concern in pair.concerns(UnixTime::now()) {
                tracing::warn!("{}: {}", concern.title, concern.hint);
            }
        }
        Taken::Kept(faults) => {
            let why: Vec<_> = faults.iter().map(ToString::to_string).collect();
            tracing::warn!(
                "a changed certificate cannot be used, and the one before stays: {}",
                why.join("; ")
            );
        }
    }
}

/// Binds the visitors' addresses, each with what is spoken there.
fn bind_listeners(listen: &[Listen], tls: Option<&Arc<Tls>>) -> Result<Vec<Listener>, Report> {
    let spoken = |listen: &Listen| match listen {
        Listen::Tcp(address) => Some((*address, None)),
        Listen::Tls(address) => Some((*address, tls.cloned())),
        Listen::Unix(_) => None,
    };
    let (addresses, tls): (Vec<_>, Vec<_>) = listen.iter().filter_map(spoken).unzip();
    let bound = bind(&addresses)?.into_iter().zip(tls);
    Ok(bound
        .map(|(listener, tls)| Listener { tls, ..listener })
        .collect())
}

/// What a server listens on, the ports that the kernel chose filled in.
fn listening(server: &Server, listeners: &[Listener]) -> Vec<Listen> {
    let spoken = |(address, listener): (&SocketAddr, &Listener)| match listener.tls {
        Some(_) => Listen::Tls(*address),
        None => Listen::Tcp(*address),
    };
    server
        .addresses()
        .iter()
        .zip(listeners)
        .map(spoken)
        .collect()
}

/// Binds all addresses, or says of each that cannot be bound why.
fn bind(addresses: &[SocketAddr]) -> Result<Vec<Listener>, Report> {
    let (mut bound, mut problems) = (Vec::new(), Report::default());
    for address in addresses {
        match listen(*address) {
            Ok(listener) => bound.push(listener),
            Err(error) => problems.add(Report::of(cannot_listen(*address, &error), "")),
        }
    }
    if problems.is_empty() {
        Ok(bound)
    } else {
        Err(problems)
    }
}

/// Binds the operator's addresses; of those that nobody has asked for, the ones that are free.
fn bind_operators(admin: &config::Admin) -> Result<Vec<Listener>, Report> {
    if !admin.optional {
        return bind(&admin.listen);
    }
    let mut bound = Vec::new();
    for address in &admin.listen {
        match listen(*address) {
            Ok(listener) => bound.push(listener),
            Err(error) => tracing::warn!(
                "{}; this process cannot be asked whether it is ready",
                cannot_listen(*address, &error)
            ),
        }
    }
    Ok(bound)
}

/// How much of an answer the kernel takes ahead of what it has sent, in bytes. By itself it takes megabytes, of which a
/// reader of some kilobytes a second leaves room for more only after minutes: nobody could tell it from one that has stopped.
const UNSENT: u32 = 128 * 1024;

/// A listener without `SO_REUSEPORT`, so that a second process on a taken port is told so.
fn listen(address: SocketAddr) -> io::Result<Listener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    // The kernel hands both down to the connections.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(Listener {
        socket: socket.into(),
        tls: None,
    })
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> String {
    let reason = match error.kind() {
        io::ErrorKind::AddrInUse => "another process listens there",
        io::ErrorKind::PermissionDenied => "ports below 1024 need the right to bind them",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        _ => return format!("cannot listen on {address}: {error}"),
    };
    format!("cannot listen on {address}: {reason} ({error})")
}

/// The process's name in its records: as configured, or the host's.
fn instance(settings: &config::Incidents) -> Arc<str> {
    let host = || {
        let read = |path: &str| std::fs::read_to_string(Path::new(path)).ok();
        read("/proc/sys/kernel/hostname").or_else(|| read("/etc/hostname"))
    };
    let name = settings.instance.clone().or_else(host).unwrap_or_default();
    name.trim().into()
}
