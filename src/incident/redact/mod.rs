//! What is taken out of a record before anything is written: secrets by their form, by the name before them or by the user's patterns, in
//! headers, URLs and bodies; values of listed headers and query keys; user info in URLs; and the visitor's address. Each leaves a mark,
//! `[redacted: name]`, and what is marked stays as it is when it is redacted again.
//!
//! Whatever the text, the work follows from its length: an attacker who chooses a page chooses its length, never the time per byte. A text
//! may be any bytes, and all that is no secret stays as it came. In doubt a value is taken out, and prose and code stay.

mod address;
mod assignment;
mod card;
mod credential;
mod literals;
mod name;
mod own;
mod search;
mod symbol;
mod url;
mod value;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LOCATION, FORWARDED, LINK, LOCATION, REFERER, REFRESH};
use http::{HeaderMap, HeaderName};

use self::name::Label;
use self::own::{Names, Patterns};
use self::url::QueryKeys;
use super::HeaderField;
use crate::bypass;
use crate::config::{ClientAddress, Redact};

/// Headers whose values are or hold URLs.
const URL_HEADERS: [HeaderName; 9] = [
    CONTENT_LOCATION,
    LINK,
    LOCATION,
    REFERER,
    REFRESH,
    HeaderName::from_static("x-forwarded-uri"),
    HeaderName::from_static("x-original-uri"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];

/// Headers in which other proxies tell the visitor's address.
const CLIENT_HEADERS: [HeaderName; 9] = [
    FORWARDED,
    HeaderName::from_static("cf-connecting-ip"),
    HeaderName::from_static("fastly-client-ip"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("x-cluster-client-ip"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-original-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
];

/// How often a text with secrets is looked at again.
const MORE_LOOKS: usize = 3;

/// Takes secrets out of records, as a route's configuration asks. Clones share what it is made of.
#[derive(Clone, Debug)]
pub struct Redactor {
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    headers: Vec<HeaderName>,
    query: QueryKeys,
    client: ClientAddress,
    builtin: bool,
    names: Names,
    patterns: Patterns,
}

/// A text without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// The text, with a mark in the place of each secret.
    pub text: Bytes,
    /// How many marks were set.
    pub marks: u32,
}

/// A secret, and what is written in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What it is, as in `[redacted: password]`.
    pub name: Cow<'static, str>,
    /// Its bytes in the text.
    pub range: Range<usize>,
}

/// A secret of a built-in kind.
#[derive(Clone, Debug)]
struct Secret {
    name: &'static str,
    range: Range<usize>,
}

impl Redactor {
    /// A redactor of `intercept.redact` and `incidents.client`. A pattern that does not compile is skipped: the configuration refuses it.
    #[must_use]
    pub fn new(redact: &Redact, client: ClientAddress) -> Self {
        // What is Pardon's own is no business of anybody's who reads its records.
        let (mut headers, mut query) = (redact.headers.clone(), redact.query.clone());
        headers.push(HeaderName::from_static(bypass::HEADER));
        query.push(bypass::NAME.to_owned());
        let rules = Rules {
            client,
            builtin: redact.builtin,
            names: Names::new(&query, &headers, redact.builtin),
            headers,
            query: QueryKeys(query),
            patterns: Patterns::new(&redact.patterns),
        };
        Self {
            rules: Arc::new(rules),
        }
    }

    /// A body without its secrets: the same bytes, not copied, when there are none.
    #[must_use]
    pub fn text(&self, text: Bytes) -> Redacted {
        let marks = self.marks(&text);
        if marks.is_empty() {
            return Redacted { text, marks: 0 };
        }
        let count = u32::try_from(marks.len()).unwrap_or(u32::MAX);
        Redacted {
            text: replaced(&text, &marks).into(),
            marks: count,
        }
    }

    /// A text of one line, such as the message of an error, without its secrets.
    #[must_use]
    pub fn line(&self, text: &str) -> String {
        let marks = self.marks(text.as_bytes());
        if marks.is_empty() {
            return text.to_owned();
        }
        String::from_utf8_lossy(&replaced(text.as_bytes(), &marks)).into_owned()
    }

    /// The secrets of a text, in order and apart from one another. Ranges begin and end between characters.
    #[must_use]
    pub fn marks(&self, text: &[u8]) -> Vec<Mark> {
        let mut marks = self.first_marks(text);
        // Without a secret, the text around it may read in another way: a tag ends elsewhere when a quote in it is gone.
        for _ in 0..MORE_LOOKS {
            if marks.is_empty() {
                break;
            }
            let more = self.first_marks(&replaced(text, &marks));
            if more.is_empty() {
                break;
            }
            let mut origins = Origins::new(&marks);
            let mut all: Vec<_> = more.into_iter().map(|mark| origins.mark(mark)).collect();
            all.append(&mut marks);
            marks = apart(text, all);
        }
        marks
    }

    fn first_marks(&self, text: &[u8]) -> Vec<Mark> {
        let mut marks = Vec::new();
        if self.rules.builtin {
            search::find(text, &self.rules.query, &mut marks);
            cards(text, &mut marks);
        }
        self.rules.names.find(text, &mut marks);
        self.rules.patterns.find(text, &mut marks);
        apart(text, marks)
    }

    /// The header fields for a record.
    #[must_use]
    pub fn headers(&self, headers: &HeaderMap) -> Vec<HeaderField> {
        let mut fields = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            fields.push(self.header(name, value.as_bytes()));
        }
        fields
    }

    /// One header field for a record, a log line or the like.
    #[must_use]
    pub fn header(&self, name: &HeaderName, value: &[u8]) -> HeaderField {
        let mut field = HeaderField::new(name, value);
        if self.is_secret(name) && !value.is_empty() {
            field.value = mark(name.as_str());
        } else if self.rules.client != ClientAddress::Full && CLIENT_HEADERS.contains(name) {
            field.value = mark("client");
        } else if URL_HEADERS.contains(name) {
            field.value = self.url(&field.value);
        } else {
            field.value = self.line(&field.value);
        }
        field
    }

    /// Whether a header is listed, or named as secrets are.
    fn is_secret(&self, name: &HeaderName) -> bool {
        let named = || self.rules.builtin && Label::of(name.as_str().as_bytes()).is_some();
        self.rules.headers.contains(name) || named()
    }

    /// A URL, or a path and query, or a text that ends in one.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        self.line(&self.rules.query.redact(url))
    }

    /// The visitor's address, as far as it is kept.
    #[must_use]
    pub fn client(&self, client: IpAddr) -> Option<IpAddr> {
        match (self.rules.client, client.to_canonical()) {
            (ClientAddress::Full, address) => Some(address),
            (ClientAddress::None, _) => None,
            (ClientAddress::Masked, IpAddr::V4(address)) => {
                let network = u32::from(address) & (u32::MAX << 8);
                Some(Ipv4Addr::from(network).into())
            }
            (ClientAddress::Masked, IpAddr::V6(address)) => {
                let network = u128::from(address) & (u128::MAX << 80);
                Some(Ipv6Addr::from(network).into())
            }
        }
    }
}

