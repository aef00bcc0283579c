//! Many literals, looked for at once: with the processor's vector instructions where it has them, by an automaton
//! elsewhere. The time is linear in the text either way.

use aho_corasick::{AhoCorasick, MatchKind, packed};

/// Literals of four bytes or more.
#[derive(Debug)]
pub(super) struct Literals {
    packed: Option<packed::Searcher>,
    automaton: AhoCorasick,
    /// The longest, in bytes.
    longest: usize,
}

/// Where a literal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// Which of the literals.
    pub(super) index: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Literals {
    /// None where the literals are too many or too long for any automaton.
    pub(super) fn new<L: AsRef<[u8]>>(literals: &[L]) -> Option<Self> {
        let mut config = packed::Config::new();
        config
            .match_kind(packed::MatchKind::LeftmostFirst)
            .heuristic_pattern_limits(false);
        let packed = config.builder().extend(literals).build();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(literals)
            .ok()?;
        Some(Self {
            packed: packed.filter(|packed| packed.minimum_len() <= 64),
            automaton,
            longest: literals
                .iter()
                .map(|literal| literal.as_ref().len())
                .max()?,
        })
    }

    /// The first literal that begins in `text` at `from` or after it.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<Spot> {
        let found = |index, start, end| Spot { index, start, end };
        if let Some(packed) = &self.packed {
            let span = aho_corasick::Span::from(from..text.len());
            let spot = packed.find_in(text, span)?;
            return Some(found(spot.pattern().as_usize(), spot.start(), spot.end()));
        }
        let input = aho_corasick::Input::new(text).range(from..);
        let spot = self.automaton.find(input)?;
        Some(found(spot.pattern().as_usize(), spot.start(), spot.end()))
    }

    pub(super) fn longest(&self) -> usize {
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_find_the_same() {
        let words = ["rror", " line ", "xception", "{main}"];
        let text = b"an error on line 5, an exception and {main}, again {main".repeat(20);
        let literals = Literals::new(&words).unwrap();
        let plain = Literals {
            packed: None,
            automaton: literals.automaton.clone(),
            longest: literals.longest,
        };
        let mut from = 0;
        let mut found = 0;
        while let Some(spot) = literals.find(&text, from) {
            assert_eq!(plain.find(&text, from), Some(spot));
            assert_eq!(
                text.get(spot.start..spot.end),
                Some(words[spot.index].as_bytes())
            );
            from = spot.start + 1;
            found += 1;
        }
        assert_eq!(plain.find(&text, from), None);
        assert_eq!(found, 80);
        assert_eq!(literals.longest(), 8);
    }
}
