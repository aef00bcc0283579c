//! The way of a request: an exchange from its first byte to its page or its passing answer.
