//! The promises of the README, one module each.

mod layout;
mod passing;
mod support;
