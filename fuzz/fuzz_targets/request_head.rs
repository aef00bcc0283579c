//! Requests: what Pardon lets through, hyper reads in the same way. The comparison is that of `tests/differential`.
#![no_main]

#[path = "../../tests/differential/message.rs"]
mod message;
#[path = "../../tests/differential/requests.rs"]
mod requests;

use std::cell::LazyCell;

use libfuzzer_sys::fuzz_target;
use requests::Requests;

thread_local! {
    static BOTH: LazyCell<Requests> = LazyCell::new(Requests::new);
}

fuzz_target!(|input: &[u8]| {
    BOTH.with(|both| both.compare(input)).unwrap();
});
