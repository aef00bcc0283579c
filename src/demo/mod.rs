//! A built-in app that fails in every way there is.
