//! JSON for programs: one value a line. Beyond what JSON asks for, characters that a terminal would obey are escaped in strings, since
//! a person may well look at it there.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

use super::is_obeyed;

/// One value as one line, with its end.
///
/// # Errors
///
/// When the value has no JSON.
pub fn line(value: &impl Serialize) -> serde_json::Result<String> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Visible))?;
    bytes.push(b'\n');
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

/// Compact JSON whose strings hold nothing that a terminal obeys.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((clean, after)) = rest.split_once(is_obeyed) {
            CompactFormatter.write_string_fragment(writer, clean)?;
            let hidden = rest.get(clean.len()..rest.len() - after.len());
            for unit in hidden.unwrap_or_default().encode_utf16() {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = after;
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_back_and_hold_nothing_that_a_terminal_obeys() {
        let all: String = (0..0x11_0000).filter_map(char::from_u32).collect();
        let written = line(&all).unwrap();
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), all);
        let (text, end) = written.split_at(written.len() - 1);
        assert!(!text.contains(is_obeyed));
        assert_eq!(end, "\n");
    }
}
