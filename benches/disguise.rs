//! What looking into a passing answer costs, beside a plain copy of it: a good page of 10 KB and of 1 MB, plain and gzip.
//!
//! `cargo bench --bench disguise` prints a line each: microseconds, and the ratio to the copy. A page of 10 KB passes in
//! about 13 us of CPU time, as `benches/compare` measures it; a tenth of that is what a look may cost.

#[path = "peers/shop.rs"]
mod shop;

use std::hint::black_box;
use std::io::Read;
use std::time::Instant;

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use pardon::config;
use pardon::intercept::disguise::Disguise;

/// Pieces in which an answer comes at most.
const PIECE: usize = 64 << 10;

fn main() -> Result<()> {
    let disguise = Disguise::build(&config::Disguise::default()).context("it is off")?;
    for (name, size) in [("10 KB", 10 << 10), ("1 MB", 1 << 20)] {
        let page = shop::page(size);
        let rounds = (64 << 20) / page.len();
        let copy = measure(rounds, || {
            page.chunks(PIECE)
                .map(|piece| black_box(piece.to_vec()).len())
                .sum()
        });
        print(&format!("{name}, copied"), copy, copy);
        let plain = measure(rounds, || look(&disguise, &page, false));
        print(&format!("{name}, looked into"), plain, copy);
        let coded = shop::gzip(&page)?;
        let rounds = rounds / 8 + 1;
        let inflated = measure(rounds, || {
            let mut out = Vec::new();
            GzDecoder::new(&*coded)
                .read_to_end(&mut out)
                .unwrap_or_default()
        });
        print(&format!("{name} gzip, inflated"), inflated, copy);
        let gzip = measure(rounds, || look(&disguise, &coded, true));
        print(&format!("{name} gzip, looked into"), gzip, copy);
    }
    Ok(())
}

/// Looks into an answer as it passes; how many bytes were seen.
fn look(disguise: &Disguise, body: &[u8], coded: bool) -> usize {
    let mut headers = HeaderMap::new();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    if coded {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let Some(mut watch) = disguise.watch(&Method::GET, StatusCode::OK, &headers, || true) else {
        return 0;
    };
    let mut pieces = body.chunks(PIECE).peekable();
    while let Some(piece) = pieces.next() {
        watch.feed(piece, pieces.peek().is_none());
    }
    usize::from(watch.is_found()) + body.len()
}

/// The median of seven runs, in microseconds a round.
fn measure(rounds: usize, mut work: impl FnMut() -> usize) -> f64 {
    let mut runs: Vec<_> = (0..7)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..rounds {
                black_box(work());
            }
            let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
            begun.elapsed().as_secs_f64() * 1e6 / f64::from(rounds)
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    runs.get(3).copied().unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "this is what the bench is for")]
fn print(name: &str, micros: f64, copy: f64) {
    println!("{name:<24} {micros:>10.2} us {:>8.1} x", micros / copy);
}
