//! Batches: what has come in since the last commit, written in one transaction.

use std::sync::LazyLock;

use rusqlite::{CachedStatement, Connection, Transaction, TransactionBehavior};

use crate::incident::Incident;
use crate::incident::queue::{Entry, Kind};

use super::bodies::RecentBodies;
use super::groups::Groups;
use super::pack::Packer;
use super::row::{self, COLUMNS};
use super::{Losses, Store, StoreError, hour_of, seq_at};

/// How many refusals are kept.
const REFUSALS: u64 = 10_000;

static INSERT: LazyLock<String> = LazyLock::new(|| row::insert_into("incidents"));
static INSERT_REFUSAL: LazyLock<String> = LazyLock::new(|| row::insert_into("refusals"));
const AMEND: &str = "UPDATE incidents SET summary = ?2, fingerprint = ?3, reference = ?4, settled = ?5, body = ?6, detail = ?7
     WHERE seq = ?1";
const HAS_BODY: &str = "SELECT 1 FROM bodies WHERE seq = ?1";
const KEEP_BODY: &str = "INSERT OR REPLACE INTO bodies (seq, content) VALUES (?1, ?2)";

impl Store {
    /// Writes a batch whole or not at all, in the order in which it came, and sets the `seq` of its tickets.
    pub(in crate::incident) fn write(
        &mut self,
        batch: &[Entry],
        losses: &Losses,
    ) -> Result<(), StoreError> {
        let newest = self.newest;
        let refusals = self.refusals;
        self.try_write(batch, losses).map_err(|error| {
            self.newest = newest;
            self.refusals = refusals;
            self.bodies.clear();
            self.groups.clear();
            self.error(error)
        })
    }

    fn try_write(&mut self, batch: &[Entry], losses: &Losses) -> rusqlite::Result<()> {
        let work = Work::begin(&self.connection)?;
        let mut pen = Pen {
            connection: &self.connection,
            insert: self.connection.prepare_cached(&INSERT)?,
            keep_body: self.connection.prepare_cached(KEEP_BODY)?,
            has_body: None,
            bodies: &mut self.bodies,
            groups: &mut self.groups,
            packer: &mut self.packer,
            newest: &mut self.newest,
            refusals: &mut self.refusals,
        };
        for entry in batch {
            pen.write(entry)?;
        }
        pen.finish(losses)?;
        drop(pen);
        work.commit()
    }

    /// Counts what a process left behind that was killed while it read their bodies.
    pub(super) fn settle(&mut self) -> Result<(), rusqlite::Error> {
        let transaction =
            Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let left = {
            let sql = format!("SELECT {COLUMNS} FROM incidents WHERE settled = 0");
            let mut statement = self.connection.prepare(&sql)?;
            let rows = statement.query_map([], |row| row::read(row, None))?;
            rows.collect::<rusqlite::Result<Vec<Incident>>>()?
        };
        for incident in &left {
            self.groups.count(incident.seq, incident);
        }
        self.groups.write(&self.connection)?;
        self.connection
            .execute("UPDATE incidents SET settled = 1 WHERE settled = 0", [])?;
        transaction.commit()
    }
}

/// A transaction that is undone unless it is committed. Its statements are kept prepared, unlike those of [`Transaction`].
struct Work<'a>(&'a Connection);

impl<'a> Work<'a> {
    fn begin(connection: &'a Connection) -> rusqlite::Result<Self> {
        // Taken at once: a reader's lock that had to grow could meet another writer's.
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Self(connection))
    }

    fn commit(self) -> rusqlite::Result<()> {
        self.0.prepare_cached("COMMIT")?.execute([]).map(drop)
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            // What cannot be undone now is undone by whoever opens the file next.
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}

/// One transaction's hand: its statements, and what they change in memory.
struct Pen<'a> {
    connection: &'a Connection,
    insert: CachedStatement<'a>,
    keep_body: CachedStatement<'a>,
    /// Prepared for the first body that an equal one is known of.
    has_body: Option<CachedStatement<'a>>,
    bodies: &'a mut RecentBodies,
    groups: &'a mut Groups,
    packer: &'a mut Packer,
    newest: &'a mut i64,
    refusals: &'a mut u64,
}

