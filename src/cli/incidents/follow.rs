//! The list as it grows: what any process commits to the store, polled. It outlives a file that is set aside or not there yet, and
//! ends with Ctrl-C or with whoever reads it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::signal::unix::{SignalKind, signal};

use super::{Args, FOLLOWED, Table};
use crate::cli::screen::Screen;
use crate::cli::{is_closed_pipe, run};
use crate::incident::store::{Filter, Listed, Reader};
use crate::incident::{StoreError, Trouble};
use crate::telemetry::json;

/// How often the store is looked at.
const INTERVAL: Duration = Duration::from_millis(250);
/// How many incidents are read at once.
const AT_ONCE: usize = 500;

/// Prints until it is told to stop, or nobody reads on.
pub(super) fn run(args: &Args, filter: Filter, path: PathBuf) -> anyhow::Result<ExitCode> {
    let mut follower = Follower {
        path,
        filter,
        open: None,
        seq: None,
        before: args.limit(FOLLOWED),
        json: args.json,
        trouble: String::new(),
    };
    run::on_this_thread(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut ticks = tokio::time::interval(INTERVAL);
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
                _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
                _ = ticks.tick() => {}
            }
            match follower.look() {
                Err(error) if is_closed_pipe(&error) => return Ok(ExitCode::SUCCESS),
                looked => looked?,
            }
            if is_unread() {
                return Ok(ExitCode::SUCCESS);
            }
        }
    })?
}

/// Whether whoever read standard output has gone.
fn is_unread() -> bool {
    let out = io::stdout();
    let mut polled = [PollFd::new(&out, PollFlags::empty())];
    let at_once = Timespec::default();
    let ready = rustix::event::poll(&mut polled, Some(&at_once));
    let [out] = polled;
    ready.is_ok() && out.revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

struct Follower {
    path: PathBuf,
    filter: Filter,
    /// The store, and which file it is.
    open: Option<(Reader, (u64, u64))>,
    /// The last incident that was seen; none before the first look.
    seq: Option<i64>,
    /// How many are printed that were there before.
    before: usize,
    json: bool,
    /// What the person was last told about the file.
    trouble: String,
}

impl Follower {
    /// Prints what has come since the last look.
    fn look(&mut self) -> anyhow::Result<()> {
        let Err(error) = self.try_look() else {
            self.trouble.clear();
            return Ok(());
        };
        match error.downcast_ref::<StoreError>() {
            Some(trouble) if may_pass(trouble) => self.wait(trouble.to_string()),
            _ => Err(error),
        }
    }

    fn try_look(&mut self) -> anyhow::Result<()> {
        let there = identity(&self.path);
        let open = self.open.take().filter(|(_, open)| Some(*open) == there);
        let (reader, identity) = match open {
            Some(open) => open,
            None => (Reader::open(&self.path)?, there.unwrap_or_default()),
        };
        match self.seq {
            None => self.begin(&reader)?,
            Some(seq) => self.go_on(&reader, seq)?,
        }
        self.open = Some((reader, identity));
        Ok(())
    }

    /// Prints the last few.
    fn begin(&mut self, reader: &Reader) -> anyhow::Result<()> {
        let newest = reader.newest(&self.filter)?;
        let listed = reader.list(&self.filter, self.before.max(1))?;
        let last = listed.first().map_or(0, |last| last.seq);
        let shown = listed.iter().take(self.before).rev();
        if !self.json {
            let table = Table::new(Screen::of(&io::stdout()), Timestamp::now());
            put(&table.header())?;
        }
        self.print(shown)?;
        self.seq = Some(newest.max(last));
        Ok(())
    }

    fn go_on(&mut self, reader: &Reader, mut seq: i64) -> anyhow::Result<()> {
        loop {
            let listed = reader.after(seq, &self.filter, AT_ONCE)?;
            let Some(last) = listed.last() else {
                return Ok(());
            };
            self.print(listed.iter())?;
            seq = last.seq;
            self.seq = Some(seq);
        }
    }

    fn print<'a>(&self, listed: impl Iterator<Item = &'a Listed>) -> anyhow::Result<()> {
        let table = Table::new(Screen::of(&io::stdout()), Timestamp::now());
        for one in listed {
            if self.json {
                put(&json::line(one)?)?;
            } else {
                put(&table.row(one))?;
            }
        }
        Ok(())
    }

    /// Tells once what is waited for.
    fn wait(&mut self, trouble: String) -> anyhow::Result<()> {
        if self.trouble != trouble {
            writeln!(io::stderr(), "waiting: {trouble}")?;
            self.trouble = trouble;
        }
        Ok(())
    }
}

/// Whether a trouble may end by itself: a file that is not there yet, is being made, or is set aside at this moment.
fn may_pass(trouble: &StoreError) -> bool {
    !matches!(trouble.kind(), Trouble::Foreign | Trouble::Newer(_))
}

/// Which file the path leads to now.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Writes a line so that its reader has it at once.
fn put(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}
