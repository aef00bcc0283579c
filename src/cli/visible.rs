//! Foreign text for a person's eyes: what a terminal would obey, and what no eye would see, is shown as an escape.
//!
//! In goes whatever an app, a visitor or the person who asks has written; out comes text that moves no cursor, sets no color and
//! reorders no line, also where it is piped on. `\x1b` stands for a control character or a byte that is no UTF-8, `\u{202e}` for
//! another character.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::telemetry;

/// What stands where a text was cut.
const ELLIPSIS: char = '…';

/// Text as one line.
pub(super) fn line(text: &str) -> Cow<'_, str> {
    escaped(text, telemetry::is_obeyed)
}

/// Text of several lines, with its tabs. Line ends are those of Unix.
pub(super) fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let obeyed = |letter| telemetry::is_obeyed(letter) && !matches!(letter, '\n' | '\t');
    escaped(&text, obeyed).into_owned()
}

/// The lines of bytes that are mostly text.
pub(super) fn lossy_lines(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(&lines(chunk.valid()));
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// The columns that a text takes on a terminal.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// At most so many columns of a text, with a mark where it was cut.
pub(super) fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut room = columns.saturating_sub(1);
    let mut short = String::new();
    for letter in text.chars() {
        let takes = letter.width().unwrap_or(0);
        if takes > room {
            break;
        }
        room -= takes;
        short.push(letter);
    }
    short.push(ELLIPSIS);
    Cow::Owned(short)
}

/// A text with the spaces that fill a column.
pub(super) fn padded(text: &str, columns: usize) -> String {
    let gap = columns.saturating_sub(width(text));
    format!("{text}{:gap$}", "")
}

fn escaped(text: &str, hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        // Writing to a string cannot fail.
        let _ = match u32::from(letter) {
            _ if !hidden(letter) => shown.write_char(letter),
            code @ ..0x80 => write!(shown, "\\x{code:02x}"),
            code => write!(shown, "\\u{{{code:x}}}"),
        };
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_a_terminal_obeys() {
        let all: String = (0..0x11_0000).filter_map(char::from_u32).collect();
        for shown in [line(&all).into_owned(), lines(&all)] {
            let left = shown
                .chars()
                .find(|letter| telemetry::is_obeyed(*letter) && !matches!(letter, '\n' | '\t'));
            assert_eq!(left, None);
        }
        assert!(!line(&all).contains(['\n', '\t']));
    }

    #[test]
    fn what_is_hidden_can_be_read() {
        for (text, shown) in [
            ("plain äöü 漢字 👩‍🔧", "plain äöü 漢字 👩‍🔧"),
            ("\u{1b}[2J\u{7}\0", "\\x1b[2J\\x07\\x00"),
            ("a\u{9b}31m\u{7f}", "a\\u{9b}31m\\x7f"),
            ("one\r\ntwo", "one\\x0d\\x0atwo"),
            (
                "a\u{202e}b\u{200b}c\u{feff}",
                "a\\u{202e}b\\u{200b}c\\u{feff}",
            ),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!(line(text), shown);
        }
        assert_eq!(lines("a\r\n\tb\rc\u{1b}\n"), "a\n\tb\\x0dc\\x1b\n");
        assert_eq!(lossy_lines(b"caf\xe9\r\n\x1b"), "caf\\xe9\n\\x1b");
    }

    #[test]
    fn columns_are_those_of_a_terminal() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer", 5), "long…");
        assert_eq!(cut("漢字漢字", 6), "漢字…");
        assert_eq!(cut("any", 0), "…");
        assert_eq!(padded("漢", 4), "漢  ");
        assert_eq!(padded("long", 2), "long");
    }
}
