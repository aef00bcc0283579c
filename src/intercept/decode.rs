//! Content codings undone (RFC 9110, 8.4.1): gzip, deflate, br, zstd, one after the other, with a cap on what comes out.

use std::cell::Cell;
use std::io::{self, Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::StreamingDecoder;

/// Codings that one body may have on top of each other.
const MOST_CODINGS: usize = 3;

/// The largest window that a zstd frame may ask memory for (RFC 8878, 3.1.1.1.2, asks decoders for 8 MiB).
const ZSTD_WINDOW: u64 = 8 << 20;

/// A body as it was before it was coded.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    /// What came out, at most the cap.
    pub content: Vec<u8>,
    /// Whether that is all: false where the input ended early or the cap cut the output.
    pub complete: bool,
}

/// Undoes `codings`, the value of `Content-Encoding`, over `coded`, which may be the beginning of a body only. At most
/// `cap` bytes come out of each coding, and no more is decoded than that.
///
/// # Errors
///
/// Says why it cannot be decoded: an unknown coding, too many of them, or bytes that are not in the coding.
pub fn decode(codings: &str, coded: &[u8], cap: usize) -> Result<Decoded, String> {
    let codings: Vec<_> = codings
        .split(',')
        .map(|coding| coding.trim().to_ascii_lowercase())
        .filter(|coding| !coding.is_empty() && coding != "identity")
        .collect();
    if codings.len() > MOST_CODINGS {
        return Err(format!("{} codings on top of each other", codings.len()));
    }
    let mut decoded = Decoded {
        content: coded.to_vec(),
        complete: true,
    };
    for coding in codings.iter().rev() {
        let next = undo(coding, &decoded.content, cap);
        let next = next.map_err(|error| format!("{coding}: {error}"))?;
        decoded = Decoded {
            complete: decoded.complete && next.complete,
            ..next
        };
    }
    decoded.complete &= decoded.content.len() <= cap;
    decoded.content.truncate(cap);
    Ok(decoded)
}

fn undo(coding: &str, coded: &[u8], cap: usize) -> io::Result<Decoded> {
    if coded.is_empty() {
        return Ok(Decoded {
            content: Vec::new(),
            complete: true,
        });
    }
    let ended = Cell::new(false);
    let input = Input {
        left: coded,
        ended: &ended,
    };
    match coding {
        "gzip" | "x-gzip" => read(MultiGzDecoder::new(input), &ended, cap),
        "deflate" if is_zlib(coded) => read(ZlibDecoder::new(input), &ended, cap),
        "deflate" => read(DeflateDecoder::new(input), &ended, cap),
        "br" => read(
            brotli_decompressor::Decompressor::new(input, 4096),
            &ended,
            cap,
        ),
        "zstd" => {
            let decoder = StreamingDecoder::new_with_max_window_size(input, ZSTD_WINDOW);
            read(decoder.map_err(io::Error::other)?, &ended, cap)
        }
        _ => Err(io::Error::other("an unknown coding")),
    }
}

/// Whether a `deflate` body has the zlib header that the RFC asks for and some servers leave out (RFC 1950, 2.2).
fn is_zlib(coded: &[u8]) -> bool {
    let Some([first, second]) = coded.first_chunk() else {
        return true;
    };
    first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31)
}

/// Reads until the end, the cap, or an error. An error after the input's end is the end of a body that is not there
/// whole; what came out before it is kept.
fn read(mut decoder: impl Read, ended: &Cell<bool>, cap: usize) -> io::Result<Decoded> {
    let mut content = Vec::new();
    let mut piece = [0; 8 * 1024];
    loop {
        let size = match decoder.read(&mut piece) {
            Ok(0) => {
                return Ok(Decoded {
                    content,
                    complete: true,
                });
            }
            Ok(size) => size,
            Err(_) if ended.get() && !content.is_empty() => {
                return Ok(Decoded {
                    content,
                    complete: false,
                });
            }
            Err(error) => return Err(error),
        };
        let room = cap - content.len();
        content.extend_from_slice(piece.get(..size.min(room)).unwrap_or_default());
        if size > room {
            return Ok(Decoded {
                content,
                complete: false,
            });
        }
    }
}

