//! What the tests are driven by: an [`Origin`] that may misbehave by the byte, a [`Gateway`] before it, and a raw
//! client. All of it blocks, over real sockets, on threads of its own.

mod client;
mod gateway;
mod origin;
mod program;

use std::time::{Duration, Instant};

pub use client::{Answer, Client, End};
pub use gateway::Gateway;
pub use origin::{Origin, Received, Visit};
pub use program::{Folder, Program, Said, get, said};

/// The longest that a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `found` finds something, and fails when it never does.
pub fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}
