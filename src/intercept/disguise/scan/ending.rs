//! How an answer ends: with a failure, or with a page's end.

use std::sync::Arc;

use memchr::memrchr;

use super::super::signature::Place;
use super::super::suspect::{Hit, Suspect};
use super::super::text::{Kind, begins_as_page, ends_as_page, has_element, has_end_within};
use super::{ENOUGH, Scan, Sign};

/// Bytes at the end in which an answer stops with a failure, and the whole of a text that is one.
const END: usize = 1536;
const SHORT: usize = 600;
/// What stands for a page's missing end among the signatures.
const UNFINISHED: &str = "unfinished-html";
/// Bytes that may come behind a page's end: a cache's remark, a script.
const BEHIND: usize = 2048;

impl Scan {
    /// Weighs what an answer may stop with.
    pub(super) fn weigh_end(&mut self, suspect: &mut Suspect) {
        let length = self.length();
        let detector = Arc::clone(&self.detector);
        if self.may_stop_with_failure(&self.text, length) {
            let tail = self.text.len().saturating_sub(END);
            let text = self.text.get(tail..).unwrap_or_default();
            let base = self.base + tail;
            detector.end_cues(text, |signature, at| {
                suspect.last.push(Hit {
                    signature,
                    start: base + at,
                    quoted: None,
                });
            });
        }
        for hit in std::mem::take(&mut suspect.last) {
            let Some(signature) = detector.signature(hit.signature) else {
                continue;
            };
            if self.has(signature) || hit.start + END < length || !suspect.tries(hit.signature) {
                continue;
            }
            let Some(stand) = self.stand(signature, hit.start) else {
                continue;
            };
            let begun = signature.place == Place::End || self.is_begun();
            let stops = begun && self.stops_after(stand.1);
            if stops || (length <= END && self.is_alone(hit, stand)) {
                self.sign(hit.signature, hit.start);
            }
        }
    }

    /// Whether an answer may have stopped in the middle: what is HTML and has no end, what is short.
    pub(super) fn may_stop_with_failure(&self, text: &[u8], length: usize) -> bool {
        match self.kind {
            Some(Kind::Html) => length <= END || !ends_as_page(text),
            Some(Kind::Text) => length <= SHORT,
            Some(Kind::Json) | None => false,
        }
    }

    /// Whether an answer without a gate may be a failure all the same: it may have stopped, and has a cue, in its end if it is long.
    pub(super) fn seems_to_stop_with_failure(&self, text: &[u8], length: usize) -> bool {
        let tail = text.get(text.len().saturating_sub(END)..);
        let has_cue = |tail| {
            self.detector.has_end_cue(tail) || (length <= END && self.detector.has_cue(tail))
        };
        self.may_stop_with_failure(text, length) && tail.is_some_and(has_cue)
    }

    /// Says of a page that it stops before its end.
    pub(in crate::intercept::disguise) fn find_unfinished(&mut self) {
        self.signs.push(Sign {
            signature: UNFINISHED.to_owned(),
            framework: "HTML".to_owned(),
            weight: ENOUGH,
            offset: self.length() as u64,
        });
    }

    /// Sees how a whole document of HTML ends: `text` is the last of it.
    pub(super) fn see_end(&mut self, text: &[u8]) {
        let begun = self.opened || (self.base == 0 && begins_as_page(text));
        let page = begun && self.kind == Some(Kind::Html);
        self.ended = page.then(|| ends_as_page(text) || has_end_within(text, BEHIND));
    }

    /// Whether it begins as a whole document of HTML.
    fn is_begun(&self) -> bool {
        self.opened || (self.base == 0 && begins_as_page(&self.text))
    }

    /// Whether nothing of a page comes after this.
    fn stops_after(&self, end: usize) -> bool {
        if self.subject.stored {
            return false;
        }
        let rest = self
            .text
            .get(end.saturating_sub(self.base)..)
            .unwrap_or_default();
        let first_line = |text: &[u8]| memrchr(b'\n', text.trim_ascii()).is_none();
        match self.kind {
            // A page that was begun as one and is not ended has nothing of its own behind the failure.
            Some(Kind::Html) => {
                let over = rest.len() <= 300 && !ends_as_page(rest);
                over && (self.is_begun() || !has_element(rest))
            }
            Some(Kind::Text) => self.length() <= SHORT && first_line(&self.text),
            Some(Kind::Json) | None => false,
        }
    }
}
