//! Which of a body's lines says the most: the general rule, for pages that no framework is known by.

use memchr::memmem::Finder;

use super::finding::Finding;
use super::frames::{self, Frame, Frames};
use super::page::{self, Mark};
use super::{perl, ruby};

static RUBY: Mark = Mark::new(|| Finder::new(":in "));
static PERL: Mark = Mark::new(|| Finder::new(" line "));

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Title,
    Heading,
    Body,
}

/// How well a line names a failure; the better the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// A warning: the page may be about something else.
    Warning,
    /// The name of an exception alone.
    Name,
    /// Its name and where it happened.
    NameAndPlace,
    /// Its name and what it says.
    NameAndMessage,
}

/// Sees the lines one after the other and keeps the one that says the most, and the frames.
#[derive(Debug, Default)]
pub(super) struct Picker {
    named: Option<(Rank, String)>,
    /// The message that stands apart from the exception's name.
    apart: Option<String>,
    title: Option<String>,
    heading: Option<String>,
    first: Option<String>,
    /// The first frame's line, for where there is nothing but frames.
    framed: Option<String>,
    frames: Frames,
    /// Whether the frames so far are those of what the exception became, not its own.
    caused: bool,
    /// What the text has nowhere need not be looked for in each line.
    signs: Signs,
    /// How many lines have come since the last that said something.
    idle: usize,
}

/// What tells lines of some languages apart, as far as a text has it.
#[derive(Clone, Copy, Debug, Default)]
struct Signs {
    /// ``app.rb:7:in `boom'``
    ruby: bool,
    /// `at shop.pl line 7`
    perl: bool,
}

/// A line is not kept further than this.
const LINE: usize = 1024;
/// So many lines without a frame end a trace.
const BEHIND_TRACE: usize = 8;
/// So many lines after an exception's name no trace follows.
const BEFORE_TRACE: usize = 24;

/// What exceptions' names end in.
const ENDINGS: [&str; 8] = [
    "Error",
    "Exception",
    "Fault",
    "Failure",
    "Panic",
    "Interrupt",
    "NotFound",
    "DoesNotExist",
];

/// Titles that say nothing.
const EMPTY_TITLES: [&str; 8] = [
    "error",
    "oops",
    "oops!",
    "document",
    "untitled",
    "exception",
    "500",
    "fehler",
];

impl Picker {
    /// A picker of the lines of a text.
    pub(super) fn of(text: &str) -> Self {
        Self {
            signs: Signs {
                ruby: RUBY.is_in(text),
                perl: PERL.is_in(text),
            },
            ..Self::default()
        }
    }

    /// Shows the next line; true when no later one can say more.
    pub(super) fn offer(&mut self, place: Place, line: &str) -> bool {
        let line = page::head(line.trim(), LINE);
        if line.is_empty() {
            return false;
        }
        if self.may_be_frame(line)
            && let Some(frame) = frames::parse(line)
        {
            self.frame(frame, line);
        } else {
            self.words(place, line);
        }
        self.is_done()
    }

    /// A cheap look before a closer one.
    fn may_be_frame(&self, line: &str) -> bool {
        matches!(
            line.as_bytes(),
            [b'a' | b'f' | b'F' | b'#' | b'(', ..] | [.., b')']
        ) || self.signs.ruby
    }

    /// Takes a frame; Ruby writes the message behind the first.
    fn frame(&mut self, frame: Frame<'_>, line: &str) {
        if self.signs.ruby
            && let Some(told) = ruby::uncaught(line)
            && self.best() < Some(Rank::NameAndMessage)
        {
            self.named = Some((Rank::NameAndMessage, told));
        }
        self.framed.get_or_insert_with(|| line.to_owned());
        if std::mem::take(&mut self.caused) {
            self.frames = Frames::default();
        }
        self.frames.push_caller(frame);
        self.idle = 0;
    }

    fn words(&mut self, place: Place, line: &str) {
        self.idle += 1;
        self.keep(place, line);
        // What an exception was caused by says more than what became of it.
        if let Some(cause) = line.strip_prefix("Caused by: ")
            && rank(cause).is_some()
        {
            self.caused = true;
            self.name(Rank::NameAndMessage, cause);
            return;
        }
        match rank_of(line, self.signs.perl) {
            Some(rank) if self.best() < Some(rank) => self.name(rank, line),
            _ => self.keep_apart(place, line),
        }
    }

