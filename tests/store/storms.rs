//! Storms: nothing that a visitor has seen is lost, not even when the process is killed in the middle of it.

use std::path::Path;

use super::storm::kills;
use crate::support::Folder;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pardon");

/// Invariant 2.
#[test]
fn every_id_that_was_received_is_found_after_the_process_was_killed() {
    let folder = Folder::new();

    // Longer than a busy machine makes a thread wait: what is unconfirmed then was not written.
    let toml = "incidents.commit_wait = \"2s\"";

    let report = kills::run(Path::new(PROGRAM), folder.path(), toml, 5, 7).unwrap();

    assert!(report.is_good(), "{report}");
    assert!(report.received > 200, "{report}");
}
