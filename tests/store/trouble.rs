//! The disk against us: pages go on, what is wrong is said once, and once that it is well again.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use pardon::incident::store::{Found, Reader};
use rusqlite::Connection;

use super::{has, storm};
use crate::support::{Folder, Program, Said, eventually, said};

const WRONG: &str = "incidents are not stored";
const WELL: &str = "incidents are stored again";

/// The arguments, and the configuration in a folder, of a proxy before an app that always fails; its store is at `path`.
fn before(app: SocketAddr, path: &str) -> (Folder, [&'static str; 3]) {
    let folder = Folder::new();
    folder.write(
        "pardon.toml",
        format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n[admin]\nlisten = []\n[incidents]\npath = \"{path}\"\n\
             [upstreams.app]\nendpoints = [\"http://{app}\"]\n"
        ),
    );
    (folder, ["run", "--config", "pardon.toml"])
}

fn run(path: &str) -> Program {
    let app = storm::failing_app::start().unwrap();
    let (folder, arguments) = before(app, path);
    let mut command = folder.command(&arguments);
    Program::run(folder, &mut command)
}

fn run_on_disk(mount: &str) -> Program {
    let app = storm::failing_app::start().unwrap();
    let (folder, arguments) = before(app, "disk/pardon.db");
    let mut command = folder.command_on_disk(mount, &arguments);
    Program::run(folder, &mut command)
}

/// Asks once, sees a page, and gives its ID.
fn page(program: &Program) -> String {
    let answer = program.get("/", "Accept: text/html\r\n");
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains(answer.id()));
    answer.id().to_owned()
}

/// Everything that was asked is found, once the store is well again, and both were said once.
fn all_is_well_again(program: &Program, store: &Path, ids: &[String]) {
    program.line(WELL);
    eventually("all to be stored", || {
        // SQLite itself cannot follow the path into another process's view of the disk.
        let copy = Folder::new();
        for ending in ["", "-wal"] {
            let name = format!("pardon.db{ending}");
            fs::copy(
                format!("{}{ending}", store.display()),
                copy.path().join(name),
            )
            .ok()?;
        }
        let reader = Reader::open(&copy.path().join("pardon.db")).ok()?;
        let found = |id: &String| matches!(reader.find(id), Ok(Found::Incidents(..)));
        ids.iter().all(found).then_some(())
    });
    assert_eq!(program.count(WRONG), 1, "{:?}", program.lines());
    assert_eq!(program.count(WELL), 1, "{:?}", program.lines());
}

#[test]
fn a_folder_that_is_not_there_yet() {
    let program = run("later/pardon.db");
    let mut ids = vec![page(&program)];
    let line = program.line(WRONG);
    assert!(line.contains("later/pardon.db"), "{line}");
    let line = program.incident(&ids[0]);
    let record = line["record"].as_str().expect("the whole record");
    assert!(record.contains("ValueError: no price"));
    ids.push(page(&program));

    fs::create_dir(program.folder().path().join("later")).unwrap();

    all_is_well_again(
        &program,
        &program.folder().path().join("later/pardon.db"),
        &ids,
    );
}

#[test]
fn a_full_disk() {
    let program = run_on_disk("-o size=2m");
    let mut ids = vec![page(&program)];
    fs::write(program.disk().join("ballast"), vec![1; 1_300_000]).unwrap();
    while program.count(WRONG) == 0 {
        ids.push(page(&program));
        assert!(ids.len() < 5000, "the disk is never full");
    }
    ids.push(page(&program));
    let line = program.line(WRONG);
    assert!(line.contains("make room on its disk"), "{line}");

    fs::remove_file(program.disk().join("ballast")).unwrap();

    all_is_well_again(&program, &program.disk().join("pardon.db"), &ids);
}

#[test]
fn a_disk_that_is_read_only() {
    let program = run_on_disk("-o ro");
    let ids = vec![page(&program), page(&program)];
    let line = program.line(WRONG);
    assert!(line.contains("ead-only"), "{line}");

    let mut remount = Command::new("nsenter");
    let number = program.number().to_string();
    remount.args(["--mount", "--target", &number, "mount", "-o", "remount,rw"]);
    let done = said(remount.arg(program.folder().path().join("disk")));
    assert_eq!(done.code, Some(0), "{}", done.err);

    all_is_well_again(&program, &program.disk().join("pardon.db"), &ids);
}

#[test]
fn a_file_that_another_process_has_locked() {
    let program = run("pardon.db");
    let store = program.folder().path().join("pardon.db");
    let mut ids = vec![page(&program)];
    let other = Connection::open(&store).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    ids.push(page(&program));
    let line = program.line(WRONG);
    assert!(line.contains("another process holds"), "{line}");
    ids.push(page(&program));

    other.execute_batch("ROLLBACK").unwrap();

    all_is_well_again(&program, &store, &ids);
    let losses = eventually("the late ones to be counted", || {
        let losses = Reader::open(&store).unwrap().losses(None).unwrap();
        (losses.unconfirmed >= 2).then_some(losses)
    });
    assert_eq!((losses.bodies, losses.rows), (0, 0));
}

