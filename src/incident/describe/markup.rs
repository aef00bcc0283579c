//! The lines of an HTML or XML page, as far as a description needs them: no tree, one pass, nothing kept but the line under way.

use memchr::{memchr, memchr3, memmem};

use super::finding::Finding;
use super::lines::{Picker, Place};
use super::page::{self, Page, find_near};
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
        let far = |far: &[u8]| memchr3(b'<', b'\n', b'&', far);
        let at = find_near(rest.as_bytes(), *b"<\n&", far).unwrap_or(rest.len());
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
                self.tag(&Tag::of(markup))
            }
            [] => (false, ""),
            _ => {
                let (text, after) = split_stray(markup);
                self.push(text);
                (false, after)
            }
        }
    }

    fn tag<'a>(&mut self, tag: &Tag<'a>) -> (bool, &'a str) {
        let element = element(tag.name);
        if element == Element::Inline {
            return (false, tag.after);
        }
        let settled = self.end_line();
        match element {
            _ if tag.inside.starts_with('/') => self.place = Place::Body,
            Element::Title => self.place = Place::Title,
            Element::Heading => self.place = Place::Heading,
            Element::Skipped if !tag.inside.ends_with('/') => {
                return (settled, behind_end_of(tag.after, tag.name));
            }
            _ => {}
        }
        (settled, tag.after)
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
        if text.is_empty() {
            return;
        }
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

/// The `<` that the text begins with and that begin nothing, and what follows them.
fn split_stray(text: &str) -> (&str, &str) {
    let length = text.bytes().take_while(|byte| *byte == b'<').count();
    // The last may begin something.
    let length = length.saturating_sub(1).max(1);
    text.split_at_checked(length).unwrap_or((text, ""))
}

/// A tag as far as the lines around it depend on it.
struct Tag<'a> {
    /// The element's name.
    name: &'a str,
    /// What stands between its brackets.
    inside: &'a str,
    after: &'a str,
}

impl<'a> Tag<'a> {
    /// The tag that a text begins with.
    fn of(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let start = behind(bytes, 1, |byte| byte == b'/');
        let name = behind(bytes, start, |byte| byte.is_ascii_alphanumeric());
        // Most tags end with the name.
        let end = match bytes.get(name) {
            Some(b'>') => name,
            _ => end_of_tag(bytes, name).unwrap_or(bytes.len()),
        };
        Self {
            name: text.get(start..name).unwrap_or_default(),
            inside: text.get(1..end).unwrap_or_default(),
            after: text.get(end + 1..).unwrap_or_default(),
        }
    }
}

/// Where the bytes of a kind end that begin at a place.
fn behind(bytes: &[u8], start: usize, is_one: impl Fn(u8) -> bool) -> usize {
    let mut end = start;
    while bytes.get(end).is_some_and(|byte| is_one(*byte)) {
        end += 1;
    }
    end
}

fn element(name: &str) -> Element {
    match name.as_bytes() {
        [one] => match one.to_ascii_lowercase() {
            b'a' | b'b' | b'i' | b'q' | b's' | b'u' => Element::Inline,
            _ => Element::Block,
        },
        [one, two] => match [one.to_ascii_lowercase(), two.to_ascii_lowercase()] {
            [b'h', b'1' | b'2'] => Element::Heading,
            [b'e', b'm'] | [b't', b't'] => Element::Inline,
            _ => Element::Block,
        },
        longer => element_of_long(longer),
    }
}

fn element_of_long(name: &[u8]) -> Element {
    let mut lower = [0; LONGEST];
    let Some(seat) = lower.get_mut(..name.len()) else {
        return Element::Block;
    };
    seat.copy_from_slice(name);
    seat.make_ascii_lowercase();
    match &*seat {
        b"title" => Element::Title,
        b"script" | b"style" | b"svg" | b"template" => Element::Skipped,
        b"abbr" | b"cite" | b"code" | b"font" | b"kbd" | b"label" | b"mark" | b"samp"
        | b"small" | b"span" | b"strong" | b"sub" | b"sup" | b"var" => Element::Inline,
        _ => Element::Block,
    }
}

/// Where the tag ends whose attributes begin at `start`. A `>` in quotes ends no tag, unless the quotes never end.
fn end_of_tag(markup: &[u8], start: usize) -> Option<usize> {
    let find = |mark, at| find_near(markup.get(at..)?, [mark], |far| memchr(mark, far));
    let next = |at| {
        let far = |far: &[u8]| memchr3(b'>', b'"', b'\'', far);
        find_near(markup.get(at..)?, *b">\"'", far)
    };
    let first = start + find(b'>', start)?;
    let mut at = start;
    loop {
        let Some(length) = next(at) else {
            return Some(first);
        };
        at += length;
        let quote = *markup.get(at)?;
        if quote == b'>' {
            return Some(at);
        }
        let Some(length) = find(quote, at + 1) else {
            return Some(first);
        };
        at += length + 2;
    }
}

/// What follows the end tag of an element whose content is skipped.
fn behind_end_of<'a>(text: &'a str, name: &str) -> &'a str {
    let ends = memmem::find_iter(text.as_bytes(), "</");
    let mut ends = ends.filter_map(|at| text.get(at + "</".len()..));
    let after = ends.find(|after| {
        let found = after.get(..name.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(name))
    });
    after
        .and_then(|after| after.split_once('>'))
        .map_or("", |(_, behind)| behind)
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
