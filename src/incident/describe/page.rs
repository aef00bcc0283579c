//! A body on its way to be read: how much of it is looked at, and how its parts are found.

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memmem::{self, Finder};
use memchr::{memchr, memchr_iter, memrchr_iter};

/// How much of a body's beginning is looked at.
pub(super) const LOOKED_AT: usize = 64 * 1024;
/// How much of the end of a longer one: some pages close with their plain trace.
const TAIL: usize = 16 * 1024;
/// Where a page that a framework made shows by what it begins with.
const HEAD: usize = 8 * 1024;

/// What a body is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Markup,
    Text,
    /// Nothing that a person could read.
    Binary,
}

/// The parts of a body that are looked at, as text.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub(super) kind: Kind,
    pub(super) text: Cow<'a, str>,
    /// The end of a body that is longer than what is looked at.
    pub(super) tail: Cow<'a, str>,
}

impl<'a> Page<'a> {
    pub(super) fn of(content_type: &str, body: &'a [u8]) -> Self {
        let (beginning, rest) = body.split_at_checked(LOOKED_AT).unwrap_or((body, &[]));
        let tail = rest.get(rest.len().saturating_sub(TAIL)..);
        let text = as_text(beginning);
        Self {
            kind: kind(content_type, &text),
            text,
            tail: as_text(tail.unwrap_or_default()),
        }
    }
}

impl Page<'_> {
    /// The beginning of the text.
    pub(super) fn head(&self) -> &str {
        head(&self.text, HEAD)
    }

    /// Whether the beginning has a mark in it.
    pub(super) fn begins_with(&self, mark: &str) -> bool {
        has(self.head(), mark)
    }

    /// What follows a mark for the first time.
    pub(super) fn after(&self, mark: &str) -> Option<&str> {
        after(&self.text, mark)
    }

    /// What stands between two marks for the first time.
    pub(super) fn between(&self, start: &str, end: &str) -> Option<&str> {
        between(&self.text, start, end)
    }

    /// The text and the tail, whichever there is.
    pub(super) fn parts(&self) -> [&str; 2] {
        [&self.text, &self.tail]
    }
}

/// The first bytes of a text, cut between characters.
pub(super) fn head(text: &str, length: usize) -> &str {
    let mut end = length.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The last bytes of a text, cut between characters.
pub(super) fn tail(text: &str, length: usize) -> &str {
    let mut start = text.len().saturating_sub(length);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default()
}

/// A mark that every page of a kind is looked through for. To get ready for it, once, takes as long as to look through some kilobytes.
pub(super) struct Mark(LazyLock<Finder<'static>>);

impl Mark {
    pub(super) const fn new(ready: fn() -> Finder<'static>) -> Self {
        Self(LazyLock::new(ready))
    }

    /// Whether a text has the mark in it.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.0.find(text.as_bytes()).is_some()
    }

    /// What follows the mark for the first time.
    pub(super) fn after<'t>(&self, text: &'t str) -> Option<&'t str> {
        let at = self.0.find(text.as_bytes())?;
        text.get(at + self.0.needle().len()..)
    }

    /// What follows the mark for the last time.
    pub(super) fn after_last<'t>(&self, text: &'t str) -> Option<&'t str> {
        // Searching forwards is the faster by far, and most pages do not have it.
        let at = self.0.find_iter(text.as_bytes()).last()?;
        text.get(at + self.0.needle().len()..)
    }
}

/// Whether a text has a mark in it.
pub(super) fn has(text: &str, mark: &str) -> bool {
    memmem::find(text.as_bytes(), mark.as_bytes()).is_some()
}

/// What follows a mark for the first time.
pub(super) fn after<'t>(text: &'t str, mark: &str) -> Option<&'t str> {
    let at = memmem::find(text.as_bytes(), mark.as_bytes())?;
    text.get(at + mark.len()..)
}

/// What follows a mark for the last time.
pub(super) fn after_last<'t>(text: &'t str, mark: &str) -> Option<&'t str> {
    let at = memmem::find_iter(text.as_bytes(), mark).last()?;
    text.get(at + mark.len()..)
}

