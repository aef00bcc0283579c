//! How foreign text gets into a line: as a JSON string, for a terminal, or for the Combined Log Format. What comes out is one line
//! of text that moves no cursor, sets no color and ends no line before its time.

use std::fmt::{self, Write};

/// Adds text as a JSON string with its quotes. Beyond what JSON asks for, DEL, the C1 controls (a terminal may obey them) and the
/// line separators U+2028 and U+2029 (a reader may split lines there) are escaped.
pub(super) fn json(out: &mut String, text: &str) -> fmt::Result {
    out.reserve(text.len() + text.len() / 8 + 2);
    out.push('"');
    let mut rest = text;
    while let Some(place) = json_look(rest.as_bytes()) {
        let (clean, doubtful) = rest.split_at_checked(place).unwrap_or((rest, ""));
        out.push_str(clean);
        let mut letters = doubtful.chars();
        if let Some(letter) = letters.next() {
            json_letter(out, letter)?;
        }
        rest = letters.as_str();
    }
    out.push_str(rest);
    out.push('"');
    Ok(())
}

/// Where the first character begins that may have to be escaped: eight bytes at a time as far as the text is ASCII, then one by one.
fn json_look(text: &[u8]) -> Option<usize> {
    let (words, _) = text.as_chunks();
    let doubtful = words.iter().enumerate().find_map(|(place, word)| {
        let bits = doubtful(*word);
        (bits != 0).then(|| place * 8 + bits.trailing_zeros() as usize / 8)
    });
    let clean = doubtful.unwrap_or(words.len() * 8);
    let rest = text.get(clean..)?;
    Some(clean + rest.iter().position(|byte| needs_json_look(*byte))?)
}

/// The highest bit of each byte that is a control, a quote, a backslash or not ASCII; above the first of them of others too.
fn doubtful(word: [u8; 8]) -> u64 {
    const LOWEST: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST: u64 = LOWEST << 7;
    let word = u64::from_le_bytes(word);
    let is = |byte: u8| (word ^ (LOWEST * u64::from(byte))).wrapping_sub(LOWEST);
    let control = word.wrapping_sub(LOWEST * 0x20);
    let beyond = word.wrapping_add(LOWEST);
    (control | beyond | is(b'"') | is(b'\\')) & HIGHEST
}

/// Bytes that begin a character which may have to be escaped.
fn needs_json_look(byte: u8) -> bool {
    const LOOK: [bool; 256] = look_table();
    LOOK.get(usize::from(byte)).is_some_and(|look| *look)
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn look_table() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte < 0x20 || matches!(byte, 0x22 | 0x5c | 0x7f | 0xc2 | 0xe2);
        byte += 1;
    }
    table
}

fn json_letter(out: &mut String, letter: char) -> fmt::Result {
    match letter {
        '"' => out.write_str("\\\""),
        '\\' => out.write_str("\\\\"),
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        '\u{2028}' | '\u{2029}' => write!(out, "\\u{:04x}", u32::from(letter)),
        letter if letter.is_control() => write!(out, "\\u{:04x}", u32::from(letter)),
        letter => out.write_char(letter),
    }
}

/// Writes text for a terminal: controls, line separators and characters that reorder the line or show nothing stand as `\u{1b}`.
pub(super) fn terminal(out: &mut dyn Write, text: &str) -> fmt::Result {
    let mut rest = text;
    while let Some((place, letter)) = rest.char_indices().find(|(_, letter)| is_obeyed(*letter)) {
        let (clean, doubtful) = rest.split_at_checked(place).unwrap_or((rest, ""));
        out.write_str(clean)?;
        match letter {
            '\t' => out.write_char(' ')?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            letter => write!(out, "\\u{{{:x}}}", u32::from(letter))?,
        }
        rest = doubtful.get(letter.len_utf8()..).unwrap_or_default();
    }
    out.write_str(rest)
}

/// Whether a terminal would do something other than show this character where it stands: it moves the cursor, reorders the line, or
/// leaves no trace. The joiners U+200C and U+200D are none of these: whole languages, and emoji, are written with them.
pub(crate) fn is_obeyed(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Writes text as nginx writes it in its access log: quotes, backslashes, controls and everything beyond ASCII as `\x22`;
/// nothing at all as `-`.
pub(super) fn combined(out: &mut dyn Write, text: &str) -> fmt::Result {
    if text.is_empty() {
        return out.write_char('-');
    }
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f.. => write!(out, "\\x{byte:02X}")?,
            plain => out.write_char(char::from(plain))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(how: impl Fn(&mut String, &str) -> fmt::Result, text: &str) -> String {
        let mut out = String::new();
        how(&mut out, text).unwrap();
        out
    }

    #[test]
    fn json_reads_back_and_holds_nothing_that_a_terminal_obeys() {
        let all: String = (0..0x300)
            .chain(0x2000..0x2100)
            .filter_map(char::from_u32)
            .chain("äöü 漢字 🦀".chars())
            .collect();
        let line = written(json, &all);
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), all);
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(!line.contains(['\u{2028}', '\u{2029}']));
    }

    #[test]
    fn each_character_is_looked_at_wherever_it_stands() {
        for letter in (0..0x100)
            .chain([0x2028, 0x2603])
            .filter_map(char::from_u32)
        {
            for at in 0..20 {
                let text = format!("{}{letter}{}", "a".repeat(at), "b".repeat(20 - at));
                let line = written(json, &text);
                assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
                assert!(!line.chars().any(char::is_control), "{line:?}");
            }
        }
    }

    #[test]
    fn terminal_text_obeys_nothing() {
        for (text, shown) in [
            ("plain äöü 漢", "plain äöü 漢"),
            ("\u{1b}[2J\u{7}", "\\u{1b}[2J\\u{7}"),
            ("a\u{9b}31mb\u{7f}", "a\\u{9b}31mb\\u{7f}"),
            ("one\r\ntwo\tthree", "one\\r\\ntwo three"),
            ("a\u{202e}b\u{2028}", "a\\u{202e}b\\u{2028}"),
        ] {
            assert_eq!(written(|out, text| terminal(out, text), text), shown);
        }
    }

    #[test]
    fn combined_text_stays_between_its_quotes() {
        for (text, shown) in [
            ("", "-"),
            ("Mozilla/5.0 (X11)", "Mozilla/5.0 (X11)"),
            ("a\" 200 1 \"\\", "a\\x22 200 1 \\x22\\x5C"),
            ("\n\u{1b}é", "\\x0A\\x1B\\xC3\\xA9"),
        ] {
            assert_eq!(written(|out, text| combined(out, text), text), shown);
        }
    }
}
