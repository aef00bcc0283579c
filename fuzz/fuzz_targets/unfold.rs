//! The decoders of passing answers: no coding makes them panic, hang or hold more than their bounds.
#![no_main]

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use libfuzzer_sys::fuzz_target;
use pardon::config;
use pardon::intercept::disguise::Disguise;

const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

fuzz_target!(|input: (u8, u16, &[u8])| {
    let (choice, size, coded) = input;
    let disguise = Disguise::build(&config::Disguise::default()).expect("looked into by default");
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    let coding = CODINGS[usize::from(choice) % CODINGS.len()];
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    let mut watch = disguise.watch(&Method::GET, StatusCode::OK, &headers, || true).expect("HTML is looked into");
    for piece in coded.chunks(usize::from(size).max(1)) {
        watch.feed(piece, false);
        assert!(watch.held() <= 4 << 20);
    }
    watch.feed(b"", true);
});
