//! What a configuration comes to, before anything is bound or started.

use std::path::Path;
use std::sync::Arc;

use crate::config::{self, Config, Report};
use crate::incident::Redactor;
use crate::page::{PageProblem, Pages};
use crate::proxy::{Route, Snapshot};
use crate::upstream::{BodyLimits, Upstream};

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
pub(super) fn snapshot(config: &Config, workers: usize) -> Result<Snapshot, Report> {
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

/// The process's name in its records: as configured, or the host's.
fn instance(settings: &config::Incidents) -> Arc<str> {
    let host = || {
        let read = |path: &str| std::fs::read_to_string(Path::new(path)).ok();
        read("/proc/sys/kernel/hostname").or_else(|| read("/etc/hostname"))
    };
    let name = settings.instance.clone().or_else(host).unwrap_or_default();
    name.trim().into()
}
