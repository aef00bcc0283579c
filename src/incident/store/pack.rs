//! Blobs: bytes packed as an LZ4 block, with their length before it.

use std::io;

use lz4_flex::block::{self, CompressTable};
use serde::Serialize;

/// The most that a blob may be when it is unpacked: what a damaged length says is not believed.
const LARGEST: usize = 256 << 20;
/// The most that is packed in memory that is kept for the next.
const USUAL: usize = 48 << 10;
/// Bytes of the length.
const HEAD: usize = 4;

/// Packs one blob after the other in the same memory.
#[derive(Default)]
pub(super) struct Packer {
    table: CompressTable,
    json: Vec<u8>,
    packed: Vec<u8>,
}

impl Packer {
    /// Packs bytes.
    pub(super) fn pack(&mut self, bytes: &[u8]) -> &[u8] {
        let length = self.fill(bytes);
        self.packed.get(..length).unwrap_or_default()
    }

    /// Packs the JSON of what always has one.
    pub(super) fn pack_json(&mut self, value: &impl Serialize) -> &[u8] {
        let mut json = std::mem::take(&mut self.json);
        json.clear();
        // Text and numbers always have a JSON, and memory takes it.
        let _ = serde_json::to_writer(&mut json, value);
        let length = self.fill(&json);
        if json.capacity() <= USUAL {
            self.json = json;
        }
        self.packed.get(..length).unwrap_or_default()
    }

    /// Puts the blob at the beginning of `packed`; gives its length.
    fn fill(&mut self, bytes: &[u8]) -> usize {
        self.try_fill(bytes).unwrap_or_else(|| {
            self.packed = block::compress_prepend_size(bytes);
            self.packed.len()
        })
    }

    /// Nothing where it is too large for the memory that is kept.
    fn try_fill(&mut self, bytes: &[u8]) -> Option<usize> {
        if bytes.len() > USUAL {
            return None;
        }
        let room = HEAD + block::get_maximum_output_size(USUAL);
        if self.packed.len() != room {
            self.packed = vec![0; room];
        }
        let (head, rest) = self.packed.split_first_chunk_mut::<HEAD>()?;
        *head = u32::try_from(bytes.len()).ok()?.to_le_bytes();
        let packed = block::compress_into_with_table(bytes, rest, &mut self.table);
        packed.ok().map(|length| HEAD + length)
    }
}

/// Unpacks a blob.
pub(super) fn unpack(blob: &[u8]) -> io::Result<Vec<u8>> {
    let damaged = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let (length, _) = block::uncompressed_size(blob)
        .map_err(|error| damaged(format!("a blob has no length: {error}")))?;
    if length > LARGEST {
        return Err(damaged(format!("a blob claims {length} bytes")));
    }
    block::decompress_size_prepended(blob)
        .map_err(|error| damaged(format!("a blob is damaged: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lengths_of_damaged_blobs_are_not_believed() {
        let bytes = b"the same, the same, the same".repeat(9);
        let mut packer = Packer::default();
        let blob = packer.pack(&bytes);
        assert_eq!(unpack(blob).unwrap(), bytes);
        assert!(unpack(&[]).is_err());
        assert!(unpack(&[0xff; 12]).is_err());
        assert!(unpack(&blob[..blob.len() / 2]).is_err());
    }

    #[test]
    fn blobs_do_not_meet_in_the_memory_that_they_share() {
        let mut packer = Packer::default();
        for length in [0, 1, 70_000, 5, USUAL, USUAL + 1, 13, 1 << 20, 100] {
            let bytes: Vec<u8> = (0..length)
                .map(|n| u8::try_from(n * n % 251).unwrap())
                .collect();
            assert_eq!(unpack(packer.pack(&bytes)).unwrap(), bytes);
            let json = unpack(packer.pack_json(&length)).unwrap();
            assert_eq!(json, length.to_string().as_bytes());
        }
    }
}
