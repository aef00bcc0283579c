//! Which store is asked, and what is said where it cannot be.

use std::fs;

use rusqlite::Connection;

use super::{failing, json};
use crate::support::{Folder, Program, Said, said};

const COMMANDS: [&[&str]; 3] = [&["show", "0S9Y"], &["incidents"], &["forget", "0S9Y"]];

/// Fails unless a command was refused with this; gives what it said.
#[track_caller]
fn assert_refused(said: &Said, error: &str, hint: &str) {
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(1), ""),
        "{}",
        said.err
    );
    let expected = if hint.is_empty() {
        format!("error: {error}\n")
    } else {
        format!("error: {error}\n  hint: {hint}\n")
    };
    assert_eq!(said.err, expected);
}

#[test]
fn a_store_that_is_not_there_is_named_with_its_whole_path() {
    let folder = Folder::new();
    let path = folder.path().join("pardon.db");
    let hint = "name the file with --store FILE, or the configuration with --config FILE";
    for command in COMMANDS {
        let error = format!("there is no store at `{}`", path.display());
        assert_refused(&folder.pardon(command), &error, hint);
    }
    folder.write("pardon.db", "");
    for command in COMMANDS {
        let error = format!(
            "`{}` is empty: no Pardon has written to it yet",
            path.display()
        );
        assert_refused(&folder.pardon(command), &error, hint);
    }
}

#[test]
fn files_of_others_and_of_newer_versions_are_left_alone() {
    let folder = Folder::new();
    let path = folder.path().join("pardon.db");
    let file = Connection::open(&path).unwrap();
    file.execute_batch("CREATE TABLE mine (a)").unwrap();
    let before = fs::read(&path).unwrap();
    for command in COMMANDS {
        let error = format!("`{}` is a SQLite file of another program", path.display());
        let hint = "name another file: --store FILE, or incidents.path";
        assert_refused(&folder.pardon(command), &error, hint);
    }
    assert_eq!(fs::read(&path).unwrap(), before);

    let ours = 0x5052_444e;
    file.pragma_update(None, "application_id", ours).unwrap();
    file.pragma_update(None, "user_version", 99).unwrap();
    for command in COMMANDS {
        let said = folder.pardon(command);
        assert_eq!(said.code, Some(1));
        assert!(
            said.err.contains("has version 99, newer than"),
            "{}",
            said.err
        );
        assert!(
            said.err.contains("  hint: run the newer version"),
            "{}",
            said.err
        );
    }
    drop(file);
    fs::write(
        &path,
        "no database, but long enough to be taken for one".repeat(99),
    )
    .unwrap();
    for command in COMMANDS {
        let said = folder.pardon(command);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
        assert!(said.err.contains("file is not a database"), "{}", said.err);
    }
}

#[test]
fn the_store_is_that_of_the_configuration() {
    let settings = "[incidents]\npath = \"kept/own.db\"\n";
    let origin = failing();
    let (folder, arguments) = Program::file(&origin, settings);
    fs::create_dir(folder.path().join("kept")).unwrap();
    let mut command = folder.command(&arguments);
    let program = Program::run(folder, &mut command);
    let id = program.get("/", "").id().to_owned();
    let folder = program.folder();
    assert_eq!(
        folder.pardon(&["show", &id]).code,
        Some(0),
        "by ./pardon.toml"
    );
    fs::rename(
        folder.path().join("pardon.toml"),
        folder.path().join("moved.toml"),
    )
    .unwrap();
    assert_eq!(folder.pardon(&["show", &id]).code, Some(1));
    let named = ["show", &id, "--config", "moved.toml"];
    assert_eq!(folder.pardon(&named).code, Some(0), "by --config");
    let mut command = folder.command(&["show", &id]);
    assert_eq!(
        said(command.env("PARDON_CONFIG", "moved.toml")).code,
        Some(0)
    );
    let mut command = folder.command(&["show", &id]);
    assert_eq!(
        said(command.env("PARDON_STORE", "kept/own.db")).code,
        Some(0)
    );
    let wrong = ["show", &id, "--config", "moved.toml", "--store", "no.db"];
    assert_eq!(
        folder.pardon(&wrong).code,
        Some(1),
        "--store counts instead"
    );
    let missing = folder.pardon(&["show", &id, "--config", "no.toml"]);
    assert!(
        missing.err.contains("cannot read `no.toml`"),
        "{}",
        missing.err
    );
    // The running process has read an earlier one.
    folder.write(
        "moved.toml",
        format!("{settings}[server]\ndrian = \"8s\"\n"),
    );
    assert_eq!(folder.pardon(&named).code, Some(0));
}

#[test]
fn a_process_of_flags_alone_has_the_store_of_its_folder() {
    let origin = failing();
    let folder = Folder::new();
    folder.write("pardon.toml", "[incidents]\npath = \"elsewhere.db\"\n");
    let mut command = folder.command(&["run", "--listen", "127.0.0.1:0"]);
    command.env("PARDON_UPSTREAM", origin.url());
    let program = Program::run(folder, &mut command);
    let id = program.get("/", "").id().to_owned();
    let mut command = program.folder().command(&["show", &id, "--json"]);
    let found = json(&said(command.env("PARDON_UPSTREAM", origin.url())));
    assert_eq!(found[0]["id"], id.as_str());
}

#[test]
fn a_store_whose_process_was_killed_is_read() {
    let origin = failing();
    let (folder, arguments) = Program::file(&origin, "");
    let mut command = folder.command(&arguments);
    let mut program = Program::run(folder, &mut command);
    let id = program.get("/", "").id().to_owned();
    program.signal("KILL");
    program.ended();
    let said = program.folder().pardon(&["show", &id]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
}
