//! Damaged files: what is sound is kept, what is not is set aside and never deleted.

use std::fs;
use std::path::{Path, PathBuf};

use pardon::config;
use pardon::incident::Incidents;
use pardon::incident::store::Reader;
use rusqlite::Connection;

use super::storm::proxy_process::ProxyProcess;
use super::storm::visitors::Visitors;
use super::{has, storm};
use crate::support::{Folder, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pardon");

/// A store as a proxy that was killed has left it, with its log, and the IDs that visitors had received.
fn killed() -> (Folder, Vec<String>) {
    let folder = Folder::new();
    let app = storm::failing_app::start().unwrap();
    let mut proxy = ProxyProcess::start(Path::new(PROGRAM), folder.path(), app, "").unwrap();
    let visitors = Visitors::start(2, proxy.address, "/");
    eventually("some incidents", || {
        let log = fs::metadata(folder.path().join("pardon.db-wal"));
        log.is_ok_and(|log| log.len() > 300_000).then_some(())
    });
    proxy.kill().unwrap();
    (folder, visitors.end().ids)
}

/// A copy of a store and its log in a folder of its own.
fn copy(of: &Folder) -> (Folder, PathBuf) {
    let folder = Folder::new();
    for file in ["pardon.db", "pardon.db-wal"] {
        fs::copy(of.path().join(file), folder.path().join(file)).unwrap();
    }
    let store = folder.path().join("pardon.db");
    (folder, store)
}

/// Opens a store as a proxy does at its start, and ends it again.
fn open(store: &Path) {
    let settings = config::Incidents {
        path: store.to_owned(),
        ..config::Incidents::default()
    };
    let (_, recording) = Incidents::start(&settings).unwrap();
    drop(recording);
}

fn count(store: &Path) -> usize {
    let connection = Connection::open(store).unwrap();
    let sound: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok");
    let count = connection.query_row("SELECT count(*) FROM incidents", [], |row| row.get(0));
    count.unwrap()
}

#[test]
fn a_torn_log_loses_no_more_than_its_last_groups() {
    let (left, ids) = killed();
    let log = fs::read(left.path().join("pardon.db-wal")).unwrap();
    let (_folder, whole) = copy(&left);
    open(&whole);
    let all = count(&whole);
    assert!(all >= ids.len());
    for id in &ids {
        assert!(has(&whole, id), "{id}");
    }
    let from = log.len() - 4096;
    for at in (from..log.len()).step_by(211) {
        let mut flipped = log.clone();
        flipped[at] ^= 1 << (at % 8);
        for torn in [&log[..at], &flipped] {
            let (folder, store) = copy(&left);
            fs::write(folder.path().join("pardon.db-wal"), torn).unwrap();
            open(&store);
            // A commit holds what two visitors have asked for at once, or little more.
            assert!(count(&store) + 8 >= all, "{at}");
            assert!(!set_aside(&folder), "{at}");
        }
    }
}

#[test]
fn a_file_that_is_none_is_set_aside_and_a_new_one_begun() {
    for damage in ["none", "header", "middle"] {
        let (left, ids) = killed();
        let (folder, store) = copy(&left);
        open(&store);
        let mut bytes = fs::read(&store).unwrap();
        match damage {
            "none" => bytes = b"this is no database".to_vec(),
            "header" => bytes[..100].fill(0xaa),
            _ => bytes[100..20_000].fill(0xaa),
        }
        fs::write(&store, &bytes).unwrap();

        open(&store);

        assert!(set_aside(&folder), "{damage}");
        assert_eq!(count(&store), 0, "{damage}");
        assert!(!has(&store, &ids[0]));
        assert!(
            Reader::open(&store)
                .unwrap()
                .losses(None)
                .unwrap()
                .is_none()
        );
    }
}

/// Damage that opening the file does not meet.
#[test]
fn a_file_that_is_damaged_where_only_writing_looks_is_set_aside_too() {
    let (folder, _) = killed();
    let store = folder.path().join("pardon.db");
    open(&store);
    spoil(&store, "incidents_id");
    let app = storm::failing_app::start().unwrap();
    let proxy = ProxyProcess::start(Path::new(PROGRAM), folder.path(), app, "").unwrap();
    let visitors = Visitors::start(1, proxy.address, "/");
    eventually("the file to be set aside", || {
        set_aside(&folder).then_some(())
    });
    let ids = visitors.end().ids;
    assert!(!ids.is_empty());
    for id in &ids {
        eventually("every page's incident in the new file", || {
            has(&store, id).then_some(())
        });
    }
}

/// Overwrites every leaf of an index.
fn spoil(store: &Path, index: &str) {
    let connection = Connection::open(store).unwrap();
    let root: u64 = connection
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?1",
            [index],
            |row| row.get(0),
        )
        .unwrap();
    drop(connection);
    let mut bytes = fs::read(store).unwrap();
    let page = |number: u64| usize::try_from((number - 1) * 8192).unwrap();
    let at = page(root);
    if bytes[at] == 10 {
        // It has no other leaf than its root.
        bytes[at..at + 8192].fill(0xaa);
        fs::write(store, &bytes).unwrap();
        return;
    }
    assert_eq!(bytes[at], 2, "an inner page of an index");
    let children = u16::from_be_bytes([bytes[at + 3], bytes[at + 4]]);
    let mut leaves = vec![u32::from_be_bytes(
        bytes[at + 8..at + 12].try_into().unwrap(),
    )];
    for child in 0..usize::from(children) {
        let cell = at + 12 + 2 * child;
        let cell = at + usize::from(u16::from_be_bytes([bytes[cell], bytes[cell + 1]]));
        leaves.push(u32::from_be_bytes(
            bytes[cell..cell + 4].try_into().unwrap(),
        ));
    }
    for leaf in leaves {
        let at = page(leaf.into());
        bytes[at..at + 8192].fill(0xaa);
    }
    fs::write(store, &bytes).unwrap();
}

/// Whether something was set aside, whole.
fn set_aside(folder: &Folder) -> bool {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.any(|name| name.starts_with("pardon.db.damaged-"))
}
