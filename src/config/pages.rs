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
    /// The built-in design: `"plain"`, `"calm"`, `"compact"`, `"dense"` or `"retro"`; in a frame it is always `"compact"`.
    pub theme: Theme,
    /// Languages that are offered, the first as the fallback; empty: all that are built in.
    pub languages: Vec<String>,
    /// Whether 502, 503 and 504 pages of GET requests try again by themselves.
    pub refresh: Refresh,
    /// Whether the reference is drawn as a QR code too.
    pub qr: bool,
}

/// A design of the built-in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Theme {
    /// Words on paper, for any brand.
    Plain,
    /// A quiet picture above the words.
    Calm,
    /// As little as will do, as for a frame in a page of the app.
    Compact,
    /// Everything at a glance, for internal tools.
    Dense,
    /// A window of an old desktop, for fun.
    Retro,
}

impl Theme {
    /// Every theme.
    pub const ALL: [Self; 5] = [
        Self::Plain,
        Self::Calm,
        Self::Compact,
        Self::Dense,
        Self::Retro,
    ];

    /// The name in the configuration: `plain`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Calm => "calm",
            Self::Compact => "compact",
            Self::Dense => "dense",
            Self::Retro => "retro",
        }
    }
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
            theme: Theme::Plain,
            languages: Vec::new(),
            refresh: Refresh::Auto,
            qr: false,
        }
    }
}
