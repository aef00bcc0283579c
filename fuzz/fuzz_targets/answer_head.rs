//! Answers: what Pardon lets through, hyper reads in the same way. The comparison is that of `tests/differential`.
#![no_main]

#[path = "../../tests/differential/message.rs"]
mod message;
#[path = "../../tests/differential/answers.rs"]
mod answers;

use std::cell::LazyCell;

use libfuzzer_sys::fuzz_target;
use answers::Answers;

thread_local! {
    static BOTH: LazyCell<Answers> = LazyCell::new(Answers::new);
}

fuzz_target!(|input: &[u8]| {
    BOTH.with(|both| both.compare(input)).unwrap();
});
