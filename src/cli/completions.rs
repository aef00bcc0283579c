//! `pardon completions`: what a shell needs to complete the commands.

use std::io::{self, Write};
use std::process::ExitCode;

use clap_complete::Shell;

/// Print a completion script for a shell.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {
    /// The shell.
    pub shell: Shell,
}

/// Prints the script for `command`, the root of the command tree.
///
/// # Errors
///
/// When standard output cannot be written.
pub fn run(args: Args, command: &mut clap::Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, command, name, &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
