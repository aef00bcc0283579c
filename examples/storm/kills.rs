//! A proxy that is killed with SIGKILL in the middle of a storm, again and again: is every ID that a visitor has received found
//! afterwards?

use std::fmt;
use std::io;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::failing_app;
use super::proxy_process::ProxyProcess;
use super::visitors::Visitors;

/// Visitors at once.
const VISITORS: usize = 24;
/// How many of a round's IDs are looked up with the command too.
const SHOWN: usize = 3;

/// What has come of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// How often the proxy was killed.
    pub(crate) kills: u64,
    /// Pages that visitors have received whole.
    pub(crate) received: u64,
    /// Those of their IDs that the store does not know.
    pub(crate) lost: u64,
    /// IDs that `pardon show` was asked for, and did not find.
    pub(crate) not_shown: u64,
    /// Incidents whose page went out before they were stored.
    pub(crate) unconfirmed: u64,
    /// What is wrong with the file, by `pragma integrity_check`.
    pub(crate) damage: Vec<String>,
    /// How long it took.
    pub(crate) duration: Duration,
}

impl Report {
    /// Whether the promise was kept: nothing lost, and at most one page in a thousand that did not wait for the store.
    #[must_use]
    pub(crate) fn is_good(&self) -> bool {
        let kept = self.lost == 0 && self.not_shown == 0 && self.damage.is_empty();
        kept && self.received > 0 && self.unconfirmed * 1000 <= self.received
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills in {:.1?}: {} pages received, {} IDs lost, {} not shown, {} unconfirmed, damage: {:?}",
            self.kills,
            self.duration,
            self.received,
            self.lost,
            self.not_shown,
            self.unconfirmed,
            self.damage
        )
    }
}

/// Runs the proxy of `program` in a folder, with these lines of configuration, and kills it so many times.
///
/// # Errors
///
/// When a process or a file cannot be had.
pub(crate) fn run(
    program: &Path,
    folder: &Path,
    toml: &str,
    kills: u64,
    mut random: u64,
) -> io::Result<Report> {
    let begun = Instant::now();
    let app = failing_app::start()?;
    let store = folder.join("pardon.db");
    let mut report = Report::default();
    for _ in 0..kills {
        let mut proxy = ProxyProcess::start(program, folder, app, toml)?;
        let visitors = Visitors::start(VISITORS, proxy.address, "/orders");
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        thread::sleep(Duration::from_millis(100 + (random >> 33) % 900));
        proxy.kill()?;
        let seen = visitors.end();
        report.kills += 1;
        report.unconfirmed += proxy.unconfirmed();
        report.received += seen.ids.len() as u64;
        report.look_up(&store, &seen.ids)?;
        for id in seen.ids.iter().rev().take(SHOWN) {
            let mut show = Command::new(program);
            let command = show.args(["show", "--json", "--store"]).arg(&store).arg(id);
            let found = command.output()?.stdout;
            let whole = memchr::memmem::find(&found, b"ValueError: no price").is_some();
            report.not_shown += u64::from(!whole);
        }
    }
    report.duration = begun.elapsed();
    Ok(report)
}

impl Report {
    fn look_up(&mut self, store: &Path, ids: &[String]) -> io::Result<()> {
        let wrong = |error: rusqlite::Error| io::Error::other(error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = Connection::open_with_flags(store, flags).map_err(wrong)?;
        let sql =
            "SELECT 1 FROM incidents JOIN bodies ON bodies.seq = incidents.body WHERE id = ?1";
        let mut statement = connection.prepare(sql).map_err(wrong)?;
        for id in ids {
            let found = statement.exists([id]).map_err(wrong)?;
            self.lost += u64::from(!found);
        }
        let check = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0));
        let says: String = check.map_err(wrong)?;
        if says != "ok" {
            self.damage.push(says);
        }
        Ok(())
    }
}
