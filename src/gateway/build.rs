//! What a configuration comes to, before anything is bound or started.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::bypass::{self, KeyProblem};
use crate::config::{self, Config, Report};
use crate::incident::Redactor;
use crate::maintenance::Board;
use crate::page::{PageProblem, Pages};
use crate::proxy::{Route, Snapshot};
use crate::upstream::{BodyLimits, Upstream};

/// What building the parts finds out.
#[derive(Debug, Default)]
pub struct Findings {
    /// What keeps it from running.
    pub problems: Report,
    /// What should be mended all the same.
    pub warnings: Report,
}

/// What only building the parts finds out: templates, logos, authorities. Nothing is bound or started. The configuration may be
/// one that lacks what was wrong with it.
#[must_use]
pub fn findings(config: &Config) -> Findings {
    let Findings {
        mut problems,
        mut warnings,
    } = Findings::default();
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
        match Pages::build(pages, brand, &config.folder) {
            Ok(pages) => add(&mut warnings, pages.warnings().to_vec()),
            Err(found) => add(&mut problems, found),
        }
    }
    Findings { problems, warnings }
}

fn add(problems: &mut Report, found: Vec<PageProblem>) {
    for problem in found {
        problems.add(problem.into());
    }
}

/// What a configuration comes to, without binding anything; `running` are the apps of the one in force.
pub(super) fn snapshot(
    config: &Config,
    workers: usize,
    running: &[App],
    board: &Arc<Board>,
) -> Result<(Snapshot, Vec<App>), Report> {
    let mut problems = Report::default();
    let apps = apps(config, workers, running, &mut problems);
    let routes = routes(config, &mut problems);
    let pages = Pages::build(&config.pages, &config.brand, &config.folder);
    let pages = pages.map_err(|found| add(&mut problems, found));
    let bypass = bypass(config).map_err(|found| problems.add(found));
    let (Ok(pages), Ok(bypass), true) = (pages, bypass, problems.is_empty()) else {
        return Err(problems);
    };
    let server = &config.server;
    let hosts = config.upstreams.values().map(|settings| &settings.host);
    let each = apps.iter().zip(hosts);
    let snapshot = Snapshot {
        routes,
        upstreams: each
            .map(|(app, host)| (Arc::clone(&app.upstream), host.clone()))
            .collect(),
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
        bypass,
        board: Arc::clone(board),
    };
    Ok((snapshot, apps))
}

/// An app that runs, and what it was built from: where that stays the same so does the app, with its connections, its health and
/// its limits.
pub(super) struct App {
    pub(super) upstream: Arc<Upstream>,
    name: String,
    settings: config::Upstream,
    /// The digests of the files that its settings name; none of those that cannot be read.
    files: Vec<Option<[u8; 32]>>,
}

impl App {
    /// The app of these settings: the one that runs already, or a new one.
    fn of(
        (name, settings): (&str, &config::Upstream),
        folder: &Path,
        workers: usize,
        running: &[Self],
    ) -> Result<Self, String> {
        let tls = &settings.tls;
        let named = [&tls.ca, &tls.certificate, &tls.key].into_iter().flatten();
        let files: Vec<_> = named.map(|file| digest(&folder.join(file))).collect();
        let built_from = decisive(settings);
        let same =
            |app: &&Self| app.name == name && app.settings == built_from && app.files == files;
        let former = || running.iter().find(|app| app.name == name);
        let upstream = if let Some(app) = running.iter().find(same) {
            Arc::clone(&app.upstream)
        } else {
            let new = Upstream::build(name, settings, folder, workers)?;
            Arc::new(match former() {
                Some(former) => new.succeeding(&former.upstream),
                None => new,
            })
        };
        Ok(Self {
            upstream,
            name: name.to_owned(),
            settings: built_from,
            files,
        })
    }
}

/// The settings without what routes and requests are given, so that no connection is closed for a change of that.
fn decisive(settings: &config::Upstream) -> config::Upstream {
    let mut decisive = settings.clone();
    let default = config::UpstreamTimeouts::default();
    let timeouts = &mut decisive.timeouts;
    (timeouts.head, timeouts.body, timeouts.total) = (default.head, default.body, default.total);
    if settings.health.path.is_empty() {
        (timeouts.connect, timeouts.queue) = (default.connect, default.queue);
        decisive.host = config::HostHeader::Keep;
    }
    decisive
}

fn digest(path: &Path) -> Option<[u8; 32]> {
    let content = std::fs::read(path).ok()?;
    Some(Sha256::digest(content).into())
}

/// The apps of a configuration, those of them that run already among them.
fn apps(config: &Config, workers: usize, running: &[App], problems: &mut Report) -> Vec<App> {
    let mut built = Vec::with_capacity(config.upstreams.len());
    for (name, settings) in &config.upstreams {
        match App::of((name, settings), &config.folder, workers, running) {
            Ok(app) => built.push(app),
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
        let app = config.upstreams.get(&route.upstream);
        let health = app.map_or("", |app| app.health.path.as_str());
        match Route::build(
            route,
            (own, upstream),
            (config.incidents.client, health),
            &config.folder,
        ) {
            Ok(route) => built.push(Arc::new(route)),
            Err(found) => add(problems, found),
        }
    }
    built
}

/// What tells bypass tokens, if there are to be any.
fn bypass(config: &Config) -> Result<Option<bypass::Key>, Report> {
    let Some(file) = config.bypass.key() else {
        return Ok(None);
    };
    let unfit = |problem: KeyProblem| {
        let title = format!("`{}` holds no key: {problem}", file.display());
        Report::of(title, problem.hint())
    };
    bypass::Key::read(&config.folder.join(file))
        .map(Some)
        .map_err(unfit)
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

/// The process's name in its records: as configured, or the host's.
fn instance(settings: &config::Incidents) -> Arc<str> {
    let host = || {
        let read = |path: &str| std::fs::read_to_string(Path::new(path)).ok();
        read("/proc/sys/kernel/hostname").or_else(|| read("/etc/hostname"))
    };
    let name = settings.instance.clone().or_else(host).unwrap_or_default();
    name.trim().into()
}