impl Pen<'_> {
    fn write(&mut self, entry: &Entry) -> rusqlite::Result<()> {
        let incident = &*entry.incident;
        match entry.kind {
            Kind::Incident => {
                let seq = self.next_seq(incident);
                self.insert(seq, incident)?;
                entry.ticket.set_seq(seq);
            }
            Kind::Amendment => self.amend(entry.ticket.seq(), incident)?,
            Kind::Refusal => {
                let seq = self.next_seq(incident);
                let mut statement = self.connection.prepare_cached(&INSERT_REFUSAL)?;
                row::insert(&mut statement, seq, incident, None, self.packer)?;
                *self.refusals += 1;
            }
        }
        Ok(())
    }

    /// Milliseconds since 2020 and a count, always above the one before, wherever the clock has gone.
    fn next_seq(&mut self, incident: &Incident) -> i64 {
        *self.newest = seq_at(incident.time).max(*self.newest + 1);
        *self.newest
    }

    fn insert(&mut self, seq: i64, incident: &Incident) -> rusqlite::Result<()> {
        let body = self.body(seq, incident)?;
        row::insert(&mut self.insert, seq, incident, body, self.packer)?;
        if incident.settled {
            self.groups.count(seq, incident);
        }
        Ok(())
    }

    /// Adds what a capture brought, unless the row is gone or was never written.
    fn amend(&mut self, seq: i64, incident: &Incident) -> rusqlite::Result<()> {
        let sql = "SELECT 1 FROM incidents WHERE seq = ?1 AND settled = 0";
        if !self.connection.prepare_cached(sql)?.exists([seq])? {
            return Ok(());
        }
        let body = self.body(seq, incident)?;
        let mut statement = self.connection.prepare_cached(AMEND)?;
        row::amend(&mut statement, seq, incident, body, self.packer)?;
        self.groups.count(seq, incident);
        Ok(())
    }

    /// Writes the body, unless an equal one is there; gives the row that holds it.
    fn body(&mut self, seq: i64, incident: &Incident) -> rusqlite::Result<Option<i64>> {
        let content = incident.body.as_ref().map(|body| &body.content);
        let Some(content) = content.filter(|content| !content.is_empty()) else {
            return Ok(None);
        };
        // Half a body is nobody else's: its row is written anew when the rest has come.
        if incident.settled {
            let hash = self.bodies.hash(content);
            if let Some(equal) = self.equal(hash, content)? {
                return Ok(Some(equal));
            }
            self.bodies.remember(hash, content, seq);
        }
        self.keep_body.execute((seq, self.packer.pack(content)))?;
        Ok(Some(seq))
    }

    /// The row of an equal body that is still in the file: another process may have forgotten it.
    fn equal(&mut self, hash: u64, content: &[u8]) -> rusqlite::Result<Option<i64>> {
        let Some(seq) = self.bodies.find(hash, content) else {
            return Ok(None);
        };
        let has_body = match &mut self.has_body {
            Some(prepared) => prepared,
            none => none.insert(self.connection.prepare_cached(HAS_BODY)?),
        };
        let there = has_body.exists([seq])?;
        Ok(there.then_some(seq))
    }

    /// Writes what is counted, after the last entry.
    fn finish(&mut self, losses: &Losses) -> rusqlite::Result<()> {
        self.drop_refusals()?;
        self.groups.write(self.connection)?;
        write_losses(self.connection, hour_of(*self.newest), losses)
    }

    /// Drops the oldest refusals past the bound.
    fn drop_refusals(&mut self) -> rusqlite::Result<()> {
        let surplus = self.refusals.saturating_sub(REFUSALS);
        if surplus > 0 {
            *self.refusals -= drop_refusals(self.connection, surplus)?;
        }
        Ok(())
    }
}

/// Drops the oldest refusals, so many of them; gives how many there were.
pub(super) fn drop_refusals(connection: &Connection, count: u64) -> rusqlite::Result<u64> {
    let sql = "DELETE FROM refusals WHERE seq IN (SELECT seq FROM refusals ORDER BY seq LIMIT ?1)";
    let dropped = connection.prepare_cached(sql)?.execute([count])?;
    Ok(dropped as u64)
}

fn write_losses(connection: &Connection, hour: i64, losses: &Losses) -> rusqlite::Result<()> {
    let sql = "INSERT INTO losses (hour, what, count) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET count = count + ?3";
    for (what, count) in losses.each() {
        if count > 0 {
            connection
                .prepare_cached(sql)?
                .execute((hour, what, count))?;
        }
    }
    Ok(())
}