/// The coded bytes, and whether a decoder has asked for more than there are.
struct Input<'a> {
    left: &'a [u8],
    ended: &'a Cell<bool>,
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left.is_empty() {
            self.ended.set(true);
        }
        self.left.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(content: &[u8]) -> Vec<u8> {
        let mut encoder =
            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn raw_deflate(content: &[u8]) -> Vec<u8> {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(content: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
    }

    /// A brotli stream of one uncompressed meta-block (RFC 7932, 9.2).
    fn brotli(content: &[u8]) -> Vec<u8> {
        assert!((1..=65536).contains(&content.len()));
        let length = u32::try_from(content.len() - 1).unwrap();
        // Window bits 16 (one 0 bit), not last, 4 nibbles of length, uncompressed, padding to a byte; then last, empty.
        let head = (length << 4) | (1 << 20);
        let mut coded = head.to_le_bytes().get(..3).unwrap().to_vec();
        coded.extend_from_slice(content);
        coded.push(0b11);
        coded
    }

    #[test]
    fn every_coding_is_undone() {
        let page = b"<h1>OperationalError</h1> could not connect".repeat(50);
        for (coding, coded) in [
            ("gzip", gzip(&page)),
            ("x-gzip", gzip(&page)),
            ("GZIP", gzip(&page)),
            ("deflate", zlib(&page)),
            ("deflate", raw_deflate(&page)),
            ("br", brotli(&page)),
            ("zstd", zstd(&page)),
            ("identity", page.clone()),
            ("", page.clone()),
            ("gzip, zstd", zstd(&gzip(&page))),
            ("br , gzip", gzip(&brotli(&page))),
        ] {
            let decoded = decode(coding, &coded, 1 << 20);
            assert_eq!(
                decoded,
                Ok(Decoded {
                    content: page.clone(),
                    complete: true
                }),
                "{coding}"
            );
        }
    }

    #[test]
    fn a_body_cut_off_gives_what_there_is() {
        let page: Vec<u8> = (0..60_000_u32)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        for (coding, coded) in [
            ("gzip", gzip(&page)),
            ("deflate", zlib(&page)),
            ("br", brotli(page.get(..60_000).unwrap())),
        ] {
            let half = coded.get(..coded.len() * 3 / 4).unwrap();
            let decoded = decode(coding, half, 1 << 20).unwrap();
            assert!(!decoded.complete, "{coding}");
            assert!(!decoded.content.is_empty(), "{coding}");
            assert!(page.starts_with(&decoded.content), "{coding}");
        }
        // The zstd decoder gives nothing out before its window is full, so a short beginning is kept as it came.
        let coded = zstd(&page);
        let error = decode("zstd", coded.get(..coded.len() / 2).unwrap(), 1 << 20).unwrap_err();
        assert!(error.starts_with("zstd: "), "{error}");
    }

    #[test]
    fn a_bomb_is_not_inflated() {
        let bomb = gzip(&vec![0; 20 << 20]);
        assert!(bomb.len() < 30_000);
        let decoded = decode("gzip", &bomb, 256 * 1024).unwrap();
        assert_eq!(decoded.content.len(), 256 * 1024);
        assert!(!decoded.complete);
        let twice = decode("gzip, gzip", &gzip(&bomb), 256 * 1024).unwrap();
        assert_eq!(twice.content.len(), 256 * 1024);
    }

    #[test]
    fn what_cannot_be_decoded_is_said() {
        for (coding, coded, said) in [
            ("gzip", &b"<h1>not gzip at all</h1>"[..], "gzip: "),
            ("br", b"\xff\xff\xff\xff plain", "br: "),
            ("zstd", b"plain text, no frame", "zstd: "),
            ("compress", b"\x1f\x9d", "compress: an unknown coding"),
            ("gzip,gzip,gzip,gzip", b"x", "4 codings"),
        ] {
            let error = decode(coding, coded, 1024).unwrap_err();
            assert!(error.starts_with(said), "{coding}: {error}");
        }
    }

    #[test]
    fn no_input_makes_a_decoder_panic() {
        let page = b"a page of an app that failed ".repeat(20);
        for coding in ["gzip", "deflate", "br", "zstd"] {
            let coded = match coding {
                "gzip" => gzip(&page),
                "deflate" => zlib(&page),
                "br" => brotli(&page),
                _ => zstd(&page),
            };
            for index in 0..coded.len() {
                for flip in [0x01, 0x80, 0xff] {
                    let mut broken = coded.clone();
                    broken[index] ^= flip;
                    if let Ok(decoded) = decode(coding, &broken, 4096) {
                        assert!(decoded.content.len() <= 4096);
                    }
                }
            }
        }
    }
}