    fn name(&mut self, rank: Rank, line: &str) {
        self.named = Some((rank, line.to_owned()));
        self.idle = 0;
    }

    fn best(&self) -> Option<Rank> {
        self.named.as_ref().map(|(rank, _)| *rank)
    }

    fn keep_apart(&mut self, place: Place, line: &str) {
        let Some((Rank::NameAndPlace, named)) = &self.named else {
            return;
        };
        let follows = place == Place::Heading || is_label(named);
        if follows && self.apart.is_none() && !line.contains(name_of_page(named)) {
            self.apart = Some(line.to_owned());
        }
    }

    fn is_done(&self) -> bool {
        let patience = if self.frames.is_empty() {
            BEFORE_TRACE
        } else {
            BEHIND_TRACE
        };
        self.best() == Some(Rank::NameAndMessage) && self.idle > patience
    }

    /// The line that says the most, and the frames.
    pub(super) fn pick(self) -> Option<Finding> {
        let telling = |title: &String| {
            let plain = title.to_lowercase();
            !EMPTY_TITLES.contains(&plain.as_str()) && !is_label(title)
        };
        let title = self.title.filter(telling);
        let headline = match (self.named, title) {
            (Some((Rank::Name, name)), Some(title)) if !title.contains(&name) => {
                Some(format!("{name}: {title}"))
            }
            (Some((Rank::NameAndPlace, line)), _) => Some(with_message(&line, self.apart)),
            (Some((_, line)), _) => Some(line),
            (None, title) => title
                .or_else(|| self.heading.filter(|heading| !is_label(heading)))
                .or(self.first)
                .or(self.framed),
        };
        headline.map(|headline| Finding::told(&headline, self.frames))
    }

    fn keep(&mut self, place: Place, line: &str) {
        let kept = match place {
            Place::Title => &mut self.title,
            Place::Heading => &mut self.heading,
            Place::Body => &mut self.first,
        };
        if kept.is_none() && line.len() > 1 && line.contains(char::is_alphanumeric) {
            *kept = Some(line.to_owned());
        }
    }
}

/// The exception of a page that is called `RuntimeError at /basket`, without the address.
fn name_of_page(line: &str) -> &str {
    line.split_once(" at /").map_or(line, |(name, _)| name)
}

/// A line that tells a place, with the message that followed it instead.
fn with_message(line: &str, message: Option<String>) -> String {
    match message {
        Some(message) if is_label(line) => format!("{line} {message}"),
        Some(message) => format!("{}: {message}", name_of_page(line)),
        None => line.to_owned(),
    }
}

/// Whether a line only announces the next one.
fn is_label(line: &str) -> bool {
    line.ends_with(':')
}

/// How well a line names a failure, if it does at all.
pub(super) fn rank(line: &str) -> Option<Rank> {
    rank_of(line, true)
}

fn rank_of(line: &str, may_be_perl: bool) -> Option<Rank> {
    let line = without_openings(line);
    let (name, after) = leading_name(line);
    match name {
        "Fatal" | "Parse" if after.starts_with(" error:") => Some(Rank::NameAndMessage),
        "thread" if after.starts_with(" '") => Some(Rank::NameAndPlace),
        // Prose: a word, and another one behind it.
        _ if after.starts_with(' ') && !tells_place(after.trim_start()) => {
            ends_in_place(line, may_be_perl)
        }
        "SQLSTATE" if after.starts_with('[') => Some(Rank::NameAndMessage),
        "ORA" if after.starts_with('-') => Some(Rank::NameAndMessage),
        "panic" if after.starts_with(": ") => Some(Rank::NameAndMessage),
        "http" if after.starts_with(": panic ") => Some(Rank::NameAndMessage),
        "Warning" | "Notice" if after.starts_with(": ") => Some(Rank::Warning),
        name => rank_of_name(name, after).or_else(|| ends_in_place(line, may_be_perl)),
    }
}

