//! `pardon run`: the proxy.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::MissedTickBehavior;

use super::descriptors;
use super::reload::{Origin, reload};
use crate::admin::Asks;
use crate::config::{self, Loaded, Report};
use crate::gateway::Gateway;
use crate::telemetry::{self, COUNTERS};

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// How often the orders for maintenance are looked at: a call of the system's each time.
const GLANCE: Duration = Duration::from_millis(250);

/// Run the proxy. Flags alone are enough for a sidecar; a file says more.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// The configuration file; default: pardon.toml, then /etc/pardon/pardon.toml.
    #[arg(long, value_name = "FILE", env = "PARDON_CONFIG")]
    pub config: Option<PathBuf>,
    /// The app to stand in front of, such as `http://127.0.0.1:3000`. Alone, it ignores any file that is not named.
    #[arg(long, value_name = "URL", env = "PARDON_UPSTREAM")]
    pub upstream: Option<String>,
    /// The address to listen on, such as 127.0.0.1:8080.
    #[arg(long, value_name = "ADDR", env = "PARDON_LISTEN")]
    pub listen: Option<String>,
    /// The file that incidents are kept in; default: `incidents.path`, or pardon.db in the working folder.
    #[arg(long, value_name = "FILE", env = "PARDON_STORE")]
    pub store: Option<PathBuf>,
    /// Reload when the configuration file, a template, a logo or an authority's file changes.
    #[arg(long, env = "PARDON_WATCH", value_parser = clap::builder::FalseyValueParser::new())]
    pub watch: bool,
}

/// Runs the proxy until it is told to stop.
///
/// # Errors
///
/// With every problem of the configuration, or when an address, the log or the signals cannot be had.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (loaded, file) = load(args)?;
    let _log = telemetry::init(&loaded.config.log)?;
    for warning in &loaded.warnings {
        tracing::warn!("{}", warning.message());
    }
    descriptors::raise();
    on_this_thread(async {
        // Before anybody can know that it listens, so that no signal finds the process without an answer to it.
        let signals = Signals::listen()?;
        let gateway = Gateway::start(&loaded.config)?;
        for address in gateway.listening() {
            tracing::info!(%address, "listening");
        }
        for address in gateway.admin_addresses() {
            tracing::info!(%address, "listening for the operator");
        }
        let origin = Origin::of(args, file, &gateway);
        if args.watch && origin.is_none() {
            tracing::warn!("--watch: there is no file to watch");
        }
        Ok(serve(gateway, signals, origin).await)
    })?
}

/// The configuration that the arguments say, and the file that it is in, if it is in one.
pub(super) fn load(args: &Args) -> Result<(Loaded, Option<PathBuf>), Report> {
    let (mut loaded, file) = match (&args.config, &args.upstream) {
        (None, Some(upstream)) => {
            let loaded = config::for_upstream(upstream, args.listen.as_deref())?;
            (loaded, None)
        }
        (named, upstream) => {
            let file = config::find(named.as_deref())?;
            let flags = config::Flags {
                upstream: upstream.clone(),
                listen: args.listen.clone(),
            };
            (config::load_with(&file, &flags)?, Some(file))
        }
    };
    if let Some(store) = &args.store {
        store.clone_into(&mut loaded.config.incidents.path);
    }
    Ok((loaded, file))
}

/// Runs a future on a runtime of this thread.
pub(super) fn on_this_thread<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    Ok(runtime.block_on(future))
}

/// Serves until a signal says to stop; then finishes what is in flight, unless a second signal comes.
pub(super) async fn serve(
    mut gateway: Gateway,
    mut signals: Signals,
    mut origin: Option<Origin>,
) -> ExitCode {
    serve_until_told(&mut gateway, &mut signals, origin.as_mut()).await;
    let delay = *gateway.config().server.shutdown_delay;
    if !delay.is_zero() {
        tracing::info!("not ready any more, and accepting for {delay:?} yet");
        tokio::select! {
            () = gateway.announce_end() => {}
            () = signals.stop() => tracing::info!("the rest of the delay is skipped"),
        }
    }
    tracing::info!(
        connections = gateway.connections(),
        "stopping: finishing what is in flight"
    );
    tokio::select! {
        () = gateway.drain() => {}
        () = signals.stop() => tracing::warn!("stopping at once: told so twice"),
    }
    let counts = COUNTERS.snapshot();
    let kept = gateway.incidents().counts();
    gateway.end();
    tracing::info!(
        incidents = kept.recorded,
        given_up_bodies = kept.lost.bodies,
        given_up_rows = kept.lost.rows,
        refused = counts.refused,
        client_gone = counts.client_gone,
        unconfirmed = kept.lost.unconfirmed,
        log_dropped = counts.log_dropped,
        "stopped"
    );
    ExitCode::SUCCESS
}

/// Serves until a signal says to stop, and takes over the configuration whenever it is asked to. What asks while it does so is
/// served by one more reload afterwards.
async fn serve_until_told(
    gateway: &mut Gateway,
    signals: &mut Signals,
    mut origin: Option<&mut Origin>,
) {
    let mut asks = gateway.take_asks();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut glances = tokio::time::interval(GLANCE);
    glances.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let asked = async {
            match &mut asks {
                Some(asks) => asks.next().await,
                None => std::future::pending().await,
            }
        };
        let (why, ask) = tokio::select! {
            biased;
            told = signals.next() => match told {
                Told::Stop => return,
                Told::Reload => ("SIGHUP", None),
            },
            ask = asked => ("POST /api/reload", Some(ask)),
            _ = glances.tick() => {
                gateway.look_at_orders();
                continue;
            }
            _ = looks.tick() => {
                gateway.look_at_certificates();
                let changed = origin.as_mut().is_some_and(|origin| origin.has_changed(gateway));
                if !changed {
                    continue;
                }
                ("a file has changed", None)
            }
        };
        let more = asks.as_mut().map(Asks::waiting).unwrap_or_default();
        let reloaded = reload(origin.as_deref_mut(), gateway, why).await;
        for ask in ask.into_iter().chain(more) {
            ask.answer(reloaded.clone());
        }
    }
}

/// What a signal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Stop,
    Reload,
}

/// The signals that mean something here.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on they do not end the process by themselves.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// What the next signal says.
    ///
    /// Cancel safe.
    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hangup.recv() => Told::Reload,
        }
    }

    /// Ends with the next signal to stop.
    pub(super) async fn stop(&mut self) {
        while self.next().await == Told::Reload {
            tracing::warn!("not reloaded (SIGHUP): the process is stopping");
        }
    }
}

/// An address for a person to open: the wildcard stands for every address, loopback among them.
pub(super) fn to_open(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("http://127.0.0.1:{}", address.port())
    } else {
        format!("http://{address}")
    }
}
