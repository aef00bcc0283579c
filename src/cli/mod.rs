//! The commands: one file each; this one says which there are and turns their ends into exit codes.

pub mod audit;
pub mod bypass;
pub mod check;
pub mod completions;
pub mod config;
pub mod demo;
mod descriptors;
pub mod explain;
pub mod forget;
pub mod health;
pub mod incidents;
pub mod maintenance;
mod moment;
pub mod preview;
mod reload;
pub mod render;
pub mod run;
mod scratch;
mod screen;
pub mod show;
pub mod store;
mod told;
mod visible;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{Config, Report, Route};
use crate::incident::StoreError;

/// Keeps an app's failures and shows visitors a calm page with a reference.
#[derive(Debug, Parser)]
#[command(name = "pardon", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

// What each says of itself in the help stands on its arguments.
#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Demo(demo::Args),
    Show(show::Args),
    Incidents(incidents::Args),
    Forget(forget::Args),
    Maintenance(maintenance::Args),
    Bypass(bypass::Args),
    Check(check::Args),
    Preview(preview::Args),
    Render(render::Args),
    Explain(explain::Args),
    Audit(audit::Args),
    Config(config::Args),
    Completions(completions::Args),
    Health(health::Args),
}

/// Does what the process's arguments ask for: 0 done, 1 the thing asked for failed, 2 wrong usage.
#[must_use]
pub fn main() -> ExitCode {
    match obey(&Arguments::parse().command) {
        Ok(code) => code,
        // Whoever read the output has seen enough: `pardon config reference | head`.
        Err(error) if is_closed_pipe(&error) => ExitCode::FAILURE,
        Err(error) => {
            // Where stderr is closed there is nobody to tell.
            let _ = writeln!(io::stderr(), "{}", told(&error));
            ExitCode::FAILURE
        }
    }
}

fn obey(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => run::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Show(args) => show::run(args),
        Command::Incidents(args) => incidents::run(args),
        Command::Forget(args) => forget::run(args),
        Command::Maintenance(args) => maintenance::run(args),
        Command::Bypass(args) => bypass::run(args),
        Command::Check(args) => check::run(args),
        Command::Preview(args) => preview::run(args),
        Command::Render(args) => {
            let config = configuration(args.config.as_deref())?;
            render::run(args, &config, &mut io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Explain(args) => explain::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Config(args) => config::run(args),
        Command::Completions(args) => completions::run(*args, &mut Arguments::command()),
        Command::Health(args) => health::run(args),
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// An error as a person reads it: what is wrong with a configuration as a compiler would print it, with a store together with what to
/// do, the rest on one line.
fn told(error: &anyhow::Error) -> String {
    if let Some(report) = error.downcast_ref::<Report>() {
        return report.render(color_on(&io::stderr()));
    }
    match error.downcast_ref::<StoreError>().map(StoreError::hint) {
        None | Some("") => format!("error: {error:#}"),
        Some(hint) => format!("error: {error}\n  hint: {hint}"),
    }
}

/// Whether to print in colour: on a terminal, unless `NO_COLOR` says otherwise.
fn color_on(stream: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !refused
}

/// The configuration of a running process, as far as it can be known: of the file, or the default where flags alone made it. What is
/// wrong with the rest of the file does not matter: the process has read an earlier one.
fn running_configuration(named: Option<&Path>, upstream: bool) -> Result<Config, Report> {
    if named.is_none() && upstream {
        return Ok(Config::default());
    }
    let config = configuration(named);
    config.or_else(|report| report.readable().cloned().ok_or(report))
}

/// The configuration that a file holds, or the defaults where none is named and none is in the usual places.
fn configuration(named: Option<&Path>) -> Result<Config, Report> {
    match crate::config::find(named) {
        Ok(path) => Ok(crate::config::load(&path)?.config),
        Err(_) => Ok(Config::default()),
    }
}

/// The route of a name.
fn route_named<'a>(config: &'a Config, name: &str) -> anyhow::Result<&'a Route> {
    let found = config.routes.iter().find(|route| route.name == name);
    found.ok_or_else(|| {
        let names: Vec<_> = (config.routes.iter().map(|route| &*route.name)).collect();
        let title = format!("there is no route `{name}`");
        let hint = format!("the configuration has {}", names.join(", "));
        Report::of(title, hint).into()
    })
}
