//! How a value is written into a page: in comes any text, out comes text that cannot change the structure around it.
//!
//! Beside what each format calls for, controls that reorder or hide text are dropped (C0 and C1, line and paragraph
//! separators, bidirectional embeddings, overrides and isolates, noncharacters), in JSON written as escapes.

use std::io::{self, Write};

use tera::{EscapeFn, Value};

use super::Format;

/// The escape function of a format.
pub(super) fn of(format: Format) -> EscapeFn {
    match format {
        Format::Html => html,
        Format::Xml => xml,
        Format::Json => json,
        Format::Text | Format::Grpc => text,
    }
}

/// A string for templates of every format. One that no format has to escape is marked as safe, which spares each
/// render the search; filters treat the two alike, since escaping would not change it.
pub(super) fn value(text: &str) -> Value {
    if text.bytes().all(is_plain) || is_unchanged_everywhere(text) {
        Value::safe_string(text)
    } else {
        Value::normal_string(text)
    }
}

fn is_unchanged_everywhere(input: &str) -> bool {
    let mut written = Vec::with_capacity(input.len() + 16);
    Format::TEMPLATED.into_iter().all(|format| {
        written.clear();
        of(format)(input, &mut written).is_ok() && written == input.as_bytes()
    })
}

/// Bytes that stand for themselves in every format: printable ASCII that means nothing anywhere, and those of
/// multi-byte characters, apart from the first bytes of the blocks that hold characters to drop.
const fn is_plain(byte: u8) -> bool {
    !matches!(
        byte,
        0..0x20 | b'"' | b'&' | b'\'' | b'<' | b'>' | b'\\' | 0x7f | 0xc2 | 0xe2 | 0xef
    )
}

enum Fate {
    Keep,
    Drop,
    As(&'static str),
    Unicode,
}

fn html(input: &str, output: &mut dyn Write) -> io::Result<()> {
    write_with(input, output, |character| match character {
        '&' => Fate::As("&amp;"),
        '<' => Fate::As("&lt;"),
        '>' => Fate::As("&gt;"),
        '"' => Fate::As("&quot;"),
        '\'' => Fate::As("&#39;"),
        other => shown(other),
    })
}

fn xml(input: &str, output: &mut dyn Write) -> io::Result<()> {
    // What XML 1.0 forbids is among what no page shows; the five names of HTML are those of XML too.
    html(input, output)
}

fn text(input: &str, output: &mut dyn Write) -> io::Result<()> {
    write_with(input, output, |character| match character {
        // A line of a visitor's own would look like one of ours.
        '\t' | '\n' => Fate::As(" "),
        other => shown(other),
    })
}

fn json(input: &str, output: &mut dyn Write) -> io::Result<()> {
    write_with(input, output, |character| match character {
        '"' => Fate::As("\\\""),
        '\\' => Fate::As("\\\\"),
        '\n' => Fate::As("\\n"),
        '\t' => Fate::As("\\t"),
        // A page that embeds the answer in a script element stays whole.
        '<' | '>' | '&' => Fate::Unicode,
        other => match shown(other) {
            Fate::Drop => Fate::Unicode,
            fate => fate,
        },
    })
}

fn shown(character: char) -> Fate {
    match character {
        '\t' | '\n' => Fate::Keep,
        '\0'..='\x1f'
        | '\x7f'..='\u{9f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{fdd0}'..='\u{fdef}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{fffe}'
        | '\u{ffff}' => Fate::Drop,
        _ => Fate::Keep,
    }
}

fn write_with(input: &str, output: &mut dyn Write, fate: impl Fn(char) -> Fate) -> io::Result<()> {
    let mut rest = input;
    while let Some(at) = rest.bytes().position(|byte| !is_plain(byte)) {
        let (plain, tail) = rest.split_at(at);
        output.write_all(plain.as_bytes())?;
        let mut characters = tail.chars();
        if let Some(character) = characters.next() {
            write_one(character, &fate(character), output)?;
        }
        rest = characters.as_str();
    }
    output.write_all(rest.as_bytes())
}

fn write_one(character: char, fate: &Fate, output: &mut dyn Write) -> io::Result<()> {
    match fate {
        Fate::Keep => output.write_all(character.encode_utf8(&mut [0; 4]).as_bytes()),
        Fate::Drop => Ok(()),
        Fate::As(replacement) => output.write_all(replacement.as_bytes()),
        Fate::Unicode => write!(output, "\\u{:04x}", u32::from(character)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format, input: &str) -> String {
        let mut output = Vec::new();
        of(format)(input, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn each_format_escapes_what_means_something_in_it() {
        let cases = [
            (
                Format::Html,
                "<a b='c' d=\"e\">&",
                "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;",
            ),
            (
                Format::Html,
                "a\0b\x1bc\u{202e}d\u{2028}e\u{85}f\u{ffff}g",
                "abcdefg",
            ),
            (
                Format::Html,
                "Grüße, ’tis “fine” – 漢字 👍",
                "Grüße, ’tis “fine” – 漢字 👍",
            ),
            (Format::Xml, "]]>\u{b}\u{fffe}", "]]&gt;"),
            (
                Format::Text,
                "a\r\nReference: X\tb\x07<",
                "a Reference: X b<",
            ),
            (
                Format::Json,
                "\"\\\n\t\0</script>",
                "\\\"\\\\\\n\\t\\u0000\\u003c/script\\u003e",
            ),
            (Format::Json, "\u{2028}\u{202e}é", "\\u2028\\u202eé"),
        ];
        for (format, input, expected) in cases {
            assert_eq!(written(format, input), expected, "{format:?} {input:?}");
        }
    }

    #[test]
    fn only_what_no_format_changes_is_marked_safe() {
        for safe in ["", "7Q3K-0ZD8-MX4T-9A2C", "Grüße, ’tis “fine”", "/a/b?c=d"] {
            assert!(value(safe).is_safe(), "{safe:?}");
        }
        for unsafe_text in [
            "<", "it's", "a\\b", "\"", "&", "a\nb", "\0", "\u{202e}", "\u{85}",
        ] {
            assert!(!value(unsafe_text).is_safe(), "{unsafe_text:?}");
        }
    }
}
