//! The `pardon` command.
fn main() {}
