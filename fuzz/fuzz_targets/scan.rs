//! The detector: no answer makes it panic, and what it finds is the same however the answer is cut.
#![no_main]

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use libfuzzer_sys::fuzz_target;
use pardon::config;
use pardon::intercept::disguise::Disguise;

const TYPES: [&str; 4] = ["text/html", "text/plain", "application/json", "text/html; charset=utf-16"];

fuzz_target!(|input: (u8, u16, &[u8])| {
    let (choice, size, text) = input;
    let disguise = Disguise::build(&config::Disguise::default()).expect("looked into by default");
    let mut headers = HeaderMap::new();
    let kind = TYPES[usize::from(choice) % TYPES.len()];
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    let status = if choice & 0x80 == 0 { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let found = |size: usize| {
        let mut watch = disguise.watch(&Method::GET, status, &headers, || true).expect("HTML is looked into");
        for piece in text.chunks(size) {
            watch.feed(piece, false);
        }
        watch.feed(b"", true);
        (watch.is_found(), watch.signs().to_vec())
    };
    assert_eq!(found(usize::from(size).max(1)), found(usize::MAX));
});
