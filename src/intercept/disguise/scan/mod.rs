//! The search of one answer, piece by piece as it passes.
//!
//! An answer is looked at for gates only until it has one; then what is there of it, and what follows, is searched for
//! every cue, and each is weighed where it stands. The outcome is the same however the answer is cut into pieces.
//!
//! Bounds: [`HEAD`] and [`TAIL`] of text that is held, and how often a signature is tried. The time is
//! linear in the answer's length.

mod ending;

use std::sync::Arc;

use memchr::{memchr, memrchr};

use super::detector::Detector;
use super::json;
use super::lead::{Circumstances, is_alone, says_nothing};
use super::signature::{MOST_CUE, Place, Signature};
use super::suspect::{Hit, Suspect};
use super::text::{Declared, Kind, beginning, begins_as_page, is_bare, kind_of};

/// Bytes of an answer's beginning that are held whole.
const HEAD: usize = 32 << 10;
/// Bytes that are held before where the search is, past the beginning.
const TAIL: usize = 8 << 10;
/// Bytes before and after a cue that are looked at.
const BEFORE: usize = 1024;
const AFTER: usize = 4096;
/// Bytes in which an answer shows what it is.
const BEGINNING: usize = 64;
/// What makes a verdict, in weights.
const ENOUGH: u32 = 100;
/// Why a signature of JSON has a name of its own: it is no pattern.
const JSON_FRAMEWORK: &str = "JSON";

/// What is said of an answer before it is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its media type.
    pub declared: Declared,
    /// Whether its status is 400 or more.
    pub failed: bool,
    /// Whether its fields say that it is a stored document.
    pub stored: bool,
    /// Whether its characters have two bytes.
    pub wide: bool,
}

/// A signature that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// Its name.
    pub signature: String,
    /// Whose it is.
    pub framework: String,
    /// Its weight; 100 in sum make a verdict.
    pub weight: u32,
    /// Where it stands: bytes from the beginning of the text, after decoding.
    pub offset: u64,
}

/// The search of one answer.
#[derive(Debug)]
pub struct Scan {
    detector: Arc<Detector>,
    subject: Subject,
    kind: Option<Kind>,
    /// What is held, and where in the answer it begins.
    text: Vec<u8>,
    base: usize,
    /// Up to where it was searched for gates.
    searched: usize,
    suspect: Option<Box<Suspect>>,
    signs: Vec<Sign>,
    /// Whether the beginning is held although nothing is suspicious.
    holds: bool,
    /// Whether it begins as a whole document of HTML, once its beginning is not held any more.
    opened: bool,
    /// Of a document of HTML that came to its end, whether it has a page's end.
    ended: Option<bool>,
}

impl Scan {
    /// A search of an answer of which nothing has come.
    #[must_use]
    pub fn new(detector: Arc<Detector>, subject: Subject) -> Self {
        Self {
            detector,
            subject,
            kind: None,
            text: Vec::new(),
            base: 0,
            searched: 0,
            suspect: None,
            signs: Vec::new(),
            holds: false,
            opened: false,
            ended: None,
        }
    }

    /// Holds the beginning of the answer in any case.
    pub(super) fn hold(&mut self) {
        self.holds = true;
    }

    /// Looks at the next piece; `last` says that no more comes.
    pub fn feed(&mut self, piece: &[u8], last: bool) {
        if last && self.length() == 0 && !self.holds && !self.is_wide(piece) {
            return self.look_at_whole(piece);
        }
        if self.is_wide(piece) {
            self.text.extend(piece.iter().filter(|byte| **byte != 0));
        } else {
            self.text.extend_from_slice(piece);
        }
        self.settle_kind(last);
        let Some(kind) = self.kind else { return };
        if self.suspect.is_none() {
            let (text, from) = (&self.text, self.searched - self.base);
            let until = if last {
                text.len()
            } else {
                text.len().saturating_sub(MOST_CUE)
            };
            match self.first_gate(text, from, until, kind) {
                Some(at) => self.suspect_from(self.base + at),
                None => self.go_on(until),
            }
        }
        if last {
            let text = std::mem::take(&mut self.text);
            self.see_end(&text);
            self.text = text;
        }
        self.look(last);
        self.let_go();
    }

    /// Whether the verdict is that it is a failure.
    #[must_use]
    pub fn is_found(&self) -> bool {
        self.signs.iter().map(|sign| sign.weight).sum::<u32>() >= ENOUGH
    }

    /// What was found, by where it was weighed.
    #[must_use]
    pub fn signs(&self) -> &[Sign] {
        &self.signs
    }

    /// The text that is held, and where in the answer it begins.
    pub(super) fn text(&self) -> (&[u8], u64) {
        (&self.text, self.base as u64)
    }

    /// Of a document of HTML that came to its end, whether it has a page's end.
    pub(super) fn ended(&self) -> Option<bool> {
        self.ended
    }

    /// Whether what it holds is a page that nobody designed.
    pub(super) fn is_bare(&self) -> bool {
        self.base == 0 && is_bare(&self.text, self.kind)
    }

    /// How many bytes of text it holds.
    pub(super) fn held(&self) -> usize {
        self.text.capacity()
    }