/// What stands between two marks for the first time; all that follows the first where the other is missing.
pub(super) fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    let inside = after(text, start)?;
    let length = memmem::find(inside.as_bytes(), end.as_bytes());
    inside.get(..length.unwrap_or(inside.len()))
}

/// What looks for several marks at once.
pub(super) fn searcher<M: AsRef<[u8]>>(marks: impl IntoIterator<Item = M>) -> Option<AhoCorasick> {
    let mut builder = AhoCorasick::builder();
    // Of this kind it does so with vector instructions.
    builder.match_kind(MatchKind::LeftmostFirst);
    builder.build(marks).ok()
}

/// What stands before and behind a mark in a line. There, looking for the mark's first byte takes less time than getting ready to look
/// for all of it.
pub(super) fn split_once<'t>(line: &'t str, mark: &str) -> Option<(&'t str, &'t str)> {
    let first = *mark.as_bytes().first()?;
    split_at_one_of(line, mark, memchr_iter(first, line.as_bytes()))
}

/// What stands before and behind a mark where it is in a line for the last time.
pub(super) fn rsplit_once<'t>(line: &'t str, mark: &str) -> Option<(&'t str, &'t str)> {
    let first = *mark.as_bytes().first()?;
    split_at_one_of(line, mark, memrchr_iter(first, line.as_bytes()))
}

fn split_at_one_of<'t>(
    line: &'t str,
    mark: &str,
    mut places: impl Iterator<Item = usize>,
) -> Option<(&'t str, &'t str)> {
    places.find_map(|at| {
        let (before, rest) = line.split_at_checked(at)?;
        Some((before, rest.strip_prefix(mark)?))
    })
}

/// What stands before a mark in a line, or the line.
pub(super) fn before<'t>(line: &'t str, mark: &str) -> &'t str {
    split_once(line, mark).map_or(line, |(before, _)| before)
}

/// The lines of a text, as `str::lines` has them.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (line, after) = split_line(rest)?;
        rest = after;
        Some(line)
    })
}

/// The first line of a text and what follows it.
pub(super) fn split_line(text: &str) -> Option<(&str, &str)> {
    if text.is_empty() {
        return None;
    }
    let Some(end) = memchr(b'\n', text.as_bytes()) else {
        return Some((text, ""));
    };
    let (line, after) = text.split_at_checked(end)?;
    Some((line.strip_suffix('\r').unwrap_or(line), after.get(1..)?))
}

/// A text from its first line on that does not begin with a space or a tab. A block of bytes at a time, without a branch for each line: of
/// the lines of a trace there are hundreds.
pub(super) fn unindented(text: &str) -> &str {
    const BLOCK: usize = 32;
    let bytes = text.as_bytes();
    let begins = |before: u8, byte: u8| before == b'\n' && byte != b' ' && byte != b'\t';
    if bytes.first().is_none_or(|first| begins(b'\n', *first)) {
        return text;
    }
    let mut at = 0;
    while let Some(before) = bytes.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>)
        && let Some(block) = bytes.get(at + 1..).and_then(<[u8]>::first_chunk::<BLOCK>)
    {
        let pairs = before.iter().zip(block);
        if pairs.fold(false, |any, (one, other)| any | begins(*one, *other)) {
            break;
        }
        at += BLOCK;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let mut pairs = rest.iter().zip(rest.get(1..).unwrap_or_default());
    let begin = pairs.position(|(one, other)| begins(*one, *other));
    begin
        .and_then(|begin| text.get(at + begin + 1..))
        .unwrap_or_default()
}

