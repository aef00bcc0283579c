//! Retention: what is older than `max_age`, or past `max_size`, goes in small steps between the commits.
//!
//! The size is that of the pages in use; those that are free are used again before the file grows. `max_size` counts the write-ahead log
//! in: an eighth of it, at most 128 MiB, is left to that, which is brought into the file when it has grown to the half of that.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Transaction, TransactionBehavior};

use crate::config;

use super::writer::drop_refusals;
use super::{Store, StoreError, hour_of, seq_at};

/// How many rows a step deletes at least.
const STEP: u64 = 64;
/// How many pages a step gives back to the file system.
const PAGES: u64 = 64;
const PAGE_SIZE: u64 = 8192;
/// Past `max_size`, no more refusals than these are kept at the cost of incidents.
const ENOUGH_REFUSALS: u64 = 1000;

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    max_age: SignedDuration,
    max_size: u64,
}

/// What was written since the step before.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub(crate) rows: u64,
    /// About, before it was packed.
    pub(crate) bytes: u64,
}

/// What a step of retention has done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Step {
    /// Whether there is more to do.
    pub(crate) more: bool,
    /// About how much it has written.
    pub(crate) bytes: u64,
}

/// What the file holds, in pages.
struct Pages {
    all: u64,
    free: u64,
}

impl Limits {
    /// The limits as configured.
    pub(crate) fn new(settings: &config::Incidents) -> Self {
        Self {
            max_age: SignedDuration::try_from(*settings.max_age).unwrap_or(SignedDuration::MAX),
            max_size: settings.max_size.0,
        }
    }

    /// How large the write-ahead log may become before the writer waits for it.
    pub(crate) fn log_size(&self) -> u64 {
        (self.max_size / 16).min(64 << 20)
    }

    /// How many pages may be in use.
    fn pages(&self) -> u64 {
        (self.max_size - 2 * self.log_size()) / PAGE_SIZE
    }

    /// The first `seq` that is young enough.
    fn oldest(&self, now: Timestamp) -> i64 {
        seq_at(now.checked_sub(self.max_age).unwrap_or(Timestamp::MIN))
    }
}

impl Store {
    /// Deletes some of what is too old or too much, more than was `written` since the step before.
    pub(in crate::incident) fn retain(
        &mut self,
        limits: &Limits,
        now: Timestamp,
        written: Written,
    ) -> Result<Step, StoreError> {
        self.try_retain(limits, now, written)
            .map_err(|error| self.error(error))
    }

    fn try_retain(
        &mut self,
        limits: &Limits,
        now: Timestamp,
        written: Written,
    ) -> rusqlite::Result<Step> {
        let pages = self.pages()?;
        let used = pages.all - pages.free;
        if used > limits.pages() {
            if self.refusals > ENOUGH_REFUSALS {
                return self.drop_refusals(STEP);
            }
            return self.drop_oldest(i64::MAX, written);
        }
        let step = self.drop_oldest(limits.oldest(now), written)?;
        let too_large = pages.all > limits.pages() || pages.free > PAGES.max(pages.all / 4);
        if !step.more && too_large && written.rows == 0 {
            return self.give_back();
        }
        Ok(step)
    }

    /// Deletes the oldest rows below a `seq`: twice as many, or twice as much, as was written.
    fn drop_oldest(&mut self, below: i64, written: Written) -> rusqlite::Result<Step> {
        let rows = STEP.max(2 * written.rows);
        let oldest = self.oldest(below, rows)?;
        let Some(newest) = oldest.last().copied() else {
            return self.drop_refusals_below(below);
        };
        let before = self.pages()?.free;
        let enough = before + PAGES.max(2 * written.bytes / PAGE_SIZE);
        let transaction =
            Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let (mut last, mut free) = (newest, before);
        for some in oldest.chunks(8) {
            last = some.last().copied().unwrap_or(newest);
            self.drop_up_to(last)?;
            free = self.pages()?.free;
            if free >= enough {
                break;
            }
        }
        for sql in [
            "DELETE FROM group_hours WHERE hour < ?1",
            "DELETE FROM losses WHERE hour < ?1",
        ] {
            self.connection
                .prepare_cached(sql)?
                .execute([hour_of(last)])?;
        }
        transaction.commit()?;
        Ok(Step {
            more: last < newest || oldest.len() as u64 == rows,
            bytes: free.saturating_sub(before) * PAGE_SIZE,
        })
    }

    fn oldest(&self, below: i64, rows: u64) -> rusqlite::Result<Vec<i64>> {
        let sql = "SELECT seq FROM incidents WHERE seq < ?1 ORDER BY seq LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let seqs = statement.query_map((below, rows), |row| row.get(0))?;
        seqs.collect()
    }

    fn drop_up_to(&self, last: i64) -> rusqlite::Result<()> {
        for sql in [
            "DELETE FROM incidents WHERE seq <= ?1",
            "DELETE FROM bodies WHERE seq <= ?1 AND NOT EXISTS
             (SELECT 1 FROM incidents WHERE incidents.body = bodies.seq AND incidents.body <> incidents.seq)",
        ] {
            self.connection.prepare_cached(sql)?.execute([last])?;
        }
        Ok(())
    }

    fn drop_refusals(&mut self, rows: u64) -> rusqlite::Result<Step> {
        self.refusals -= drop_refusals(&self.connection, rows)?;
        Ok(Step {
            more: true,
            bytes: 0,
        })
    }

    fn drop_refusals_below(&mut self, below: i64) -> rusqlite::Result<Step> {
        if below == i64::MAX {
            return Ok(Step::default());
        }
        let sql = "SELECT 1 FROM refusals WHERE seq < ?1";
        if self.connection.prepare_cached(sql)?.exists([below])? {
            let sql = "DELETE FROM refusals WHERE seq < ?1";
            let dropped = self.connection.prepare_cached(sql)?.execute([below])?;
            self.refusals = self.refusals.saturating_sub(dropped as u64);
        }
        Ok(Step::default())
    }

    /// Gives free pages at the file's end back to the file system; true when there are more.
    fn give_back(&mut self) -> rusqlite::Result<Step> {
        let before = self.pages()?;
        let sql = format!("PRAGMA incremental_vacuum({PAGES})");
        // It frees a page a step.
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut freed = statement.query([])?;
        while freed.next()?.is_some() {}
        drop(freed);
        Ok(Step {
            more: self.pages()?.free + PAGES <= before.free,
            bytes: PAGES * PAGE_SIZE,
        })
    }

    fn pages(&self) -> rusqlite::Result<Pages> {
        let count = |name: &str| {
            let sql = format!("PRAGMA {name}");
            let mut statement = self.connection.prepare_cached(&sql)?;
            statement.query_row([], |row| row.get::<_, u64>(0))
        };
        Ok(Pages {
            all: count("page_count")?,
            free: count("freelist_count")?,
        })
    }
}
