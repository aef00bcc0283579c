//! The memory that waiting incidents and captures under way share: `incidents.memory`.

use std::sync::Arc;

use super::queue::Shared;

/// A handle on the shared memory.
#[derive(Clone, Debug)]
pub struct Budget(pub(super) Arc<Shared>);

/// Memory that a capture holds; free again when this is dropped.
#[derive(Debug)]
pub struct Reservation {
    shared: Arc<Shared>,
    bytes: usize,
    refused: bool,
}

impl Budget {
    /// A capture's share, nothing at first.
    #[must_use]
    pub fn open(&self) -> Reservation {
        Reservation {
            shared: Arc::clone(&self.0),
            bytes: 0,
            refused: false,
        }
    }

    /// How many bytes are reserved or wait to be written now.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.0.taken()
    }
}

impl Reservation {
    /// Reserves more; false, and nothing changed, when there is not so much even after the bodies of older incidents were given up. What is
    /// refused once is counted as a body given up.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let grown = self.shared.take_for_capture(bytes);
        if grown {
            self.bytes += bytes;
        } else if !std::mem::replace(&mut self.refused, true) {
            self.shared.lost_body();
        }
        grown
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shared.free(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_free_again_when_a_capture_has_ended() {
        let shared = Arc::new(Shared::new(1000));
        let budget = Budget(Arc::clone(&shared));
        let mut capture = budget.open();
        assert!(capture.grow(600));
        let mut other = budget.open();
        assert!(!other.grow(600) && !other.grow(600));
        assert_eq!(shared.counts().lost.bodies, 1, "one body, one loss");
        drop(capture);
        assert!(other.grow(600));
        assert_eq!(budget.taken(), 600);
    }
}