    /// Lets go of all text; nothing is to be fed any more.
    pub(super) fn let_all_go(&mut self) {
        self.text = Vec::new();
    }

    fn length(&self) -> usize {
        self.base + self.text.len()
    }

    /// Whether characters have two bytes: by the type, or by the mark at the beginning.
    fn is_wide(&mut self, piece: &[u8]) -> bool {
        // No other text begins with one of these; the other one may come with the next piece.
        if self.length() == 0 && matches!(piece.first(), Some(0xff | 0xfe)) {
            self.subject.wide = true;
        }
        self.subject.wide
    }

    /// The shortest way: an answer that comes whole and has no gate is not copied.
    fn look_at_whole(&mut self, piece: &[u8]) {
        let kind = kind_of(piece, self.subject.declared);
        self.kind = Some(kind);
        self.see_end(piece);
        let gate = self.first_gate(piece, 0, piece.len(), kind);
        if gate.is_none() && !self.seems_to_stop_with_failure(piece, piece.len()) {
            if self.ended == Some(false) {
                // The last of a page without its end may be wanted.
                self.base = piece.len().saturating_sub(TAIL);
                self.text = piece.get(self.base..).unwrap_or_default().to_vec();
            }
            return;
        }
        self.text = piece.to_vec();
        self.suspect_from(0);
        self.look(true);
    }

    fn settle_kind(&mut self, last: bool) {
        if self.kind.is_none() && (last || self.text.len() >= BEGINNING) {
            self.kind = Some(kind_of(&self.text, self.subject.declared));
        }
    }

    fn first_gate(&self, text: &[u8], from: usize, until: usize, kind: Kind) -> Option<usize> {
        if self.base == 0 && from == 0 && kind == Kind::Html {
            let begins = self.detector.starts(beginning(text).1).next().is_some();
            if begins {
                return Some(0);
            }
        }
        self.detector.gate(text, from, until, kind == Kind::Json)
    }

    /// Makes a suspect of it from a gate on; how much is held before that depends on nothing but where the gate is.
    fn suspect_from(&mut self, gate: usize) {
        if gate >= HEAD {
            self.drop_before(gate - TAIL);
        }
        self.suspect = Some(Box::new(Suspect::new(self.base, self.detector.count())));
    }

    /// Goes on without a gate, with as much behind it as a gate may need.
    fn go_on(&mut self, until: usize) {
        self.searched = self.base + until;
        if self.searched >= HEAD + 2 * TAIL && self.searched - self.base >= 3 * TAIL {
            self.drop_before(self.searched - TAIL);
        }
    }

    fn drop_before(&mut self, offset: usize) {
        if let Some(count) = offset
            .checked_sub(self.base)
            .filter(|count| *count <= self.text.len())
        {
            self.opened |= self.base == 0 && begins_as_page(&self.text);
            self.text.drain(..count);
            self.base = offset;
        }
    }

    /// Searches a suspect as far as it has come.
    fn look(&mut self, last: bool) {
        if last
            && self.suspect.is_none()
            && self.seems_to_stop_with_failure(&self.text, self.length())
        {
            self.suspect_from(self.searched);
        }
        let Some(mut suspect) = self.suspect.take() else {
            return;
        };
        if self.kind == Some(Kind::Json) {
            self.read_json(&mut suspect, last);
        }
        if last || self.length() >= AFTER + BEGINNING {
            self.try_beginning(&mut suspect);
        }
        suspect.search(&self.detector, &self.text, self.base);
        let whole = self.length();
        // In their order, whatever has come: the outcome is the same for any pieces.
        let ready = suspect
            .pending
            .iter()
            .take_while(|hit| last || hit.start + AFTER <= whole);
        let ready = ready.count();
        for hit in suspect.pending.drain(..ready).collect::<Vec<_>>() {
            self.weigh(&mut suspect, hit);
        }
        if last {
            self.weigh_end(&mut suspect);
        }
        self.suspect = Some(suspect);
    }

    /// Gives up of a suspect's text what no cue needs any more.
    fn let_go(&mut self) {
        let Some(suspect) = &self.suspect else { return };
        let pending = suspect
            .pending
            .first()
            .map_or(self.length(), |hit| hit.start);
        let needed = pending.min(self.length()).saturating_sub(TAIL);
        if self.length() >= HEAD + 2 * TAIL && needed >= self.base + TAIL {
            self.drop_before(needed);
        }
    }

    fn read_json(&mut self, suspect: &mut Suspect, last: bool) {
        if suspect.read || self.base > 0 || !(last || self.length() >= HEAD) {
            return;
        }
        suspect.read = true;
        let head = self.text.get(..HEAD).unwrap_or(&self.text);
        if let Some(leak) = json::leak(head) {
            self.signs.push(Sign {
                signature: leak.name.to_owned(),
                framework: JSON_FRAMEWORK.to_owned(),
                weight: ENOUGH,
                offset: leak.at as u64,
            });
        }
    }

