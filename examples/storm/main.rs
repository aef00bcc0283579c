//! An app that fails all the time at full speed, every body another: what does Pardon hold, and what does it cost?
//!
//! `cargo run --release --example storm -- --seconds 60` prints the failures served in a second, the IDs that visitors have received
//! and the store does not know (there should be none), the CPU time of a failure beside that of a passing request, by thread, the
//! largest memory, what had to be given up, and how many bytes an incident takes on disk. `--max-size 64MiB` has retention run too.
//!
//! `cargo run --release --example storm -- --kills 100` kills the proxy again and again in the middle of it, and prints how many pages
//! were received whole, how many of their IDs the store does not know (there should be none), how many pages did not wait for the store,
//! and what `pragma integrity_check` says.

pub(crate) mod failing_app;
pub(crate) mod kills;
pub(crate) mod proxy_process;
pub(crate) mod visitors;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use pardon::config::units::Size;
use pardon::incident::store::Reader;
use proxy_process::ProxyProcess;
use rusqlite::{Connection, OpenFlags};
use visitors::{Seen, Visitors};

/// Visitors at once.
const VISITORS: usize = 32;

fn main() -> ExitCode {
    if matches!(std::env::args().nth(1).as_deref(), Some("run" | "show")) {
        return pardon::cli::main();
    }
    let folder = std::env::temp_dir().join(format!("pardon-storm-{}", std::process::id()));
    let result = fs::create_dir_all(&folder).and_then(|()| obey(&folder));
    drop(fs::remove_dir_all(&folder));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            drop(writeln!(io::stderr(), "error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Does what the arguments ask for; whether the promises were kept.
fn obey(folder: &Path) -> io::Result<bool> {
    let number = |name: &str, default: &str| argument(name, default).parse().unwrap_or(0);
    match number("--kills", "0") {
        0 => storm(folder),
        count => {
            let program = std::env::current_exe()?;
            let report = kills::run(&program, folder, "", count, number("--seed", "1"))?;
            writeln!(io::stdout(), "{report}")?;
            Ok(report.is_good())
        }
    }
}

/// What stands after `name`, or `default`.
fn argument(name: &str, default: &str) -> String {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).unwrap_or_else(|| default.to_owned())
}

/// Runs it and prints what it finds; whether no ID was lost, few pages did not wait for the store, and the file kept its bound.
fn storm(folder: &Path) -> io::Result<bool> {
    let seconds = argument("--seconds", "60").parse().unwrap_or(60);
    let workers = argument("--workers", "1");
    let max_size = argument("--max-size", "100GiB");
    let toml = format!("server.workers = {workers}\n[incidents]\nmax_size = \"{max_size}\"");
    let app = failing_app::start()?;
    let program = std::env::current_exe()?;
    let mut proxy = ProxyProcess::start(&program, folder, app, &toml)?;

    let (_, cost) = measured(&proxy, "/fine", Duration::from_secs(3), || {})?;
    say("a passing request", &cost)?;
    let mut largest = 0;
    let watch = || largest = largest.max(size(folder).unwrap_or(0));
    let (seen, cost) = measured(&proxy, "/orders", Duration::from_secs(seconds), watch)?;
    say("a failure", &cost)?;
    let memory = proxy.peak_memory()?;
    proxy.stop()?;
    let (kept, lost) = look_up(folder, &seen, &max_size)?;
    let given_up = Reader::open(&folder.join("pardon.db"))
        .and_then(|reader| reader.losses(None))
        .map_err(io::Error::other)?;
    writeln!(
        io::stdout(),
        "{} failures in {:.1?}, {:.0} a second; {kept} kept, {lost} lost; memory at most {} MiB; at most {} MiB on disk, {} bytes an incident; \
         given up: {given_up:?}; logged in full: {}",
        seen.ids.len(),
        seen.duration,
        count(&seen) / seen.duration.as_secs_f64(),
        memory / 1024,
        largest >> 20,
        size(folder)? / kept.max(1),
        proxy.unconfirmed(),
    )?;
    let late = u64::try_from(seen.ids.len()).unwrap_or(u64::MAX) < 1000 * proxy.unconfirmed();
    let too_large = largest
        > max_size
            .parse::<Size>()
            .map_or(u64::MAX, |size| size.0 / 10 * 11);
    Ok(lost == 0 && !late && !too_large)
}

/// What a request cost, in microseconds of CPU time, by thread.
type Cost = Vec<(String, f64)>;

fn measured(
    proxy: &ProxyProcess,
    path: &'static str,
    duration: Duration,
    mut watch: impl FnMut(),
) -> io::Result<(Seen, Cost)> {
    let before = proxy.cpu()?;
    let visitors = Visitors::start(VISITORS, proxy.address, path);
    let begun = Instant::now();
    while begun.elapsed() < duration {
        thread::sleep(Duration::from_millis(100));
        watch();
    }
    let seen = visitors.end();
    let each = proxy.cpu()?.into_iter().map(|(name, used)| {
        let earlier = before.iter().find(|(known, _)| *known == name);
        let used = used.saturating_sub(earlier.map_or(Duration::ZERO, |(_, used)| *used));
        (name, used.as_secs_f64() * 1e6 / count(&seen))
    });
    let cost = each.collect();
    Ok((seen, cost))
}

fn count(seen: &Seen) -> f64 {
    u32::try_from(seen.ids.len()).map_or(f64::MAX, |count| f64::from(count.max(1)))
}

fn say(what: &str, cost: &Cost) -> io::Result<()> {
    let all: f64 = cost.iter().map(|(_, used)| used).sum();
    let parts = cost.iter().filter(|(_, used)| *used >= 0.05);
    let parts: Vec<String> = parts
        .map(|(name, used)| format!("{name} {used:.1}"))
        .collect();
    writeln!(
        io::stdout(),
        "{what}: {all:.1} us of CPU ({})",
        parts.join(", ")
    )
}

/// How many incidents are kept, and how many of the IDs are not among them; where old ones go, those that came last are looked for.
fn look_up(folder: &Path, seen: &Seen, max_size: &str) -> io::Result<(u64, u64)> {
    let wrong = |error: rusqlite::Error| io::Error::other(error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(folder.join("pardon.db"), flags).map_err(wrong)?;
    let oldest = "SELECT (SELECT count(*) FROM incidents), coalesce(max(id), '') FROM (SELECT id FROM incidents ORDER BY seq LIMIT 500)";
    let (kept, oldest): (u64, String) = connection
        .query_row(oldest, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(wrong)?;
    let goes = max_size != "100GiB";
    let mut statement = connection
        .prepare("SELECT 1 FROM incidents WHERE id = ?1")
        .map_err(wrong)?;
    let mut lost = 0;
    for id in seen.ids.iter().filter(|id| !goes || **id > oldest) {
        lost += u64::from(!statement.exists([id]).map_err(wrong)?);
    }
    Ok((kept, lost))
}

/// How many bytes the store takes, its log counted in.
fn size(folder: &Path) -> io::Result<u64> {
    let log = folder.join("pardon.db-wal");
    let log = fs::metadata(log).map_or(0, |found| found.len());
    Ok(fs::metadata(folder.join("pardon.db"))?.len() + log)
}
