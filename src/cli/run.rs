//! `pardon run`: the proxy.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{self, Loaded};
use crate::gateway::Gateway;
use crate::telemetry::{self, COUNTERS};

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
}

/// Runs the proxy until it is told to stop.
///
/// # Errors
///
/// With every problem of the configuration, or when an address, the log or the signals cannot be had.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut loaded = load(args)?;
    if let Some(store) = &args.store {
        store.clone_into(&mut loaded.config.incidents.path);
    }
    let _log = telemetry::init(&loaded.config.log)?;
    for warning in &loaded.warnings {
        tracing::warn!("{}", warning.message());
    }
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
        Ok(serve(gateway, signals).await)
    })?
}

fn load(args: &Args) -> Result<Loaded, config::Report> {
    match (&args.config, &args.upstream) {
        (None, Some(upstream)) => config::for_upstream(upstream, args.listen.as_deref()),
        (named, upstream) => config::load_with(
            &config::find(named.as_deref())?,
            &config::Flags {
                upstream: upstream.clone(),
                listen: args.listen.clone(),
            },
        ),
    }
}

/// Runs a future on a runtime of this thread.
pub(super) fn on_this_thread<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    Ok(runtime.block_on(future))
}

/// Serves until a signal says to stop; then finishes what is in flight, unless a second signal comes.
pub(super) async fn serve(mut gateway: Gateway, mut signals: Signals) -> ExitCode {
    tokio::select! {
        () = signals.stop() => {}
        () = gateway.keep_certificates() => {}
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

    /// Ends with the next signal to stop.
    async fn stop(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    tracing::warn!("SIGHUP: reloading is not supported yet; restart to change the configuration");
                }
            }
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
