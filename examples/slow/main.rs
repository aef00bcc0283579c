//! Visitors who send and read as slowly as they can, beside one who does not: are they shed, and does that one notice?
//!
//! `cargo run --release --example slow` runs the program with short time-outs and holds, of each kind at once, 600 connections that
//! send a head byte by byte, 600 that send a body so, 600 that read an answer so, and 600 that say nothing; an ordinary visitor
//! asks all the while. It prints how many of each kind were shed, after how long, and what the ordinary visitor saw. Then, with
//! the time-outs as they are by default, it opens 10,000 connections that idle after a request, 1,000 of HTTP/2 likewise, and 1,000
//! that send a body just fast enough to be borne, and prints what a connection costs and what the ordinary visitor sees of it.
//!
//! `--slow 600`, `--idle 10000`, `--streams 1000` and `--senders 1000` change the numbers.

mod app;
mod attackers;
mod crowd;
mod ordinary;
#[path = "../storm/proxy_process.rs"]
#[expect(dead_code, reason = "the storm uses all of it, this a part")]
mod proxy_process;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};

use attackers::{Kind, Shed};
use ordinary::Ordinary;
use proxy_process::ProxyProcess;

/// Time-outs that shed within seconds what is too slow.
const SHORT: &str = "server.timeouts.head = \"2s\"\nserver.timeouts.body = \"2s\"\n\
                     server.timeouts.idle = \"2s\"\nserver.timeouts.write = \"2s\"\n";

/// How long the ordinary visitor is watched where nothing else happens.
const QUIET: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("run") {
        return pardon::cli::main();
    }
    let folder = std::env::temp_dir().join(format!("pardon-slow-{}", std::process::id()));
    let result = fs::create_dir_all(&folder).and_then(|()| run(&folder));
    drop(fs::remove_dir_all(&folder));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            drop(writeln!(io::stderr(), "error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The number after `name`, or `default`.
fn argument(name: &str, default: usize) -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments
        .nth(1)
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// Whether all who were too slow were shed, and the ordinary visitor was served throughout.
fn run(folder: &Path) -> io::Result<bool> {
    let most = more_descriptors()?;
    let (slow, idle) = (argument("--slow", 600), argument("--idle", 10_000));
    let (streams, senders) = (argument("--streams", 1000), argument("--senders", 1000));
    let wanted = (idle + streams + senders).max(4 * slow) as u64 + 100;
    if wanted > most {
        let problem = format!("{wanted} descriptors are needed and {most} may be had: ulimit -n");
        return Err(io::Error::other(problem));
    }
    let app = app::start()?;
    let proxy = start(folder, app, SHORT)?;
    let before = Ordinary::watched(proxy.address, || std::thread::sleep(QUIET))?.0;
    let (during, shed) =
        Ordinary::watched(proxy.address, || attackers::attack(proxy.address, slow))?;
    let shed = shed?;
    let mut out = io::stdout();
    writeln!(out, "an ordinary visitor alone: {before}")?;
    for (kind, shed) in Kind::ALL.into_iter().zip(&shed) {
        writeln!(out, "{slow} {kind}: {shed}")?;
    }
    writeln!(out, "the ordinary visitor meanwhile: {during}")?;
    drop(proxy);
    let crowded = crowd::measure(&start(folder, app, "")?, (idle, streams, senders))?;
    write!(out, "{crowded}")?;
    let served = [&before, &during, &crowded.during].map(|seen| seen.failed == 0);
    Ok(served == [true; 3] && shed.iter().all(Shed::is_all))
}

fn start(folder: &Path, app: std::net::SocketAddr, toml: &str) -> io::Result<ProxyProcess> {
    let program: PathBuf = std::env::current_exe()?;
    ProxyProcess::launch(Command::new(program), folder, app, toml)
}

/// Takes as many descriptors as there may be; how many that is.
fn more_descriptors() -> io::Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    Ok(limit.current.unwrap_or(u64::MAX))
}
