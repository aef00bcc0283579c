//! What had to be given up, counted.

use rusqlite::Connection;

/// How many of what were given up; counts of one process, or what a store has counted over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Bodies that were given up, or cut, for lack of memory.
    pub bodies: u64,
    /// Incidents that were given up altogether.
    pub rows: u64,
    /// Refusals that were not written.
    pub refusals: u64,
    /// Incidents whose page went out before they were written.
    pub unconfirmed: u64,
}

impl Losses {
    /// Each count with its name in the file.
    pub(super) fn each(&self) -> [(&'static str, u64); 4] {
        [
            ("body", self.bodies),
            ("row", self.rows),
            ("refusal", self.refusals),
            ("unconfirmed", self.unconfirmed),
        ]
    }

    /// Whether nothing was lost.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// What was counted since an earlier moment.
    #[must_use]
    pub(in crate::incident) fn since(&self, before: &Self) -> Self {
        Self {
            bodies: self.bodies.saturating_sub(before.bodies),
            rows: self.rows.saturating_sub(before.rows),
            refusals: self.refusals.saturating_sub(before.refusals),
            unconfirmed: self.unconfirmed.saturating_sub(before.unconfirmed),
        }
    }

    /// What a store has counted since an hour.
    pub(super) fn read(connection: &Connection, since: i64) -> rusqlite::Result<Self> {
        let sql = "SELECT coalesce(sum(count), 0) FROM losses WHERE what = ?1 AND hour >= ?2";
        let mut statement = connection.prepare_cached(sql)?;
        let mut count = |what: &str| statement.query_row((what, since), |row| row.get::<_, u64>(0));
        Ok(Self {
            bodies: count("body")?,
            rows: count("row")?,
            refusals: count("refusal")?,
            unconfirmed: count("unconfirmed")?,
        })
    }
}
