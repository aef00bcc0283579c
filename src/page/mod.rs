//! The page that a visitor sees instead of a failure.
