//! `[bypass]`: signed links to the app's original answers.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[bypass]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bypass {
    /// A file of 32 random bytes; without one there is no bypass.
    pub key_file: Option<PathBuf>,
}
