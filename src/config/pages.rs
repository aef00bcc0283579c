//! `[pages]`: the templates and languages of pages.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[pages]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pages {
    /// A folder of own templates, `*.html.tera`, `*.json.tera`, `*.txt.tera`, `*.xml.tera`, and words, `locales/*.toml`; the built-in theme when absent.
    pub folder: Option<PathBuf>,
    /// The built-in theme: `"plain"`.
    pub theme: String,
    /// Languages that are offered, the first as the fallback; empty: all that are built in.
    pub languages: Vec<String>,
    /// Whether 502, 503 and 504 pages of GET requests try again by themselves.
    pub refresh: Refresh,
    /// Whether the reference is drawn as a QR code too.
    pub qr: bool,
}

/// Whether a page tries again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Refresh {
    /// Where it may help: 502, 503 and 504 pages of GET requests.
    Auto,
    /// Never.
    Off,
}

impl Default for Pages {
    fn default() -> Self {
        Self {
            folder: None,
            theme: "plain".to_owned(),
            languages: Vec::new(),
            refresh: Refresh::Auto,
            qr: false,
        }
    }
}
