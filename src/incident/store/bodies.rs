//! Bodies that were written lately, so that the equal ones of a storm are kept once.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

/// How many bytes of packed bodies are remembered.
const BYTES: usize = 1 << 20;
/// The largest packed body that is remembered.
const LARGEST: usize = 64 << 10;

/// What was written lately, by its content: equal is what is the same byte for byte, whatever its hash.
#[derive(Default)]
pub(super) struct RecentBodies {
    hasher: RandomState,
    known: HashMap<u64, Known>,
    /// Oldest first.
    order: VecDeque<u64>,
    bytes: usize,
}

struct Known {
    seq: i64,
    packed: Box<[u8]>,
}

impl RecentBodies {
    /// The row that holds this content.
    pub(super) fn find(&self, packed: &[u8]) -> Option<i64> {
        let known = self.known.get(&self.hash(packed))?;
        (*known.packed == *packed).then_some(known.seq)
    }

    /// Remembers that a row holds this content, and forgets the oldest where there is no room.
    pub(super) fn remember(&mut self, packed: &[u8], seq: i64) {
        if packed.len() > LARGEST {
            return;
        }
        while self.bytes + packed.len() > BYTES && self.forget_oldest() {}
        let hash = self.hash(packed);
        let known = Known {
            seq,
            packed: packed.into(),
        };
        self.bytes += packed.len();
        match self.known.insert(hash, known) {
            Some(before) => self.bytes -= before.packed.len(),
            None => self.order.push_back(hash),
        }
    }

    /// Forgets all: what a transaction wrote that was rolled back is not there.
    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.order.clear();
        self.bytes = 0;
    }

    fn forget_oldest(&mut self) -> bool {
        let Some(oldest) = self.order.pop_front() else {
            return false;
        };
        if let Some(known) = self.known.remove(&oldest) {
            self.bytes -= known.packed.len();
        }
        true
    }

    fn hash(&self, packed: &[u8]) -> u64 {
        self.hasher.hash_one(packed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_lately_is_found_by_its_content() {
        let mut recent = RecentBodies::default();
        recent.remember(b"one", 1);
        recent.remember(b"two", 2);
        recent.remember(b"one", 3);
        assert_eq!(recent.find(b"one"), Some(3));
        assert_eq!(recent.find(b"two"), Some(2));
        assert_eq!(recent.find(b"three"), None);
        recent.clear();
        assert_eq!(recent.find(b"one"), None);
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let mut recent = RecentBodies::default();
        let content = |n: u8| vec![n; LARGEST];
        for n in 0..40 {
            recent.remember(&content(n), i64::from(n));
            assert!(recent.bytes <= BYTES);
            assert_eq!(recent.order.len(), recent.known.len());
        }
        assert_eq!(recent.find(&content(39)), Some(39));
        assert_eq!(recent.find(&content(24)), Some(24));
        assert_eq!(recent.find(&content(23)), None);
        let large = vec![7; LARGEST + 1];
        recent.remember(&large, 99);
        assert_eq!(recent.find(&large), None);
    }
}
