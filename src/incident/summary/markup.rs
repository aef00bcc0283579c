//! The lines of an HTML or XML page, as far as a summary needs them: no tree, one pass, nothing kept but the line under way.

use super::lines::{Picker, Place};

/// A line is not followed further than this.
const LINE: usize = 512;

/// Elements that do not end a line.
const INLINE: [&str; 22] = [
    "a", "abbr", "b", "cite", "code", "em", "font", "i", "kbd", "label", "mark", "q", "s", "samp",
    "small", "span", "strong", "sub", "sup", "tt", "u", "var",
];

/// Elements whose content is not text.
const SKIPPED: [&str; 4] = ["script", "style", "svg", "template"];

/// The line of a page that says the most.
pub(super) fn summary(text: &str) -> Option<String> {
    let mut reader = Reader {
        picker: Picker::default(),
        line: String::with_capacity(LINE),
        place: Place::Body,
    };
    let mut rest = text;
    while !rest.is_empty() && !reader.settled_with(&mut rest) {}
    reader.end_line();
    reader.picker.pick()
}

struct Reader {
    picker: Picker,
    line: String,
    place: Place,
}

impl Reader {
    /// Reads up to the end of the next tag; true when no more need be read.
    fn settled_with(&mut self, rest: &mut &str) -> bool {
        let at = rest.find('<').unwrap_or(rest.len());
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
            return (
                false,
                comment.split_once("-->").map_or("", |(_, after)| after),
            );
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
        let name = tag.trim_start_matches('/');
        let end = name.find(|letter: char| !letter.is_ascii_alphanumeric());
        let name = name.get(..end.unwrap_or(name.len())).unwrap_or_default();
        if INLINE
            .iter()
            .any(|inline| name.eq_ignore_ascii_case(inline))
        {
            return (false, after);
        }
        let settled = self.end_line();
        self.place = match name.to_ascii_lowercase().as_str() {
            _ if closing => Place::Body,
            "title" => Place::Title,
            "h1" | "h2" => Place::Heading,
            _ => self.place,
        };
        let skipped = SKIPPED.iter().find(|skip| name.eq_ignore_ascii_case(skip));
        match skipped {
            Some(skip) if !closing && !tag.ends_with('/') => (settled, behind_end_of(after, skip)),
            _ => (settled, after),
        }
    }

    /// Adds text. A line feed ends a line, but not in a title or a heading.
    fn text(&mut self, text: &str) -> bool {
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|byte| byte == b'\n' || byte == b'&') {
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
        if self.line.len() < LINE {
            let start = if self.line.is_empty() {
                text.trim_start()
            } else {
                text
            };
            let end = (0..=LINE.min(start.len()))
                .rev()
                .find(|end| start.is_char_boundary(*end));
            self.line
                .push_str(start.get(..end.unwrap_or(0)).unwrap_or_default());
        }
    }

    fn end_line(&mut self) -> bool {
        let mut settled = false;
        if !self.line.is_empty() {
            let line = single_spaced(&self.line);
            settled = self.picker.offer(self.place, &line);
            self.line.clear();
        }
        settled
    }
}

/// The inside of the tag that the text begins with, and what follows it. A `>` in quotes ends no tag, unless the quotes never end.
fn split_tag(markup: &str) -> (&str, &str) {
    let bytes = markup.as_bytes();
    let mut at = 1;
    let mut end = None;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'>' => {
                end = Some(at);
                break;
            }
            b'"' | b'\'' => {
                let inside = bytes.get(at + 1..).unwrap_or_default();
                match inside.iter().position(|other| other == byte) {
                    Some(length) => at += length + 1,
                    None => break,
                }
            }
            _ => {}
        }
        at += 1;
    }
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

/// The line with each run of white space as one space.
fn single_spaced(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for word in line.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}
