//! The file: opened, brought forward, refused; and what is written comes back.

mod asking;
mod ending;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::*;
use crate::incident::queue::{Entry, Kind, Ticket};
use crate::incident::record::tests::{body, sample};
use crate::incident::{Amendment, BodyRecord, Cause, Fingerprint, Incident};

/// A folder of a test's own; it is removed with this value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pardon-store-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("pardon.db")
    }

    fn open(&self) -> Store {
        Store::open(&self.file(), Sync::Process).unwrap()
    }

    fn refused(&self) -> StoreError {
        Store::open(&self.file(), Sync::Process).err().unwrap()
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.file()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn entry(kind: Kind, incident: Incident) -> Entry {
    Entry::new(kind, Arc::new(incident), Arc::default(), None)
}

fn incident(id: &str, content: &[u8]) -> Incident {
    Incident {
        body: Some(body(content)),
        ..sample(id)
    }
}

/// Writes incidents in one batch.
fn write(store: &mut Store, incidents: impl IntoIterator<Item = Incident>) -> Vec<i64> {
    let each = incidents.into_iter();
    let batch: Vec<Entry> = each.map(|one| entry(Kind::Incident, one)).collect();
    store.write(&batch, &Losses::default()).unwrap();
    batch.iter().map(|entry| entry.ticket.seq()).collect()
}

fn found(reader: &Reader, id: &str) -> Vec<Incident> {
    match reader.find(id).unwrap() {
        Found::Incidents(_, incidents) => incidents,
        _ => Vec::new(),
    }
}

fn count(reader: &Reader, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    reader
        .connection
        .query_row(&sql, [], |row| row.get(0))
        .unwrap()
}

#[test]
fn what_is_written_comes_back_whole() {
    let folder = Folder::new();
    let mut store = folder.open();
    let seqs = write(
        &mut store,
        [sample("id-1"), incident("id-2", b"\0\xff\x1b[2J")],
    );
    let reader = folder.reader();
    for (id, seq) in ["id-1", "id-2"].into_iter().zip(seqs) {
        let [read] = found(&reader, id).try_into().unwrap();
        assert_eq!(read.seq, seq);
        assert_eq!(read.duration, sample(id).duration);
        let mut written = if id == "id-1" {
            sample(id)
        } else {
            incident(id, b"\0\xff\x1b[2J")
        };
        written.seq = seq;
        assert_eq!(
            serde_json::to_string(&read).unwrap(),
            serde_json::to_string(&written).unwrap()
        );
    }
}

#[test]
fn a_file_is_its_owners_and_has_its_settings() {
    let folder = Folder::new();
    let store = folder.open();
    for ending in ["", "-wal", "-shm"] {
        let mode = fs::metadata(beside(&folder.file(), ending))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "pardon.db{ending}");
    }
    for (name, value) in [
        ("page_size", 8192),
        ("auto_vacuum", 2),
        ("secure_delete", 1),
        ("synchronous", 1),
    ] {
        let set: i64 = store
            .connection
            .pragma_query_value(None, name, |row| row.get(0))
            .unwrap();
        assert_eq!(set, value, "{name}");
    }
    let safer = Store::open(&folder.file(), Sync::Disk).unwrap();
    let level = safer
        .connection
        .pragma_query_value(None, "synchronous", |row| row.get(0));
    assert_eq!(level, Ok(2), "each commit reaches the disk");
}

#[test]
fn an_older_file_is_brought_forward_with_what_it_holds() {
    let folder = Folder::new();
    let old = Connection::open(folder.file()).unwrap();
    schema::first_version(&old).unwrap();
    old.execute("INSERT INTO state VALUES ('kept', 'yes')", [])
        .unwrap();
    drop(old);

    let store = folder.open();

    assert_eq!(schema::version(&store.connection).unwrap(), schema::VERSION);
    let kept: String = store
        .connection
        .query_row("SELECT value FROM state", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, "yes");
    assert_eq!(count(&folder.reader(), "failures"), 0, "the view is there");
}

#[test]
fn newer_files_and_those_of_other_programs_are_left_alone() {
    let folder = Folder::new();
    drop(folder.open());
    let connection = Connection::open(folder.file()).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let refused = folder.refused();
    assert!(refused.is_for_a_person());
    assert!(
        refused.to_string().contains("version 99, newer than"),
        "{refused}"
    );
    assert!(Reader::open(&folder.file()).is_err());

    connection.pragma_update(None, "application_id", 7).unwrap();
    assert!(matches!(folder.refused().kind(), Trouble::Foreign));
    let other = Folder::new();
    let connection = Connection::open(other.file()).unwrap();
    connection.execute("CREATE TABLE mine (a)", []).unwrap();
    assert!(matches!(other.refused().kind(), Trouble::Foreign));
}

