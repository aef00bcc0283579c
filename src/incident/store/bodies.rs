//! Bodies that were written lately, so that the equal ones of a storm are kept once.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;

use bytes::Bytes;
use foldhash::fast::RandomState;

/// How many bytes of bodies are remembered. They are those of the incidents, not copied; each may lie in a memory of twice its length, in
/// which it was gathered.
const BYTES: usize = 2 << 20;
/// The largest body that is remembered.
const LARGEST: usize = 128 << 10;

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
    content: Bytes,
}

impl RecentBodies {
    /// What a content is looked for and remembered by.
    pub(super) fn hash(&self, content: &[u8]) -> u64 {
        self.hasher.hash_one(content)
    }

    /// The row that holds this content.
    pub(super) fn find(&self, hash: u64, content: &[u8]) -> Option<i64> {
        let known = self.known.get(&hash)?;
        (known.content == content).then_some(known.seq)
    }

    /// Remembers that a row holds this content, and forgets the oldest where there is no room.
    pub(super) fn remember(&mut self, hash: u64, content: &Bytes, seq: i64) {
        if content.len() > LARGEST {
            return;
        }
        while self.bytes + content.len() > BYTES && self.forget_oldest() {}
        let known = Known {
            seq,
            content: content.clone(),
        };
        self.bytes += content.len();
        match self.known.insert(hash, known) {
            Some(before) => self.bytes -= before.content.len(),
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
            self.bytes -= known.content.len();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(recent: &RecentBodies, content: &[u8]) -> Option<i64> {
        recent.find(recent.hash(content), content)
    }

    fn remember(recent: &mut RecentBodies, content: &[u8], seq: i64) {
        let content = Bytes::copy_from_slice(content);
        recent.remember(recent.hash(&content), &content, seq);
    }

    #[test]
    fn what_was_written_lately_is_found_by_its_content() {
        let mut recent = RecentBodies::default();
        remember(&mut recent, b"one", 1);
        remember(&mut recent, b"two", 2);
        remember(&mut recent, b"one", 3);
        assert_eq!(find(&recent, b"one"), Some(3));
        assert_eq!(find(&recent, b"two"), Some(2));
        assert_eq!(find(&recent, b"three"), None);
        recent.clear();
        assert_eq!(find(&recent, b"one"), None);
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let mut recent = RecentBodies::default();
        let content = |n: u8| vec![n; LARGEST];
        for n in 0..40 {
            remember(&mut recent, &content(n), i64::from(n));
            assert!(recent.bytes <= BYTES);
            assert_eq!(recent.order.len(), recent.known.len());
        }
        assert_eq!(find(&recent, &content(39)), Some(39));
        assert_eq!(find(&recent, &content(24)), Some(24));
        assert_eq!(find(&recent, &content(23)), None);
        let large = vec![7; LARGEST + 1];
        remember(&mut recent, &large, 99);
        assert_eq!(find(&recent, &large), None);
    }
}
