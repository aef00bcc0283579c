//! The list: one line an incident, then what is not on it.

use std::io::{self, Write};

use jiff::Timestamp;

use super::{Args, LISTED, Table};
use crate::cli::screen::Screen;
use crate::cli::{moment, store};
use crate::incident::store::{Filter, Listed, Reader};
use crate::telemetry::json;

/// Prints what a filter lets through.
pub(super) fn print(args: &Args, filter: &Filter, reader: &Reader) -> anyhow::Result<()> {
    let limit = args.limit(LISTED);
    let mut listed = reader.list(filter, limit.saturating_add(1))?;
    let more = listed.len() > limit;
    listed.truncate(limit);
    let now = Timestamp::now();
    let screen = Screen::of(&io::stdout());
    let text = if args.json {
        lines(&listed)?
    } else {
        let table = Table::new(screen, now);
        let rows = listed.iter().map(|one| table.row(one));
        std::iter::once(table.header()).chain(rows).collect()
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    let notes = notes(args, &listed, more.then_some(limit), filter, reader)?;
    tell(&notes, args.json)
}

fn lines(listed: &[Listed]) -> serde_json::Result<String> {
    listed.iter().map(json::line).collect()
}

/// What is not on the list; `limit` where that has cut it.
fn notes(
    args: &Args,
    listed: &[Listed],
    limit: Option<usize>,
    filter: &Filter,
    reader: &Reader,
) -> anyhow::Result<Vec<String>> {
    let mut notes = Vec::new();
    if let Some(limit) = limit {
        notes.push(format!(
            "The newest {limit}; there are more: --limit N, or narrow it with --since, --status, --route, --cause."
        ));
    }
    if listed.is_empty() && limit.is_none() && !args.json {
        notes.push(none(reader)?);
    }
    notes.extend(losses(filter, reader)?);
    Ok(notes)
}

fn none(reader: &Reader) -> anyhow::Result<String> {
    let newest = reader.list(&Filter::default(), 1)?;
    let now = Timestamp::now();
    Ok(match newest.first() {
        Some(newest) => {
            let ago = moment::ago(newest.time, now);
            format!("None. The newest of all incidents came {ago}.")
        }
        None => "None. The store holds no incident at all.".to_owned(),
    })
}

/// What had to be given up in the time that is asked for.
pub(super) fn losses(filter: &Filter, reader: &Reader) -> anyhow::Result<Option<String>> {
    let losses = reader.losses(filter.since)?;
    let time = match filter.since {
        Some(_) => "In this time",
        None => "Since the store was made",
    };
    Ok(store::told(&losses).map(|told| format!("{time}, {told}.")))
}

/// Prints notes below the list; beside it where it is for a program.
pub(super) fn tell(notes: &[String], aside: bool) -> anyhow::Result<()> {
    if notes.is_empty() {
        return Ok(());
    }
    let text = notes.join("\n");
    if aside {
        writeln!(io::stderr(), "{text}")?;
    } else {
        writeln!(io::stdout(), "\n{text}")?;
    }
    Ok(())
}
