//! `pardon show`: one incident, looked up by what a visitor has read out.
//!
//! In goes an ID as a person types it, the beginning of one, or the app's own reference; out comes a page for a person, the record as
//! JSON, or the original body byte for byte. What is not there is answered with what may have been meant.

mod body;
mod html;
mod indent;
mod missing;
mod page;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::bail;
use jiff::Timestamp;

use super::screen::Screen;
use super::store::StoreArgs;
use super::visible;
use crate::incident::Incident;
use crate::incident::store::{Found, How, Reader};
use crate::telemetry::json;

/// How many pages are printed where several incidents are meant.
const PAGES: usize = 10;

/// Show what an ID stands for: the request, the failure and the app's original answer.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The ID as the visitor reads it out, however it is typed; or its beginning; or the app's own reference.
    pub id: String,
    /// Print the whole record as JSON, one object a line.
    #[arg(long, conflicts_with = "body")]
    pub json: bool,
    /// Print the original body, byte for byte as it is kept.
    #[arg(long)]
    pub body: bool,
    /// Where the store is.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// Looks the ID up and prints what it stands for.
///
/// # Errors
///
/// When the store cannot be read, or standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let reader = args.store.open()?;
    let (how, found) = match reader.find(&args.id)? {
        Found::Incidents(how, found) => (how, found),
        other => {
            let unrecorded = args.store.has_unrecorded_routes();
            let says = missing::told(&args.id, &other, &reader, unrecorded)?;
            io::stderr().lock().write_all(says.as_bytes())?;
            return Ok(ExitCode::FAILURE);
        }
    };
    if args.body {
        print_body(&found)?;
    } else if args.json {
        print_json(&found)?;
    } else {
        print_pages(&reader, how, &found)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_json(found: &[Incident]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for incident in found {
        out.write_all(json::line(incident)?.as_bytes())?;
    }
    Ok(())
}

/// The body of the newest.
fn print_body(found: &[Incident]) -> anyhow::Result<()> {
    let body = found.first().and_then(|newest| newest.body.as_ref());
    let Some(body) = body else {
        bail!("no body is kept: there was no answer to keep one of");
    };
    if body.kept == 0 && body.bytes > 0 {
        bail!("the body is not kept: it was given up for lack of memory");
    }
    let mut out = io::stdout().lock();
    if out.is_terminal() && !is_harmless(&body.content) {
        bail!(
            "the body holds bytes that a terminal would obey: send it somewhere else, as with `> file` or `| less`"
        );
    }
    out.write_all(&body.content)?;
    Ok(())
}

/// Whether bytes are text with nothing in it that a terminal obeys.
fn is_harmless(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| visible::lines(text) == text.replace("\r\n", "\n"))
}

fn print_pages(reader: &Reader, how: How, found: &[Incident]) -> anyhow::Result<()> {
    let (screen, now) = (Screen::of(&io::stdout()), Timestamp::now());
    let mut out = io::stdout().lock();
    match how {
        How::Id => {}
        How::Beginning => writeln!(out, "Found by the beginning of its ID.\n")?,
        How::Reference => writeln!(out, "Found by the app's own reference.\n")?,
    }
    let count = found.len();
    for (number, incident) in (1..).zip(found.iter().take(PAGES)) {
        if number > 1 {
            writeln!(out, "\n")?;
        }
        if count > 1 {
            let number = format!("{number} of {count}, the newest first");
            writeln!(out, "{}\n", screen.bold(&number))?;
        }
        let page = page::of(incident, reader, screen, now)?;
        write!(out, "{page}")?;
    }
    if count > PAGES {
        let more = count - PAGES;
        writeln!(out, "\n\n[{more} more; --json prints each in one line]")?;
    }
    Ok(())
}
