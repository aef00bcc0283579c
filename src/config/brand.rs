//! `[brand]`: whose page it is.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[brand]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Brand {
    /// The name at the head of the page; default: the host asked for.
    pub name: Option<String>,
    /// An SVG, PNG, JPEG, GIF or WebP file, written into the page; at most 3.5 KiB.
    pub logo: Option<PathBuf>,
    /// The accent colour: `"#0b5fff"`.
    #[serde(with = "super::written::color")]
    #[schemars(with = "Option<String>")]
    pub color: Option<String>,
    /// Where a visitor finds help; `{request_id}`, `{time}`, `{host}`, `{path}`, `{language}` and `{status}` are filled in, percent-encoded.
    pub support_url: Option<String>,
    /// Whom a visitor may write to.
    pub support_email: Option<String>,
    /// Where the state of the service is published.
    pub status_url: Option<String>,
    /// The way home.
    pub home_url: Option<String>,
}