impl Secret {
    fn new(name: &'static str, range: Range<usize>) -> Self {
        Self { name, range }
    }

    /// The same secret in a text that begins so many bytes earlier.
    fn moved(mut self, by: usize) -> Self {
        self.range.start += by;
        self.range.end += by;
        self
    }
}

impl From<Secret> for Mark {
    fn from(secret: Secret) -> Self {
        Self {
            name: secret.name.into(),
            range: secret.range,
        }
    }
}

/// What the places of a redacted text were made of. Asked in order, so that the marks are gone through once.
struct Origins<'a> {
    marks: &'a [Mark],
    redacted: usize,
    original: usize,
}

impl<'a> Origins<'a> {
    fn new(marks: &'a [Mark]) -> Self {
        Self {
            marks,
            redacted: 0,
            original: 0,
        }
    }

    /// A mark of the redacted text, in the original.
    fn mark(&mut self, mark: Mark) -> Mark {
        let range = self.place(mark.range.start).start..self.place(mark.range.end).end;
        Mark { range, ..mark }
    }

    /// A place, or the whole secret whose mark a place is in.
    fn place(&mut self, place: usize) -> Range<usize> {
        while let [secret, rest @ ..] = self.marks {
            let start = self.redacted + secret.range.start - self.original;
            let end = start + mark(&secret.name).len();
            if place <= start {
                break;
            }
            if place < end {
                return secret.range.clone();
            }
            (self.redacted, self.original, self.marks) = (end, secret.range.end, rest);
        }
        let place = self.original + place - self.redacted;
        place..place
    }
}

/// Adds the card numbers that stand between the marks.
fn cards(text: &[u8], marks: &mut Vec<Mark>) {
    let mut cards = Vec::new();
    let mut done = 0;
    let behind = std::iter::once(text.len()..text.len());
    let ends = marks.iter().map(|mark| mark.range.clone()).chain(behind);
    for next in ends {
        let between = text.get(done..next.start).unwrap_or_default();
        card::find(between, |range| {
            cards.push(Secret::new("card", range).moved(done).into());
        });
        done = next.end;
    }
    marks.append(&mut cards);
}

/// The marks in order. Those that overlap become one, and none tears a character.
fn apart(text: &[u8], mut marks: Vec<Mark>) -> Vec<Mark> {
    marks.sort_by_key(|mark| mark.range.start);
    for mark in &mut marks {
        mark.range = whole_characters(text, &mark.range);
    }
    marks.dedup_by(|next, mark| {
        let overlaps = next.range.start < mark.range.end;
        if overlaps {
            mark.range.end = mark.range.end.max(next.range.end);
        }
        overlaps
    });
    marks
}

/// A range grown by what it would leave of a character: at most three bytes on either side.
fn whole_characters(text: &[u8], range: &Range<usize>) -> Range<usize> {
    let continues = |byte: &&u8| **byte & 0xc0 == 0x80;
    let inside = text.get(range.clone()).unwrap_or_default();
    let before = text.get(..range.start).unwrap_or_default();
    let after = text.get(range.end..).unwrap_or_default();
    let back = before.iter().rev().take(3).take_while(continues).count();
    let leads = before
        .iter()
        .rev()
        .nth(back)
        .is_some_and(|byte| *byte >= 0xc0);
    let torn = leads && inside.first().as_ref().is_some_and(continues);
    let start = range.start - if torn { back + 1 } else { 0 };
    start..range.end + after.iter().take(3).take_while(continues).count()
}

fn replaced(text: &[u8], marks: &[Mark]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + marks.len() * 16);
    let mut done = 0;
    for secret in marks {
        out.extend_from_slice(text.get(done..secret.range.start).unwrap_or_default());
        out.extend_from_slice(mark(&secret.name).as_bytes());
        done = secret.range.end;
    }
    out.extend_from_slice(text.get(done..).unwrap_or_default());
    out
}

fn mark(name: &str) -> String {
    format!("[redacted: {name}]")
}
