//! Which answers are looked into, and one of them on its way.
//!
//! Looked into are answers of the configured types with a text to look at. Streams, downloads, parts and answers without
//! a body pass without a look, and of compressed ones, in mode `report`, all but a sample.

use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::detector::Detector;
use super::ends::Ends;
use super::scan::{Scan, Sign, Subject};
use super::signature::SignatureFile;
use super::text::Declared;
use super::unfold::Unfold;
use crate::config::{self, DisguiseMode, Late};

/// The signatures that are built in, for all routes that have no others.
static BUILT_IN: LazyLock<Arc<Detector>> = LazyLock::new(|| Arc::new(Detector::new(None)));

/// What the answers that a worker looks into may hold at once, in bytes; past it they pass without a look.
const MOST_HELD: usize = 16 << 20;

thread_local! {
    /// What the answers hold that this worker looks into.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// A route's rules for failures in disguise.
#[derive(Clone, Debug)]
pub struct Disguise {
    /// What is done about one.
    pub mode: DisguiseMode,
    /// The status of its page.
    pub status: StatusCode,
    /// What is done about one that is found after that.
    pub late: Late,
    /// The share of compressed answers that are looked into in mode `report`.
    pub sample: f64,
    types: Vec<String>,
    detector: Arc<Detector>,
    ends: Arc<Ends>,
}

/// An answer that is looked into.
pub struct Watch {
    scan: Scan,
    unfold: Option<Box<Unfold>>,
    /// Bytes of text that were looked at.
    seen: u64,
    /// Whether there is more to look at.
    going: bool,
    /// What it holds, as it was counted.
    counted: usize,
    kept: Option<Kept>,
}

/// The text of an answer that was found, as far as it is kept.
struct Kept {
    text: Vec<u8>,
    /// Where in the answer it begins.
    base: u64,
    most: usize,
}

impl Disguise {
    /// The rules as the configuration states them, with the built-in signatures; none where nothing is looked into.
    #[must_use]
    pub fn build(settings: &config::Disguise) -> Option<Self> {
        if settings.mode == DisguiseMode::Off {
            return None;
        }
        Some(Self {
            mode: settings.mode,
            status: StatusCode::from_u16(settings.status)
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            late: settings.late,
            sample: settings.sample,
            types: settings
                .types
                .iter()
                .map(|kind| kind.to_ascii_lowercase())
                .collect(),
            detector: Arc::clone(&BUILT_IN),
            ends: Arc::new(Ends::new()),
        })
    }

    /// The same with the signatures of a file beside the built-in ones.
    pub fn add(&mut self, own: SignatureFile) {
        self.detector = Arc::new(Detector::new(Some(own)));
    }

    /// The rules by which answers are looked into that call themselves failures.
    #[must_use]
    pub fn of_failures() -> Self {
        let settings = config::Disguise::default();
        let types = [
            "text/html",
            "application/xhtml+xml",
            "text/plain",
            "application/json",
            "application/problem+json",
        ];
        Self {
            mode: DisguiseMode::Replace,
            status: StatusCode::INTERNAL_SERVER_ERROR,
            late: settings.late,
            sample: 1.0,
            types: types.map(str::to_owned).to_vec(),
            detector: Arc::clone(&BUILT_IN),
            ends: Arc::new(Ends::new()),
        }
    }

    /// Looks into an answer with this head, where that is to be; `sampled` is asked whether a compressed one is.
    #[must_use]
    pub fn watch(
        &self,
        method: &Method,
        status: StatusCode,
        headers: &HeaderMap,
        sampled: impl FnOnce() -> bool,
    ) -> Option<Watch> {
        let bare = matches!(status.as_u16(), 100..=199 | 204 | 205 | 206 | 304);
        if bare || *method == Method::HEAD || !(200..500).contains(&status.as_u16()) {
            return None;
        }
        self.watch_any(status, headers, sampled)
    }

    /// Learns how a page at this path ends; whether it lacks the end that pages there always had.
    #[must_use]
    pub fn misses_end(&self, path: &str, watch: &Watch) -> bool {
        let ended = watch.scan.ended();
        ended.is_some_and(|ended| self.ends.learn(path, ended))
    }

    /// Looks into a failed answer: [`Watch::is_bare`] is known of it.
    #[must_use]
    pub fn watch_failure(&self, status: StatusCode, headers: &HeaderMap) -> Option<Watch> {
        let mut watch = self.watch_any(status, headers, || true)?;
        watch.scan.hold();
        Some(watch)
    }

    fn watch_any(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        sampled: impl FnOnce() -> bool,
    ) -> Option<Watch> {
        let said = Said::by(headers);
        let (declared, wide) = self.declared(said.kind)?;
        if said.part || said.download {
            return None;
        }
        let unfold = match said.coding {
            None => None,
            Some(coding) => {
                let coding = coding.to_str().ok()?;
                if coding.trim().eq_ignore_ascii_case("identity") {
                    None
                } else if sampled() {
                    Some(Box::new(Unfold::new(coding)?))
                } else {
                    return None;
                }
            }
        };
        let subject = Subject {
            declared,
            failed: status.as_u16() >= 400,
            stored: said.stored,
            wide,
        };
        Some(Watch {
            scan: Scan::new(Arc::clone(&self.detector), subject),
            unfold,
            seen: 0,
            going: true,
            counted: 0,
            kept: None,
        })
    }

    /// What an answer says that it is, if that is looked into: an answer without a type is read as HTML, as browsers do.
    fn declared(&self, kind: Option<&HeaderValue>) -> Option<(Declared, bool)> {
        let Some(value) = kind else {
            let html = self.types.iter().any(|kind| kind == "text/html");
            return html.then_some((Declared::Html, false));
        };
        let value = value.as_bytes();
        let end = value
            .iter()
            .position(|byte| *byte == b';')
            .unwrap_or(value.len());
        let (kind, parameters) = value.split_at_checked(end)?;
        let kind = kind.trim_ascii();
        let known = self
            .types
            .iter()
            .find(|known| known.as_bytes().eq_ignore_ascii_case(kind))?;
        let declared = if known.ends_with("json") {
            Declared::Json
        } else if known.ends_with("html") || known.ends_with("html+xml") {
            Declared::Html
        } else {
            Declared::Text
        };
        let wide = memchr::memchr(b'1', parameters).is_some()
            && (parameters.windows(6)).any(|part| part.eq_ignore_ascii_case(b"utf-16"));
        Some((declared, wide))
    }
}

impl Watch {
    /// Looks at the next piece; `last` says that no more comes.
    pub fn feed(&mut self, piece: &[u8], last: bool) {
        if !self.going {
            return;
        }
        self.going = !last;
        let Some(unfold) = &mut self.unfold else {
            return self.look(piece, last);
        };
        let (text, sound) = unfold.push(piece, last);
        self.going &= sound;
        // What stops because there was too much of it, or because it was broken, does not end as the answer does.
        self.look(&text, last && sound);
    }

    fn look(&mut self, text: &[u8], last: bool) {
        self.seen += text.len() as u64;
        self.scan.feed(text, last);
        if let Some(kept) = &mut self.kept {
            kept.add(text);
        }
        self.account();
    }

    /// Counts what is held, and gives up where a worker's answers hold too much.
    fn account(&mut self) {
        let held = self.scan.held();
        if held == self.counted {
            return;
        }
        let all = HELD.get() - self.counted + held;
        HELD.set(all);
        self.counted = held;
        if all > MOST_HELD && !self.is_found() {
            self.going = false;
            self.scan.let_all_go();
            HELD.set(all - held);
            self.counted = 0;
        }
    }

    /// How many bytes of text it holds, beside what is kept.
    #[must_use]
    pub fn held(&self) -> usize {
        self.scan.held()
    }

    /// Keeps the text from where it is at hand on, at most so much of it.
    pub fn keep(&mut self, most: usize) {
        let (text, base) = self.scan.text();
        let mut kept = Kept {
            text: Vec::new(),
            base,
            most,
        };
        kept.add(text);
        self.kept = Some(kept);
    }

    /// What was kept, and whether that is all of the text.
    pub fn kept(&mut self) -> (Vec<u8>, bool) {
        let Some(kept) = self.kept.take() else {
            return (Vec::new(), false);
        };
        let all = kept.base == 0 && kept.text.len() as u64 == self.seen;
        (kept.text, all)
    }

    /// Whether it is a failure.
    #[must_use]
    pub fn is_found(&self) -> bool {
        self.scan.is_found()
    }

    /// Whether all of it that was looked at is a page of no design: no text to speak of, or text without markup.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.scan.is_bare()
    }

    /// Says of a page that it stops before its end, and keeps the last of it, at most so much.
    pub fn find_unfinished(&mut self, most: usize) {
        self.scan.find_unfinished();
        let (text, base) = self.scan.text();
        let from = text.len().saturating_sub(most);
        self.kept = Some(Kept {
            text: text.get(from..).unwrap_or_default().to_vec(),
            base: base + from as u64,
            most,
        });
    }

    /// What was found.
    #[must_use]
    pub fn signs(&self) -> &[Sign] {
        self.scan.signs()
    }
}

impl Kept {
    fn add(&mut self, text: &[u8]) {
        let room = self.most - self.text.len();
        self.text
            .extend_from_slice(text.get(..room).unwrap_or(text));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        HELD.set(HELD.get() - self.counted);
    }
}

/// What an answer's fields say that matters here, by one pass over them.
#[derive(Debug, Default)]
struct Said<'a> {
    kind: Option<&'a HeaderValue>,
    coding: Option<&'a HeaderValue>,
    /// Whether it is a part of something.
    part: bool,
    /// Whether it is to be saved rather than shown.
    download: bool,
    /// Whether it is a stored document.
    stored: bool,
}

impl<'a> Said<'a> {
    fn by(headers: &'a HeaderMap) -> Self {
        let mut said = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "content-type" if said.kind.is_none() => said.kind = Some(value),
                "content-encoding" if said.coding.is_none() => said.coding = Some(value),
                "content-range" => said.part = true,
                "content-disposition" => {
                    let kind = value.as_bytes().get(..10).unwrap_or_default();
                    said.download |= kind.eq_ignore_ascii_case(b"attachment");
                }
                "last-modified" | "accept-ranges" => said.stored = true,
                _ => {}
            }
        }
        said
    }
}
