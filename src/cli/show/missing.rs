//! What a person is told whose text stands for nothing: what they may have meant, and why it may not be there.

use std::io;

use jiff::Timestamp;

use crate::cli::incidents::Table;
use crate::cli::screen::Screen;
use crate::cli::{store, visible};
use crate::incident::StoreError;
use crate::incident::store::{Found, Listed, Reader};

/// What is typed is shown up to here.
const TYPED: usize = 80;

/// How many of those that begin alike are listed.
const SHOWN: usize = 20;

/// The answer to what was not found.
///
/// `unrecorded` says whether a route keeps nothing of its failures.
pub(super) fn told(
    typed: &str,
    found: &Found,
    reader: &Reader,
    unrecorded: bool,
) -> Result<String, StoreError> {
    let typed = visible::line(typed.trim()).into_owned();
    let typed = visible::cut(&typed, TYPED);
    match found {
        Found::Beginning(listed) => Ok(beginning(&typed, listed)),
        Found::Mistyped(nearest) => Ok(mistyped(&typed, nearest)),
        Found::Nothing | Found::Incidents(..) => nothing(&typed, reader, unrecorded),
    }
}

fn beginning(typed: &str, listed: &[Listed]) -> String {
    let count = store::counted(listed.len() as u64, "incident begins", "incidents begin");
    let shown = listed.get(..SHOWN).unwrap_or(listed);
    let newest = if shown.len() < listed.len() {
        format!(" The newest {SHOWN}:")
    } else {
        String::new()
    };
    let list = list(shown);
    format!("error: {count} with `{typed}`; give more of the ID.{newest}\n\n{list}")
}

fn mistyped(typed: &str, nearest: &[Listed]) -> String {
    let wrong = format!("error: `{typed}` has a typing error: its check character does not agree.");
    if nearest.is_empty() {
        return format!(
            "{wrong}\nNothing that is one slip away is in the store either: ask for the ID once more, or for its first eight characters.\n"
        );
    }
    format!("{wrong}\nDid you mean:\n\n{}", list(nearest))
}

fn nothing(typed: &str, reader: &Reader, unrecorded: bool) -> Result<String, StoreError> {
    let mut says = format!("error: nothing in the store has the ID or the reference `{typed}`\n");
    let mut reason = |text: &str| {
        says.push_str("  - ");
        says.push_str(text);
        says.push('\n');
    };
    reason("incidents are kept for `incidents.max_age` and within `incidents.max_size`");
    reason("requests refused with 400, 408, 414 or 431 are in the log only: look for the ID there");
    if unrecorded {
        reason("failures of routes with `record = false` are not kept: look for the ID in the log");
    }
    let losses = reader.losses(None)?;
    if losses.rows > 0 {
        let count = store::counted(losses.rows, "incident was", "incidents were");
        reason(&format!(
            "{count} given up for lack of memory: the log may know the ID"
        ));
    }
    for file in reader.set_aside() {
        let file = visible::line(&file.display().to_string()).into_owned();
        reason(&format!(
            "a damaged file was set aside, which may still know it: --store '{file}'"
        ));
    }
    Ok(says)
}

fn list(listed: &[Listed]) -> String {
    let table = Table::new(Screen::of(&io::stderr()), Timestamp::now());
    listed.iter().map(|one| table.row(one)).collect()
}
