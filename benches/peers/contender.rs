//! Who is compared: each started with its own configuration of `configs/`, on the proxy's core, and ended with its value.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::log::Log;
use crate::origin::Ports;
use crate::process::Process;

/// A program that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// In its default configuration, but for one worker.
    Pardon,
    /// With two.
    TwoWorkers,
    /// With nothing kept, as the peers do it.
    Bare,
    /// With nothing looked for in passing answers.
    Blind,
    Nginx,
    Haproxy,
    /// The same, the original logged as it is instead of as JSON: cheaper, and for who reads datagrams rather than lines.
    HaproxyRaw,
    /// `HAProxy` that hands bytes on and reads nothing of them.
    Relay,
    Caddy,
}

/// What a proxy is to do, which decides on its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// Pass answers on.
    Pass,
    /// The same, on a port that speaks TLS too.
    Tls,
    /// Put a page in a failure's place.
    Page,
    /// And keep the failure.
    Keep,
    /// Serve a page, because nothing listens where the app should.
    Storm,
}

/// A build of Pardon.
#[derive(Clone, Debug)]
pub(crate) struct Build {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// Where all of it happens.
pub(crate) struct Ground {
    /// For the time being; removed at the end.
    pub(crate) folder: PathBuf,
    /// The core of the proxy under load.
    pub(crate) proxy_core: usize,
    /// The core of load and origin.
    pub(crate) load_core: usize,
    pub(crate) builds: Vec<Build>,
    pub(crate) origin: Ports,
}

/// Who is to be started.
pub(crate) struct Entrant {
    pub(crate) peer: Peer,
    /// The binary, if it is Pardon's.
    build: Option<PathBuf>,
    /// In tables and ratios.
    pub(crate) name: String,
}

/// A running proxy.
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) peer: Peer,
    /// As it was called.
    pub(crate) program: PathBuf,
    /// When it was.
    pub(crate) launched: Instant,
    pub(crate) process: Process,
    log: Log,
    pub(crate) port: u16,
    /// The one that speaks TLS, where the setup has one.
    pub(crate) secure: u16,
    /// Its own folder, with its store if it has one.
    pub(crate) folder: PathBuf,
}

impl Peer {
    /// Whether it is Pardon in one configuration or another.
    pub(crate) fn is_pardon(self) -> bool {
        matches!(
            self,
            Self::Pardon | Self::TwoWorkers | Self::Bare | Self::Blind
        )
    }
}

impl Entrant {
    fn pardon(peer: Peer, build: &Build) -> Self {
        Self {
            peer,
            build: Some(build.path.clone()),
            name: peer.to_string().replace("Pardon", &build.name),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pardon => "Pardon",
            Self::TwoWorkers => "Pardon, 2 workers",
            Self::Bare => "Pardon, nothing kept",
            Self::Blind => "Pardon, not looking",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::HaproxyRaw => "HAProxy, raw log",
            Self::Relay => "TCP relay",
            Self::Caddy => "Caddy",
        })
    }
}

impl Ground {
    /// Who competes for these peers: one for each, but of Pardon one for each build.
    pub(crate) fn line_up(&self, peers: &[Peer]) -> Vec<Entrant> {
        let mut entrants = Vec::new();
        for peer in peers {
            if peer.is_pardon() {
                entrants.extend(
                    self.builds
                        .iter()
                        .map(|build| Entrant::pardon(*peer, build)),
                );
            } else {
                entrants.push(Entrant {
                    peer: *peer,
                    build: None,
                    name: peer.to_string(),
                });
            }
        }
        entrants
    }

    /// Starts one of them on the proxy's core, and waits until it listens.
    pub(crate) fn start(&self, entrant: &Entrant, setup: Setup) -> Result<Contender> {
        self.start_on(&[self.proxy_core], entrant, setup)
    }

    /// The same on some cores.
    pub(crate) fn start_on(
        &self,
        cores: &[usize],
        entrant: &Entrant,
        setup: Setup,
    ) -> Result<Contender> {
        let mut contender = self.launch(cores, entrant, setup)?;
        let said = || contender.log.beginning();
        contender
            .process
            .listens(contender.port)
            .with_context(said)?;
        Ok(contender)
    }

    /// Starts one in a folder of its own, and does not wait. The pages that it may need are in the ground's folder.
    pub(crate) fn launch(
        &self,
        cores: &[usize],
        entrant: &Entrant,
        setup: Setup,
    ) -> Result<Contender> {
        let name = entrant.name.as_str();
        let folder = self.folder.join(name.replace([' ', ','], "-"));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir(&folder)?;
        for page in [
            "page.html",
            "page.lf",
            "page.caddy.html",
            "cert.pem",
            "key.pem",
            "both.pem",
        ] {
            if self.folder.join(page).exists() {
                fs::copy(self.folder.join(page), folder.join(page))?;
            }
        }
        let (port, secure) = (free_port()?, free_port()?);
        let mut command = self.command(entrant, setup, (&folder, port, secure))?;
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.current_dir(&folder);
        let launched = Instant::now();
        let mut process = Process::start(name, cores, &mut command)?;
        let log = Log::read(&mut process);
        Ok(Contender {
            name: name.to_owned(),
            peer: entrant.peer,
            program: command.get_program().into(),
            launched,
            process,
            log,
            port,
            secure,
            folder,
        })
    }

