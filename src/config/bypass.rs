//! `[bypass]`: signed links to the app's original answers.

use std::path::PathBuf;

/// `[bypass]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bypass {
    /// A file of 32 random bytes; without one there is no bypass.
    pub key_file: Option<PathBuf>,
}
