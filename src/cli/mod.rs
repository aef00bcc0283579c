//! The commands.

pub mod render;
