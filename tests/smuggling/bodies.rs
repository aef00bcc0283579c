//! Chunked bodies that could end in two places.

use std::io::Read;
use std::sync::{Arc, Mutex};

use super::{BEHIND, REFUSALS, outcome};
use crate::support::{Gateway, Origin, eventually};

/// What may stand as the size of a chunk of five bytes.
const SIZES: [&str; 39] = [
    "5 ",
    "5\t",
    "0x5",
    "+5",
    "-5",
    "0_5",
    "5_0",
    " 5",
    "\t5",
    "05",
    "00005",
    "5.0",
    "5,",
    "5h",
    "h",
    "",
    "5 5",
    "5\0",
    "\u{0}5",
    "5\r",
    "\n5",
    "5\n",
    "5;\n",
    "5;a\n",
    "5;\0",
    "5;a=\u{1}",
    "5;a\rb",
    "5\u{b}",
    "5\u{7f}",
    "\u{b}5",
    "5\"",
    "'5'",
    "FFFFFFFFFFFFFFFFF",
    "10000000000000005",
    "00000000000000005",
    "-FFFFFFFFFFFFFFFB",
    "5\r\n5",
    ";5",
    ";a=b",
];

/// What may follow the data of a chunk.
const ENDS: [&str; 10] = [
    "\n", "\r", "\r\r\n", "\n\r\n", "", "!\r\n", " \r\n", "\0\r\n", "\r\n\r\n", "\r ",
];

/// What may stand as the last chunk.
const LAST: [&str; 14] = [
    "00\r\n\r\n",
    "0x0\r\n\r\n",
    "+0\r\n\r\n",
    "-0\r\n\r\n",
    "0\n\r\n",
    "0\r\n\n",
    "0\n\n",
    "0\r\r\n",
    "0\r\n\r\r\n",
    "0\0\r\n\r\n",
    "000000000000000000\r\n\r\n",
    "\r\n\r\n",
    "0;\n\r\n",
    "0\r\n \r\n\r\n",
];

/// What may stand as a trailer.
const TRAILERS: [&str; 13] = [
    "X",
    "X y",
    "X : y",
    " X: y",
    "X: y\r\n z",
    "X: y\n",
    "X: \0",
    "X: y\rZ: z",
    "X\0: y",
    ": y",
    "X\u{b}: y",
    "X: \u{1}",
    "X: y\u{7f}",
];

fn bodies() -> Vec<Vec<u8>> {
    let mut all: Vec<_> = SIZES
        .map(|size| format!("{size}\r\nhello\r\n0\r\n\r\n"))
        .into();
    all.push(format!("{}\r\nhello\r\n0\r\n\r\n", "0".repeat(40)));
    all.push(format!("{}5\r\nhello\r\n0\r\n\r\n", "0".repeat(40)));
    all.push(format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(70_000)));
    all.extend(ENDS.map(|end| format!("5\r\nhello{end}0\r\n\r\n")));
    all.extend(LAST.map(|last| format!("5\r\nhello\r\n{last}")));
    all.extend(TRAILERS.map(|trailer| format!("5\r\nhello\r\n0\r\n{trailer}\r\n\r\n")));
    all.push(format!("0\r\n{}\r\n", "X: y\r\n".repeat(65)));
    all.push(format!("0\r\nX: {}\r\n\r\n", "y".repeat(17 * 1024)));
    let head = "POST / HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    let whole = |body: String| format!("{head}{body}{BEHIND}").into_bytes();
    all.into_iter().map(whole).collect()
}

/// An app that never answers, and every byte that reaches it.
fn listening() -> (Origin, Arc<Mutex<Vec<u8>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heard);
    let origin = Origin::raw(move |mut stream, _| {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut piece) {
            seen.lock().unwrap().extend_from_slice(&piece[..count]);
        }
    });
    (origin, heard)
}

/// A body passes as it comes, so that its head may have reached the app when its framing breaks: the app never sees its end.
#[test]
fn a_body_that_ends_in_two_places_ends_in_none() {
    let (origin, heard) = listening();
    let gateway = Gateway::before(&origin);
    let (mut wrong, all) = (Vec::new(), bodies());
    assert!(all.len() > 75, "{}", all.len());
    for request in &all {
        heard.lock().unwrap().clear();
        let answer = outcome(gateway.address(), request);
        let status = answer.map(|answer| answer.status);
        eventually("the app to be left alone", || {
            (origin.open() == 0).then_some(())
        });
        let heard = String::from_utf8_lossy(&heard.lock().unwrap()).into_owned();
        let refused = status.is_none_or(|status| REFUSALS.contains(&status));
        if !refused || heard.contains("smuggled") || heard.contains("\r\n0\r\n") {
            let mut request = String::from_utf8_lossy(request).into_owned();
            request.truncate(300);
            wrong.push((status, request, heard));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}: {wrong:#?}",
        wrong.len(),
        all.len()
    );
}
