//! Pardon beside nginx, `HAProxy` and Caddy on the same work: `benches/compare`, or `benches/compare --quick` for a minute of it.
//!
//! Starts an origin, and each proxy with its configuration of `configs/`, pins the proxy under load to one core and all else to another,
//! has them answer in interleaved rounds, and prints what a request cost each. CPU time is the kernel's account of the proxy's threads.
//! Answers that differ are not compared: the program ends with 1, as it does where a program is missing. A missed bound is only printed.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a program that measures prints, and ends where it cannot"
)]

mod contender;
mod contest;
mod failure;
mod fetch;
mod figures;
mod load;
mod log;
mod origin;
mod page;
mod process;
mod report;
mod rounds;
mod scenario;
mod verify;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::Ordering;
use std::thread;

use anyhow::{Context, Result, bail};
use clap::Parser;
use rustix::thread::{CpuSet, sched_setaffinity};

use contender::{Build, Ground, Peer};
use contest::Outcome;
use process::Process;
use rounds::{INTERRUPTED, Pace};
use scenario::{QUICK, QUICK_PEERS, SCENARIOS, Scenario};

/// Compares Pardon with its peers. Needs nginx, haproxy, caddy and wrk on the machine, and two cores.
#[derive(Parser)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
struct Arguments {
    /// pass-1k and replace-keep without Caddy, in under a minute.
    #[arg(long)]
    quick: bool,
    /// Only this scenario, or all whose names begin so; may be given several times.
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// Says what there is to measure.
    #[arg(long)]
    list: bool,
    /// Rounds of each contender; 7, or 5 with --quick.
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of a round; 3, or 1 with --quick.
    #[arg(long)]
    seconds: Option<u32>,
    /// Another binary than the one just built; several, as NAME=PATH, are measured side by side.
    #[arg(long, value_name = "[NAME=]PATH")]
    pardon: Vec<String>,
    /// All figures of all rounds, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The core of the proxy under load.
    #[arg(long, default_value_t = 1)]
    proxy_core: usize,
    /// The core of load and origin.
    #[arg(long, default_value_t = 0)]
    load_core: usize,
    /// Is the origin.
    #[arg(long, hide = true)]
    origin: bool,
    /// Cargo says this to each.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if arguments.origin {
        origin::run()
    } else if arguments.list {
        list();
        Ok(())
    } else {
        compare(&arguments)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn list() {
    for scenario in SCENARIOS {
        println!("{:<16} {}", scenario.name, scenario.about);
    }
}

fn compare(arguments: &Arguments) -> Result<()> {
    let wanted = wanted(arguments)?;
    check_programs(arguments, &wanted)?;
    watch_signals();
    let mut load_core = CpuSet::new();
    load_core.set(arguments.load_core);
    sched_setaffinity(None, &load_core).context("a core for the load")?;
    let folder = std::env::temp_dir().join(format!("pardon-compare-{}", std::process::id()));
    let _scratch = Scratch::new(&folder)?;
    let (_origin, ports) = start_origin(&arguments.load_core.to_string())?;
    let ground = Ground {
        proxy_core: arguments.proxy_core.to_string(),
        load_core: arguments.load_core.to_string(),
        builds: builds(&arguments.pardon),
        origin: ports,
        folder,
    };
    let outcomes = measure(arguments, &ground, &wanted)?;
    if let Some(file) = &arguments.json {
        fs::write(
            from_users_folder(file),
            serde_json::to_vec_pretty(&outcomes)?,
        )?;
    }
    report::ratios(outcomes.iter().flat_map(|outcome| &outcome.ratios));
    Ok(())
}

/// Runs the scenarios one by one, and prints what came of each.
fn measure(
    arguments: &Arguments,
    ground: &Ground,
    wanted: &[&'static Scenario],
) -> Result<Vec<Outcome>> {
    let seconds: f64 = wanted
        .iter()
        .map(|scenario| estimate(arguments, ground, scenario))
        .sum();
    println!("This takes about {:.0} minutes.", (seconds / 60.0).ceil());
    let mut outcomes = Vec::new();
    for scenario in wanted {
        let peers = peers(arguments, scenario);
        let outcome = contest::run(ground, scenario, &peers, pace(arguments))
            .with_context(|| scenario.name)?;
        report::print(scenario, &outcome);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn wanted(arguments: &Arguments) -> Result<Vec<&'static Scenario>> {
    let is_wanted = |scenario: &&Scenario| {
        let mut named = arguments.scenario.iter();
        match (arguments.scenario.is_empty(), arguments.quick) {
            (false, _) => named.any(|name| scenario.name.starts_with(name.as_str())),
            (true, true) => QUICK.contains(&scenario.name),
            (true, false) => true,
        }
    };
    let wanted: Vec<&Scenario> = SCENARIOS.iter().filter(is_wanted).collect();
    if wanted.is_empty() {
        bail!("no scenario has such a name; --list says which there are");
    }
    Ok(wanted)
}

/// Who takes part in a scenario.
fn peers(arguments: &Arguments, scenario: &Scenario) -> Vec<Peer> {
    let takes_part = |peer: &&Peer| !arguments.quick || QUICK_PEERS.contains(peer);
    scenario.peers.iter().filter(takes_part).copied().collect()
}

fn pace(arguments: &Arguments) -> Pace {
    Pace {
        rounds: arguments
            .rounds
            .unwrap_or(if arguments.quick { 5 } else { 7 }),
        seconds: arguments
            .seconds
            .unwrap_or(if arguments.quick { 1 } else { 3 }),
        warm_up: 1,
    }
}

/// About how many seconds a scenario takes.
fn estimate(arguments: &Arguments, ground: &Ground, scenario: &Scenario) -> f64 {
    let pace = pace(arguments);
    let contenders = ground.line_up(&peers(arguments, scenario)).len();
    let rounds = u32::try_from(pace.rounds * contenders).unwrap_or(u32::MAX);
    let warm_up = u32::try_from(contenders).unwrap_or(u32::MAX) * pace.warm_up;
    f64::from(rounds) * (f64::from(pace.seconds) + 0.05) + f64::from(warm_up) + 0.5
}

/// Says what has to be installed, and which scenarios go without it.
fn check_programs(arguments: &Arguments, wanted: &[&Scenario]) -> Result<()> {
    let needed = |peer: &Peer| {
        wanted
            .iter()
            .any(|one| peers(arguments, one).contains(peer))
    };
    let mut missing = Vec::new();
    for (program, package, is_needed) in [
        ("wrk", "wrk", true),
        ("taskset", "util-linux", true),
        ("nginx", "nginx-light", needed(&Peer::Nginx)),
        ("haproxy", "haproxy", needed(&Peer::Haproxy)),
        ("caddy", "caddy", needed(&Peer::Caddy)),
    ] {
        if is_needed && !is_there(program) {
            missing.push((program, package));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let (programs, packages): (Vec<&str>, Vec<&str>) = missing.into_iter().unzip();
    bail!(
        "not on this machine: {}. Install them first:\n    apt-get install {}",
        programs.join(", "),
        packages.join(" ")
    )
}

/// Whether the path leads to a program. Debian has those of an administrator where other users do not look.
fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// A path as the user meant it: cargo runs a bench in the project's folder.
fn from_users_folder(path: &Path) -> PathBuf {
    let folder = std::env::var_os("COMPARE_FROM").unwrap_or_default();
    let path = Path::new(&folder).join(path);
    std::path::absolute(&path).unwrap_or(path)
}

/// The builds of Pardon to be measured; without any the one that this program was built with.
fn builds(named: &[String]) -> Vec<Build> {
    let build = |text: &String| {
        let (name, path) = text.split_once('=').unwrap_or(("Pardon", text));
        Build {
            name: name.to_owned(),
            path: from_users_folder(Path::new(path)),
        }
    };
    if named.is_empty() {
        return vec![build(&env!("CARGO_BIN_EXE_pardon").to_owned())];
    }
    named.iter().map(build).collect()
}

fn start_origin(core: &str) -> Result<(Process, origin::Ports)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--origin");
    let mut process = Process::start("the origin", core, &command)?;
    let stdout = process.child().stdout.take().context("its stdout")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let ports = serde_json::from_str(&line).context("the origin did not start")?;
    Ok((process, ports))
}

/// Has a signal end the program in order: what it has started ends too, and nothing is left in the file system.
fn watch_signals() {
    use tokio::signal::unix::{SignalKind, signal};
    thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt()).expect("a signal");
            let mut terminate = signal(SignalKind::terminate()).expect("a signal");
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            INTERRUPTED.store(true, Ordering::Relaxed);
        });
    });
}

/// A folder for the time being, which nginx's worker may read as nobody.
struct Scratch(PathBuf);

impl Scratch {
    fn new(folder: &Path) -> Result<Self> {
        fs::create_dir(folder)?;
        let scratch = Self(folder.to_owned());
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        fs::write(folder.join("load.lua"), load::SCRIPT)?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It is in the system's folder for such.
        drop(fs::remove_dir_all(&self.0));
    }
}
