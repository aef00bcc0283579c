//! What the tests are driven by: an [`Origin`] that may misbehave by the byte, a [`Gateway`] before it, and a raw
//! client. All of it blocks, over real sockets, on threads of its own.

mod client;
mod gateway;
pub mod http2;
mod origin;
mod program;
pub mod python;
pub mod recorded;
mod served;
mod terminal;
pub mod tls;

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

pub use client::{Answer, Client, End};
pub use gateway::Gateway;
pub use origin::{Origin, Received, Visit};
pub use program::{Folder, Program, Said, get, said};
pub use served::Served;
pub use terminal::on_terminal;
pub use tls::TlsOrigin;

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

/// Something that one thread waits for and another gives, once and for all. Clones are handles of one signal.
#[derive(Clone, Debug, Default)]
pub struct Signal(Arc<(Mutex<bool>, Condvar)>);

impl Signal {
    pub fn give(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Whether it was given; does not wait.
    pub fn is_given(&self) -> bool {
        *self.0.0.lock().unwrap()
    }

    /// Waits until it is given, and fails when it never is.
    pub fn wait(&self) {
        let given = self.0.0.lock().unwrap();
        let (given, _) = self
            .0
            .1
            .wait_timeout_while(given, PATIENCE, |given| !*given)
            .unwrap();
        assert!(*given, "waited in vain for a signal");
    }
}
