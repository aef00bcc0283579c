//! An answer that has a gate: the cues in it, and what they stand in.

use super::detector::{Detector, Meaning, QUOTING};

/// How often each signature is tried in one answer.
const ATTEMPTS: u16 = 64;

/// An answer with a gate.
#[derive(Debug)]
pub(super) struct Suspect {
    /// Up to where it was searched for cues.
    pub(super) searched: usize,
    /// Cues that are not weighed yet.
    pub(super) pending: Vec<Hit>,
    /// Cues that may turn out to stand at the answer's end.
    pub(super) last: Vec<Hit>,
    /// Where the elements that quote, and are open, begin.
    pub(super) quotes: [Option<usize>; QUOTING.len()],
    pub(super) tried: Vec<u16>,
    /// Whether what is JSON was read, and what begins the answer was tried.
    pub(super) read: bool,
    pub(super) begun: bool,
}

/// Where a signature may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) signature: usize,
    pub(super) start: usize,
    /// Where the outermost element begins that quotes it.
    pub(super) quoted: Option<usize>,
}

impl Suspect {
    /// A suspect of whose text nothing was searched from `base` on.
    pub(super) fn new(base: usize, signatures: usize) -> Self {
        Self {
            searched: base,
            pending: Vec::new(),
            last: Vec::new(),
            quotes: [None; QUOTING.len()],
            tried: vec![0; signatures],
            read: false,
            begun: false,
        }
    }

    /// Finds the cues in what was not searched yet.
    pub(super) fn search(&mut self, detector: &Detector, text: &[u8], base: usize) {
        let from = self.searched.saturating_sub(base);
        let (pending, quotes) = (&mut self.pending, &mut self.quotes);
        detector.cues(text, from, |meaning, start, _| match *meaning {
            Meaning::Opens(element) => {
                if let Some(open) = quotes.get_mut(element) {
                    *open = Some(open.unwrap_or(base + start));
                }
            }
            Meaning::Closes(element) => {
                if let Some(open) = quotes.get_mut(element) {
                    *open = None;
                }
            }
            Meaning::Signature(signature) => {
                let start = base + start;
                let begun = quotes.iter().flatten().copied();
                let outermost = begun.filter(|begun| *begun < start).min();
                pending.push(Hit {
                    signature,
                    start,
                    quoted: outermost,
                });
            }
        });
        self.searched = base + text.len();
    }

    /// Whether a signature may be tried once more.
    pub(super) fn tries(&mut self, signature: usize) -> bool {
        let Some(tried) = self.tried.get_mut(signature) else {
            return false;
        };
        *tried = tried.saturating_add(1);
        *tried <= ATTEMPTS
    }
}