fn ends_in_place(line: &str, may_be_perl: bool) -> Option<Rank> {
    let place = may_be_perl.then(|| perl::place(line)).flatten();
    place.map(|_| Rank::NameAndMessage)
}

/// The line without the words that stand before an exception's name, `PHP Uncaught` and the like.
pub(super) fn without_openings(line: &str) -> &str {
    if !line.starts_with(['E', 'P', 'U']) {
        return line;
    }
    let mut line = line;
    for opening in ["PHP ", "Uncaught ", "Unhandled exception. ", "Unhandled "] {
        line = line.strip_prefix(opening).map_or(line, str::trim_start);
    }
    match line.strip_prefix("Exception in thread \"") {
        Some(thread) => thread.split_once("\" ").map_or(line, |(_, line)| line),
        None => line,
    }
}

fn rank_of_name(name: &str, after: &str) -> Option<Rank> {
    let rank = match after.as_bytes() {
        [] | [b':'] => Rank::Name,
        [b':', ..] => Rank::NameAndMessage,
        [b' ' | b'\n', ..] if tells_place(after.trim_start()) => Rank::NameAndPlace,
        _ => return None,
    };
    let says_something = rank > Rank::Name || name.len() > "Exception".len();
    (says_something && is_exception(name, after)).then_some(rank)
}

fn tells_place(text: &str) -> bool {
    matches!(
        text.as_bytes(),
        [b'(', ..]
            | [b'-', b' ', ..]
            | [b'/', b'/', ..]
            | [b'a', b't', b' ' | b'\n', ..]
            | [b'i', b'n', b' ' | b'\n', ..]
    )
}

/// A name as programs write it, `a.b.C`, `A::B` or `A\B`, and what follows it.
fn leading_name(line: &str) -> (&str, &str) {
    let bytes = line.as_bytes();
    let mut end = 0;
    while let Some(byte) = bytes.get(end) {
        let next = bytes.get(end + 1);
        match byte {
            b'_' | b'.' | b'\\' | b'$' => end += 1,
            byte if byte.is_ascii_alphanumeric() => end += 1,
            b':' if next == Some(&b':') => end += 2,
            _ => break,
        }
    }
    line.split_at_checked(end).unwrap_or((line, ""))
}

/// Whether a name is an exception's: by its ending, or a qualified class name before a colon.
fn is_exception(name: &str, after: &str) -> bool {
    let class = name.rsplit(['.', '\\', ':', '$']).next().unwrap_or(name);
    let named_so = ENDINGS.iter().any(|ending| class.ends_with(ending));
    let qualified = name.len() > class.len()
        && class.len() > 2
        && class.starts_with(|letter: char| letter.is_ascii_uppercase())
        && after.starts_with(": ");
    named_so || qualified
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_ranked_by_what_they_tell() {
        for (line, expected) in [
            ("ValueError: x", Some(Rank::NameAndMessage)),
            ("psycopg2.OperationalError: x", Some(Rank::NameAndMessage)),
            ("Net::ReadTimeout: x", Some(Rank::NameAndMessage)),
            ("App\\Http\\Oops: x", Some(Rank::NameAndMessage)),
            (
                "PHP Fatal error:  Uncaught Error: x",
                Some(Rank::NameAndMessage),
            ),
            ("Uncaught TypeError: x", Some(Rank::NameAndMessage)),
            (
                "System.Web.HttpUnhandledException (0x80004005): x",
                Some(Rank::NameAndPlace),
            ),
            ("KeyError\n   at /blog", Some(Rank::NameAndPlace)),
            ("RuntimeError (boom)", Some(Rank::NameAndPlace)),
            ("OperationalError at /blog", Some(Rank::NameAndPlace)),
            ("ZeroDivisionError", Some(Rank::Name)),
            ("Warning: Undefined variable", Some(Rank::Warning)),
            ("Error", None),
            ("Error 500", None),
            ("Exception", None),
            ("Internal Server Error", None),
            ("except KeyError:", None),
            ("at Object.run (x.js:1)", None),
            ("http://a.Bc: x", None),
            ("", None),
        ] {
            assert_eq!(rank(line), expected, "{line}");
        }
    }
}
