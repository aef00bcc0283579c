//! What a store of some size costs: `cargo bench --bench growth -- --incidents 10000000 --store FILE`.
//!
//! Fills a store with the failures of thirty days through the library's own way, then asks it what a person asks. A file that is there is
//! asked as it is. Prints what was measured beside the bounds that are promised for ten million incidents; ends with 1 only where an
//! answer is wrong.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a program that measures prints, and ends where it cannot"
)]

mod ask;
mod dice;
mod failures;
mod fill;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Parser;
use pardon::config;
use pardon::config::units::{Period, Size};
use pardon::incident::Incidents;

use ask::Asked;

/// What is measured.
#[derive(Parser)]
struct Arguments {
    /// How many incidents the store gets.
    #[arg(long, default_value_t = 20_000)]
    incidents: u64,
    /// The store; one that is there is asked as it is. Without it one is made for the time being.
    #[arg(long)]
    store: Option<PathBuf>,
    /// How many incidents wait for their commit at a time.
    #[arg(long, default_value_t = 512)]
    window: usize,
    /// The system forgets what it has in memory of the file before each question.
    #[arg(long)]
    cold: bool,
    /// Cargo says this to each.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let scratch = std::env::temp_dir().join(format!("pardon-growth-{}", std::process::id()));
    let path = arguments.store.clone().unwrap_or_else(|| {
        std::fs::create_dir(&scratch).expect("a folder for the time being");
        scratch.join("pardon.db")
    });
    if !path.exists() {
        fill::fill(&settings(&path), arguments.incidents, arguments.window);
    }
    let mut asked = Asked::new(&path, arguments.cold);
    asked.size();
    begin(&mut asked, &path);
    asked.all();
    if arguments.store.is_none() {
        std::fs::remove_dir_all(&scratch).expect("the folder is ours");
    }
    asked.verdict()
}

/// How long a process takes to open the store for writing.
fn begin(asked: &mut Asked, path: &Path) {
    let settings = settings(path);
    asked.measure("open for writing", None, 3, |_| {
        Incidents::start(&settings).is_ok()
    });
}

/// A store that keeps everything.
fn settings(path: &Path) -> config::Incidents {
    config::Incidents {
        path: path.to_owned(),
        max_age: Period::seconds(3650 * 24 * 3600),
        max_size: Size::mib(1 << 20),
        ..config::Incidents::default()
    }
}

/// Has the system write a file out and forget what it has in memory of it.
fn forget_pages(path: &Path) {
    let done = Command::new("dd")
        .arg(format!("of={}", path.display()))
        .args(["oflag=nocache", "conv=notrunc,fdatasync", "count=0"])
        .args(["if=/dev/null", "status=none"])
        .status();
    assert!(done.is_ok_and(|status| status.success()), "dd failed");
}

/// Milliseconds since then.
fn millis(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}
