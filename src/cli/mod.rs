//! The commands: one file each; this one says which there are and turns their ends into exit codes.

pub mod check;
pub mod completions;
pub mod config;
pub mod demo;
pub mod explain;
pub mod health;
pub mod render;
pub mod run;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::Config;
use crate::gateway;

/// Keeps an app's failures and shows visitors a calm page with a reference.
#[derive(Debug, Parser)]
#[command(name = "pardon", version, propagate_version = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// See [`run::Args`].
    Run(run::Args),
    /// See [`demo::Args`].
    Demo(demo::Args),
    /// See [`check::Args`].
    Check(check::Args),
    /// See [`render::Args`].
    Render(render::Args),
    /// See [`explain::Args`].
    Explain(explain::Args),
    /// See [`config::Args`].
    Config(config::Args),
    /// See [`completions::Args`].
    Completions(completions::Args),
    /// See [`health::Args`].
    Health(health::Args),
}

/// Does what the process's arguments ask for: 0 done, 1 the thing asked for failed, 2 wrong usage.
#[must_use]
pub fn main() -> ExitCode {
    match obey(&Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // Where stderr is closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn obey(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => run::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Check(args) => check::run(args, &|config| {
            gateway::snapshot(config, 1).err().unwrap_or_default()
        }),
        Command::Render(args) => {
            let config = configuration(args.config.as_deref())?;
            render::run(args, &config, &mut std::io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Explain(args) => explain::run(args),
        Command::Config(args) => config::run(args),
        Command::Completions(args) => completions::run(*args, &mut Arguments::command()),
        Command::Health(args) => health::run(args),
    }
}

/// The configuration that a file holds, or the defaults where none is named and none is in the usual places.
fn configuration(named: Option<&Path>) -> anyhow::Result<Config> {
    let loaded = match crate::config::find(named) {
        Ok(path) => crate::config::load(&path),
        Err(_) => return Ok(Config::default()),
    };
    Ok(loaded
        .map_err(|report| anyhow::anyhow!("\n{}", report.render(false)))?
        .config)
}
