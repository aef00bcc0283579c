//! The counts of incidents that are alike, hour by hour: what `--group` reads, so that it is fast at any size.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use rusqlite::Connection;

use crate::incident::{Cause, Incident};

use super::hour_of;

/// How many groups an hour has; what is in none of them is counted together, under the fingerprint 0.
const GROUPS: usize = 1000;

const UPSERT: &str =
    "INSERT INTO group_hours (hour, fingerprint, route, status, cause, count, first, last)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
     ON CONFLICT DO UPDATE SET count = count + ?6, first = min(first, ?7), last = max(last, ?8)";

/// What incidents of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    hour: i64,
    fingerprint: i64,
    route: Arc<str>,
    status: u16,
    cause: Cause,
}

#[derive(Clone, Copy)]
struct Tally {
    count: u64,
    first: i64,
    last: i64,
}

/// The counts of one batch, and the groups of the current hour.
#[derive(Default)]
pub(super) struct Groups {
    hour: i64,
    /// The groups that the hour has in the file; none before they were looked up.
    known: Option<HashSet<Key>>,
    /// In the order of the table; so each hour's groups are looked up once.
    batch: BTreeMap<Key, Tally>,
}

impl Groups {
    /// Counts an incident.
    pub(super) fn count(&mut self, seq: i64, incident: &Incident) {
        self.add(
            Key {
                hour: hour_of(seq),
                fingerprint: incident.fingerprint.0.cast_signed(),
                route: Arc::clone(&incident.route),
                status: incident.status().unwrap_or(0),
                cause: incident.cause,
            },
            seq,
        );
    }

    /// Writes the counts of the batch: one upsert a group.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut upsert = connection.prepare_cached(UPSERT)?;
        for (key, tally) in std::mem::take(&mut self.batch) {
            let key = self.admitted(connection, key)?;
            upsert.execute((
                key.hour,
                key.fingerprint,
                &*key.route,
                key.status,
                key.cause.as_str(),
                tally.count,
                tally.first,
                tally.last,
            ))?;
        }
        Ok(())
    }

    /// Forgets the batch, and what it believes to be in the file.
    pub(super) fn clear(&mut self) {
        self.batch.clear();
        self.known = None;
    }

    fn add(&mut self, key: Key, seq: i64) {
        let tally = self.batch.entry(key).or_insert(Tally {
            count: 0,
            first: seq,
            last: seq,
        });
        tally.count += 1;
        tally.first = tally.first.min(seq);
        tally.last = tally.last.max(seq);
    }

    /// The group that an incident is counted in: its own, or the hour's rest.
    fn admitted(&mut self, connection: &Connection, key: Key) -> rusqlite::Result<Key> {
        if self.hour != key.hour {
            self.hour = key.hour;
            self.known = None;
        }
        let known = match &mut self.known {
            Some(known) => known,
            none => none.insert(groups_of(connection, key.hour)?),
        };
        if known.contains(&key) {
            return Ok(key);
        }
        if known.len() < GROUPS {
            known.insert(key.clone());
            return Ok(key);
        }
        Ok(Key {
            fingerprint: 0,
            status: 0,
            ..key
        })
    }
}

fn groups_of(connection: &Connection, hour: i64) -> rusqlite::Result<HashSet<Key>> {
    let sql = "SELECT fingerprint, route, status, cause FROM group_hours WHERE hour = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([hour], |row| {
        Ok(Key {
            hour,
            fingerprint: row.get(0)?,
            route: row.get(1)?,
            status: row.get(2)?,
            cause: super::row::cause(row)?,
        })
    })?;
    rows.collect()
}
