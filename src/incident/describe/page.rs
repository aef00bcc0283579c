//! A body on its way to be read: how much of it is looked at, and how its parts are found.

use std::borrow::Cow;

use memchr::memmem;

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
    // Searching forwards is the faster by far, and most pages do not have it.
    let rest = after(text, mark)?;
    let last = memmem::rfind(rest.as_bytes(), mark.as_bytes());
    last.map_or(Some(rest), |at| rest.get(at + mark.len()..))
}

/// What stands between two marks for the first time; all that follows the first where the other is missing.
pub(super) fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    let inside = after(text, start)?;
    let length = memmem::find(inside.as_bytes(), end.as_bytes());
    inside.get(..length.unwrap_or(inside.len()))
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
    } else if text.chars().take(512).any(|letter| letter == '\0') {
        Kind::Binary
    } else {
        Kind::Text
    }
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
