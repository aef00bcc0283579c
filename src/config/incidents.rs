//! `[incidents]`: where incidents are kept, and for how long.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{Period, Size};

/// `[incidents]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Incidents {
    /// The database file (`SQLite`); a relative path starts in the working folder.
    pub path: PathBuf,
    /// `"process"`: a commit survives the process; `"disk"`: it survives a power cut too.
    pub sync: Sync,
    /// How long a page waits for its incident's commit.
    pub commit_wait: Period,
    /// How long incidents are kept.
    pub max_age: Period,
    /// How large the file may grow, the write-ahead log counted in.
    pub max_size: Size,
    /// Captures, queue and ring together; past it bodies are given up first, rows last, and counted.
    pub memory: Size,
    /// The visitor's address: `"full"`, `"masked"` (/24, /48) or `"none"`.
    pub client: ClientAddress,
    /// Kept of the original body in the log line.
    pub log_body: Size,
    /// This process's name in its records; default: the host name.
    pub instance: Option<String>,
}

/// What a committed incident survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sync {
    /// The death of the process.
    Process,
    /// A power cut.
    Disk,
}

/// How much of a visitor's address is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAddress {
    /// All of it.
    Full,
    /// Its network: /24 for IPv4, /48 for IPv6.
    Masked,
    /// Nothing.
    None,
}

impl Default for Incidents {
    fn default() -> Self {
        Self {
            path: PathBuf::from("pardon.db"),
            sync: Sync::Process,
            commit_wait: Period::millis(50),
            max_age: Period::seconds(30 * 24 * 3600),
            max_size: Size::mib(1024),
            memory: Size::mib(32),
            client: ClientAddress::Full,
            log_body: Size::kib(2),
            instance: None,
        }
    }
}
