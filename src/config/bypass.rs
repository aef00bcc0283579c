//! `[bypass]`: signed links to the app's original answers.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[bypass]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bypass {
    /// A file of 32 random bytes or more; without one there is no bypass.
    pub key_file: Option<PathBuf>,
}

impl Bypass {
    /// The file of the key; an empty path is the file's way to say that there is none.
    #[must_use]
    pub fn key(&self) -> Option<&Path> {
        let file = self.key_file.as_deref();
        file.filter(|path| !path.as_os_str().is_empty())
    }
}
