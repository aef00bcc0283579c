//! Blobs: bytes packed as an LZ4 block, with their length before it.

use std::io::{self, Write};

use lz4_flex::block::{self, CompressTable};
use serde::Serialize;

/// The most that a blob may be when it is unpacked: what a damaged length says is not believed.
const LARGEST: usize = 256 << 20;
/// The most that is packed in memory that is kept for the next.
const USUAL: usize = 48 << 10;
/// What is shorter is wrapped, not packed: the records of short requests would be an eighth shorter, for a
/// fifth of the work on a row (measured: 326 bytes become 303, 438 become 381, 1,102 become 874).
const WORTH: usize = 512;
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
        let packed = if bytes.len() < WORTH {
            wrap(bytes, rest).ok()
        } else {
            block::compress_into_with_table(bytes, rest, &mut self.table).ok()
        };
        packed.map(|length| HEAD + length)
    }
}

/// Writes an LZ4 block that repeats nothing: a token that says so, how many bytes there are, and the bytes. Gives its length.
fn wrap(bytes: &[u8], mut block: &mut [u8]) -> io::Result<usize> {
    /// A token's upper half counts so many bytes; from here on further ones do, which each add up to 255.
    const IN_TOKEN: u8 = 15;
    let room = block.len();
    match u8::try_from(bytes.len()) {
        Ok(few) if few < IN_TOKEN => block.write_all(&[few << 4])?,
        _ => {
            block.write_all(&[IN_TOKEN << 4])?;
            let mut more = bytes.len() - usize::from(IN_TOKEN);
            while more >= 255 {
                block.write_all(&[255])?;
                more -= 255;
            }
            block.write_all(&[u8::try_from(more).unwrap_or(0)])?;
        }
    }
    block.write_all(bytes)?;
    Ok(room - block.len())
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
        for length in [
            0,
            1,
            70_000,
            14,
            15,
            16,
            269,
            270,
            271,
            WORTH - 1,
            WORTH,
            5,
            USUAL,
            USUAL + 1,
            13,
            1 << 20,
            100,
        ] {
            let bytes: Vec<u8> = (0..length)
                .map(|n| u8::try_from(n * n % 251).unwrap())
                .collect();
            assert_eq!(unpack(packer.pack(&bytes)).unwrap(), bytes);
            let json = unpack(packer.pack_json(&length)).unwrap();
            assert_eq!(json, length.to_string().as_bytes());
        }
    }
}
