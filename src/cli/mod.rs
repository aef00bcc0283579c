//! The commands.

pub mod check;
pub mod completions;
pub mod config;
