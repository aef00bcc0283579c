//! `pardon config`: the file's JSON Schema and its reference.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::config;

/// Describe the configuration file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to print.
    #[command(subcommand)]
    pub what: What,
}

/// What is printed about the configuration file.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub enum What {
    /// Its JSON Schema, for editors that complete and check TOML.
    Schema,
    /// Its reference in Markdown: every key with type, default and meaning.
    Reference,
}

/// Prints it.
///
/// # Errors
///
/// When standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let text = match args.what {
        What::Schema => serde_json::to_string_pretty(&config::schema())? + "\n",
        What::Reference => config::reference(),
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
