//! What a body tells of a failure.

use super::frames::{Frame, Frames};
use super::lines;
use super::{perl, php};

/// What went wrong in a line, as long as it may be, and where.
#[derive(Debug, Default)]
pub(super) struct Finding {
    pub(super) headline: String,
    pub(super) frames: Frames,
}

impl Finding {
    /// A finding without frames.
    pub(super) fn words(headline: impl Into<String>) -> Self {
        Self {
            headline: headline.into(),
            frames: Frames::default(),
        }
    }

    /// From a line as a program prints it. A place that it ends in becomes the innermost frame.
    pub(super) fn told(line: &str, mut frames: Frames) -> Self {
        let line = innermost(without_fatal(lines::without_openings(line)));
        let (told, file) = php::place(line)
            .or_else(|| perl::place(line))
            .unwrap_or((line, ""));
        if !file.is_empty() {
            frames.push_called(Frame::of_file(file));
        }
        Self {
            headline: told.to_owned(),
            frames,
        }
    }

    /// The finding of an exception's class and what it says.
    pub(super) fn exception(class: &str, message: &str, frames: Frames) -> Self {
        let (class, message) = (class.trim(), message.trim());
        let headline = match (class, message) {
            ("", text) | (text, "") => text.to_owned(),
            (class, message) => format!("{class}: {message}"),
        };
        Self { headline, frames }
    }
}

/// PHP announces what nobody caught as a fatal error; the exception says it better.
fn without_fatal(line: &str) -> &str {
    let fatal = line.strip_prefix("Fatal error:").map(str::trim_start);
    fatal
        .and_then(|error| error.strip_prefix("Uncaught "))
        .unwrap_or(line)
}

/// C# writes what an exception was caused by behind an arrow.
fn innermost(line: &str) -> &str {
    match line.rsplit_once(" ---> ") {
        Some((_, cause)) if lines::rank(cause).is_some() => cause,
        _ => line,
    }
}
