//! What the process tells its operator: log lines, the access log, counters, and the names they carry.
//!
//! Events of `tracing` become lines, JSON or for a terminal; lines wait in a backlog bounded in bytes, and a thread of its own writes
//! them to stderr. No caller ever waits for the log's reader.

mod access;
mod backlog;
mod counters;
mod escape;
pub mod json;
mod line;
mod meters;
pub mod metrics;
pub mod names;

use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use std::time::Duration;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};

pub use access::AccessLine;
pub use counters::{COUNTERS, Counter, Counters, CountersSnapshot};
pub(crate) use escape::is_obeyed;
pub use meters::{CLASSES, Durations, Meter, Meters, Spread};

use self::backlog::{Backlog, LineWriter};
use self::line::Form;
use crate::config::{self, AccessFormat, LogFormat};

/// How long the end of the process waits for the log's reader.
const FLUSH: Duration = Duration::from_secs(2);

static BACKLOG: OnceLock<Backlog> = OnceLock::new();

/// Keeps the log flowing; dropped, it waits for what was logged before to be written, at most two seconds.
#[must_use = "the last lines are lost unless this is dropped at the end of the process"]
#[derive(Debug)]
pub struct LogGuard(());

impl Drop for LogGuard {
    fn drop(&mut self) {
        if let Some(backlog) = BACKLOG.get() {
            backlog.flush(FLUSH);
        }
    }
}

/// Sends everything that is logged from now on to stderr. Later calls in the same process change nothing.
///
/// # Errors
///
/// When the thread that writes cannot be started.
pub fn init(log: &config::Log) -> io::Result<LogGuard> {
    if BACKLOG.get().is_none() {
        let form = choose_form(log.format);
        let started = Backlog::start(log.buffer.bytes(), form, io::stderr())?;
        let backlog = BACKLOG.get_or_init(|| started);
        let subscriber = subscriber(form, &log.level, move || LineWriter(backlog));
        // Fails only where another subscriber stands already (in a test, say): then that one has the events.
        let _ = tracing::subscriber::set_global_default(subscriber);
        std::panic::set_hook(Box::new(log_panic));
    }
    Ok(LogGuard(()))
}

/// Logs a panic where it happens. The hook that Rust installs writes to stderr by itself, and would hold the worker up
/// where nobody reads that.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    let thread = std::thread::current();
    let said = panic.payload_as_str().unwrap_or("a panic without words");
    tracing::error!(
        thread = thread.name().unwrap_or_default(),
        place,
        "panicked: {said}"
    );
}

/// Writes a request's line into the access log.
pub fn access(line: &AccessLine<'_>, format: AccessFormat) {
    if let Some(backlog) = BACKLOG.get()
        && let Some(text) = line.write(format)
    {
        backlog.push(text.into_bytes());
    }
}

/// How much of a path stands in a line, in bytes; a record has all of it.
const LONGEST_PATH: usize = 2048;

/// The path of a target without its query, and no more of it than a line has room for.
#[must_use]
pub fn path(target: &str) -> &str {
    let path = target.split(['?', '#']).next().unwrap_or(target);
    path.get(..path.floor_char_boundary(LONGEST_PATH))
        .unwrap_or(path)
}

/// A duration as log fields tell it: milliseconds, to the microsecond.
#[must_use]
pub fn milliseconds(duration: Duration) -> f64 {
    let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1000.0
}

fn choose_form(format: Option<LogFormat>) -> Form {
    let terminal = io::stderr().is_terminal();
    let color = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match format {
        Some(LogFormat::Json) => Form::Json,
        None if !terminal => Form::Json,
        Some(LogFormat::Pretty) | None => Form::Pretty { color },
    }
}

/// Ours at the level of the configuration, what libraries have to say from warnings on.
fn subscriber<W>(form: Form, level: &str, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let ours: LevelFilter = level.parse().unwrap_or(LevelFilter::INFO);
    let filter = Targets::new()
        .with_target("pardon", ours)
        .with_default(ours.min(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer()
        .event_format(form)
        .log_internal_errors(false)
        .with_writer(writer)
        .with_filter(filter);
    tracing_subscriber::registry().with(lines)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(form: Form, level: &str, events: impl FnOnce()) -> String {
        let paper = Paper::default();
        let writer = paper.clone();
        tracing::subscriber::with_default(subscriber(form, level, move || writer.clone()), events);
        let text = paper.0.lock().unwrap().clone();
        String::from_utf8(text).unwrap()
    }

    /// What is logged meanwhile, as JSON lines in their own order of keys.
    pub(crate) fn logged_json(events: impl FnOnce()) -> String {
        logged(Form::Json, "info", events)
    }

    /// What is logged meanwhile, as a person sees it.
    pub(crate) fn logged_pretty(events: impl FnOnce()) -> String {
        logged(Form::Pretty { color: false }, "info", events)
    }

    #[test]
    fn json_lines_are_flat() {
        let text = logged_json(|| {
            tracing::warn!(
                target: "pardon::x",
                number = 7,
                big = u64::MAX,
                share = 0.5,
                nothing = f64::NAN,
                absent = None::<u64>,
                yes = true,
                shown = %"a\u{7f}\u{9b}b",
                "hello {}",
                "you\n"
            );
        });
        let value: Value = serde_json::from_str(&text).unwrap();
        let time = value["timestamp"].as_str().unwrap();
        assert!(time.ends_with('Z') && time.parse::<jiff::Timestamp>().is_ok());
        assert_eq!(value["level"], "WARN");
        assert_eq!(value["target"], "pardon::x");
        assert_eq!(value["message"], "hello you\n");
        assert_eq!(value["number"], 7);
        assert_eq!(value["big"], u64::MAX);
        assert_eq!(value["share"], 0.5);
        assert_eq!(value["nothing"], Value::Null);
        assert_eq!(value["yes"], true);
        assert_eq!(value["shown"], "a\u{7f}\u{9b}b");
        assert!(value.get("absent").is_none());
        assert_eq!(
            text.trim_end().chars().filter(|c| c.is_control()).count(),
            0
        );
    }

    #[test]
    fn pretty_lines_let_nothing_through_to_the_terminal() {
        let text = logged_pretty(|| {
            tracing::error!(
                target: "pardon::x",
                body = "<p>\u{1b}[2J\r\nline \u{9b}two",
                "quoted name" = "a b",
                plain = "ab",
                "said \u{1b}]0;x\u{7}\nmore"
            );
        });
        let (_, rest) = text.split_once(' ').unwrap();
        assert_eq!(
            rest,
            "ERROR pardon::x: said \\u{1b}]0;x\\u{7}\\nmore quoted name=\"a b\" plain=ab\n    \
             body:\n    | <p>\\u{1b}[2J\n    | line \\u{9b}two\n"
        );
    }

    #[test]
    fn libraries_are_heard_from_warnings_on() {
        let events = || {
            tracing::debug!(target: "pardon::proxy", "ours");
            tracing::warn!(target: "hyper::proto", "warned");
            tracing::info!(target: "hyper::proto", "chatter");
        };
        for (level, heard) in [
            ("debug", vec!["ours", "warned"]),
            ("info", vec!["warned"]),
            ("error", vec![]),
            ("nonsense", vec!["warned"]),
        ] {
            let text = logged(Form::Pretty { color: true }, level, events);
            let said: Vec<&str> = text
                .lines()
                .filter_map(|l| l.split(' ').next_back())
                .collect();
            assert_eq!(said, heard, "{level}");
        }
    }
}
