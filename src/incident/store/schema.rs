//! The file's tables, and how a file of an older version is brought forward.
//!
//! A person with `sqlite3` may read everything here: times are milliseconds since 1970, `detail` and `bodies.content` are compressed
//! (LZ4 block with its length before it), the view `failures` prints the rest. Keys follow time, so that rows are appended:
//! `seq` is milliseconds since 2020 times 2^20 plus a count.

use rusqlite::Connection;

/// Says that a `SQLite` file is a store of ours: "PRDN".
pub(super) const APPLICATION_ID: i32 = 0x5052_444e;

/// The version that this binary writes.
pub(super) const VERSION: i64 = 2;

/// What brings a file from each version to the next. What has been released is never changed; a new version is a new step.
const STEPS: [&str; 2] = [TABLES, VIEWS];

const TABLES: &str = "
CREATE TABLE incidents (
    seq INTEGER PRIMARY KEY,       -- its place in time
    id TEXT NOT NULL,              -- the request's ID
    time INTEGER NOT NULL,         -- when the request came
    instance TEXT NOT NULL,
    cause TEXT NOT NULL,
    route TEXT NOT NULL,
    status INTEGER,                -- that the visitor got, else the app's
    method TEXT NOT NULL,
    url TEXT NOT NULL,
    client TEXT,
    summary TEXT NOT NULL,
    fingerprint INTEGER NOT NULL,
    reference TEXT,                -- the app's own
    trace_id TEXT,
    settled INTEGER NOT NULL,      -- 0 while its body is still being read
    body INTEGER,                  -- the row of bodies that holds it: its own seq, or that of an equal one
    detail BLOB NOT NULL           -- the rest, JSON, compressed
) STRICT;
CREATE INDEX incidents_id ON incidents (id);
CREATE INDEX incidents_reference ON incidents (reference) WHERE reference IS NOT NULL;
CREATE INDEX incidents_unsettled ON incidents (seq) WHERE settled = 0;
CREATE INDEX incidents_shared_body ON incidents (body) WHERE body <> seq;
CREATE TABLE bodies (
    seq INTEGER PRIMARY KEY,
    content BLOB NOT NULL          -- compressed
) STRICT;
CREATE TABLE refusals (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    time INTEGER NOT NULL,
    instance TEXT NOT NULL,
    cause TEXT NOT NULL,
    route TEXT NOT NULL,
    status INTEGER,
    method TEXT NOT NULL,
    url TEXT NOT NULL,
    client TEXT,
    summary TEXT NOT NULL,
    fingerprint INTEGER NOT NULL,
    reference TEXT,
    trace_id TEXT,
    settled INTEGER NOT NULL,
    body INTEGER,
    detail BLOB NOT NULL
) STRICT;
CREATE INDEX refusals_id ON refusals (id);
CREATE INDEX refusals_reference ON refusals (reference) WHERE reference IS NOT NULL;
CREATE TABLE group_hours (         -- incidents of an hour that are alike; at most 1,000 groups an hour, the rest under 0
    hour INTEGER NOT NULL,         -- hours since 2020
    fingerprint INTEGER NOT NULL,
    route TEXT NOT NULL,
    status INTEGER NOT NULL,       -- 0 for none
    cause TEXT NOT NULL,
    count INTEGER NOT NULL,
    first INTEGER NOT NULL,        -- seq of the first and the last
    last INTEGER NOT NULL,
    PRIMARY KEY (hour, fingerprint, route, status, cause)
) STRICT, WITHOUT ROWID;
CREATE TABLE losses (              -- what had to be given up
    hour INTEGER NOT NULL,
    what TEXT NOT NULL,            -- body, row, refusal; unconfirmed: written, but after its page
    count INTEGER NOT NULL,
    PRIMARY KEY (hour, what)
) STRICT, WITHOUT ROWID;
CREATE TABLE state (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

const VIEWS: &str = "
CREATE VIEW failures AS
SELECT id, strftime('%Y-%m-%dT%H:%M:%fZ', time / 1000.0, 'unixepoch') AS time, status, cause, route, method, url, client, summary,
       printf('%016x', fingerprint) AS fingerprint, reference, seq
FROM incidents ORDER BY seq DESC;
";

/// The version of the file; 0 for an empty one.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// The file's application ID; 0 for an empty one, and for those of programs that set none.
pub(super) fn application_id(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0))
}

/// Whether nothing has been made in the file yet.
pub(super) fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| {
        row.get(0)
    })
}

/// Brings a file from its version to this binary's, whole or not at all.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let from = usize::try_from(version(connection)?).unwrap_or(usize::MAX);
    let transaction = connection.transaction()?;
    for step in STEPS.iter().skip(from) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// A file as the first version left it, to be brought forward.
#[cfg(test)]
pub(super) fn first_version(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(TABLES)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", 1)
}
