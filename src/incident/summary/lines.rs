//! Which of a body's lines says the most.

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

/// Sees the lines one after the other and keeps the one that says the most.
#[derive(Debug, Default)]
pub(super) struct Picker {
    named: Option<(Rank, String)>,
    title: Option<String>,
    heading: Option<String>,
    first: Option<String>,
    /// In a Python traceback the exception comes last.
    last_counts: bool,
}

/// How a line begins that tells a failure without an exception's name.
const PHRASES: [(&str, Rank); 9] = [
    ("Fatal error:", Rank::NameAndMessage),
    ("Parse error:", Rank::NameAndMessage),
    ("SQLSTATE[", Rank::NameAndMessage),
    ("ORA-", Rank::NameAndMessage),
    ("panic:", Rank::NameAndMessage),
    ("http: panic serving", Rank::NameAndMessage),
    ("thread '", Rank::NameAndPlace),
    ("Warning:", Rank::Warning),
    ("Notice:", Rank::Warning),
];

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
    /// Shows the next line; true when no later one can say more.
    pub(super) fn offer(&mut self, place: Place, line: &str) -> bool {
        let line = line.trim();
        if line.is_empty() {
            return false;
        }
        if line.starts_with("Traceback (most recent call last)") {
            self.last_counts = true;
            return false;
        }
        self.keep(place, line);
        if let Some(rank) = rank(line) {
            let best = self.named.as_ref().map(|(best, _)| *best);
            let better = best < Some(rank) || (best == Some(rank) && self.last_counts);
            if better {
                self.named = Some((rank, line.to_owned()));
            }
        }
        let settled = |(rank, _): &(Rank, String)| *rank == Rank::NameAndMessage;
        !self.last_counts && self.named.as_ref().is_some_and(settled)
    }

    /// The line that says the most.
    pub(super) fn pick(self) -> Option<String> {
        let telling = |title: &String| {
            let plain = title.to_lowercase();
            !EMPTY_TITLES.contains(&plain.as_str()) && !is_label(title)
        };
        let title = self.title.filter(telling);
        match (self.named, title) {
            (Some((Rank::Name, name)), Some(title)) if !title.contains(&name) => {
                Some(format!("{name}: {title}"))
            }
            (Some((_, line)), _) => Some(line),
            (None, title) => title
                .or_else(|| self.heading.filter(|heading| !is_label(heading)))
                .or(self.first),
        }
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

/// Whether a line only announces the next one.
fn is_label(line: &str) -> bool {
    line.ends_with(':')
}

/// How well a line names a failure, if it does at all.
pub(super) fn rank(line: &str) -> Option<Rank> {
    let line = ["PHP ", "Uncaught ", "Unhandled "]
        .iter()
        .fold(line, |line, prefix| {
            line.strip_prefix(prefix).unwrap_or(line)
        });
    let phrase = PHRASES.iter().find(|(phrase, _)| line.starts_with(phrase));
    if let Some((_, rank)) = phrase {
        return Some(*rank);
    }
    let (name, after) = leading_name(line);
    if !is_exception(name, after) {
        return None;
    }
    match after {
        "" | ":" if name.len() > "Exception".len() => Some(Rank::Name),
        "" | ":" => None,
        after if after.starts_with(':') => Some(Rank::NameAndMessage),
        after
            if [" at ", " in ", " (", " - ", " // "]
                .iter()
                .any(|word| after.starts_with(word)) =>
        {
            Some(Rank::NameAndPlace)
        }
        _ => None,
    }
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
