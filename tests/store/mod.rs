//! Every ID that a visitor has seen can be looked up, whatever the disk does.

mod damage;
mod storms;
mod trouble;

use std::path::Path;

use pardon::incident::store::{Found, Reader};

#[path = "../../examples/storm/main.rs"]
#[expect(dead_code, reason = "its main is for those who run it longer")]
mod storm;

/// Whether a store, if it is one already, has an incident with this ID, and its body.
fn has(store: &Path, id: &str) -> bool {
    let found = Reader::open(store).and_then(|reader| reader.find(id));
    match found.unwrap_or(Found::Nothing) {
        Found::Incidents(_, found) => found.iter().any(|incident| incident.body.is_some()),
        _ => false,
    }
}
