//! Whatever an answer holds: nothing panics, what is found is the same however it is cut, and time and memory are bounded.
//! The seed is fixed; `fuzz/` has the same for `cargo fuzz`.

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use pardon::config;
use pardon::intercept::disguise::{Disguise, Watch};

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % most.max(1)
    }
}

fn watch(disguise: &Disguise, kind: &'static str, coding: Option<&'static str>) -> Watch {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(coding) = coding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    let watch = disguise.watch(&Method::GET, StatusCode::OK, &headers, || true);
    watch.unwrap()
}

fn rules() -> Disguise {
    Disguise::build(&config::Disguise::default()).unwrap()
}

/// The recorded answers and the lookalikes, without their heads.
fn corpus() -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    for folder in ["tests/disguise/answers", "tests/disguise/lookalikes"] {
        let mut paths: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        for path in paths {
            let bytes = fs::read(&path).unwrap();
            let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            let from = head
                .filter(|_| folder.ends_with("answers"))
                .map_or(0, |at| at + 4);
            texts.push(bytes[from..].to_vec());
        }
    }
    texts
}

/// A text with a few of the things that happen to texts.
fn mutated(numbers: &mut Numbers, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut text = corpus[numbers.below(corpus.len())].clone();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(text.len() + 1);
        let end = (at + numbers.below(200)).min(text.len());
        match numbers.below(6) {
            0 => text.truncate(at),
            1 => drop(text.drain(at..end)),
            2 => text.insert(at, b"<>{}\"\\\n\0&"[numbers.below(9)]),
            3 => {
                let other = &corpus[numbers.below(corpus.len())];
                let from = numbers.below(other.len());
                let piece = other[from..(from + 2000).min(other.len())].to_vec();
                drop(text.splice(at..at, piece));
            }
            4 => {
                let piece = text[at..end].repeat(20);
                drop(text.splice(at..at, piece));
            }
            _ => {
                for byte in &mut text[at..end] {
                    *byte = u8::try_from(numbers.below(256)).unwrap();
                }
            }
        }
    }
    text
}

#[test]
fn what_is_found_does_not_depend_on_how_an_answer_is_cut() {
    let (disguise, corpus) = (rules(), corpus());
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for round in 0..200 {
        let text = mutated(&mut numbers, &corpus);
        let kind = ["text/html", "text/plain", "application/json"][numbers.below(3)];
        let found = |sizes: &mut dyn FnMut() -> usize| {
            let mut watch = watch(&disguise, kind, None);
            let mut rest = &text[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(sizes().min(rest.len()));
                watch.feed(piece, false);
                rest = after;
            }
            watch.feed(b"", true);
            (watch.is_found(), watch.signs().to_vec())
        };
        let whole = {
            let mut watch = watch(&disguise, kind, None);
            watch.feed(&text, true);
            (watch.is_found(), watch.signs().to_vec())
        };
        let pieces = found(&mut || 1 + numbers.below(300));
        assert_eq!(pieces, whole, "round {round}, {kind}");
    }
}

#[test]
fn no_coding_makes_a_decoder_panic_or_hold_too_much() {
    let (disguise, corpus) = (rules(), corpus());
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    for _ in 0..300 {
        let text = mutated(&mut numbers, &corpus);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&text).unwrap();
        let mut coded = encoder.finish().unwrap();
        for _ in 0..numbers.below(3) {
            let at = numbers.below(coded.len());
            coded[at] = coded[at].wrapping_add(1);
        }
        let coding = ["gzip", "deflate", "br", "zstd"][numbers.below(4)];
        let mut watch = watch(&disguise, "text/html", Some(coding));
        for piece in coded.chunks(1 + numbers.below(500)) {
            watch.feed(piece, false);
            assert!(watch.held() < 2 << 20);
        }
        watch.feed(b"", true);
    }
}

/// Large and hostile answers take time in proportion to their size; the limit is far above what a slow machine needs.
#[test]
fn large_answers_take_linear_time_and_bounded_memory() {
    let disguise = rules();
    let page = "<p>An exception is what happens on line 5 of no page at all.</p>\n";
    let answers: [(&str, &str, usize); 6] = [
        ("a page of 100 MB", page, 100 << 20),
        ("one word", "a", 10 << 20),
        (
            "what expressions hate",
            "<br />\n<b>Warning</b>:  x in <b>",
            8 << 20,
        ),
        ("open brackets", "{\"error\":[", 8 << 20),
        (
            "traces that never end",
            "\n    at a (/srv/a.js:1:2)",
            8 << 20,
        ),
        (
            "headings",
            "<h1>Error: #0 /x.php(3): {main} SQLSTATE[42S02]: ",
            8 << 20,
        ),
    ];
    for (name, unit, size) in answers {
        let piece = unit.repeat((16 << 10) / unit.len());
        let mut watch = watch(&disguise, "text/html", None);
        let begun = Instant::now();
        for _ in 0..size / piece.len() {
            watch.feed(piece.as_bytes(), false);
            assert!(
                watch.held() < 1 << 20,
                "{name}: {} bytes held",
                watch.held()
            );
        }
        watch.feed(b"", true);
        assert!(
            begun.elapsed() < Duration::from_mins(5),
            "{name}: {:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn a_signature_in_a_thousand_pieces_is_found() {
    let page = format!(
        "<h1>Cart</h1><br />\n<b>Warning</b>:  {} in <b>/srv/cart.php</b> on line <b>5</b><br />",
        "x".repeat(900)
    );
    let mut watch = watch(&rules(), "text/html", None);
    for byte in page.as_bytes().chunks(1) {
        watch.feed(byte, false);
    }
    watch.feed(b"", true);
    assert!(watch.is_found());
}
