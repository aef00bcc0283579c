//! The store: one `SQLite` file in which every incident is found by its ID.
//!
//! In go batches of what the queue holds, each one transaction; out come committed rows, and through [`Reader`] what a
//! person asks for. One process writes, as `pardon.db.lock` says; any number read, while it runs. The file is made with mode 0600, and
//! what is deleted from it is overwritten with zeros.
//!
//! Bounds: `incidents.max_size` and `max_age` (`retention.rs`), 10,000 refusals, 1,000 groups an hour.

mod aside;
mod bodies;
mod checkpoint;
mod error;
mod filter;
mod forget;
mod grouped;
mod groups;
mod lock;
mod losses;
mod pack;
mod reader;
mod retention;
mod row;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::config::Sync;
use crate::request_id::EPOCH_MILLIS;

use bodies::RecentBodies;
use groups::Groups;
use pack::Packer;

pub(super) use aside::set_aside;
pub(super) use checkpoint::{Checkpoints, Gate};
pub use error::{StoreError, Trouble};
pub use filter::{Filter, since};
pub use forget::{Forgotten, forget_client, forget_id};
pub use grouped::{Group, Headline};
pub(super) use lock::Lock;
pub use lock::is_in_use;
pub use losses::Losses;
pub use reader::{Found, How, Listed, Reader};
pub(super) use retention::{Limits, Written};

/// Bits of a `seq` below its milliseconds.
const SEQ_BITS: u32 = 20;
/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;
/// How long a statement waits for another process's lock.
const PATIENCE: Duration = Duration::from_secs(1);

/// The file, open for writing.
pub(super) struct Store {
    path: PathBuf,
    connection: Connection,
    /// Device and inode: another file may take the path.
    identity: (u64, u64),
    /// The largest `seq` given.
    newest: i64,
    refusals: u64,
    bodies: RecentBodies,
    groups: Groups,
    packer: Packer,
}

impl Store {
    /// Opens the file, or makes it, and brings it to this version. To be called by the holder of its [`Lock`].
    pub(super) fn open(path: &Path, sync: Sync) -> Result<Self, StoreError> {
        let wrong = |kind: Trouble| StoreError::new(path, kind);
        make(path).map_err(|error| wrong(error.into()))?;
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .map_err(|error| wrong(error.into()))?;
        // Whatever is found wrong with the file, its log stays as it is.
        keep_log(&connection, true).map_err(|error| wrong(error.into()))?;
        check(&connection).map_err(wrong)?;
        prepare(&mut connection, sync).map_err(|error| wrong(error.into()))?;
        let mut store = Self {
            path: path.to_owned(),
            identity: identity(path).map_err(|error| wrong(error.into()))?,
            newest: newest(&connection).map_err(|error| wrong(error.into()))?,
            refusals: count_refusals(&connection).map_err(|error| wrong(error.into()))?,
            connection,
            bodies: RecentBodies::default(),
            groups: Groups::default(),
            packer: Packer::default(),
        };
        store.settle().map_err(|error| wrong(error.into()))?;
        keep_log(&store.connection, false).map_err(|error| wrong(error.into()))?;
        Ok(store)
    }

    /// The time of the newest row, in milliseconds since 2020; 0 when there is none.
    pub(super) fn newest_millis(&self) -> u64 {
        u64::try_from(self.newest >> SEQ_BITS).unwrap_or(0)
    }

    /// Whether the path still leads to the file that is open, and to its log.
    pub(super) fn is_in_place(&self) -> bool {
        let same = identity(&self.path).is_ok_and(|found| found == self.identity);
        same && beside(&self.path, "-wal").exists()
    }

    fn error(&self, error: rusqlite::Error) -> StoreError {
        let error = StoreError::new(&self.path, error);
        if matches!(error.kind(), Trouble::Damaged(_)) {
            // What cannot be set is set aside with what SQLite made of it.
            let _ = keep_log(&self.connection, true);
        }
        error
    }
}

/// The first `seq` of a moment.
fn seq_at(time: Timestamp) -> i64 {
    let epoch = i64::try_from(EPOCH_MILLIS).unwrap_or(0);
    (time.as_millisecond() - epoch).clamp(0, i64::MAX >> SEQ_BITS) << SEQ_BITS
}

/// The moment of a `seq`.
fn moment(seq: i64) -> Timestamp {
    let epoch = i64::try_from(EPOCH_MILLIS).unwrap_or(0);
    Timestamp::from_millisecond((seq >> SEQ_BITS) + epoch).unwrap_or(Timestamp::MAX)
}

/// The hour of a `seq`, counted from 2020.
fn hour_of(seq: i64) -> i64 {
    (seq >> SEQ_BITS) / HOUR
}

/// The first `seq` of an hour.
fn hour_start(hour: i64) -> i64 {
    (hour * HOUR) << SEQ_BITS
}

/// Makes an empty file that only its owner may read; `SQLite` gives its other files the same mode.
fn make(path: &Path) -> io::Result<()> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Without it a statement with a LIMIT is prepared anew each time that a value is bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

/// Whether the log stays as it is when the last connection is closed, rather than being brought into the file.
fn keep_log(connection: &Connection, keep: bool) -> rusqlite::Result<()> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep)
        .map(drop)
}

/// Whether the file is a store of a version that is known, or empty.
fn check(connection: &Connection) -> Result<(), Trouble> {
    let (application, version) = (
        schema::application_id(connection)?,
        schema::version(connection)?,
    );
    if application != schema::APPLICATION_ID && (application != 0 || !schema::is_empty(connection)?)
    {
        return Err(Trouble::Foreign);
    }
    if version > schema::VERSION {
        return Err(Trouble::Newer(version));
    }
    Ok(())
}

/// Whether there is a file that this user may read. It is not opened for that: closed again, it would take the locks with it that
/// this process's own connections hold (POSIX locks are the process's, not the descriptor's).
fn may_read(path: &Path) -> io::Result<()> {
    rustix::fs::access(path, rustix::fs::Access::READ_OK).map_err(io::Error::from)
}

/// Whether the file is a store of a version that is known; one that has been made but not written to holds nothing to read.
fn check_for_reading(connection: &Connection) -> Result<(), Trouble> {
    check(connection)?;
    match schema::version(connection)? {
        0 => Err(Trouble::Empty),
        _ => Ok(()),
    }
}

/// The settings of a writer, and the tables. Measured choices: pages of 8 KiB, checkpoints elsewhere.
fn prepare(connection: &mut Connection, sync: Sync) -> rusqlite::Result<()> {
    if schema::is_empty(connection)? {
        connection.pragma_update(None, "page_size", 8192)?;
        connection.pragma_update(None, "auto_vacuum", "incremental")?;
    }
    connection.pragma_update(None, "journal_mode", "wal")?;
    let level = match sync {
        Sync::Process => "normal",
        Sync::Disk => "full",
    };
    connection.pragma_update(None, "synchronous", level)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "cache_size", -4096)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(32);
    if schema::version(connection)? < schema::VERSION {
        schema::migrate(connection)?;
    }
    Ok(())
}

fn newest(connection: &Connection) -> rusqlite::Result<i64> {
    let of = |table: &str| {
        let sql = format!("SELECT coalesce(max(seq), 0) FROM {table}");
        connection.query_row(&sql, [], |row| row.get::<_, i64>(0))
    };
    Ok(of("incidents")?.max(of("refusals")?))
}

fn count_refusals(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT count(*) FROM refusals", [], |row| row.get(0))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

/// The name of one of the file's companions: `-wal`, `.lock`.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