/// What there is no memory for is given up, bodies first, and counted where a person sees it.
#[test]
fn a_storm_that_nothing_can_be_written_of() {
    let app = storm::failing_app::start().unwrap();
    let (folder, arguments) = before(app, "pardon.db");
    let config = folder.read("pardon.toml");
    let small = "[incidents]\nmemory = \"256KiB\"\ncommit_wait = \"1ms\"";
    folder.write("pardon.toml", config.replace("[incidents]", small));
    let mut command = folder.command(&arguments);
    let program = Program::run(folder, &mut command);
    page(&program);
    let store = program.folder().path().join("pardon.db");
    let other = Connection::open(&store).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let ids: Vec<_> = (0..400).map(|_| page(&program)).collect();
    other.execute_batch("ROLLBACK").unwrap();
    program.line(WELL);

    let shown = eventually("the losses to be counted", || {
        let said = program
            .folder()
            .pardon(&["incidents", "--store", "pardon.db"]);
        said.out.contains("given up").then_some(said.out)
    });

    let losses = Reader::open(&store).unwrap().losses(None).unwrap();
    assert!(losses.bodies > losses.rows && losses.rows > 0, "{losses:?}");
    let counted = format!("{} bodies, {} incidents", losses.bodies, losses.rows);
    assert!(shown.contains(&counted), "{counted}: {shown}");
    let newest = ids.last().unwrap();
    eventually("the newest to be stored", || {
        has(&store, newest).then_some(())
    });
}

/// Its log cannot begin anew as long as somebody reads it.
#[test]
fn a_reader_that_does_not_let_go() {
    let app = storm::failing_app::start().unwrap();
    let (folder, arguments) = before(app, "pardon.db");
    let config = folder.read("pardon.toml");
    let small = "[incidents]\nmax_size = \"4MiB\"";
    folder.write("pardon.toml", config.replace("[incidents]", small));
    let mut command = folder.command(&arguments);
    let program = Program::run(folder, &mut command);
    page(&program);
    let store = program.folder().path().join("pardon.db");
    let reader = Connection::open(&store).unwrap();
    let count = "BEGIN; SELECT count(*) FROM incidents";
    reader.execute_batch(count).unwrap();
    let mut asked = 0;
    while program.count(WRONG) == 0 {
        page(&program);
        asked += 1;
        assert!(asked < 5000, "the log has no bound");
    }
    let line = program.line(WRONG);
    assert!(line.contains("has been reading the store"), "{line}");
    let id = page(&program);

    reader.execute_batch("ROLLBACK").unwrap();

    all_is_well_again(&program, &store, &[id]);
}

#[test]
fn a_file_that_is_taken_away_while_it_is_used() {
    let program = run("pardon.db");
    let store = program.folder().path().join("pardon.db");
    page(&program);
    for file in ["pardon.db", "pardon.db-wal", "pardon.db-shm"] {
        fs::remove_file(program.folder().path().join(file)).unwrap();
    }
    program.line("the store's file is gone, or its log");
    let id = page(&program);
    eventually("the new file", || store.exists().then_some(()));
    eventually("the incident", || has(&store, &id).then_some(()));
}

#[test]
fn two_processes_on_one_store() {
    let first = run("pardon.db");
    let id = page(&first);
    let config = first.folder().path().join("pardon.toml");

    let second = refused(
        first.folder().path(),
        &["run", "--config", config.to_str().unwrap()],
    );

    assert_eq!(second.code, Some(1));
    let says = format!("in use by another process ({})", first.number());
    assert!(second.err.contains(&says), "{}", second.err);
    assert!(second.err.contains("--store FILE"), "{}", second.err);
    assert!(has(&first.folder().path().join("pardon.db"), &id));
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let (folder, arguments) = before("127.0.0.1:9".parse().unwrap(), "pardon.db");
    let connection = Connection::open(folder.path().join("pardon.db")).unwrap();
    connection
        .pragma_update(None, "application_id", 0x5052_444e)
        .unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let bytes = fs::read(folder.path().join("pardon.db")).unwrap();

    let second = refused(folder.path(), &arguments);

    assert_eq!(second.code, Some(1));
    assert!(
        second.err.contains("has version 99, newer than"),
        "{}",
        second.err
    );
    assert_eq!(fs::read(folder.path().join("pardon.db")).unwrap(), bytes);
}

fn refused(folder: &Path, arguments: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pardon"));
    said(command.current_dir(folder).args(arguments))
}
