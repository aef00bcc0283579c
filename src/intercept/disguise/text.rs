//! What an answer's text is, and how it begins and ends.

use memchr::{memchr_iter, memmem, memrchr_iter};

/// How long a page can be that nobody designed, in bytes.
const BARE: usize = 2048;

/// Bytes in which a document of HTML says that it is one.
const DOCUMENT: usize = 1024;

/// What media type an answer says that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// HTML, or none.
    Html,
    /// JSON.
    Json,
    /// Any other text.
    Text,
}

/// What an answer turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Markup.
    Html,
    /// An object or an array.
    Json,
    /// Neither.
    Text,
}

/// Where a text begins after marks and spaces, and the text from there on.
pub(super) fn beginning(text: &[u8]) -> (usize, &[u8]) {
    let marks: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
    let mark = marks.into_iter().find(|mark| text.starts_with(mark));
    let unmarked = text.get(mark.map_or(0, <[u8]>::len)..).unwrap_or_default();
    let begun = unmarked.trim_ascii_start();
    (text.len() - begun.len(), begun)
}

/// What an answer turns out to be that begins with this.
pub(super) fn kind_of(text: &[u8], declared: Declared) -> Kind {
    let begun = beginning(text).1;
    let object = |rest: &[u8]| matches!(rest.trim_ascii_start().first(), Some(b'"' | b'}'));
    let json = match begun.split_first() {
        Some((b'{', rest)) => declared == Declared::Json || object(rest),
        // What no JSON begins with is a failure's, in its place.
        Some((b'<' | b'A'..=b'Z' | b'#', _)) => false,
        _ => declared == Declared::Json,
    };
    match declared {
        _ if json => Kind::Json,
        Declared::Html | Declared::Json => Kind::Html,
        Declared::Text => Kind::Text,
    }
}

/// Whether a text is a failure's page that nobody designed: a server's own, a line, nothing.
pub(super) fn is_bare(text: &[u8], kind: Option<Kind>) -> bool {
    let text = text.trim_ascii();
    match kind {
        None | Some(Kind::Text) => true,
        Some(Kind::Json) => text.len() <= 4,
        Some(Kind::Html) => {
            let designed: [&[u8]; 7] = [
                b"<style", b"<link", b"<img", b"<svg", b"class=", b"style=", b"<nav",
            ];
            let text = text.to_ascii_lowercase();
            text.len() <= BARE
                && !designed
                    .iter()
                    .any(|part| memmem::find(&text, part).is_some())
        }
    }
}

/// Whether a text begins as a whole document of HTML does.
pub(super) fn begins_as_page(text: &[u8]) -> bool {
    let head = text.get(..DOCUMENT).unwrap_or(text);
    memchr_iter(b'<', head).any(|at| {
        let name = head.get(at + 1..at + 5);
        name.is_some_and(|name| name.eq_ignore_ascii_case(b"html"))
    })
}

/// Whether a text ends with a page's end.
pub(super) fn ends_as_page(text: &[u8]) -> bool {
    has_end_within(text, 200)
}

/// Whether a page's end is among the last bytes of a text.
pub(super) fn has_end_within(text: &[u8], last: usize) -> bool {
    let end = text.trim_ascii_end();
    let end = end
        .get(end.len().saturating_sub(last)..)
        .unwrap_or_default();
    memrchr_iter(b'<', end).any(|at| {
        let name = end.get(at + 1..at + 6);
        let closes = |close| name.is_some_and(|name| name.eq_ignore_ascii_case(close));
        closes(b"/html") || closes(b"/body")
    })
}

/// Whether a text has an element that a page would go on with.
pub(super) fn has_element(text: &[u8]) -> bool {
    memchr_iter(b'<', text).any(|at| {
        let name = text.get(at + 1..).unwrap_or_default();
        let closes = name.starts_with(b"/") || name.to_ascii_lowercase().starts_with(b"br");
        !closes && name.first().is_some_and(u8::is_ascii_alphabetic)
    })
}
