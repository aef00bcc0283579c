//! What a JSON error says, read without building a tree, so that a document that was cut off is read as far as it goes.

use super::lines::{self, Rank};

/// Keys whose value is what the error says, the best first.
const MESSAGES: [&str; 11] = [
    "message",
    "detail",
    "error_description",
    "error_message",
    "errorMessage",
    "exceptionMessage",
    "msg",
    "description",
    "error",
    "title",
    "reason",
];

/// Keys whose value is the error's class, the best first.
const CLASSES: [&str; 8] = [
    "exception",
    "exceptionType",
    "error_class",
    "errorType",
    "type",
    "name",
    "class",
    "error",
];

/// Values deeper than this are details.
const DEPTH: usize = 4;

/// What a JSON document says went wrong.
pub(super) fn summary(text: &str) -> Option<String> {
    let mut messages = [const { None }; MESSAGES.len()];
    let mut classes = [const { None }; CLASSES.len()];
    let mut tokens = Tokens::new(text);
    while let Some((key, value)) = tokens.next_pair() {
        keep(&MESSAGES, &mut messages, key, value);
        keep(&CLASSES, &mut classes, key, value);
    }
    let message: Option<String> = messages.into_iter().flatten().next();
    let classes = classes.into_iter().flatten().map(bare);
    let class = classes
        .into_iter()
        .find(|class| lines::rank(class).is_some());
    match (class, message) {
        (Some(class), Some(message)) if lines::rank(&class) == Some(Rank::Name) => {
            let told = lines::rank(&message) == Some(Rank::NameAndMessage);
            Some(if told {
                message
            } else {
                format!("{class}: {message}")
            })
        }
        (Some(class), _) => Some(class),
        (None, message) => message,
    }
}

/// Keeps the first text of each key.
fn keep<const N: usize>(keys: &[&str; N], found: &mut [Option<String>; N], key: &str, raw: &str) {
    let place = keys
        .iter()
        .position(|known| known.eq_ignore_ascii_case(key));
    if let Some(seat) = place.and_then(|place| found.get_mut(place))
        && seat.is_none()
    {
        let text = serde_json::from_str::<String>(raw).unwrap_or_default();
        *seat = Some(text).filter(|text| !text.trim().is_empty());
    }
}

/// Ruby shows an exception as `#<RuntimeError: boom>`.
fn bare(class: String) -> String {
    match class.strip_prefix("#<") {
        Some(inside) => inside.trim_end_matches('>').to_owned(),
        None => class,
    }
}

/// The pairs of a key and a text, at any place that is not too deep.
struct Tokens<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
        }
    }

    /// The next key whose value is a text, and that text as it is written, in quotes.
    fn next_pair(&mut self) -> Option<(&'a str, &'a str)> {
        let mut key = None;
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b'"' => {
                    let string = self.string()?;
                    if self.colon_follows() {
                        key = string.get(1..string.len() - 1);
                    } else if let Some(key) = key.take()
                        && self.depth <= DEPTH
                    {
                        return Some((key, string));
                    }
                    continue;
                }
                b'{' | b'[' => {
                    self.depth += 1;
                    key = None;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                b',' => key = None,
                _ => {}
            }
            self.at += 1;
        }
        None
    }

    /// The text that begins here, with its quotes; `None` when it does not end.
    fn string(&mut self) -> Option<&'a str> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        while bytes.get(end)? != &b'"' {
            end += if bytes.get(end) == Some(&b'\\') { 2 } else { 1 };
        }
        self.at = end + 1;
        self.text.get(start..self.at)
    }

    fn colon_follows(&mut self) -> bool {
        let rest = self.text.get(self.at..).unwrap_or_default();
        rest.trim_start().starts_with(':')
    }
}