    fn command(
        &self,
        entrant: &Entrant,
        setup: Setup,
        (folder, port, secure): (&Path, u16, u16),
    ) -> Result<Command> {
        let peer = entrant.peer;
        let filled = |text: &str| {
            let text = text.replace("{secure}", &secure.to_string());
            self.filled(&text, folder, port)
        };
        let mut command;
        match peer {
            Peer::Pardon | Peer::TwoWorkers | Peer::Bare | Peer::Blind => {
                command = Command::new(entrant.build.as_ref().context("no build of Pardon")?);
                let file = folder.join("pardon.toml");
                let admin = free_port()?.to_string();
                let text = pardon_toml(peer, setup).replace("{admin}", &admin);
                fs::write(&file, filled(&text))?;
                command.args(["run", "--config"]).arg(file);
            }
            Peer::Nginx => {
                command = Command::new("nginx");
                let file = folder.join("nginx.conf");
                let secure = match setup {
                    Setup::Tls => include_str!("configs/nginx-tls.conf"),
                    _ => "",
                };
                let text = include_str!("configs/nginx.conf").replace("{tls}", secure);
                fs::write(&file, filled(&text))?;
                // What is wrong before the configuration is read would go to a file of the system's.
                command.args(["-e", "stderr", "-c"]).arg(file);
            }
            Peer::Haproxy | Peer::HaproxyRaw | Peer::Relay => {
                command = Command::new("haproxy");
                let file = folder.join("haproxy.cfg");
                let text = [include_str!("configs/haproxy.cfg"), haproxy(peer, setup)].join("\n");
                let text = text.replace("{log_format}", log_format(peer));
                fs::write(&file, filled(&text))?;
                command.args(["-db", "-f"]).arg(file);
            }
            Peer::Caddy => {
                command = Command::new("caddy");
                let file = folder.join("Caddyfile");
                let errors = match setup {
                    Setup::Pass | Setup::Tls => "",
                    _ => include_str!("configs/caddy-page"),
                };
                let text = include_str!("configs/Caddyfile").replace("{errors}", errors);
                fs::write(&file, filled(&text))?;
                command.args(["run", "--adapter", "caddyfile", "--config"]);
                command.arg(file).env("GOMAXPROCS", "1").env("HOME", folder);
            }
        }
        Ok(command)
    }

    /// A configuration with its ports and folders.
    fn filled(&self, text: &str, folder: &Path, port: u16) -> String {
        text.replace("{listen}", &port.to_string())
            .replace("{origin}", &self.origin.http.to_string())
            .replace("{closed}", &self.origin.closed.to_string())
            .replace("{log_port}", &self.origin.log.to_string())
            .replace("{folder}", &folder.to_string_lossy())
    }
}

fn pardon_toml(peer: Peer, setup: Setup) -> String {
    let mut text = include_str!("configs/pardon.toml").to_owned();
    if peer == Peer::Bare {
        text.push_str(include_str!("configs/pardon-bare.toml"));
    }
    if peer == Peer::Blind {
        text.push_str(include_str!("configs/pardon-blind.toml"));
    }
    if peer == Peer::TwoWorkers {
        text = text.replace("workers = 1", "workers = 2");
    }
    if setup == Setup::Tls {
        text.push_str(include_str!("configs/pardon-tls.toml"));
        text = text.replace(
            "\"127.0.0.1:{listen}\"",
            "\"127.0.0.1:{listen}\", \"tls://127.0.0.1:{secure}\"",
        );
    }
    if setup == Setup::Storm {
        text = text.replace("{origin}", "{closed}");
    }
    text
}

/// How `HAProxy` logs a failure.
fn log_format(peer: Peer) -> &'static str {
    match peer {
        Peer::HaproxyRaw => "%ID %ci %ST %HM %HP %[var(txn.body)]",
        _ => {
            r#"{"id":"%ID","client":"%ci","status":%ST,"method":"%HM","path":"%HP","body":"%[var(txn.body),json(utf8s)]"}"#
        }
    }
}

fn haproxy(peer: Peer, setup: Setup) -> &'static str {
    match (peer, setup) {
        (Peer::Relay, _) => include_str!("configs/haproxy-relay.cfg"),
        (_, Setup::Pass) => include_str!("configs/haproxy-pass.cfg"),
        (_, Setup::Tls) => include_str!("configs/haproxy-tls.cfg"),
        (_, Setup::Page) => include_str!("configs/haproxy-page.cfg"),
        (_, Setup::Keep) => include_str!("configs/haproxy-keep.cfg"),
        (_, Setup::Storm) => include_str!("configs/haproxy-storm.cfg"),
    }
}

/// A port that nobody has now.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
