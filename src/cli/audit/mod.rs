//! `pardon audit`: what an app tells about its failures, with and without Pardon in front.
//!
//! The app is walked and provoked through a proxy on loopback that passes everything, so that TLS and the app's oddities
//! are met as in service; what is found is asked for again through one that does not, or through the address that
//! `--through` names. All requests can be made of a browser or a robot: nothing is posted, nothing is deleted.
//!
//! Bounds: `Bounds` for pages, pace and time, one MiB of an answer, ten seconds for one.

mod finding;
mod links;
mod probes;
mod report;
mod side;
mod walk;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use http::Uri;

use crate::config::DisguiseMode;
use report::Report;
use side::Side;
use walk::{Bounds, Walk};

/// Walk an app that you own, and say what it tells about its failures, with and without Pardon in front.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The app's address; the walk begins at its path.
    #[arg(value_parser = site)]
    pub url: Uri,
    /// The address of a Pardon that is in front of the app; default: one with the default configuration and replaced disguises.
    #[arg(long, value_name = "URL", value_parser = site)]
    pub through: Option<Uri>,
    /// Another path to begin at; may be given several times.
    #[arg(long = "path", value_name = "PATH")]
    pub paths: Vec<String>,
    /// How many pages are looked at, at most.
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    pub max_pages: usize,
    /// How many requests are made in a second, at most.
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rate: u32,
    /// After how many seconds the walk ends, wherever it is.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// Print one JSON object a finding.
    #[arg(long, conflicts_with = "html")]
    pub json: bool,
    /// Print a page.
    #[arg(long)]
    pub html: bool,
}

/// Walks, and prints what was found.
///
/// # Errors
///
/// When loopback cannot be used, the app does not answer at all, or standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let app = Side::start(&args.url, None)?;
    let bounds = Bounds {
        pages: args.max_pages,
        pause: Duration::from_secs(1) / args.rate,
        until: begun + Duration::from_secs(args.seconds),
    };
    let mut walk = Walk::new(&app, bounds);
    let start = args.url.path_and_query().map_or("/", |path| path.as_str());
    walk.begin_at(start);
    for path in &args.paths {
        walk.begin_at(path);
    }
    walk.pages();
    if let Some(reason) = walk.unreached() {
        bail!("`{}` does not answer: {reason}", args.url);
    }
    walk.provoke();
    let (mut findings, asked, left) = walk.end();
    let before = match &args.through {
        Some(url) => Side::start(url, None)?,
        None => Side::start(&args.url, Some(DisguiseMode::Replace))?,
    };
    for finding in &mut findings {
        finding.compare(&before);
        std::thread::sleep(bounds.pause);
    }
    app.end()?;
    before.end()?;
    let report = Report {
        url: &args.url,
        through: args.through.as_ref(),
        asked,
        left,
        took: begun.elapsed(),
        findings: &findings,
    };
    print(args, &report)?;
    Ok(ExitCode::SUCCESS)
}

fn print(args: &Args, report: &Report<'_>) -> anyhow::Result<()> {
    let text = if args.json {
        report.json()?
    } else if args.html {
        report.html()
    } else {
        report.text()
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

/// The address of an app, as an argument.
fn site(text: &str) -> anyhow::Result<Uri> {
    let url: Uri = text.parse().context("not an address")?;
    let known = matches!(url.scheme_str(), Some("http" | "https"));
    if !known || url.host().is_none_or(str::is_empty) {
        bail!("write the whole address, such as http://127.0.0.1:3000/");
    }
    Ok(url)
}
