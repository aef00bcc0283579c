//! What a JSON error says, read without building a tree, so that a document that was cut off is read as far as it goes.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memchr2;

use super::finding::Finding;
use super::frames::{self, Frame, Frames};
use super::lines::{self, Rank};
use super::page::find_near;
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

/// A bit for each letter that keys begin with which are known, by their length.
static BEGINNINGS: LazyLock<[u32; 32]> = LazyLock::new(|| {
    let mut letters = [0; 32];
    let known = MESSAGES.iter().chain(&CLASSES).chain(&TRACES);
    for key in known.copied() {
        if let Some(letters) = letters.get_mut(key.len()) {
            *letters |= letter_of(key);
        }
    }
    letters
});

/// The bit of the letter that a key begins with, whatever its case.
fn letter_of(key: &str) -> u32 {
    key.bytes().next().map_or(0, |letter| 1 << (letter & 31))
}

/// Whether a key may be one that is known: of most, this says that they are not.
fn may_be_known(key: &str) -> bool {
    let letters = BEGINNINGS.get(key.len());
    letters.is_some_and(|letters| letters & letter_of(key) != 0)
}

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
struct Document<'a> {
    messages: [Option<Cow<'a, str>>; MESSAGES.len()],
    classes: [Option<Cow<'a, str>>; CLASSES.len()],
    /// What a trace said that was one text.
    traced: Option<Finding>,
    frames: Frames,
    /// The file that the next function belongs to.
    file: Option<Cow<'a, str>>,
}

impl<'a> Document<'a> {
    fn take(&mut self, pair: &Pair<'a>) {
        let is = |known: &str| pair.key.eq_ignore_ascii_case(known);
        if is("file") {
            self.start_frame(pair);
        } else if is("function") || is("method") {
            self.end_frame(pair);
        } else if may_be_known(pair.key) {
            self.take_known(pair);
        }
    }

    fn start_frame(&mut self, file: &Pair<'a>) {
        if !self.frames.is_full() {
            self.take_file();
            self.file = Some(file.text());
        }
    }

    fn end_frame(&mut self, function: &Pair<'a>) {
        if !self.frames.is_full() {
            let file = &self.file.take().unwrap_or_default();
            let function = &function.text();
            self.frames.push_caller(Frame { file, function });
        }
    }

    fn take_known(&mut self, pair: &Pair<'a>) {
        if pair.depth <= DEPTH {
            keep(&MESSAGES, &mut self.messages, pair);
            keep(&CLASSES, &mut self.classes, pair);
        }
        let mut traces = TRACES.iter();
        if !self.frames.is_full() && traces.any(|known| known.eq_ignore_ascii_case(pair.key)) {
            self.take_trace(&pair.text());
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
    messages: [Option<Cow<'_, str>>; MESSAGES.len()],
    classes: [Option<Cow<'_, str>>; CLASSES.len()],
) -> Option<String> {
    let message = messages.into_iter().flatten().next();
    if let Some(exception) = classes.iter().flatten().find_map(|class| inspected(class)) {
        return Some(exception.to_owned());
    }
    let mut classes = classes.into_iter().flatten();
    let class = classes.find(|class| lines::rank(class).is_some());
    match (class, message) {
        (Some(class), Some(message)) if lines::rank(&class) == Some(Rank::Name) => {
            let told = lines::rank(&message) == Some(Rank::NameAndMessage);
            Some(if told {
                message.into_owned()
            } else {
                format!("{class}: {message}")
            })
        }
        (Some(class), _) => Some(class.into_owned()),
        (None, message) => message.map(Cow::into_owned),
    }
}

/// Keeps the first text of each key.
fn keep<'a, const N: usize>(
    keys: &[&str; N],
    found: &mut [Option<Cow<'a, str>>; N],
    pair: &Pair<'a>,
) {
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

impl<'a> Pair<'a> {
    /// Most texts stand as they are between their quotes.
    fn text(&self) -> Cow<'a, str> {
        let inside = self.raw.get(1..self.raw.len() - 1).unwrap_or_default();
        // Counted, since without a way out of the loop many bytes are taken at a time.
        let odd = inside.bytes().filter(|byte| *byte < b' ' || *byte == b'\\');
        if odd.count() == 0 {
            return Cow::Borrowed(inside);
        }
        Cow::Owned(serde_json::from_str(self.raw).unwrap_or_default())
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
            let rest = bytes.get(end..)?;
            end += find_near(rest, *b"\"\\", |far| memchr2(b'"', b'\\', far))?;
            if bytes.get(end) == Some(&b'"') {
                break;
            }
            end += 2;
        }
        self.text.get(start..=end)
    }

    fn colon_follows(&mut self) -> bool {
        let rest = self.text.get(self.at..).unwrap_or_default();
        match rest.as_bytes().first() {
            Some(b':') => true,
            Some(b',' | b'}' | b']') => false,
            _ => rest.trim_start().starts_with(':'),
        }
    }
}
