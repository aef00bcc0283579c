//! Many literals, looked for at once: with the processor's vector instructions where it has them, by an automaton
//! elsewhere. The time is linear in the text either way.

use aho_corasick::{AhoCorasick, MatchKind, packed};

/// Literals of four bytes or more.
#[derive(Debug)]
pub(super) struct Literals {
    search: Search,
    /// The longest, in bytes.
    longest: usize,
}

#[derive(Debug)]
enum Search {
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
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
        let search = match packed.filter(|packed| packed.minimum_len() <= 64) {
            Some(packed) => Search::Packed(packed),
            None => Search::automaton(literals)?,
        };
        Some(Self {
            search,
            longest: literals
                .iter()
                .map(|literal| literal.as_ref().len())
                .max()?,
        })
    }

    /// The first literal that begins in `text` at `from` or after it.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<Spot> {
        let spot = match &self.search {
            Search::Packed(packed) => {
                let span = aho_corasick::Span::from(from..text.len());
                packed.find_in(text, span)
            }
            Search::Automaton(automaton) => {
                let input = aho_corasick::Input::new(text).range(from..);
                automaton.find(input)
            }
        }?;
        Some(Spot {
            index: spot.pattern().as_usize(),
            start: spot.start(),
            end: spot.end(),
        })
    }

    pub(super) fn longest(&self) -> usize {
        self.longest
    }
}

impl Search {
    fn automaton<L: AsRef<[u8]>>(literals: &[L]) -> Option<Self> {
        let mut builder = AhoCorasick::builder();
        builder.match_kind(MatchKind::LeftmostFirst);
        builder.build(literals).ok().map(Self::Automaton)
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
            search: Search::automaton(&words).unwrap(),
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
