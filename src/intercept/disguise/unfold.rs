//! Content codings undone as an answer passes: gzip, deflate, br; zstd at its end, because its decoder keeps a window
//! back that is larger than most pages.
//!
//! Bounds: [`MOST`] bytes that come out of one answer, [`MOST_CODED`] of zstd that are held. What is over that, or is not
//! in the coding, is not looked at any more.

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::intercept::decode;

/// Decoded bytes of one answer that are looked at.
const MOST: usize = 1 << 20;
/// Coded bytes of one answer that are held until its end.
const MOST_CODED: usize = 128 << 10;

/// The decoder of one answer.
pub(super) struct Unfold {
    coding: Coding,
    /// Whether it goes on: not past a bound or an error.
    going: bool,
}

enum Coding {
    Gzip(MultiGzDecoder<Output>),
    /// With the zlib header that the RFC asks for, or not: its first two bytes say it.
    Deflate(Vec<u8>),
    Zlib(ZlibDecoder<Output>),
    Raw(DeflateDecoder<Output>),
    Brotli(Box<DecompressorWriter<Output>>),
    Zstd(Vec<u8>),
}

/// What has come out and was not taken yet.
struct Output {
    bytes: Vec<u8>,
    left: usize,
}

impl Unfold {
    /// A decoder for this `Content-Encoding`; none for one that is not known.
    pub(super) fn new(coding: &str) -> Option<Self> {
        let output = Output {
            bytes: Vec::new(),
            left: MOST,
        };
        let coding = match coding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Coding::Gzip(MultiGzDecoder::new(output)),
            "deflate" => Coding::Deflate(Vec::new()),
            "br" => Coding::Brotli(Box::new(DecompressorWriter::new(output, 4096))),
            "zstd" => Coding::Zstd(Vec::new()),
            _ => return None,
        };
        Some(Self {
            coding,
            going: true,
        })
    }

    /// What comes out of the next piece, and whether that is all that there is of it: nothing was broken or too much.
    pub(super) fn push(&mut self, piece: &[u8], last: bool) -> (Vec<u8>, bool) {
        if !self.going {
            return (Vec::new(), false);
        }
        self.settle(piece, last);
        let written = match &mut self.coding {
            Coding::Gzip(decoder) => write(decoder, piece),
            Coding::Zlib(decoder) => write(decoder, piece),
            Coding::Raw(decoder) => write(decoder, piece),
            Coding::Brotli(decoder) => write(decoder, piece),
            Coding::Deflate(_) => Ok(()),
            Coding::Zstd(coded) => {
                self.going = coded.len() + piece.len() <= MOST_CODED;
                if self.going {
                    coded.extend_from_slice(piece);
                }
                let decoded = (self.going && last).then(|| decode("zstd", coded, MOST));
                let Some(decoded) = decoded else {
                    return (Vec::new(), self.going);
                };
                self.going = decoded.as_ref().is_ok_and(|decoded| decoded.complete);
                let content = decoded.map(|decoded| decoded.content);
                return (content.unwrap_or_default(), self.going);
            }
        };
        self.going = written.is_ok();
        (self.take(), self.going)
    }

    /// Chooses between the two forms of deflate, when there is enough to tell.
    fn settle(&mut self, piece: &[u8], last: bool) {
        let Coding::Deflate(begun) = &mut self.coding else {
            return;
        };
        begun.extend_from_slice(piece.get(..2).unwrap_or(piece));
        let Some([first, second]) = begun.first_chunk() else {
            self.going &= !last;
            return;
        };
        let header = u16::from_be_bytes([*first, *second]);
        let output = Output {
            bytes: Vec::new(),
            left: MOST,
        };
        // What came before this piece was no more than one byte.
        let before = begun
            .get(..begun.len() - piece.len().min(2))
            .unwrap_or_default()
            .to_vec();
        self.coding = if first & 0x0f == 8 && header.is_multiple_of(31) {
            Coding::Zlib(ZlibDecoder::new(output))
        } else {
            Coding::Raw(DeflateDecoder::new(output))
        };
        self.going = match &mut self.coding {
            Coding::Zlib(decoder) => write(decoder, &before).is_ok(),
            Coding::Raw(decoder) => write(decoder, &before).is_ok(),
            _ => true,
        };
    }

    fn take(&mut self) -> Vec<u8> {
        let output = match &mut self.coding {
            Coding::Gzip(decoder) => decoder.get_mut(),
            Coding::Zlib(decoder) => decoder.get_mut(),
            Coding::Raw(decoder) => decoder.get_mut(),
            Coding::Brotli(decoder) => decoder.get_mut(),
            Coding::Deflate(_) | Coding::Zstd(_) => return Vec::new(),
        };
        std::mem::take(&mut output.bytes)
    }
}

fn write(decoder: &mut impl Write, piece: &[u8]) -> io::Result<()> {
    if piece.is_empty() {
        return Ok(());
    }
    decoder.write_all(piece)?;
    decoder.flush()
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other("enough"));
        }
        let taken = bytes.get(..self.left).unwrap_or(bytes);
        self.bytes.extend_from_slice(taken);
        self.left -= taken.len();
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn unfolded(coding: &str, coded: &[u8], size: usize) -> Vec<u8> {
        let mut unfold = Unfold::new(coding).unwrap();
        let mut out = Vec::new();
        for piece in coded.chunks(size) {
            out.extend(unfold.push(piece, false).0);
        }
        out.extend(unfold.push(b"", true).0);
        out
    }

    #[test]
    fn every_coding_is_undone_in_pieces_of_any_size() {
        let page = b"<h1>Error</h1> could not connect ".repeat(200);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&page).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(&page).unwrap();
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        for (coding, coded) in [
            ("gzip", gzip(&page)),
            (
                "X-Gzip",
                [gzip(&page[..1000]), gzip(&page[1000..])].concat(),
            ),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", raw.finish().unwrap()),
            ("zstd", ruzstd::encoding::compress_to_vec(&*page, level)),
        ] {
            for size in [1, 2, 3, 64, 100_000] {
                assert!(unfolded(coding, &coded, size) == page, "{coding} by {size}");
            }
        }
        assert!(Unfold::new("compress").is_none() && Unfold::new("gzip, br").is_none());
    }

    #[test]
    fn a_bomb_is_bounded() {
        let bomb = gzip(&vec![b'a'; 64 << 20]);
        let mut unfold = Unfold::new("gzip").unwrap();
        let mut out = 0;
        for piece in bomb.chunks(16 << 10) {
            let (bytes, _) = unfold.push(piece, false);
            out += bytes.len();
        }
        assert_eq!(out, MOST);
        assert!(!unfold.push(b"more", false).1);
    }

    #[test]
    fn what_is_broken_gives_what_there_is() {
        let page = b"<b>Fatal error</b> ".repeat(5000);
        let mut coded = gzip(&page);
        let half = coded.len() / 2;
        coded[half] ^= 0xff;
        assert!(page.starts_with(&unfolded("gzip", &coded[..half], 100)));
        unfolded("gzip", &coded, 7);
        for coding in ["gzip", "deflate", "br", "zstd"] {
            unfolded(coding, b"<h1>not in this coding at all</h1>", 5);
            unfolded(coding, b"", 5);
        }
    }
}
