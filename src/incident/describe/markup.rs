//! The lines of an HTML or XML page, as far as a description needs them: no tree, one pass, nothing kept but the line under way.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use memchr::{memchr, memchr2, memchr3, memrchr2};

use super::finding::Finding;
use super::lines::{Picker, Place};
use super::page::{self, Page};

/// A line is not followed further than this.
const LINE: usize = 512;

/// So much of a page is read from its beginning.
const NEAR: usize = 12 * 1024;
/// So many places are read behind it,
const WINDOWS: usize = 6;
/// so much of each,
const WINDOW: usize = 2 * 1024;
/// from the beginning of a line so far before the sign.
const BEFORE: usize = 256;

/// What stands where a failure is told.
static SIGNS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let signs = [
        "Error: ",
        "Exception: ",
        "Fault: ",
        "Failure: ",
        "NotFound: ",
        "DoesNotExist: ",
        "Caused by: ",
        "Error at ",
        "Exception in ",
        "atal error",
        "arse error",
        "panic: ",
        "SQLSTATE[",
    ];
    AhoCorasick::new(signs).ok()
});

/// The longest name of an element that is known.
const LONGEST: usize = 8;

/// What an element means for the lines around it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    /// Part of a line.
    Inline,
    /// A line of its own.
    Block,
    Title,
    Heading,
    /// Its content is no text.
    Skipped,
}

/// Gives the lines of a page to a reader, until it has enough.
pub(super) fn read(text: &str, sink: impl FnMut(Place, &str) -> bool) {
    let mut reader = Reader {
        sink,
        line: String::with_capacity(LINE),
        place: Place::Body,
    };
    let mut rest = text;
    while !rest.is_empty() {
        if reader.settled_with(&mut rest) {
            return;
        }
    }
    reader.end_line();
}

/// The lines of a part of a page.
pub(super) fn flat(fragment: &str) -> String {
    joined(fragment, "\n")
}

/// A part of a page as one line.
pub(super) fn inline(fragment: &str) -> String {
    joined(fragment, " ")
}

fn joined(fragment: &str, between: &str) -> String {
    let mut text = String::with_capacity(fragment.len());
    read(fragment, |_, line| {
        if !text.is_empty() {
            text.push_str(between);
        }
        text.push_str(line.trim_end());
        false
    });
    text
}

struct Reader<S> {
    sink: S,
    line: String,
    place: Place,
}

impl<S: FnMut(Place, &str) -> bool> Reader<S> {
    /// Reads up to the end of the next tag; true when no more need be read.
    fn settled_with(&mut self, rest: &mut &str) -> bool {
        let at = memchr(b'<', rest.as_bytes()).unwrap_or(rest.len());
        let (text, markup) = rest.split_at_checked(at).unwrap_or((rest, ""));
        if self.text(text) {
            return true;
        }
        let (settled, after) = self.markup(markup);
        *rest = after;
        settled
    }

    /// Reads what begins with `<`.
    fn markup<'a>(&mut self, markup: &'a str) -> (bool, &'a str) {
        if let Some(comment) = markup.strip_prefix("<!--") {
            return (false, page::after(comment, "-->").unwrap_or_default());
        }
        match markup.as_bytes() {
            [b'<', b'/' | b'!' | b'?' | b'a'..=b'z' | b'A'..=b'Z', ..] => {
                let (tag, after) = split_tag(markup);
                self.tag(tag, after)
            }
            [] => (false, ""),
            _ => {
                self.push("<");
                (false, markup.get(1..).unwrap_or_default())
            }
        }
    }

    fn tag<'a>(&mut self, tag: &str, after: &'a str) -> (bool, &'a str) {
        let closing = tag.starts_with('/');
        let name = name_of(tag.trim_start_matches('/'));
        let element = element(name);
        if element == Element::Inline {
            return (false, after);
        }
        let settled = self.end_line();
        match element {
            _ if closing => self.place = Place::Body,
            Element::Title => self.place = Place::Title,
            Element::Heading => self.place = Place::Heading,
            Element::Skipped if !tag.ends_with('/') => {
                return (settled, behind_end_of(after, name));
            }
            _ => {}
        }
        (settled, after)
    }

    /// Adds text. A line feed ends a line, but not in a title or a heading.
    fn text(&mut self, text: &str) -> bool {
        let mut rest = text;
        while let Some(at) = memchr2(b'\n', b'&', rest.as_bytes()) {
            let (before, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
            self.push(before);
            rest = special.get(1..).unwrap_or_default();
            if special.starts_with('&') {
                rest = self.entity(rest);
            } else if self.place != Place::Body {
                self.push(" ");
            } else if self.end_line() {
                return true;
            }
        }
        self.push(rest);
        false
    }

    /// Adds the character that an entity stands for; gives what follows it.
    fn entity<'a>(&mut self, text: &'a str) -> &'a str {
        let name = text
            .bytes()
            .take(10)
            .position(|byte| byte == b';')
            .and_then(|end| text.get(..end));
        let known = name.and_then(|name| Some((name, letter_of(name)?)));
        if let Some((name, letter)) = known {
            self.push(letter.encode_utf8(&mut [0; 4]));
            text.get(name.len() + 1..).unwrap_or_default()
        } else {
            self.push("&");
            text
        }
    }

    fn push(&mut self, text: &str) {
        let text = if self.line.is_empty() {
            text.trim_ascii_start()
        } else {
            text
        };
        let room = LINE.saturating_sub(self.line.len());
        if text.len() <= room {
            self.line.push_str(text);
        } else if let Some(end) = (0..=room).rev().find(|end| text.is_char_boundary(*end)) {
            self.line.push_str(text.get(..end).unwrap_or_default());
        }
    }

    fn end_line(&mut self) -> bool {
        let settled = !self.line.is_empty() && (self.sink)(self.place, &self.line);
        self.line.clear();
        settled
    }
}

