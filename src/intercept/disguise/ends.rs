//! Pages that stop before their end on a route whose pages always had one: an app that died without a word.
//!
//! Learned per route, and within it by an address's shape: its path with every number the same. What is learned is a
//! score in one of [`SLOTS`] cells, so that no memory grows and nothing is locked; shapes that share a cell are learned
//! together, which can only hide a death. Only whole documents are learned from: a fragment has no end to miss.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU8, Ordering};

use foldhash::fast::FixedState;

/// Cells of a route.
const SLOTS: usize = 1024;
/// Pages with an end after which an address is known to have one, and after which all of a route's are.
const KNOWN: u8 = 8;
const ALL_KNOWN: u8 = 100;
/// The highest score, what a page without an end takes from it, and the mark of an address that had one.
const MOST: u8 = 120;
const LOSS: u8 = 20;
const SEEN: u8 = 0x80;

/// What is known of how a route's pages end.
#[derive(Debug)]
pub(super) struct Ends {
    slots: [AtomicU8; SLOTS],
    all: AtomicU8,
}

impl Ends {
    pub(super) fn new() -> Self {
        Self {
            slots: [const { AtomicU8::new(0) }; SLOTS],
            all: AtomicU8::new(0),
        }
    }

    /// Learns from a page at this path whether it had its end; whether it lacks one that it always had.
    pub(super) fn learn(&self, path: &str, ended: bool) -> bool {
        let hash = usize::from_le_bytes(shape(path).to_le_bytes());
        let Some(slot) = self.slots.get(hash % SLOTS) else {
            return false;
        };
        let known = slot.load(Ordering::Relaxed);
        let all = self.all.load(Ordering::Relaxed);
        // In the long run nothing is written: workers share the cells.
        if ended {
            if known & !SEEN < MOST {
                slot.store(known + 1, Ordering::Relaxed);
            }
            if all < MOST {
                self.all.store(all + 1, Ordering::Relaxed);
            }
            return false;
        }
        let score = known & !SEEN;
        let missing = score >= KNOWN || (known & SEEN == 0 && all >= ALL_KNOWN);
        slot.store(score.saturating_sub(LOSS) | SEEN, Ordering::Relaxed);
        self.all.store(all.saturating_sub(LOSS), Ordering::Relaxed);
        missing
    }
}

/// The hash of a path in which all numbers are the same.
fn shape(path: &str) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    let mut digits = false;
    for byte in path.bytes().take_while(|byte| *byte != b'?') {
        let digit = byte.is_ascii_digit();
        if !(digit && digits) {
            hasher.write_u8(if digit { b'0' } else { byte });
        }
        digits = digit;
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(ends: &Ends, path: &str, times: u8) {
        for _ in 0..times {
            assert!(!ends.learn(path, true));
        }
    }

    #[test]
    fn an_address_that_always_had_an_end_misses_it() {
        let ends = Ends::new();
        assert!(!ends.learn("/cart/1", false), "nothing is known");
        learned(&ends, "/order/1?page=2", KNOWN - 1);
        assert!(!ends.learn("/order/2", false), "too little is known");
        let ends = Ends::new();
        learned(&ends, "/order/17", KNOWN);
        assert!(ends.learn("/order/4711?x", false), "the same shape");
        assert!(!ends.learn("/order/4711", false), "not always any more");
    }

    #[test]
    fn a_route_whose_pages_all_have_an_end_knows_it_of_new_ones() {
        let ends = Ends::new();
        for page in 0..ALL_KNOWN {
            let letter = char::from(b'a' + page % 26);
            ends.learn(&format!("/{letter}"), true);
        }
        assert!(ends.learn("/new", false));
        assert!(!ends.learn("/new", false), "it never had one");
    }

    #[test]
    fn an_app_that_drops_its_ends_is_soon_not_reported() {
        let ends = Ends::new();
        learned(&ends, "/", 250);
        let reported = (0..100).filter(|_| ends.learn("/", false)).count();
        assert!((1..=8).contains(&reported), "{reported}");
        assert!(ends.all.load(Ordering::Relaxed) < KNOWN);
    }
}
