//! Answers of real frameworks and servers, as they were recorded.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use serde::Deserialize;

use super::Answer;

/// What the manifest says of an answer.
#[derive(Deserialize)]
pub struct Entry {
    pub name: String,
    pub kind: Kind,
    pub status: u16,
    pub content_type: Option<String>,
    pub framing: Framing,
    pub complete: bool,
    pub connection_end: String,
    pub content_encoding: Option<String>,
    pub request: String,
    pub accept_encoding: Option<String>,
    pub body_bytes: usize,
    pub leaks: HashMap<String, Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Error,
    PlainError,
    Truncated,
    Disguised,
    Normal,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    ContentLength,
    Chunked,
    Close,
}

/// An answer as it was recorded.
pub struct Recorded {
    pub entry: Entry,
    pub bytes: Vec<u8>,
    pub line: String,
    pub headers: Vec<(String, String)>,
    /// Without its framing, content codings and all.
    pub body: Vec<u8>,
}

impl Recorded {
    fn read(folder: &Path, entry: Entry) -> Self {
        let bytes = fs::read(folder.join(format!("{}.http", entry.name))).unwrap();
        let end = find(&bytes, b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let headers: Vec<_> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let rest = &bytes[end + 4..];
        let body = match entry.framing {
            Framing::Chunked => unchunked(rest),
            Framing::ContentLength | Framing::Close => rest.to_vec(),
        };
        Self {
            entry,
            bytes,
            line,
            headers,
            body,
        }
    }

    pub fn is_intercepted(&self) -> bool {
        (500..600).contains(&self.entry.status)
    }

    /// The body as the app meant it.
    pub fn decoded(&self) -> Vec<u8> {
        let mut decoded = Vec::new();
        match self.entry.content_encoding.as_deref() {
            Some("gzip") => GzDecoder::new(&*self.body)
                .read_to_end(&mut decoded)
                .unwrap(),
            None => self.body.as_slice().read_to_end(&mut decoded).unwrap(),
            Some(other) => panic!("{}: a coding new to this test: {other}", self.entry.name),
        };
        assert_eq!(decoded.len(), self.entry.body_bytes, "{}", self.entry.name);
        decoded
    }

    /// What was asked, in a format, of an app that finds its answer by its name.
    pub fn request(&self, accept: &str) -> String {
        let coding = self.entry.accept_encoding.as_deref();
        let coding = coding.map_or(String::new(), |coding| {
            format!("Accept-Encoding: {coding}\r\n")
        });
        let (line, name) = (&self.entry.request, &self.entry.name);
        format!(
            "{line} HTTP/1.1\r\nHost: shop.example\r\nX-Replay: {name}\r\nAccept: {accept}\r\n{coding}\r\n"
        )
    }

    /// Fails where an answer carries a string that no visitor should see.
    pub fn assert_not_in(&self, answer: &Answer) {
        let head = format!("{}\n{:?}", answer.line, answer.headers);
        let body = String::from_utf8_lossy(&answer.body);
        for leak in self.entry.leaks.values().flatten() {
            let name = &self.entry.name;
            assert!(
                !head.contains(leak),
                "{name}: `{leak}` is in the head:\n{head}"
            );
            assert!(
                !body.contains(leak),
                "{name}: `{leak}` is in the page:\n{body}"
            );
        }
    }

    /// The header fields that a visitor gets: those of the connection with the app left out, the length where it is
    /// given anew, and the app's request ID, which the gateway's takes the place of.
    pub fn passing_headers(&self) -> Vec<(String, String)> {
        let fields = self.headers.iter().filter(|(name, _)| {
            ![
                "connection",
                "keep-alive",
                "transfer-encoding",
                "x-request-id",
            ]
            .contains(&name.as_str())
        });
        sorted(fields.cloned())
    }
}

/// All answers there are.
pub fn recorded() -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/answers");
    let manifest = fs::read_to_string(folder.join("manifest.json")).unwrap();
    let entries: Vec<Entry> = serde_json::from_str(&manifest).unwrap();
    let each = entries.into_iter();
    each.map(|entry| Recorded::read(&folder, entry)).collect()
}

/// Fields by name; those with one name stay in their order.
pub fn sorted(fields: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut fields: Vec<_> = fields.collect();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}

/// The content of a chunked body, as far as it goes.
fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = find(rest, b"\r\n") {
        let size = usize::from_str_radix(str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        let chunk = &rest[end + 2..];
        body.extend_from_slice(&chunk[..size.min(chunk.len())]);
        rest = chunk.get(size + 2..).unwrap_or_default();
    }
    body
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
