//! JSON with its lines broken: only white space is changed, so that numbers, escapes and doubled names stand as the app wrote them.

use serde::de::IgnoredAny;

/// JSON with one member or element a line, of at most about so many bytes; none where it is not JSON, or would be cut.
pub(super) fn json(bytes: &[u8], most: usize) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    // Also bounds how deep it is.
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let mut indenter = Indenter::default();
    for letter in text.chars() {
        indenter.take(letter);
        if indenter.text.len() > most {
            return None;
        }
    }
    Some(indenter.text)
}

#[derive(Default)]
struct Indenter {
    text: String,
    depth: usize,
    /// Inside a string.
    quoted: bool,
    /// Behind a backslash.
    escaped: bool,
    /// Behind a bracket that opens.
    opened: bool,
}

impl Indenter {
    fn take(&mut self, letter: char) {
        if self.quoted {
            return self.take_quoted(letter);
        }
        match letter {
            ' ' | '\n' | '\r' | '\t' => {}
            '}' | ']' => self.close(letter),
            _ => self.take_plain(letter),
        }
    }

    fn take_quoted(&mut self, letter: char) {
        self.text.push(letter);
        self.quoted = self.escaped || letter != '"';
        self.escaped = !self.escaped && letter == '\\';
    }

    fn take_plain(&mut self, letter: char) {
        if self.opened {
            self.opened = false;
            self.depth += 1;
            self.break_line();
        }
        self.text.push(letter);
        match letter {
            '"' => self.quoted = true,
            '{' | '[' => self.opened = true,
            ',' => self.break_line(),
            ':' => self.text.push(' '),
            _ => {}
        }
    }

    fn close(&mut self, letter: char) {
        if self.opened {
            self.opened = false;
        } else {
            self.depth = self.depth.saturating_sub(1);
            self.break_line();
        }
        self.text.push(letter);
    }

    fn break_line(&mut self) {
        self.text.push('\n');
        self.text.extend(std::iter::repeat_n("  ", self.depth));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_white_space_changes() {
        let written = r#"{"a":1.50e400, "a":[ ],"b" : {"c":"x, {\"y\": \\"},"d":[1,{}]}"#;
        let indented = json(written.as_bytes(), 1000).unwrap();
        assert_eq!(
            indented,
            r#"{
  "a": 1.50e400,
  "a": [],
  "b": {
    "c": "x, {\"y\": \\"
  },
  "d": [
    1,
    {}
  ]
}"#
        );
    }

    #[test]
    fn what_is_no_json_or_too_much_is_left() {
        for (text, most) in [("{oops", 100), ("[1,2,3]", 5), (&"[".repeat(9999), 100_000)] {
            assert_eq!(json(text.as_bytes(), most), None);
        }
    }
}
