//! The signatures, with the automata that lead to them.

use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::glimpse::Glimpse;
use super::literals::{Literals, Spot};
use super::signature::{Place, Signature, SignatureFile};

/// Elements in which a text is quoted rather than said.
pub(super) const QUOTING: [&str; 4] = ["pre", "code", "textarea", "blockquote"];

/// All that is looked for. One serves all answers of its routes.
#[derive(Debug)]
pub struct Detector {
    signatures: Vec<Signature>,
    gates: Gates,
    json_gates: Gates,
    /// Made at the first suspect.
    cues: OnceLock<Option<Cues>>,
    end_cues: OnceLock<Option<(Literals, Vec<usize>)>>,
    glimpse: OnceLock<Glimpse>,
    /// The signatures that count where an answer begins, with their cues.
    starts: Vec<(String, usize)>,
}

/// What makes a passing answer a suspect.
#[derive(Debug)]
struct Gates {
    literals: Option<Literals>,
    /// Of each literal, the cues that it has to be part of, with its place in them; none where it counts by itself.
    within: Vec<Vec<(String, usize)>>,
}

/// What a suspect is searched for.
#[derive(Debug)]
struct Cues {
    automaton: AhoCorasick,
    meaning: Vec<Meaning>,
}

/// What a literal in a suspect's text means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A signature may be here.
    Signature(usize),
    /// An element that quotes begins.
    Opens(usize),
    /// An element that quotes ends.
    Closes(usize),
}

impl Detector {
    /// A detector with the built-in signatures and those of a user's file.
    #[must_use]
    pub fn new(own: Option<SignatureFile>) -> Self {
        let built_in = SignatureFile::built_in();
        let mut gates = built_in.gates;
        let mut json_gates = built_in.json_gates;
        let mut signatures = built_in.signatures;
        if let Some(own) = own {
            for signature in &own.signatures {
                gates.extend(signature.cues.iter().cloned());
                json_gates.extend(signature.cues.iter().cloned());
            }
            signatures.extend(own.signatures);
        }
        let starting = |(index, signature): (usize, &Signature)| {
            let cues = signature.cues.iter().map(move |cue| (cue.clone(), index));
            (signature.place == Place::Start).then(|| cues.collect::<Vec<_>>())
        };
        let starts = signatures.iter().enumerate().filter_map(starting).flatten();
        Self {
            starts: starts.collect(),
            gates: Gates::new(gates, built_in.hubs, &built_in.hub_cues),
            json_gates: Gates::new(json_gates, Vec::new(), &[]),
            signatures,
            cues: OnceLock::new(),
            end_cues: OnceLock::new(),
            glimpse: OnceLock::new(),
        }
    }

    pub(super) fn signature(&self, index: usize) -> Option<&Signature> {
        self.signatures.get(index)
    }

    pub(super) fn count(&self) -> usize {
        self.signatures.len()
    }

    /// The first gate that begins in `text` between `from` and `until`. What belongs to it may reach beyond.
    pub(super) fn gate(&self, text: &[u8], from: usize, until: usize, json: bool) -> Option<usize> {
        let gates = if json { &self.json_gates } else { &self.gates };
        gates.find(text, from, until)
    }