    /// Tries the signatures that count where an answer begins.
    fn try_beginning(&mut self, suspect: &mut Suspect) {
        if std::mem::replace(&mut suspect.begun, true) || self.base > 0 || self.subject.stored {
            return;
        }
        if self.kind == Some(Kind::Json) {
            return;
        }
        let (skipped, text) = beginning(&self.text);
        let detector = Arc::clone(&self.detector);
        let mut found = Vec::new();
        for index in detector.starts(text) {
            let text = text.get(..AFTER).unwrap_or(text);
            if detector
                .signature(index)
                .is_some_and(|it| it.pattern.length(text).is_some())
            {
                found.push(index);
            }
        }
        for index in found {
            self.sign(index, skipped);
        }
    }

    /// Weighs a cue where it stands.
    fn weigh(&mut self, suspect: &mut Suspect, hit: Hit) {
        let detector = Arc::clone(&self.detector);
        let Some(signature) = detector.signature(hit.signature) else {
            return;
        };
        if self.has(signature) || !suspect.tries(hit.signature) {
            return;
        }
        let Some(stand) = self.stand(signature, hit.start) else {
            return;
        };
        let counts = match signature.place {
            Place::Markup => self.is_markup(hit, stand),
            Place::Alone => self.is_alone(hit, stand),
            Place::First => self.is_markup(hit, stand) && self.is_first(stand),
            Place::Stop if self.kind == Some(Kind::Text) => self.subject.failed,
            Place::End | Place::Stop => {
                suspect.last.push(hit);
                self.is_alone(hit, stand)
            }
            Place::Beside => self.kind == Some(Kind::Json) && self.is_markup(hit, stand),
            Place::Start => false,
        };
        if counts {
            self.sign(hit.signature, hit.start);
        }
    }

    /// Whether a signature is at a place: from where to where.
    fn stand(&self, signature: &Signature, start: usize) -> Option<(usize, usize)> {
        let at = start.checked_sub(self.base)?;
        let (before, after) = self.text.split_at_checked(at)?;
        let after = after.get(..AFTER).unwrap_or(after);
        let length = signature.pattern.length(after)?;
        let begin = match &signature.before {
            None => start,
            Some(expression) => {
                let window = before.len().saturating_sub(BEFORE);
                let near = before.get(window..)?;
                self.base + window + expression.begin(near)?
            }
        };
        Some((begin, start + length))
    }

    fn is_markup(&self, hit: Hit, (begin, end): (usize, usize)) -> bool {
        match self.kind {
            Some(Kind::Html) => hit.quoted.is_none(),
            // A text that begins with markup is markup by mistake.
            Some(Kind::Text) => begin < BEGINNING,
            // A string of JSON has no line's end: it stands beside the document.
            Some(Kind::Json) => {
                let text = self.text.get(begin - self.base..end - self.base);
                text.is_some_and(|text| memchr(b'\n', text).is_some())
            }
            None => false,
        }
    }

    /// Whether the answer is about nothing but what stands here.
    fn is_alone(&self, hit: Hit, (begin, _): (usize, usize)) -> bool {
        if self.base > 0 || hit.start >= HEAD || self.kind == Some(Kind::Json) {
            return false;
        }
        let begin = match self.kind {
            // What comes before it on its line is its own.
            Some(Kind::Text) => {
                let before = self.text.get(..begin).unwrap_or_default();
                memrchr(b'\n', before).map_or(0, |line| line + 1)
            }
            _ => hit.quoted.unwrap_or(begin).min(begin),
        };
        let Some((before, after)) = self.text.split_at_checked(begin) else {
            return false;
        };
        // What opens the element is part of what is before: it may say that it shows code.
        let opened = hit.quoted.map_or(0, |_| opening(after));
        let before = self.text.get(..begin + opened).unwrap_or(before);
        let after = self
            .text
            .get(begin..(hit.start + AFTER).min(self.text.len()));
        let circumstances = Circumstances {
            failed: self.subject.failed,
            stored: self.subject.stored,
            html: self.kind == Some(Kind::Html),
        };
        is_alone(before, after.unwrap_or_default(), circumstances)
    }

    /// Whether nothing comes before this on the page.
    fn is_first(&self, (begin, _): (usize, usize)) -> bool {
        let before = self
            .text
            .get(..begin)
            .filter(|_| self.base == 0 && begin < HEAD);
        self.kind == Some(Kind::Html) && before.is_some_and(says_nothing)
    }

    fn has(&self, signature: &Signature) -> bool {
        self.signs
            .iter()
            .any(|sign| sign.signature == signature.name)
    }

    fn sign(&mut self, index: usize, offset: usize) {
        let Some(signature) = self.detector.signature(index) else {
            return;
        };
        if !self.has(signature) {
            self.signs.push(Sign {
                signature: signature.name.clone(),
                framework: signature.framework.clone(),
                weight: signature.weight,
                offset: offset as u64,
            });
        }
    }
}

/// How long the tags are that a text begins with.
fn opening(text: &[u8]) -> usize {
    let mut rest = text;
    while let [b'<', name, ..] = rest.trim_ascii_start()
        && name.is_ascii_alphabetic()
        && let Some(end) = memchr(b'>', rest)
    {
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    text.len() - rest.len()
}
