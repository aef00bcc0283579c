//! `pardon preview`: a gallery of every page on a port of the loopback interface, made again as files are saved.
//!
//! The pages are those that the proxy would serve, with their own headers; a scheme that the browser is not in is made by
//! rewriting a page's media queries. What is wrong with a template is shown where its page would be.

mod edition;
mod eject;
mod gallery;
mod scheme;
mod serve;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::run;
use crate::config::{self, Limits, ServerTimeouts};
use crate::gateway::SourceFiles;
use crate::server::{Listener, Server, Settings, Socket};

use edition::Edition;
use serve::Gallery;

/// How often files are looked at; what has changed is read when it looks the same twice.
const LOOK: Duration = Duration::from_millis(200);

/// Show every page in a gallery that follows the templates as they are saved, or write a theme's template to start from.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The configuration file; default: pardon.toml, then /etc/pardon/pardon.toml, then the defaults.
    #[arg(long, value_name = "FILE", env = "PARDON_CONFIG")]
    pub config: Option<PathBuf>,
    /// The address to listen on, of the loopback interface; where its port is taken, a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9182")]
    pub listen: SocketAddr,
    /// Write this theme's templates to a folder, and end
    #[arg(long, value_name = "THEME", requires = "out")]
    pub eject: Option<String>,
    /// The folder that --eject writes to; no file that is there is touched
    #[arg(long, value_name = "DIR", requires = "eject")]
    pub out: Option<PathBuf>,
}

/// Shows the gallery until it is told to stop, or ejects a theme.
///
/// # Errors
///
/// When no port can be had, a file that is to be written is there, or a standard stream cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let (Some(theme), Some(folder)) = (&args.eject, &args.out) {
        eject::eject(theme, folder, &mut io::stdout().lock())?;
        return Ok(ExitCode::SUCCESS);
    }
    let listener = listen(args.listen)?;
    run::on_this_thread(show(args, listener))?
}

fn listen(wanted: SocketAddr) -> anyhow::Result<TcpListener> {
    if !wanted.ip().is_loopback() {
        bail!(
            "a preview is for this machine: --listen takes an address like {}",
            SocketAddr::from((Ipv4Addr::LOCALHOST, 9182))
        );
    }
    let bound = TcpListener::bind(wanted)
        .or_else(|_| TcpListener::bind(SocketAddr::new(wanted.ip(), 0)))
        .with_context(|| format!("cannot listen on {wanted}"))?;
    bound.set_nonblocking(true)?;
    Ok(bound)
}

async fn show(args: &Args, listener: TcpListener) -> anyhow::Result<ExitCode> {
    let signals = run::Signals::listen()?;
    let file = config::find(args.config.as_deref()).ok();
    let (editions, shown) = watch::channel(Arc::new(Edition::first(file.as_deref())));
    let address = listener.local_addr()?;
    let server = start(listener, &shown)?;
    announce(&run::to_open(address), file.as_deref())?;
    follow(signals, file.as_deref(), &editions).await;
    server.end();
    Ok(ExitCode::SUCCESS)
}

fn start(listener: TcpListener, shown: &watch::Receiver<Arc<Edition>>) -> io::Result<Server> {
    let settings = Settings {
        workers: 1,
        name: "preview",
        max_connections: 256,
        timeouts: ServerTimeouts::default(),
        announcing: None,
        limits: Limits::default(),
        drain: Duration::ZERO,
    };
    let listener = Listener {
        socket: Socket::Tcp(listener),
        tls: None,
    };
    let shown = shown.clone();
    Server::start(&[listener], &settings, move |_| {
        std::rc::Rc::new(Gallery::new(shown.clone()))
    })
}

/// Makes another edition whenever a file has changed, until a signal says to stop.
async fn follow(
    mut signals: run::Signals,
    file: Option<&Path>,
    editions: &watch::Sender<Arc<Edition>>,
) {
    let Some(file) = file else {
        return signals.stop().await;
    };
    let mut files = SourceFiles::of(file, editions.borrow().config());
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = signals.stop() => return,
            _ = looks.tick() => {}
        }
        let before = Arc::clone(&editions.borrow());
        if files.have_changed(before.config()) {
            files.are_read(before.config());
            let next = Edition::after(&before, file);
            files.name(next.config());
            editions.send_replace(Arc::new(next));
        }
    }
}

fn announce(base: &str, file: Option<&Path>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "Every page, as a visitor would see it: {base}/")?;
    match file {
        Some(file) => writeln!(
            out,
            "It follows {} and what that names. Ctrl-C ends it.",
            file.display()
        ),
        None => writeln!(
            out,
            "There is no configuration: these are the built-in pages. Ctrl-C ends it."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_listened_to() {
        assert!(listen("0.0.0.0:0".parse().unwrap()).is_err());
        let first = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let taken = first.local_addr().unwrap();
        let second = listen(taken).unwrap();
        assert_ne!(second.local_addr().unwrap(), taken);
    }
}