/// Where one of some bytes stands for the first time; `far` looks for them too. In most texts one is near: there, eight bytes at a time
/// are looked at in less than what it takes to call `far`.
pub(super) fn find_near<const N: usize>(
    text: &[u8],
    marks: [u8; N],
    far: impl Fn(&[u8]) -> Option<usize>,
) -> Option<usize> {
    const NEAR: usize = 16;
    let mut rest = text;
    while text.len() - rest.len() < NEAR
        && let Some((word, after)) = rest.split_first_chunk()
    {
        let word = u64::from_le_bytes(*word);
        let found = marks.map(|mark| places(word, mark));
        let found = found.iter().fold(0, |all, found| all | found);
        if found != 0 {
            return Some(text.len() - rest.len() + found.trailing_zeros() as usize / 8);
        }
        rest = after;
    }
    Some(text.len() - rest.len() + far(rest)?)
}

/// The highest bit of each byte that is the mark; above the first of them of others too.
fn places(word: u64, mark: u8) -> u64 {
    const LOWEST: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST: u64 = LOWEST << 7;
    let differs = word ^ (LOWEST * u64::from(mark));
    differs.wrapping_sub(LOWEST) & !differs & HIGHEST
}

/// What the body looks like goes before what its type claims: many apps send all their errors as `text/html`.
fn kind(content_type: &str, text: &str) -> Kind {
    let claims = |name: &str| {
        let mut places = content_type.as_bytes().windows(name.len());
        places.any(|place| place.eq_ignore_ascii_case(name.as_bytes()))
    };
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if start.starts_with(['{', '[']) {
        Kind::Json
    } else if claims("html") || claims("xml") || is_tag(start) {
        Kind::Markup
    } else if has_zero(text) {
        Kind::Binary
    } else {
        Kind::Text
    }
}

/// Whether a zero is among the first characters.
fn has_zero(text: &str) -> bool {
    const LOOKED_AT: usize = 512;
    let start = head(text, 4 * LOOKED_AT);
    let zero = memchr(0, start.as_bytes()).and_then(|at| start.get(..at));
    zero.is_some_and(|before| before.chars().count() < LOOKED_AT)
}

fn is_tag(text: &str) -> bool {
    matches!(
        text.as_bytes(),
        [b'<', b'!' | b'?' | b'a'..=b'z' | b'A'..=b'Z', ..]
    )
}

/// Bytes as text; characters that a limit has cut in two are left out.
fn as_text(bytes: &[u8]) -> Cow<'_, str> {
    let skipped = bytes
        .iter()
        .take(3)
        .take_while(|byte| matches!(byte, 0x80..=0xbf))
        .count();
    let bytes = bytes.get(skipped..).unwrap_or_default();
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default())
        }
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_near_and_far() {
        for length in 0..40 {
            for at in 0..length {
                let mut text = vec![b'#'; length];
                text[at..].fill(b'"');
                let far = |rest: &[u8]| memchr(b'"', rest);
                assert_eq!(find_near(&text, [b'!', b'"'], far), Some(at));
                assert_eq!(find_near(&text[..at], [b'!', b'"'], far), None);
            }
        }
    }

    #[test]
    fn a_line_is_found_that_is_not_indented() {
        for indented in 0..80 {
            for (line, rest) in [("x", "\n y"), ("", "\nx"), ("\r", "\n\t"), ("é", "")] {
                let before = format!(" {}\n", "a\n\tb".repeat(indented));
                let text = format!("{before}{line}{rest}");
                assert_eq!(unindented(&text), &text[before.len()..]);
                assert_eq!(unindented(&text[before.len()..]), &text[before.len()..]);
                assert_eq!(unindented(before.trim_end()), "");
            }
        }
    }

    #[test]
    fn lines_and_marks_are_found_as_the_standard_library_finds_them() {
        for text in [
            "",
            "a",
            "a in b in c",
            " in ",
            "é in  in\r\n",
            "a\n\nb\r\nc\r",
            "\n",
            "in in",
        ] {
            assert_eq!(
                split_once(text, " in "),
                text.split_once(" in "),
                "{text:?}"
            );
            assert_eq!(
                rsplit_once(text, " in "),
                text.rsplit_once(" in "),
                "{text:?}"
            );
            assert!(lines(text).eq(text.lines()), "{text:?}");
        }
    }
}
