//! Secrets that the user names: regular expressions, query keys and headers, as they stand within a text.

use std::borrow::Cow;
use std::ops::Range;

use http::HeaderName;
use regex::bytes::{Captures, Regex};

use super::literals::PARAMETERS;
use super::name::Label;
use super::search::Search;
use super::value::{self, Form};
use super::{Mark, assignment};
use crate::config::Redact;

/// A regular expression, with what it takes out.
#[derive(Debug)]
struct Pattern {
    regex: Regex,
    name: Cow<'static, str>,
}

/// The user's regular expressions. Each is searched for on its own: those that begin with a literal, as most do, take 0.2 us for 8 KiB, where a
/// set of five took 15 us.
#[derive(Debug)]
pub(super) struct Patterns(Vec<Pattern>);

impl Patterns {
    /// Patterns that do not compile are refused by the configuration, and skipped here.
    pub(super) fn new(patterns: &[String]) -> Self {
        let regexes = patterns
            .iter()
            .filter_map(|pattern| Redact::pattern(pattern).ok());
        Self(regexes.map(Pattern::new).collect())
    }

    pub(super) fn find(&self, text: &[u8], marks: &mut Vec<Mark>) {
        for pattern in &self.0 {
            pattern.find(text, marks);
        }
    }
}

impl Pattern {
    fn new(regex: Regex) -> Self {
        let named = regex.capture_names().flatten().next().map(str::to_owned);
        let name = named.map_or(Cow::Borrowed("pattern"), Cow::Owned);
        Self { regex, name }
    }

    fn find(&self, text: &[u8], marks: &mut Vec<Mark>) {
        let marked = |range: &Range<usize>| text.get(range.clone()).is_none_or(is_marked);
        let secrets = self
            .regex
            .captures_iter(text)
            .map(|captures| secret(&captures));
        for range in secrets.filter(|range| !range.is_empty() && !marked(range)) {
            marks.push(Mark {
                name: self.name.clone(),
                range,
            });
        }
    }
}

/// The first group that took part, else the whole match.
fn secret(captures: &Captures<'_>) -> Range<usize> {
    let groups = captures.iter().skip(1).flatten().next();
    groups
        .or_else(|| captures.get(0))
        .map_or(0..0, |found| found.range())
}

fn is_marked(secret: &[u8]) -> bool {
    memchr::memmem::find(secret, b"[redacted: ").is_some()
}

/// A name that the user has listed.
#[derive(Clone, Copy, Debug)]
enum Listed {
    Query(usize),
    Header(usize),
}

/// The listed query keys and headers, as far as no built-in name covers them.
#[derive(Debug)]
pub(super) struct Names {
    names: Vec<String>,
    search: Option<Search<Listed>>,
}

impl Names {
    pub(super) fn new(query: &[String], headers: &[HeaderName], builtin: bool) -> Self {
        let mut names = Vec::new();
        let mut literals = Vec::new();
        let covered =
            |name: &str| name.is_empty() || builtin && Label::of(name.as_bytes()).is_some();
        let common =
            |key: &str| builtin && PARAMETERS.iter().any(|name| name.eq_ignore_ascii_case(key));
        for key in query.iter().filter(|key| !covered(key) && !common(key)) {
            literals.extend(ways_to_write(key).map(|way| (way, Listed::Query(names.len()))));
            names.push(key.clone());
        }
        for header in headers
            .iter()
            .map(HeaderName::as_str)
            .filter(|header| !covered(header))
        {
            literals.extend(ways_to_write(header).map(|way| (way, Listed::Header(names.len()))));
            names.push(header.to_owned());
        }
        let search = Search::new(
            literals
                .iter()
                .map(|(way, listed)| (way.as_bytes(), *listed)),
        );
        let search = (!names.is_empty()).then_some(search);
        Self { names, search }
    }

    pub(super) fn find(&self, text: &[u8], marks: &mut Vec<Mark>) {
        let Some(search) = &self.search else {
            return;
        };
        let mut at = 0;
        while let Some((listed, found)) = search.next(text, at) {
            at = found.end;
            let (place, range) = match listed {
                Listed::Query(place) => (place, parameter(text, &found)),
                Listed::Header(place) => (place, assignment::of_header(text, &found)),
            };
            let name = self.names.get(place).cloned().unwrap_or_default();
            if let Some(range) = range {
                at = at.max(range.end);
                marks.push(Mark {
                    name: name.into(),
                    range,
                });
            }
        }
    }
}

/// `x-badge`, `X-Badge`, `X-BADGE` and `X_BADGE`, without doubles.
fn ways_to_write(name: &str) -> impl Iterator<Item = String> {
    let lower = name.to_ascii_lowercase();
    let upper = name.to_ascii_uppercase();
    let variable = upper.replace('-', "_");
    let mut ways = vec![lower, title(name), upper, variable];
    ways.dedup();
    ways.into_iter()
}

fn title(name: &str) -> String {
    let mut begins = true;
    let letters = name.chars().map(|letter| {
        let first = std::mem::replace(&mut begins, !letter.is_ascii_alphanumeric());
        if first {
            letter.to_ascii_uppercase()
        } else {
            letter.to_ascii_lowercase()
        }
    });
    letters.collect()
}

/// The value of a query key within a URL that stands in a text.
pub(super) fn parameter(text: &[u8], key: &Range<usize>) -> Option<Range<usize>> {
    let before = text.get(..key.start)?;
    let begins = [
        &b"?"[..],
        b"&",
        b"&amp;",
        b"%3F",
        b"%3f",
        b"%26",
        b"\\u0026",
    ]
    .iter()
    .any(|sign| before.ends_with(sign));
    let rest = text.get(key.end..)?;
    let (equals, form) = match rest {
        [b'=', ..] => (1, Form::Sure),
        [b'%', b'3', b'D' | b'd', ..] => (3, Form::Encoded),
        _ => return None,
    };
    let value = value::token(text, key.end + equals, form).filter(|_| begins)?;
    (!value::is_masked(text.get(value.clone())?)).then_some(value)
}