/// The element's name that a tag begins with.
fn name_of(tag: &str) -> &str {
    let end = tag.bytes().position(|byte| !byte.is_ascii_alphanumeric());
    tag.get(..end.unwrap_or(tag.len())).unwrap_or_default()
}

fn element(name: &str) -> Element {
    let mut lower = [0; LONGEST];
    let Some(seat) = lower.get_mut(..name.len()) else {
        return Element::Block;
    };
    seat.copy_from_slice(name.as_bytes());
    seat.make_ascii_lowercase();
    match &*seat {
        b"title" => Element::Title,
        b"h1" | b"h2" => Element::Heading,
        b"script" | b"style" | b"svg" | b"template" => Element::Skipped,
        b"a" | b"abbr" | b"b" | b"cite" | b"code" | b"em" | b"font" | b"i" | b"kbd" | b"label"
        | b"mark" | b"q" | b"s" | b"samp" | b"small" | b"span" | b"strong" | b"sub" | b"sup"
        | b"tt" | b"u" | b"var" => Element::Inline,
        _ => Element::Block,
    }
}

/// The inside of the tag that the text begins with, and what follows it. A `>` in quotes ends no tag, unless the quotes never end.
fn split_tag(markup: &str) -> (&str, &str) {
    let bytes = markup.as_bytes();
    let mut at = 1;
    let end = loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(next) = memchr3(b'>', b'"', b'\'', rest) else {
            break None;
        };
        at += next;
        match rest.get(next) {
            Some(b'>') | None => break Some(at),
            Some(quote) => match memchr(*quote, rest.get(next + 1..).unwrap_or_default()) {
                Some(length) => at += length + 2,
                None => break None,
            },
        }
    };
    let end = end.or_else(|| markup.find('>')).unwrap_or(markup.len());
    let inside = markup.get(1..end).unwrap_or_default();
    (inside, markup.get(end + 1..).unwrap_or_default())
}

/// What follows the end tag of an element whose content is skipped.
fn behind_end_of<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("</") {
        let found = after.get(..name.len());
        if found.is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return after.split_once('>').map_or("", |(_, behind)| behind);
        }
        rest = after;
    }
    ""
}

fn letter_of(entity: &str) -> Option<char> {
    let code = match entity {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" | "ldquo" | "rdquo" => return Some('"'),
        "apos" | "lsquo" | "rsquo" => return Some('\''),
        "nbsp" => return Some(' '),
        "ndash" | "mdash" => return Some('–'),
        "lsaquo" => return Some('‹'),
        "rsaquo" => return Some('›'),
        "laquo" => return Some('«'),
        "raquo" => return Some('»'),
        "middot" => return Some('·'),
        "hellip" => return Some('…'),
        "auml" => return Some('ä'),
        "ouml" => return Some('ö'),
        "uuml" => return Some('ü'),
        "szlig" => return Some('ß'),
        number => number.strip_prefix('#')?,
    };
    let value = match code.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => code.parse(),
    };
    char::from_u32(value.ok()?)
}

/// What a page says that nothing is known of: its beginning is read, and of the rest what stands around signs of a failure.
pub(super) fn general(page: &Page<'_>) -> Option<Finding> {
    let [text, tail] = page.parts();
    let near = page::head(text, NEAR);
    let mut picker = Picker::of(text);
    read(near, |place, line| picker.offer(place, line));
    let far = text.get(near.len()..).unwrap_or_default();
    for part in windows(far).chain(windows(tail)) {
        read(part, |_, line| picker.offer(Place::Body, line));
    }
    picker.pick()
}

/// What stands around the first signs of a failure.
fn windows(text: &str) -> impl Iterator<Item = &str> {
    let signs = SIGNS.as_ref().map(|signs| signs.find_iter(text));
    let mut end = 0;
    let starts = signs.into_iter().flatten().filter_map(move |sign| {
        let begun = page::tail(text.get(end..sign.start())?, BEFORE);
        let line = memrchr2(b'\n', b'>', begun.as_bytes()).map_or(0, |at| at + 1);
        let start = sign.start() - begun.len() + line;
        end = start + WINDOW;
        text.get(start..)
    });
    starts.map(|start| page::head(start, WINDOW)).take(WINDOWS)
}
