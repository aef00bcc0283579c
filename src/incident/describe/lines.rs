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
        let rank = rank(line);
        if let Some(rank) = rank {
            let best = self.named.as_ref().map(|(best, _)| *best);
            let better = best < Some(rank) || (best == Some(rank) && self.last_counts);
            if better {
                self.named = Some((rank, line.to_owned()));
            }
        }
        let settled = match rank {
            Some(Rank::NameAndMessage) => true,
            Some(Rank::NameAndPlace) => place != Place::Body,
            _ => false,
        };
        settled && !self.last_counts
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
    let (name, after) = leading_name(without_openings(line));
    match name {
        "Fatal" | "Parse" if after.starts_with(" error:") => Some(Rank::NameAndMessage),
        "thread" if after.starts_with(" '") => Some(Rank::NameAndPlace),
        // Prose: a word, and another one behind it.
        _ if after.starts_with(' ') && !tells_place(after.trim_start()) => None,
        "SQLSTATE" if after.starts_with('[') => Some(Rank::NameAndMessage),
        "ORA" if after.starts_with('-') => Some(Rank::NameAndMessage),
        "panic" if after.starts_with(": ") => Some(Rank::NameAndMessage),
        "http" if after.starts_with(": panic ") => Some(Rank::NameAndMessage),
        "Warning" | "Notice" if after.starts_with(": ") => Some(Rank::Warning),
        name => rank_of_name(name, after),
    }
}

/// The line without the words that stand before an exception's name, `PHP Uncaught` and the like.
fn without_openings(line: &str) -> &str {
    let mut line = line;
    for opening in ["PHP ", "Uncaught ", "Unhandled "] {
        line = line.strip_prefix(opening).map_or(line, str::trim_start);
    }
    line
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
