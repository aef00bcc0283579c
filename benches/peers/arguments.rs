//! The command line.

use std::path::{Path, PathBuf};

use clap::Parser;

use crate::contender::Build;

/// Compares Pardon with its peers. Needs nginx, haproxy, caddy and wrk on the machine, and two cores.
#[derive(Parser)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct Arguments {
    /// pass-1k and replace-keep without Caddy, in under a minute.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only this scenario, or all whose names begin so; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) scenario: Vec<String>,
    /// Says what there is to measure.
    #[arg(long)]
    pub(crate) list: bool,
    /// Rounds of each contender; 7, or 5 with --quick.
    #[arg(long)]
    pub(crate) rounds: Option<usize>,
    /// Seconds of a round; 3, or 1 with --quick.
    #[arg(long)]
    pub(crate) seconds: Option<u32>,
    /// Another binary than the one just built; several, as NAME=PATH, are measured side by side.
    #[arg(long, value_name = "[NAME=]PATH")]
    pardon: Vec<String>,
    /// All figures of all rounds, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// The core of the proxy under load.
    #[arg(long, default_value_t = 1)]
    pub(crate) proxy_core: usize,
    /// The core of load and origin.
    #[arg(long, default_value_t = 0)]
    pub(crate) load_core: usize,
    /// Measures the parts of a kept failure, with this folder for its store.
    #[arg(long, hide = true)]
    pub(crate) split: Option<PathBuf>,
    /// Is the origin.
    #[arg(long, hide = true)]
    pub(crate) origin: bool,
    /// Cargo says this to each.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    /// The builds of Pardon to be measured; without any the one of `benches/compare`, or that this program was built with.
    pub(crate) fn builds(&self) -> Vec<Build> {
        if self.pardon.is_empty() {
            let shipped = std::env::var_os("COMPARE_PARDON");
            let path = shipped.map_or_else(|| env!("CARGO_BIN_EXE_pardon").into(), PathBuf::from);
            let name = PARDON.to_owned();
            return vec![Build { name, path }];
        }
        let named = self.pardon.iter().map(|text| {
            let (name, path) = text.split_once('=').unwrap_or((PARDON, text));
            Build {
                name: name.to_owned(),
                path: from_users_folder(Path::new(path)),
            }
        });
        named.collect()
    }

    /// Where the JSON goes.
    pub(crate) fn json(&self) -> Option<PathBuf> {
        self.json.as_deref().map(from_users_folder)
    }
}

/// The name of a build without one.
const PARDON: &str = "Pardon";

/// A path as the user meant it: cargo runs a bench in the project's folder.
fn from_users_folder(path: &Path) -> PathBuf {
    let folder = std::env::var_os("COMPARE_FROM").unwrap_or_default();
    let path = Path::new(&folder).join(path);
    std::path::absolute(&path).unwrap_or(path)
}
