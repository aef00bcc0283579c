//! What a line looks like: one JSON object, or text for a person at a terminal. Foreign text in it can end no line and move no cursor.
//!
//! tracing-subscriber's own formatters are not used: its JSON leaves DEL, C1 controls and U+2028 as they are, its text form leaves
//! carriage returns and characters that reorder a line, and it puts a page of original body into one line.

use std::fmt::{self, Debug, Write};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::{escape, names};

/// Most lines are shorter.
const USUAL: usize = 512;

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON object a line.
    Json,
    /// For a person; values of several lines stand below, each line indented.
    Pretty { color: bool },
}

impl<S, N> FormatEvent<S, N> for Form
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        // Gathered here: a call of that writer takes 34 instructions, and a line makes a hundred.
        let mut text = String::with_capacity(USUAL);
        let mut line = Line::begin(&mut text, *self, *metadata.level(), metadata.target())?;
        event.record(&mut line);
        line.end()?;
        out.write_str(&text)
    }
}

/// The line that says how many others were dropped.
pub(super) fn dropped(out: &mut String, form: Form, count: u64) -> fmt::Result {
    let mut line = Line::begin(out, form, Level::WARN, names::TELEMETRY)?;
    line.text(
        "message",
        "log lines were dropped: the log's reader is too slow",
    );
    line.plain(names::DROPPED, count);
    line.end()
}

/// A line under way. An error of the writer is kept for the end.
pub(super) struct Line<'a> {
    out: &'a mut String,
    form: Form,
    /// What stands below the line.
    below: String,
    result: fmt::Result,
}

impl<'a> Line<'a> {
    /// Begins a line of this moment.
    pub(super) fn begin(
        out: &'a mut String,
        form: Form,
        level: Level,
        target: &str,
    ) -> Result<Self, fmt::Error> {
        let now = Timestamp::now();
        match form {
            Form::Json => {
                write!(
                    out,
                    r#"{{"timestamp":"{now:.3}","level":"{level}","target":"#
                )?;
                escape::json(out, target)?;
            }
            Form::Pretty { color } => {
                let (start, end) = if color {
                    (shade(level), "\x1b[0m")
                } else {
                    ("", "")
                };
                write!(out, "{now:.3} {start}{level:>5}{end} {target}")?;
            }
        }
        Ok(Self {
            out,
            form,
            below: String::new(),
            result: Ok(()),
        })
    }

    /// Ends the line.
    pub(super) fn end(self) -> fmt::Result {
        self.result?;
        match self.form {
            Form::Json => self.out.write_str("}\n"),
            Form::Pretty { .. } => {
                self.out.write_char('\n')?;
                self.out.write_str(&self.below)
            }
        }
    }

    /// Adds a text.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        if self.result.is_ok() {
            self.result = match self.form {
                Form::Json => self.json_text(name, value),
                Form::Pretty { .. } if name == "message" => self.message(value),
                Form::Pretty { .. } if value.contains('\n') => self.block(name, value),
                Form::Pretty { .. } => self.pretty_text(name, value),
            };
        }
    }

    /// Adds what needs no quotes: a number, a truth value.
    pub(super) fn plain(&mut self, name: &str, value: impl fmt::Display) {
        if self.result.is_ok() {
            self.result = match self.form {
                Form::Json => write!(self.out, ",\"{name}\":{value}"),
                Form::Pretty { .. } => write!(self.out, " {name}={value}"),
            };
        }
    }

    fn json_text(&mut self, name: &str, value: &str) -> fmt::Result {
        self.out.write_char(',')?;
        escape::json(self.out, name)?;
        self.out.write_char(':')?;
        escape::json(self.out, value)
    }

    fn message(&mut self, value: &str) -> fmt::Result {
        self.out.write_str(": ")?;
        escape::terminal(self.out, value)
    }

    fn pretty_text(&mut self, name: &str, value: &str) -> fmt::Result {
        let quote = if value.is_empty() || value.contains([' ', '"', '=']) {
            "\""
        } else {
            ""
        };
        write!(self.out, " {name}={quote}")?;
        escape::terminal(self.out, value)?;
        self.out.write_str(quote)
    }

    fn block(&mut self, name: &str, value: &str) -> fmt::Result {
        writeln!(self.below, "    {name}:")?;
        for line in value.lines() {
            self.below.write_str("    | ")?;
            escape::terminal(&mut self.below, line)?;
            self.below.write_char('\n')?;
        }
        Ok(())
    }
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.plain(field.name(), value);
        } else {
            self.plain(field.name(), "null");
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field.name(), &format!("{value:?}"));
    }
}

fn shade(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG | Level::TRACE => "\x1b[2m",
    }
}
