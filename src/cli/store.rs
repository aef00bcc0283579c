//! Which store a command is about, and the store opened.

use std::path::PathBuf;

use crate::config::{Config, Report};
use crate::incident::Losses;
use crate::incident::store::Reader;

/// Where the store is.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct StoreArgs {
    /// The file that incidents are kept in; default: `incidents.path`, or pardon.db in the working folder.
    #[arg(long, value_name = "FILE", env = "PARDON_STORE")]
    pub store: Option<PathBuf>,
    /// The configuration file that names it; default: pardon.toml, then /etc/pardon/pardon.toml.
    #[arg(long, value_name = "FILE", env = "PARDON_CONFIG")]
    pub config: Option<PathBuf>,
    /// As `pardon run` has it: alone, it ignores any file that is not named.
    #[arg(long, value_name = "URL", env = "PARDON_UPSTREAM", hide = true)]
    pub upstream: Option<String>,
}

impl StoreArgs {
    /// The store's file, from the root of the file system.
    ///
    /// # Errors
    ///
    /// When a configuration is named and does not say where.
    pub fn path(&self) -> anyhow::Result<PathBuf> {
        let path = match &self.store {
            Some(path) => path.clone(),
            None => self.configuration()?.incidents.path,
        };
        Ok(std::path::absolute(path)?)
    }

    /// The configuration that the running process has. What is wrong with the rest of the file does not matter here.
    ///
    /// # Errors
    ///
    /// When nothing of it can be read.
    pub fn configuration(&self) -> Result<Config, Report> {
        super::running_configuration(self.config.as_deref(), self.upstream.is_some())
    }

    /// Whether the configuration, as far as it can be read, has a route whose failures are not kept.
    pub(super) fn has_unrecorded_routes(&self) -> bool {
        self.configuration()
            .is_ok_and(|config| config.routes.iter().any(|route| !route.intercept.record))
    }

    /// The store, opened for reading.
    pub(super) fn open(&self) -> anyhow::Result<Reader> {
        Ok(Reader::open(&self.path()?)?)
    }
}

/// What had to be given up, in words; none where nothing was.
pub(super) fn told(losses: &Losses) -> Option<String> {
    let counts = [
        (losses.bodies, "body", "bodies"),
        (losses.rows, "incident", "incidents"),
        (losses.refusals, "refusal", "refusals"),
    ];
    let given_up = counts
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| counted(*count, one, many))
        .collect::<Vec<_>>()
        .join(", ");
    let late = losses.unconfirmed;
    let late = (late > 0).then(|| {
        let pages = counted(late, "page", "pages");
        format!("sent before the incident was stored: {pages}")
    });
    let given_up =
        (!given_up.is_empty()).then(|| format!("given up for lack of memory: {given_up}"));
    let both: Vec<String> = given_up.into_iter().chain(late).collect();
    (!both.is_empty()).then(|| both.join("; "))
}

/// `1 body`, `2 bodies`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    let noun = if count == 1 { one } else { many };
    format!("{} {noun}", grouped(count))
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
