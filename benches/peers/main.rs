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

mod arguments;
mod contender;
mod contest;
mod extra;
mod failure;
mod fetch;
mod figures;
mod idle;
mod load;
mod log;
mod origin;
mod page;
mod plan;
mod process;
mod programs;
mod report;
mod rounds;
mod scenario;
mod shop;
mod split;
mod start;
mod verify;
mod wire;
mod workers;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::Ordering;
use std::thread;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde::Serialize;

use arguments::Arguments;
use contender::Ground;
use contest::Outcome;
use extra::{EXTRAS, Measured};
use plan::Plan;
use process::Process;
use rounds::INTERRUPTED;
use scenario::SCENARIOS;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if arguments.origin {
        origin::run()
    } else if let Some(folder) = &arguments.split {
        split::run(folder)
    } else if arguments.list {
        list();
        Ok(())
    } else {
        compare(&arguments)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if INTERRUPTED.load(Ordering::Relaxed) {
                eprintln!("interrupted");
            } else {
                eprintln!("error: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

fn list() {
    let scenarios = SCENARIOS
        .iter()
        .map(|scenario| (scenario.name, scenario.about));
    let extras = EXTRAS.iter().map(|extra| (extra.name, extra.about));
    for (name, about) in scenarios.chain(extras) {
        println!("{name:<16} {about}");
    }
}

fn compare(arguments: &Arguments) -> Result<()> {
    let plan = Plan::new(arguments)?;
    programs::check(&plan)?;
    watch_signals();
    process::run_on(&[arguments.load_core])?;
    let folder = std::env::temp_dir().join(format!("pardon-compare-{}", std::process::id()));
    let _scratch = Scratch::new(&folder)?;
    wire::issue(&folder)?;
    let (_origin, ports) = start_origin(arguments.load_core)?;
    let ground = Ground {
        proxy_core: arguments.proxy_core,
        load_core: arguments.load_core,
        builds: arguments.builds(),
        origin: ports,
        folder,
    };
    let findings = measure(&ground, &plan)?;
    if let Some(file) = arguments.json() {
        fs::write(file, serde_json::to_vec_pretty(&findings)?)?;
    }
    report::ratios(&findings.scenarios, &findings.extras);
    for outcome in &findings.scenarios {
        let none: Vec<&str> = outcome.without_rounds().collect();
        let scenario = outcome.scenario;
        ensure!(
            none.is_empty(),
            "{scenario}: no round counts of {}",
            none.join(", ")
        );
    }
    Ok(())
}

/// All that was found, for keeping.
#[derive(Default, Serialize)]
struct Findings {
    about: Vec<String>,
    scenarios: Vec<Outcome>,
    extras: Vec<Measured>,
}

/// Measures one by one, and prints what came of each.
fn measure(ground: &Ground, plan: &Plan) -> Result<Findings> {
    let mut findings = Findings {
        about: programs::about(plan),
        ..Findings::default()
    };
    println!("{}", findings.about.join("; "));
    let minutes = plan.minutes(ground.builds.len());
    println!("This takes about {:.0} min.", minutes.ceil());
    for (scenario, peers) in &plan.scenarios {
        let outcome = contest::run(ground, scenario, peers, plan.pace);
        let outcome = outcome.with_context(|| scenario.name)?;
        report::print(scenario, &outcome);
        findings.scenarios.push(outcome);
    }
    for extra in &plan.extras {
        ensure!(!INTERRUPTED.load(Ordering::Relaxed), "interrupted");
        let measured = (extra.run)(ground, plan.pace).with_context(|| extra.name)?;
        report::extra(extra, &measured);
        findings.extras.push(measured);
    }
    Ok(findings)
}

fn start_origin(core: usize) -> Result<(Process, origin::Ports)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--origin").stdout(Stdio::piped());
    let mut process = Process::start("the origin", &[core], &mut command)?;
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
