//! `[admin]`: the operator's listener.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[admin]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Addresses to listen on; anything but loopback needs `token_file`. Empty: none.
    #[serde(with = "super::written::list")]
    #[schemars(with = "Vec<String>")]
    pub listen: Vec<SocketAddr>,
    /// A file that holds the token asked for by everything but `/livez` and `/readyz`.
    pub token_file: Option<PathBuf>,
    /// Whether to run without it where its address is taken: so where flags alone say what to run, and nobody has asked for it;
    /// not a key.
    #[serde(skip)]
    pub optional: bool,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 9180))],
            token_file: None,
            optional: false,
        }
    }
}
