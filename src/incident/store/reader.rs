//! Asking the store, from any process, while another writes.

use std::cmp::Reverse;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Row, ToSql};
use serde::Serialize;

use crate::incident::record::{shared_text, to_the_millisecond};
use crate::incident::{Cause, Fingerprint, Incident};
use crate::request_id::{Lookup, RequestId};

use super::filter::{Filter, with};
use super::pack::unpack;
use super::row::{self, COLUMNS};
use super::{Losses, StoreError, Trouble, check_for_reading, connect, hour_of, may_read, seq_at};

/// How many incidents with one ID, one reference or one beginning are given.
const SAME: usize = 100;
/// The columns of a [`Listed`].
const LISTED: &str = "seq, id, time, cause, route, status, method, url, client, summary, fingerprint, reference, settled";

/// A store, open for reading.
pub struct Reader {
    path: PathBuf,
    pub(super) connection: Connection,
    /// How many bytes of bodies are read for one answer.
    most: usize,
}

/// What a text that a person typed has found.
#[derive(Debug)]
pub enum Found {
    /// The incidents that are meant, the newest first: several where an ID of a trusted proxy was repeated.
    Incidents(How, Vec<Incident>),
    /// Those whose IDs begin so, the newest first.
    Beginning(Vec<Listed>),
    /// Nothing; the ID has a typing error, and these are there and one slip away.
    Mistyped(Vec<Listed>),
    /// Nothing.
    Nothing,
}

/// How an incident was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By its ID.
    Id,
    /// By the only ID that begins so.
    Beginning,
    /// By the app's own reference.
    Reference,
}

/// An incident in a list. Its JSON has these fields in this order.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// Its place in time.
    pub seq: i64,
    /// The request's ID.
    pub id: RequestId,
    /// When the request came.
    #[serde(serialize_with = "to_the_millisecond")]
    pub time: Timestamp,
    /// Why it failed.
    pub cause: Cause,
    /// The name of the route.
    #[serde(serialize_with = "shared_text")]
    pub route: Arc<str>,
    /// The status that the visitor got, else the app's.
    pub status: Option<u16>,
    /// The method.
    pub method: String,
    /// Path and query.
    pub url: String,
    /// The visitor's address.
    pub client: Option<String>,
    /// The failure in one line.
    pub summary: String,
    /// Equal for equal failures.
    pub fingerprint: Fingerprint,
    /// The app's own reference.
    pub reference: Option<String>,
    /// Whether its body has been read to its end; not part of the JSON.
    #[serde(skip)]
    pub settled: bool,
}

