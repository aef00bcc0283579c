//! The lines of an HTML or XML page, as far as a description needs them: no tree, one pass, nothing kept but the line under way.

use memchr::{memchr, memchr3};

use super::finding::Finding;
use super::lines::{Picker, Place};
use super::page::{self, Page};
use super::parts;

/// A line is not followed further than this.
const LINE: usize = 512;

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
    /// Reads up to the next tag, line feed or entity, and that; true when no more need be read.
    fn settled_with(&mut self, rest: &mut &str) -> bool {
        let at = memchr3(b'<', b'\n', b'&', rest.as_bytes()).unwrap_or(rest.len());
        let (text, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
        self.push(text);
        let (settled, after) = match special.as_bytes().first() {
            Some(b'<') => self.markup(special),
            Some(b'&') => (false, self.entity(special.get(1..).unwrap_or_default())),
            _ => (self.line_feed(), special.get(1..).unwrap_or_default()),
        };
        *rest = after;
        settled
    }

    /// A line feed ends a line, but not in a title or a heading.
    fn line_feed(&mut self) -> bool {
        if self.place == Place::Body {
            return self.end_line();
        }
        self.push(" ");
        false
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
    let mut at = end_of_name(bytes);
    let end = loop {
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.first() == Some(&b'>') {
            break Some(at);
        }
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

/// Where an element's name ends in the tag that a text begins with: most tags end there too.
fn end_of_name(markup: &[u8]) -> usize {
    let name = markup.iter().skip(1);
    let length = name.take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'/');
    1 + length.count()
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

/// What a page says that nothing is known of.
pub(super) fn general(page: &Page<'_>) -> Option<Finding> {
    let mut picker = Picker::of(&page.text);
    for part in parts::of(page) {
        read(part, |place, line| picker.offer(place, line));
    }
    picker.pick()
}
