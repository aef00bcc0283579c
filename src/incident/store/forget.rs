//! Forgetting: what is stored of a request or of a visitor goes, and leaves nothing behind in the file or the write-ahead log.
//!
//! Deleted content is overwritten with zeros, and the log is cut to nothing afterwards, whoever else has the store open. A body that equal
//! ones of other visitors share stays with those.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::row::{self, COLUMNS};
use super::{
    StoreError, Trouble, aside, check_for_reading, connect, hour_of, hour_start, may_read,
};
use crate::incident::Incident;

/// How many rows go in one transaction: the proxy's commits wait no longer than that.
const AT_ONCE: usize = 100;
/// How long the log is tried to be cut while others hold it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// How many incidents.
    pub incidents: u64,
    /// How many refusals.
    pub refusals: u64,
    /// Whether the write-ahead log holds nothing of it any more; if not, another process has kept it from being cut.
    pub log_cut: bool,
    /// Damaged files that were set aside, and may still hold some of it.
    pub set_aside: Vec<PathBuf>,
}

/// Forgets every incident and refusal with exactly this ID.
///
/// # Errors
///
/// When the store cannot be written.
pub fn forget_id(path: &Path, id: &str) -> Result<Forgotten, StoreError> {
    forget(path, |connection, table| {
        let sql = format!("SELECT seq FROM {table} WHERE id = ?1");
        let mut statement = connection.prepare(&sql)?;
        let found = statement.query_map([id], |row| row.get(0))?;
        found.collect()
    })
}

/// Forgets every incident and refusal of a visitor: those recorded under this address, and those in whose headers it stands.
///
/// # Errors
///
/// When the store cannot be written.
pub fn forget_client(path: &Path, client: IpAddr) -> Result<Forgotten, StoreError> {
    let address = client.to_canonical();
    forget(path, |connection, table| {
        let sql = format!("SELECT {COLUMNS} FROM {table}");
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        let mut found = BTreeSet::new();
        while let Some(row) = rows.next()? {
            // A row that cannot be read any more is left for `show` to complain about.
            let incident = row::read(row, None);
            if incident.is_ok_and(|incident| names(&incident, address)) {
                found.insert(row.get("seq")?);
            }
        }
        Ok(found)
    })
}

/// Whether an incident tells of this visitor.
fn names(incident: &Incident, client: IpAddr) -> bool {
    let told = client.to_string();
    let stands_in = |value: &str| {
        let apart = |letter: char| !(letter.is_ascii_hexdigit() || matches!(letter, '.' | ':'));
        let mut words = value.split(apart);
        words
            .any(|word| word == told || word.rsplit_once(':').is_some_and(|(host, _)| host == told))
    };
    let headers = incident.request.headers.iter();
    incident.request.client == Some(client)
        || headers.map(|field| field.value.as_str()).any(stands_in)
}

fn forget(
    path: &Path,
    find: impl Fn(&Connection, &str) -> rusqlite::Result<BTreeSet<i64>>,
) -> Result<Forgotten, StoreError> {
    let wrong = |kind: Trouble| StoreError::new(path, kind);
    if let Err(error) = may_read(path) {
        return Err(wrong(error.into()));
    }
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
    let connection = connection.map_err(|error| wrong(error.into()))?;
    check_for_reading(&connection).map_err(wrong)?;
    let forgotten = forget_in(&connection, find).map_err(|error| wrong(error.into()))?;
    Ok(Forgotten {
        set_aside: aside::set_aside_of(path),
        ..forgotten
    })
}

fn forget_in(
    connection: &Connection,
    find: impl Fn(&Connection, &str) -> rusqlite::Result<BTreeSet<i64>>,
) -> rusqlite::Result<Forgotten> {
    connection.pragma_update(None, "secure_delete", true)?;
    let incidents: Vec<i64> = find(connection, "incidents")?.into_iter().collect();
    for some in incidents.chunks(AT_ONCE) {
        in_one(connection, some, forget_incident)?;
    }
    let refusals: Vec<i64> = find(connection, "refusals")?.into_iter().collect();
    for some in refusals.chunks(AT_ONCE) {
        in_one(connection, some, |connection, seq| {
            let sql = "DELETE FROM refusals WHERE seq = ?1";
            connection.prepare_cached(sql)?.execute([seq]).map(drop)
        })?;
    }
    Ok(Forgotten {
        incidents: incidents.len() as u64,
        refusals: refusals.len() as u64,
        log_cut: cut_log(connection)?,
        set_aside: Vec::new(),
    })
}

fn in_one(
    connection: &Connection,
    seqs: &[i64],
    forget: impl Fn(&Connection, i64) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    for seq in seqs {
        forget(connection, *seq)?;
    }
    transaction.commit()
}

fn forget_incident(connection: &Connection, seq: i64) -> rusqlite::Result<()> {
    uncount(connection, seq)?;
    let sql = "SELECT body FROM incidents WHERE seq = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let body: Option<i64> = match statement.query_row([seq], |row| row.get(0)) {
        // Retention was faster.
        Err(rusqlite::Error::QueryReturnedNoRows) => return Ok(()),
        body => body?,
    };
    let sql = "DELETE FROM incidents WHERE seq = ?1";
    connection.prepare_cached(sql)?.execute([seq])?;
    for body in [Some(seq), body].into_iter().flatten() {
        let sql = "DELETE FROM bodies WHERE seq = ?1
                   AND NOT EXISTS (SELECT 1 FROM incidents WHERE seq = ?1 AND body = ?1)
                   AND NOT EXISTS (SELECT 1 FROM incidents WHERE body = ?1 AND body <> seq)";
        connection.prepare_cached(sql)?.execute([body])?;
    }
    Ok(())
}

/// Takes an incident out of the counts of its group.
fn uncount(connection: &Connection, seq: i64) -> rusqlite::Result<()> {
    let hour = hour_of(seq);
    let mine = "(hour, fingerprint, route, status, cause) = (SELECT ?2, fingerprint, route, coalesce(status, 0), cause
                FROM incidents WHERE seq = ?1 AND settled = 1)";
    let rest = "hour = ?2 AND fingerprint = 0 AND (route, cause) = (SELECT route, cause FROM incidents WHERE seq = ?1 AND settled = 1)";
    for group in [mine, rest] {
        let sql = format!("UPDATE group_hours SET count = count - 1 WHERE {group}");
        if connection.prepare_cached(&sql)?.execute((seq, hour))? > 0 {
            break;
        }
    }
    let sql = "DELETE FROM group_hours WHERE hour = ?1 AND count <= 0";
    connection.prepare_cached(sql)?.execute([hour])?;
    let sql = "UPDATE group_hours SET last = coalesce((SELECT max(seq) FROM incidents AS other
                   WHERE other.seq BETWEEN ?3 AND ?4 AND other.seq <> ?2 AND group_hours.fingerprint IN (0, other.fingerprint)
                   AND other.route = group_hours.route), first)
               WHERE hour = ?1 AND last = ?2";
    let (from, to) = (hour_start(hour), hour_start(hour + 1) - 1);
    connection
        .prepare_cached(sql)?
        .execute((hour, seq, from, to))
        .map(drop)
}

/// Brings the log into the file and cuts it to nothing; false when others have held it all the time.
fn cut_log(connection: &Connection) -> rusqlite::Result<bool> {
    let until = Instant::now() + PATIENCE;
    loop {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let held: bool = connection.query_row(sql, [], |row| row.get(0))?;
        if !held {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(10));
    }
}