impl Reader {
    /// Opens a store that a process of this version, or an older one, writes or has written.
    ///
    /// # Errors
    ///
    /// When there is none, or none that can be read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let wrong = |kind: Trouble| StoreError::new(path, kind);
        if let Err(error) = may_read(path) {
            return Err(wrong(error.into()));
        }
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let connection = connection.map_err(|error| wrong(error.into()))?;
        check_for_reading(&connection).map_err(wrong)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            most: usize::MAX,
        })
    }

    /// The same, but of whole incidents it gives no more than have so many bytes of bodies together; one in any case.
    #[must_use]
    pub fn at_most(self, bytes: usize) -> Self {
        Self {
            most: bytes,
            ..self
        }
    }

    /// What ends a question that another thread has put to this and that takes too long: it becomes an error.
    pub fn stopper(&self) -> impl Fn() + Send + Sync + use<> {
        let handle = self.connection.get_interrupt_handle();
        move || handle.interrupt()
    }

    /// What a person may have meant: an ID, however it is typed; the app's own reference; the beginning of an ID, of at least four characters.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn find(&self, typed: &str) -> Result<Found, StoreError> {
        self.try_find(typed.trim())
            .map_err(|error| self.error(error))
    }

    /// The incidents that a filter lets through, the newest first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn list(&self, filter: &Filter, limit: usize) -> Result<Vec<Listed>, StoreError> {
        let listed = if filter.is_narrow() && filter.cause != Some(Cause::Refused) {
            self.list_by_hours(filter, limit)
        } else {
            self.select(filter, &(filter.oldest()..i64::MAX), limit, "DESC")
        };
        listed.map_err(|error| self.error(error))
    }

    /// The incidents after a `seq` that a filter lets through, the oldest first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn after(
        &self,
        seq: i64,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let from = filter.oldest().max(seq + 1);
        self.select(filter, &(from..i64::MAX), limit, "ASC")
            .map_err(|error| self.error(error))
    }

    /// The `seq` of the newest incident, or refusal if those are asked for; 0 when there is none.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn newest(&self, filter: &Filter) -> Result<i64, StoreError> {
        let sql = format!("SELECT coalesce(max(seq), 0) FROM {}", filter.table());
        self.connection
            .query_row(&sql, [], |row| row.get(0))
            .map_err(|error| self.error(error))
    }

    /// The whole incident with this `seq`.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn incident(&self, seq: i64) -> Result<Option<Incident>, StoreError> {
        let found = self.whole("seq = ?1", &seq);
        found
            .map(|mut found| found.pop())
            .map_err(|error| self.error(error))
    }

    /// The damaged files that were set aside of this store.
    #[must_use]
    pub fn set_aside(&self) -> Vec<PathBuf> {
        let files = super::aside::set_aside_of(&self.path).into_iter();
        let is_log = |file: &PathBuf| file.to_string_lossy().ends_with("-wal");
        files.filter(|file| !is_log(file)).collect()
    }

    /// The newest incident.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn last(&self) -> Result<Option<Incident>, StoreError> {
        match self.newest(&Filter::default())? {
            0 => Ok(None),
            seq => self.incident(seq),
        }
    }

    /// What had to be given up since then.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn losses(&self, since: Option<Timestamp>) -> Result<Losses, StoreError> {
        let hour = since.map_or(0, |since| hour_of(seq_at(since)));
        Losses::read(&self.connection, hour).map_err(|error| self.error(error))
    }

    pub(super) fn error(&self, error: rusqlite::Error) -> StoreError {
        StoreError::new(&self.path, error)
    }

    fn try_find(&self, typed: &str) -> rusqlite::Result<Found> {
        let parsed = RequestId::parse(typed);
        let mut tried = vec![("id = ?1", typed, How::Id)];
        if let Lookup::Exact(id) = &parsed {
            tried.push(("id = ?1", id.as_str(), How::Id));
        }
        tried.push(("reference = ?1", typed, How::Reference));
        for (condition, value, how) in tried {
            let found = self.whole(condition, &value)?;
            if !found.is_empty() {
                return Ok(Found::Incidents(how, found));
            }
        }
        let beginning = self.beginning(typed)?;
        match (beginning.as_slice(), parsed) {
            ([only], _) => {
                let found = self.whole("id = ?1", &only.id.as_str())?;
                Ok(Found::Incidents(How::Beginning, found))
            }
            ([], Lookup::Mistyped { nearest }) => self.mistyped(&nearest),
            ([], _) => Ok(Found::Nothing),
            _ => Ok(Found::Beginning(beginning)),
        }
    }

    fn mistyped(&self, nearest: &[RequestId]) -> rusqlite::Result<Found> {
        let mut there = Vec::new();
        for id in nearest {
            for table in ["incidents", "refusals"] {
                there.extend(self.listed(table, "id = ?1", &[&id.as_str()])?);
            }
        }
        Ok(Found::Mistyped(there))
    }

    /// The rows whose IDs begin so, the newest first. A range, not a pattern: whatever is typed means itself. Where they are too many, the
    /// last ones in the order of their IDs, in which ours stand by time: the first four characters of one may be those of thousands.
    fn beginning(&self, typed: &str) -> rusqlite::Result<Vec<Listed>> {
        let mut beginnings = vec![typed.to_owned()];
        beginnings.extend(RequestId::beginning(typed).filter(|own| own != typed));
        let mut found = Vec::new();
        for beginning in beginnings.iter().filter(|text| text.len() >= 4) {
            // No ID has a character above this one.
            let end = format!("{beginning}\u{7f}");
            for table in ["incidents", "refusals"] {
                let last = format!(
                    "seq IN (SELECT seq FROM {table} WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT {SAME})"
                );
                found.extend(self.listed(table, &last, &[beginning, &end])?);
            }
        }
        Ok(found)
    }

    fn listed(
        &self,
        table: &str,
        condition: &str,
        values: &[&dyn ToSql],
    ) -> rusqlite::Result<Vec<Listed>> {
        let sql = format!(
            "SELECT {LISTED} FROM {table} WHERE {condition} ORDER BY seq DESC LIMIT {SAME}"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        statement.query_map(values, listed)?.collect()
    }

    /// Incidents and refusals with their bodies, the newest first.
    fn whole(&self, condition: &str, value: &dyn ToSql) -> rusqlite::Result<Vec<Incident>> {
        let mut found: Vec<Incident> = Vec::new();
        let mut left = self.most;
        for table in ["incidents", "refusals"] {
            let sql = format!(
                "SELECT {COLUMNS} FROM {table} WHERE {condition} ORDER BY seq DESC LIMIT {SAME}"
            );
            let mut statement = self.connection.prepare_cached(&sql)?;
            let rows = statement.query_map([value], |row| {
                let body: Option<i64> = row.get("body")?;
                let body = body.map(|body| self.body(body)).transpose()?;
                row::read(row, body.flatten())
            })?;
            for row in rows {
                let incident = row?;
                let body = incident.body.as_ref();
                let bytes = body.map_or(0, |body| body.content.len());
                if bytes > left && !found.is_empty() {
                    return Ok(found);
                }
                left = left.saturating_sub(bytes);
                found.push(incident);
            }
        }
        Ok(found)
    }

    fn body(&self, seq: i64) -> rusqlite::Result<Option<Bytes>> {
        let sql = "SELECT content FROM bodies WHERE seq = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([seq])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let packed: Vec<u8> = row.get(0)?;
        unpack(&packed)
            .map(|content| Some(content.into()))
            .map_err(row::damaged)
    }

    /// Looks, from the newest hour on, only where the groups say that there is what is asked for, and at what is in no group yet because it
    /// is not settled.
    fn list_by_hours(&self, filter: &Filter, limit: usize) -> rusqlite::Result<Vec<Listed>> {
        let mut found = self.unsettled(filter, limit)?;
        found.extend(self.counted(filter, limit)?);
        found.sort_by_key(|one| Reverse(one.seq));
        // Settled between the two looks.
        found.dedup_by_key(|one| one.seq);
        found.truncate(limit);
        Ok(found)
    }

    fn unsettled(&self, filter: &Filter, limit: usize) -> rusqlite::Result<Vec<Listed>> {
        let (condition, values) = filter.conditions();
        let limit = at_most(limit);
        let sql = format!(
            "SELECT {LISTED} FROM incidents INDEXED BY incidents_unsettled
             WHERE settled = 0 AND seq >= ?1{condition} ORDER BY seq DESC LIMIT {limit}"
        );
        let mut statement = self.connection.prepare(&sql)?;
        statement
            .query_map(&*with(&filter.oldest(), &values), listed)?
            .collect()
    }

    fn counted(&self, filter: &Filter, limit: usize) -> rusqlite::Result<Vec<Listed>> {
        let (condition, values) = filter.conditions();
        let sql = format!(
            "SELECT min(first), max(last) + 1 FROM group_hours
             WHERE hour >= ?1 AND (fingerprint = 0 OR (1{condition})) GROUP BY hour ORDER BY hour DESC"
        );
        let (oldest, since) = (filter.oldest(), hour_of(filter.oldest()));
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut hours = statement.query(&*with(&since, &values))?;
        let mut found = Vec::new();
        while let Some(hour) = hours.next()?
            && found.len() < limit
        {
            let seqs = oldest.max(hour.get(0)?)..hour.get(1)?;
            found.extend(self.select(filter, &seqs, limit - found.len(), "DESC")?);
        }
        Ok(found)
    }

    fn select(
        &self,
        filter: &Filter,
        seqs: &Range<i64>,
        limit: usize,
        order: &str,
    ) -> rusqlite::Result<Vec<Listed>> {
        let (condition, values) = filter.conditions();
        let (table, end) = (filter.table(), seqs.end);
        let limit = at_most(limit);
        let sql = format!(
            "SELECT {LISTED} FROM {table} WHERE seq >= ?1{condition} AND seq < {end} ORDER BY seq {order} LIMIT {limit}"
        );
        let mut statement = self.connection.prepare(&sql)?;
        statement
            .query_map(&*with(&seqs.start, &values), listed)?
            .collect()
    }
}

/// A limit as `SQLite` takes it.
fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    Ok(Listed {
        seq: row.get("seq")?,
        id: row::id(row)?,
        time: row::time(row)?,
        cause: row::cause(row)?,
        route: row.get("route")?,
        status: row.get("status")?,
        method: row.get("method")?,
        url: row.get("url")?,
        client: row.get("client")?,
        summary: row.get("summary")?,
        fingerprint: row::fingerprint(row)?,
        reference: row.get("reference")?,
        settled: row.get("settled")?,
    })
}
