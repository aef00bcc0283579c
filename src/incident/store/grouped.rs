//! Incidents that are alike, counted: what the groups of each hour add up to.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Row;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use crate::incident::record::{shared_text, to_the_millisecond};
use crate::incident::{Cause, Fingerprint};
use crate::request_id::RequestId;

use super::filter::{Filter, with};
use super::{Reader, StoreError, hour_of, hour_start, moment, row, seq_at};

/// Incidents that are alike. Its JSON has these fields in this order.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// What they have in common; 0 where an hour had more than 1,000 groups, for the rest of them.
    pub fingerprint: Fingerprint,
    /// The name of the route.
    #[serde(serialize_with = "shared_text")]
    pub route: Arc<str>,
    /// The status; 0 for none.
    pub status: u16,
    /// Why they failed.
    pub cause: Cause,
    /// How many there were.
    pub count: u64,
    /// When the first came, to the millisecond.
    #[serde(serialize_with = "to_the_millisecond")]
    pub first: Timestamp,
    /// When the last came.
    #[serde(serialize_with = "to_the_millisecond")]
    pub last: Timestamp,
    /// How many there were in each hour that had any, by its beginning, in order.
    #[serde(serialize_with = "each_hour")]
    pub hours: Vec<(Timestamp, u64)>,
    /// The last one; absent when that is no longer kept.
    pub newest: Option<Headline>,
}

/// What stands for a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Headline {
    /// The incident's ID.
    pub id: RequestId,
    /// Its failure in one line.
    pub summary: String,
}

impl Reader {
    /// The groups that a filter lets through, the largest first. Time counts by whole hours: that in which `since` lies counts whole.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn groups(&self, filter: &Filter, limit: usize) -> Result<Vec<Group>, StoreError> {
        self.try_groups(filter, limit)
            .map_err(|error| self.error(error))
    }

    /// How many incidents with this fingerprint there were since then; the hour of that moment counts whole.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn alike(&self, fingerprint: Fingerprint, since: Timestamp) -> Result<u64, StoreError> {
        let sql =
            "SELECT coalesce(sum(count), 0) FROM group_hours WHERE hour >= ?1 AND fingerprint = ?2";
        let values = (hour_of(seq_at(since)), fingerprint.0.cast_signed());
        let count = self.connection.query_row(sql, values, |row| row.get(0));
        count.map_err(|error| self.error(error))
    }

    fn try_groups(&self, filter: &Filter, limit: usize) -> rusqlite::Result<Vec<Group>> {
        let mut groups = self.count_groups(filter)?;
        groups.sort_by_key(|(group, last)| (Reverse(group.count), Reverse(*last)));
        groups.truncate(limit);
        let mut found = Vec::with_capacity(groups.len());
        for (mut group, last) in groups {
            group.newest = self.headline(last)?;
            found.push(group);
        }
        Ok(found)
    }

    fn count_groups(&self, filter: &Filter) -> rusqlite::Result<Vec<(Group, i64)>> {
        let (condition, values) = filter.conditions();
        let sql = format!(
            "SELECT hour, fingerprint, route, status, cause, count, first, last FROM group_hours
             WHERE hour >= ?1{condition} ORDER BY hour"
        );
        let since = hour_of(filter.oldest());
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(&*with(&since, &values))?;
        let mut groups: HashMap<(i64, Arc<str>, u16), (Group, i64)> = HashMap::new();
        while let Some(row) = rows.next()? {
            let key = (row.get(1)?, row.get(2)?, row.get(3)?);
            let (hour, count, last) = (row.get(0)?, row.get(5)?, row.get(7)?);
            match groups.get_mut(&key) {
                Some((group, newest)) => {
                    group.count += count;
                    group.last = moment(last);
                    group.hours.push((start_of(hour), count));
                    *newest = last;
                }
                None => drop(groups.insert(key, (group(row, hour, count)?, last))),
            }
        }
        Ok(groups.into_values().collect())
    }

    fn headline(&self, seq: i64) -> rusqlite::Result<Option<Headline>> {
        let sql = "SELECT id, summary FROM incidents WHERE seq = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query_map([seq], |row| {
            Ok(Headline {
                id: row::id(row)?,
                summary: row.get("summary")?,
            })
        })?;
        rows.next().transpose()
    }
}

fn group(row: &Row<'_>, hour: i64, count: u64) -> rusqlite::Result<Group> {
    Ok(Group {
        fingerprint: row::fingerprint(row)?,
        route: row.get("route")?,
        status: row.get("status")?,
        cause: row::cause(row)?,
        count,
        first: moment(row.get("first")?),
        last: moment(row.get("last")?),
        hours: vec![(start_of(hour), count)],
        newest: None,
    })
}

fn start_of(hour: i64) -> Timestamp {
    moment(hour_start(hour))
}

fn each_hour<S: Serializer>(hours: &[(Timestamp, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(hours.len()))?;
    for (hour, count) in hours {
        list.serialize_element(&(format!("{hour:.0}"), count))?;
    }
    list.end()
}
