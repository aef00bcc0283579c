//! Answers of real frameworks, byte for byte: a failure is replaced and kept, everything else passes unchanged.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use flate2::read::GzDecoder;
use pardon::incident::Cause;
use serde::Deserialize;

use crate::support::{Answer, End, Gateway, Origin};

const HTML: &str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
const JSON: &str = "application/json";

/// What the manifest says of an answer.
#[derive(Deserialize)]
struct Entry {
    name: String,
    kind: Kind,
    status: u16,
    framing: Framing,
    complete: bool,
    connection_end: String,
    content_encoding: Option<String>,
    request: String,
    accept_encoding: Option<String>,
    body_bytes: usize,
    leaks: HashMap<String, Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Error,
    PlainError,
    Truncated,
    Disguised,
    Normal,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Framing {
    ContentLength,
    Chunked,
    Close,
}

/// An answer as it was recorded.
pub struct Recorded {
    entry: Entry,
    bytes: Vec<u8>,
    line: String,
    pub headers: Vec<(String, String)>,
    /// Without its framing, content codings and all.
    body: Vec<u8>,
}

impl Recorded {
    /// All of them.
    pub fn all() -> Vec<Self> {
        let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/answers"]
            .iter()
            .collect();
        let manifest = fs::read_to_string(folder.join("manifest.json")).unwrap();
        let entries: Vec<Entry> = serde_json::from_str(&manifest).unwrap();
        let read = |entry| Self::read(&folder, entry);
        entries.into_iter().map(read).collect()
    }

    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// The strings in it that tell of its insides: frames of traces, paths, exceptions and the like.
    pub fn inner_things(&self) -> impl Iterator<Item = &str> {
        self.entry.leaks.values().flatten().map(String::as_str)
    }

    fn read(folder: &std::path::Path, entry: Entry) -> Self {
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

    fn is_intercepted(&self) -> bool {
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
    fn request(&self, accept: &str) -> String {
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
    fn assert_not_in(&self, answer: &Answer) {
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
    fn passing_headers(&self) -> Vec<(String, String)> {
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

/// All answers, with an app that gives them.
fn replay() -> (Vec<Arc<Recorded>>, Origin) {
    let recorded: Vec<_> = Recorded::all().into_iter().map(Arc::new).collect();
    let known: HashMap<_, _> = recorded
        .iter()
        .map(|answer| (answer.entry.name.clone(), Arc::clone(answer)))
        .collect();
    let origin = Origin::new(move |visit, request| {
        let recorded = &known[request.header("x-replay").unwrap()];
        visit.send(&recorded.bytes);
        match recorded.entry.connection_end.as_str() {
            "fin" => visit.close(),
            "rst" => visit.reset(),
            _ => visit.wait_for_close(),
        }
    });
    (recorded, origin)
}

/// Invariants 1, 3 and 4.
#[test]
fn every_recorded_failure_is_replaced_and_kept() {
    let (recorded, origin) = replay();
    let gateway = Gateway::before(&origin);
    let failures: Vec<_> = recorded
        .iter()
        .filter(|answer| answer.is_intercepted())
        .collect();
    assert!(failures.len() >= 40, "{} failures", failures.len());
    for failure in failures {
        for (accept, media_type) in [
            (HTML, "text/html; charset=utf-8"),
            (JSON, "application/problem+json"),
        ] {
            let answer = gateway.ask(failure.request(accept));

            let name = &failure.entry.name;
            assert_eq!(answer.status, failure.entry.status, "{name}");
            assert_eq!(answer.header("content-type"), Some(media_type), "{name}");
            assert!(answer.text().contains(answer.id()), "{name}");
            failure.assert_not_in(&answer);
            let incident = gateway.incident(answer.id());
            assert_eq!(incident.cause, Cause::UpstreamStatus, "{name}");
            let body = incident.body.as_ref().unwrap();
            assert!(
                body.content == failure.decoded(),
                "{name}: the body is kept exactly"
            );
            assert_eq!(body.complete, failure.entry.complete, "{name}");
            assert!(body.decoded, "{name}");
        }
    }
}

/// Invariant 5.
#[test]
fn every_other_recorded_answer_passes_byte_for_byte() {
    let (recorded, origin) = replay();
    let gateway = Gateway::before(&origin);
    // What ends with the connection cannot be told from what breaks off.
    let is_whole = |answer: &&Arc<Recorded>| answer.entry.complete && !answer.is_intercepted();
    let passing: Vec<_> = recorded.iter().filter(is_whole).collect();
    assert!(passing.len() >= 25, "{} answers", passing.len());
    for recorded in passing {
        let answer = gateway.ask(recorded.request(HTML));

        let name = &recorded.entry.name;
        assert_eq!(answer.end, End::Whole, "{name}");
        assert!(
            answer.body == recorded.body,
            "{name}: the body is the app's"
        );
        assert_eq!(reason(&answer.line), reason(&recorded.line), "{name}");
        assert_eq!(
            gateway_headers(&answer, recorded),
            recorded.passing_headers(),
            "{name}"
        );
    }
    assert!(gateway.incidents().is_empty(), "nothing has failed");
}

#[test]
fn what_breaks_off_is_seen_to_break_off_and_recorded() {
    let (recorded, origin) = replay();
    let gateway = Gateway::before(&origin);
    let cut = |answer: &&Arc<Recorded>| {
        answer.entry.kind == Kind::Truncated && !answer.entry.complete && !answer.is_intercepted()
    };
    let broken: Vec<_> = recorded.iter().filter(cut).collect();
    assert!(broken.len() >= 4, "{} answers", broken.len());
    for recorded in broken {
        let answer = gateway.ask(recorded.request(HTML));

        let name = &recorded.entry.name;
        assert!(
            [End::Cut, End::Reset].contains(&answer.end),
            "{name}: {:?}",
            answer.end
        );
        assert!(recorded.body.starts_with(&answer.body), "{name}");
        let incident = gateway.incident_when(answer.id(), |_| true);
        assert_eq!(incident.cause, Cause::BrokenOff, "{name}");
        assert_eq!(incident.status(), Some(recorded.entry.status), "{name}");
    }
}

/// An answer's headers without what the gateway adds: the request ID, and a date and a chunked framing where the app
/// had none.
fn gateway_headers(answer: &Answer, recorded: &Recorded) -> Vec<(String, String)> {
    let had = |name: &str| recorded.headers.iter().any(|(found, _)| found == name);
    let fields = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    sorted(fields.filter(|(name, _)| match name.as_str() {
        "x-request-id" => false,
        "transfer-encoding" => recorded.entry.framing == Framing::ContentLength,
        "date" => had(name),
        _ => true,
    }))
}

/// Fields by name; those with one name stay in their order.
fn sorted(fields: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut fields: Vec<_> = fields.collect();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}

/// A status line without its version.
fn reason(line: &str) -> &str {
    line.split_once(' ').unwrap().1
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
