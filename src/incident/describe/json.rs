//! What a JSON error says, read without building a tree, so that a document that was cut off is read as far as it goes.

use memchr::memchr2;

use super::finding::Finding;
use super::frames::{self, Frame, Frames};
use super::lines::{self, Rank};
use super::text;

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

/// So much of a document that has said something is read.
const ENOUGH: usize = 12 * 1024;
/// Values deeper than this are details.
const DEPTH: usize = 4;

/// Keys whose values are a trace, as one text or as a list.
const TRACES: [&str; 9] = [
    "stack",
    "trace",
    "traceback",
    "backtrace",
    "stackTrace",
    "stack_trace",
    "stacktrace",
    "full_backtrace",
    "exceptionStack",
];

/// What a JSON document says went wrong.
pub(super) fn read(text: &str) -> Option<Finding> {
    let mut document = Document::default();
    let mut tokens = Tokens::new(text);
    while let Some(pair) = tokens.next_pair() {
        document.take(&pair);
        if tokens.at > ENOUGH && document.says_something() {
            break;
        }
    }
    document.finding()
}

/// What has been found so far.
#[derive(Default)]
struct Document {
    messages: [Option<String>; MESSAGES.len()],
    classes: [Option<String>; CLASSES.len()],
    /// What a trace said that was one text.
    traced: Option<Finding>,
    frames: Frames,
    /// The file that the next function belongs to.
    file: Option<String>,
}

impl Document {
    fn take(&mut self, pair: &Pair<'_>) {
        if pair.depth <= DEPTH {
            keep(&MESSAGES, &mut self.messages, pair);
            keep(&CLASSES, &mut self.classes, pair);
        }
        let is = |known: &str| pair.key.eq_ignore_ascii_case(known);
        if self.frames.is_full() {
            return;
        }
        if TRACES.iter().any(|known| is(known)) {
            self.take_trace(&pair.text());
        } else if is("file") {
            self.take_file();
            self.file = Some(pair.text());
        } else if is("function") || is("method") {
            let file = self.file.take().unwrap_or_default();
            let function = &pair.text();
            let file = &file;
            self.frames.push_caller(Frame { file, function });
        }
    }

    fn says_something(&self) -> bool {
        self.traced.is_some() || self.messages.iter().any(Option::is_some)
    }

    /// A file whose function was not told.
    fn take_file(&mut self) {
        if let Some(file) = self.file.take() {
            self.frames.push_caller(Frame::of_file(&file));
        }
    }

    fn take_trace(&mut self, trace: &str) {
        if !trace.contains('\n') {
            if let Some(frame) = frames::parse(trace) {
                self.frames.push_caller(frame);
            }
        } else if self.traced.is_none() {
            self.traced = text::read(trace);
        }
    }

    fn finding(mut self) -> Option<Finding> {
        self.take_file();
        let told = told(self.messages, self.classes);
        match self.traced {
            Some(traced) if lines::rank(&traced.headline) == Some(Rank::NameAndMessage) => {
                Some(traced)
            }
            Some(traced) => told.map(|line| Finding::told(&line, traced.frames)),
            None => told.map(|line| Finding::told(&line, self.frames)),
        }
    }
}

/// The line that the values of the known keys make.
fn told(
    messages: [Option<String>; MESSAGES.len()],
    classes: [Option<String>; CLASSES.len()],
) -> Option<String> {
    let message: Option<String> = messages.into_iter().flatten().next();
    if let Some(exception) = classes.iter().flatten().find_map(|class| inspected(class)) {
        return Some(exception.to_owned());
    }
    let mut classes = classes.into_iter().flatten();
    let class = classes.find(|class| lines::rank(class).is_some());
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
fn keep<const N: usize>(keys: &[&str; N], found: &mut [Option<String>; N], pair: &Pair<'_>) {
    let place = keys
        .iter()
        .position(|known| known.eq_ignore_ascii_case(pair.key));
    if let Some(seat) = place.and_then(|place| found.get_mut(place))
        && seat.is_none()
    {
        *seat = Some(pair.text()).filter(|text| !text.trim().is_empty());
    }
}

/// Ruby shows an exception as `#<RuntimeError: boom>`.
fn inspected(class: &str) -> Option<&str> {
    class.strip_prefix("#<")?.strip_suffix('>')
}

/// A text and the key that it stands under, be it in a list.
struct Pair<'a> {
    key: &'a str,
    /// As it is written, in quotes.
    raw: &'a str,
    depth: usize,
}

impl Pair<'_> {
    fn text(&self) -> String {
        serde_json::from_str(self.raw).unwrap_or_default()
    }
}

/// The pairs of a document, one after the other.
struct Tokens<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    key: Option<&'a str>,
    /// Whether the texts are a list under one key.
    in_list: bool,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            key: None,
            in_list: false,
        }
    }

    fn next_pair(&mut self) -> Option<Pair<'a>> {
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            if *byte == b'"' {
                if let Some(pair) = self.pair_with(self.string()?) {
                    return Some(pair);
                }
                continue;
            }
            self.punctuation(*byte);
            self.at += 1;
        }
        None
    }

    /// A string is a key or a value.
    fn pair_with(&mut self, string: &'a str) -> Option<Pair<'a>> {
        self.at += string.len();
        if self.colon_follows() {
            self.key = string.get(1..string.len() - 1);
            return None;
        }
        let key = self.key?;
        if !self.in_list {
            self.key = None;
        }
        Some(Pair {
            key,
            raw: string,
            depth: self.depth,
        })
    }

    fn punctuation(&mut self, byte: u8) {
        match byte {
            b'{' => self.open(false),
            b'[' => self.open(true),
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.in_list = false;
                self.key = None;
            }
            b',' if !self.in_list => self.key = None,
            _ => {}
        }
    }

    fn open(&mut self, list: bool) {
        self.depth += 1;
        self.in_list = list;
        if !list {
            self.key = None;
        }
    }

    /// The text that begins here, with its quotes; `None` when it does not end.
    fn string(&self) -> Option<&'a str> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        loop {
            end += memchr2(b'"', b'\\', bytes.get(end..)?)?;
            if bytes.get(end) == Some(&b'"') {
                break;
            }
            end += 2;
        }
        self.text.get(start..=end)
    }

    fn colon_follows(&mut self) -> bool {
        let rest = self.text.get(self.at..).unwrap_or_default();
        rest.trim_start().starts_with(':')
    }
}
