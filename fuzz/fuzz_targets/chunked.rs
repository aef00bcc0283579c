//! Chunked bodies, of requests and of answers: what Pardon lets through, hyper reads in the same way, and the same behind it. The
//! comparison is that of `tests/differential`.
#![no_main]

#[path = "../../tests/differential/answers.rs"]
mod answers;
#[path = "../../tests/differential/message.rs"]
mod message;
#[path = "../../tests/differential/requests.rs"]
mod requests;

use std::cell::LazyCell;

use answers::Answers;
use libfuzzer_sys::fuzz_target;
use requests::Requests;

thread_local! {
    static BOTH: LazyCell<(Requests, Answers)> = LazyCell::new(|| (Requests::new(), Answers::new()));
}

fuzz_target!(|input: &[u8]| {
    let behind = |head: &str| [head.as_bytes(), b"Transfer-Encoding: chunked\r\n\r\n", input].concat();
    BOTH.with(|both| {
        let (requests, answers) = &**both;
        requests.compare(&behind("POST / HTTP/1.1\r\nHost: a\r\n")).unwrap();
        answers.compare(&behind("HTTP/1.1 200 OK\r\n")).unwrap();
    });
});
