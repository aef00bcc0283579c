//! Whether a short text has any cue at all, at a small part of what it costs to find each.

use super::signature::{Place, Signature};

/// Bytes of a gram: of each of [`STRIDE`] places in a cue one is known, so that one in so many places of a text is looked at.
const GRAM: usize = 4;
const STRIDE: usize = 6;
/// Bits of the table.
const BITS: u32 = 16;

/// The cues of [`GRAM`] and [`STRIDE`] bytes or more, by the grams that they have.
#[derive(Debug)]
pub(super) struct Glimpse {
    /// A bit for each hash of a gram.
    table: Vec<u64>,
    cues: Vec<String>,
    /// Each gram, with its cue and its place in that, sorted.
    grams: Vec<(u32, usize, usize)>,
}

impl Glimpse {
    pub(super) fn new(signatures: &[Signature]) -> Self {
        let looked_for = signatures.iter().filter(|it| it.place != Place::Start);
        let cues = looked_for.flat_map(|it| &it.cues);
        let cues: Vec<String> = cues
            .filter(|cue| cue.len() >= GRAM + STRIDE - 1)
            .cloned()
            .collect();
        let of_cue = |(index, cue): (usize, &String)| {
            let grams = cue.as_bytes().windows(GRAM).take(STRIDE).enumerate();
            let grams = grams.filter_map(|(at, gram)| Some((folded(gram)?, index, at)));
            grams.collect::<Vec<_>>()
        };
        let mut grams: Vec<_> = cues.iter().enumerate().flat_map(of_cue).collect();
        grams.sort_unstable();
        let mut table = vec![0; 1 << (BITS - u64::BITS.trailing_zeros())];
        for (gram, ..) in &grams {
            let (word, bit) = place(*gram);
            if let Some(word) = table.get_mut(word) {
                *word |= bit;
            }
        }
        Self { table, cues, grams }
    }

    /// Whether a text has a cue, in whatever case.
    pub(super) fn sees(&self, text: &[u8]) -> bool {
        let mut rest = text;
        let mut at = 0;
        while let Some((gram, _)) = rest.split_first_chunk::<GRAM>() {
            let gram = u32::from_le_bytes(*gram) | FOLD;
            let (word, bit) = place(gram);
            if self.table.get(word).is_some_and(|word| word & bit != 0)
                && self.stands(gram, text, at)
            {
                return true;
            }
            at += STRIDE;
            rest = rest.get(STRIDE..).unwrap_or_default();
        }
        false
    }

    /// Whether a cue stands in a text that has this gram at `place`.
    fn stands(&self, gram: u32, text: &[u8], place: usize) -> bool {
        let first = self.grams.partition_point(|(other, ..)| *other < gram);
        let same = self
            .grams
            .iter()
            .skip(first)
            .take_while(|(other, ..)| *other == gram);
        let mut stands = same.filter_map(|(_, cue, at)| {
            let cue = self.cues.get(*cue)?;
            let begin = place.checked_sub(*at)?;
            text.get(begin..begin + cue.len())
                .filter(|text| text.eq_ignore_ascii_case(cue.as_bytes()))
        });
        stands.next().is_some()
    }
}

/// What makes capitals small; what it does to other bytes it does in cue and text alike.
const FOLD: u32 = 0x2020_2020;

fn folded(gram: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(gram.try_into().ok()?) | FOLD)
}

/// Where in the table a gram's bit is.
fn place(gram: u32) -> (usize, u64) {
    let hash = gram.wrapping_mul(0x9e37_79b1) >> (u32::BITS - BITS);
    ((hash >> 6) as usize, 1 << (hash & 63))
}

#[cfg(test)]
mod tests {
    use super::super::signature::SignatureFile;
    use super::*;

    #[test]
    fn a_cue_is_seen_wherever_it_stands_and_nothing_else() {
        let glimpse = Glimpse::new(&SignatureFile::built_in().signatures);
        assert!(glimpse.cues.len() > 100);
        for cue in &glimpse.cues {
            for before in 0..GRAM + STRIDE {
                let text = format!("{}{cue}", ".".repeat(before));
                assert!(glimpse.sees(text.as_bytes()), "{text}");
                assert!(glimpse.sees(text.to_uppercase().as_bytes()), "{text}");
                let cut = text.get(..text.len() - 1).unwrap_or_default();
                let other = glimpse
                    .cues
                    .iter()
                    .any(|cue| cut.to_ascii_lowercase().contains(&cue.to_ascii_lowercase()));
                assert_eq!(glimpse.sees(cut.as_bytes()), other, "{cut}");
            }
        }
        assert!(!glimpse.sees(b""));
        assert!(!glimpse.sees(b"<p>A good page, and short.</p>"));
    }
}