    /// Whether a text begins with the cue of a signature that counts there.
    pub(super) fn starts(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let begins = |cue: &str| {
            let beginning = text.get(..cue.len());
            beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(cue.as_bytes()))
        };
        let found = self.starts.iter().filter(move |(cue, _)| begins(cue));
        found.map(|(_, index)| *index)
    }

    /// Calls `see` for every cue in `text` that ends after `from`, by where it ends.
    pub(super) fn cues(
        &self,
        text: &[u8],
        from: usize,
        mut see: impl FnMut(&Meaning, usize, usize),
    ) {
        let cues = self.cues.get_or_init(|| Cues::new(&self.signatures));
        let Some(cues) = cues else { return };
        let begin = from.saturating_sub(super::signature::MOST_CUE);
        let range = text.get(begin..).unwrap_or_default();
        for found in cues.automaton.find_overlapping_iter(range) {
            let (start, end) = (begin + found.start(), begin + found.end());
            if let Some(meaning) = cues.meaning.get(found.pattern().as_usize())
                && end > from
            {
                see(meaning, start, end);
            }
        }
    }

    /// Whether a short text has a cue; those that are short themselves make no failure without another.
    pub(super) fn has_cue(&self, text: &[u8]) -> bool {
        self.glimpse
            .get_or_init(|| Glimpse::new(&self.signatures))
            .sees(text)
    }

    /// Whether a text's end has a cue that is looked for there only.
    pub(super) fn has_end_cue(&self, text: &[u8]) -> bool {
        let cues = self.end_cues.get_or_init(|| end_cues(&self.signatures));
        (cues.as_ref()).is_some_and(|(literals, _)| literals.find(text, 0).is_some())
    }

    /// Calls `see` for every cue in a text's end that is looked for there only: its signature and where it begins.
    pub(super) fn end_cues(&self, text: &[u8], mut see: impl FnMut(usize, usize)) {
        let cues = self.end_cues.get_or_init(|| end_cues(&self.signatures));
        let Some((literals, signatures)) = cues else {
            return;
        };
        let mut from = 0;
        while let Some(Spot { index, start, .. }) = literals.find(text, from) {
            if let Some(signature) = signatures.get(index) {
                see(*signature, start);
            }
            from = start + 1;
        }
    }
}

impl Gates {
    fn new(gates: Vec<String>, hubs: Vec<String>, cues: &[String]) -> Self {
        let free = gates.iter().map(|_| Vec::new());
        let bound = hubs.iter().map(|hub| {
            let part = |cue: &String| Some((cue.clone(), cue.find(hub.as_str())?));
            cues.iter().filter_map(part).collect()
        });
        let within = free.chain(bound).collect();
        let literals: Vec<_> = gates.into_iter().chain(hubs).collect();
        Self {
            literals: Literals::new(&literals),
            within,
        }
    }

    fn find(&self, text: &[u8], mut from: usize, until: usize) -> Option<usize> {
        let literals = self.literals.as_ref()?;
        // What begins before `until` ends before this.
        let text_until = text.get(..(until + literals.longest()).min(text.len()))?;
        while let Some(Spot { index, start, .. }) = literals.find(text_until, from) {
            if start >= until {
                return None;
            }
            let cues = self.within.get(index)?;
            if cues.is_empty() || cues.iter().any(|(cue, at)| stands(text, cue, start, *at)) {
                return Some(start);
            }
            from = start + 1;
        }
        None
    }
}

/// Whether a cue stands in the text so that what is `at` bytes into it is at `place`.
fn stands(text: &[u8], cue: &str, place: usize, at: usize) -> bool {
    let begin = place.checked_sub(at);
    let found = begin.and_then(|begin| text.get(begin..begin + cue.len()));
    found == Some(cue.as_bytes())
}

impl Cues {
    fn new(signatures: &[Signature]) -> Option<Self> {
        let mut literals = Vec::new();
        let mut meaning = Vec::new();
        for (index, element) in QUOTING.iter().enumerate() {
            literals.push(format!("<{element}"));
            meaning.push(Meaning::Opens(index));
            literals.push(format!("</{element}"));
            meaning.push(Meaning::Closes(index));
        }
        for (index, signature) in signatures.iter().enumerate() {
            if signature.place != Place::Start {
                for cue in &signature.cues {
                    literals.push(cue.clone());
                    meaning.push(Meaning::Signature(index));
                }
            }
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(literals);
        Some(Self {
            automaton: automaton.ok()?,
            meaning,
        })
    }
}

fn end_cues(signatures: &[Signature]) -> Option<(Literals, Vec<usize>)> {
    let mut literals = Vec::new();
    let mut meaning = Vec::new();
    for (index, signature) in signatures.iter().enumerate() {
        for cue in &signature.end_cues {
            literals.push(cue.clone());
            meaning.push(index);
        }
    }
    Some((Literals::new(&literals)?, meaning))
}