#[test]
fn a_file_that_nobody_has_written_to_is_said_to_be_empty() {
    let folder = Folder::new();
    fs::write(folder.file(), "").unwrap();
    for refused in [
        Reader::open(&folder.file()).err().unwrap(),
        forget_id(&folder.file(), "id-1").unwrap_err(),
    ] {
        assert!(matches!(refused.kind(), Trouble::Empty), "{refused}");
    }
}

#[test]
fn seqs_are_strictly_ordered_even_when_time_is_not() {
    let folder = Folder::new();
    let times = [
        "2024-02-03T04:05:06Z",
        "2024-02-03T04:05:06Z",
        "2023-01-01T00:00:00Z",
        "2024-02-03T04:05:07Z",
        "1999-01-01T00:00:00Z",
    ];
    let at = |time: &str| Incident {
        time: time.parse().unwrap(),
        ..sample("a")
    };
    let mut seqs = write(&mut folder.open(), times.map(at));
    // A clock that was set back while no process ran.
    seqs.extend(write(&mut folder.open(), [at("2024-02-03T04:05:06Z")]));
    assert!(seqs.is_sorted_by(|one, other| one < other), "{seqs:?}");
    assert_eq!(moment(seqs[3]), times[3].parse().unwrap());
    let newest = folder.open().newest_millis();
    assert_eq!(newest, u64::try_from(seqs[5] >> SEQ_BITS).unwrap());
}

#[test]
fn what_a_late_capture_brings_is_added_and_counted_once() {
    let folder = Folder::new();
    let mut store = folder.open();
    let ticket: Arc<Ticket> = Arc::default();
    let early = Arc::new(Incident {
        settled: false,
        fingerprint: Fingerprint(1),
        ..incident("id-0", b"half")
    });
    let first = Entry::new(
        Kind::Incident,
        Arc::clone(&early),
        Arc::clone(&ticket),
        None,
    );
    store.write(&[first], &Losses::default()).unwrap();
    let reader = folder.reader();
    assert!(reader.groups(&Filter::default(), 9).unwrap().is_empty());
    let mut whole = Incident::clone(&early);
    whole.amend(Amendment {
        body: body(b"the whole"),
        summary: "ValueError: late".to_owned(),
        fingerprint: Fingerprint(2),
        error: None,
        reference: Some("ref-7".to_owned()),
    });
    for _ in 0..2 {
        let amended = Entry::new(
            Kind::Amendment,
            Arc::new(whole.clone()),
            Arc::clone(&ticket),
            None,
        );
        store.write(&[amended], &Losses::default()).unwrap();
    }
    let [read] = found(&reader, "ref-7").try_into().unwrap();
    assert_eq!(
        (read.id.as_str(), read.summary.as_str()),
        ("id-0", "ValueError: late")
    );
    assert_eq!(read.body.unwrap().content, "the whole");
    let groups = reader.groups(&Filter::default(), 9).unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!(
        (groups[0].fingerprint, groups[0].count),
        (Fingerprint(2), 1)
    );
}

#[test]
fn what_a_killed_process_was_still_reading_is_counted_when_the_file_is_opened_again() {
    let folder = Folder::new();
    let unfinished = Incident {
        settled: false,
        ..sample("id-0")
    };
    write(&mut folder.open(), [unfinished]);
    drop(folder.open());
    let groups = folder.reader().groups(&Filter::default(), 9).unwrap();
    assert_eq!(groups[0].count, 1);
    assert!(found(&folder.reader(), "id-0")[0].settled);
}

#[test]
fn a_batch_that_fails_leaves_nothing_behind() {
    let folder = Folder::new();
    let mut store = folder.open();
    let holder = Connection::open(folder.file()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    store.connection.busy_timeout(Duration::ZERO).unwrap();
    let batch = [entry(Kind::Incident, incident("id-0", b"text"))];
    let error = store.write(&batch, &Losses::default()).unwrap_err();
    assert!(matches!(error.kind(), Trouble::Locked(_)), "{error}");
    holder.execute_batch("ROLLBACK").unwrap();
    store.write(&batch, &Losses::default()).unwrap();
    assert_eq!(found(&folder.reader(), "id-0").len(), 1);
    assert_eq!(
        folder.reader().groups(&Filter::default(), 9).unwrap()[0].count,
        1
    );
}
