//! `[intercept]`: which answers are replaced, what is kept of them, and what is never written down.

use std::path::PathBuf;

use http::HeaderName;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{Period, Size, StatusSet};

/// `[intercept]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Intercept {
    /// Statuses that are replaced: `"500"`, `"502-504"`, `"5xx"`; may name 4xx too.
    pub statuses: StatusSet,
    /// `"all"`, or `"leaking"`: an answer that is neither bare nor leaking passes.
    pub only: Only,
    /// An answer with this header is the app's own page: left alone, the header removed. Empty: none.
    #[serde(with = "super::written::optional_header")]
    #[schemars(with = "String")]
    pub pass_header: Option<HeaderName>,
    /// Media types that are left alone, e.g. `"application/problem+json"`.
    pub pass_content_types: Vec<String>,
    /// Headers of the original answer that its page keeps; `*` at the end matches any rest.
    pub keep_headers: Vec<String>,
    /// Headers that hold the app's own error reference; kept in the record.
    #[serde(with = "super::written::list")]
    #[schemars(with = "Vec<String>")]
    pub reference_headers: Vec<HeaderName>,
    /// Or found in the body: a regular expression with one group.
    pub reference_pattern: String,
    /// Whether failures are kept: without, a visitor sees the page and its ID, and nothing of it can be looked up.
    pub record: bool,
    /// Headers removed from passing answers; `*` at the end matches any rest.
    pub strip_headers: Vec<String>,
    /// Peers that see the app's original answers: addresses or networks.
    #[serde(with = "super::written::list")]
    #[schemars(with = "Vec<String>")]
    pub reveal: Vec<IpNet>,
    /// Failures that call themselves 200 or 404.
    pub disguise: Disguise,
    /// How much of an original answer is read and kept.
    pub capture: Capture,
    /// What is taken out before anything is written.
    pub redact: Redact,
}

/// Which of the answers with an intercepted status are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Only {
    /// All of them.
    All,
    /// Those that are bare or leak internals.
    Leaking,
}

/// `[intercept.disguise]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Disguise {
    /// `"off"`, `"report"` or `"replace"`.
    pub mode: DisguiseMode,
    /// The page's status.
    pub status: u16,
    /// Media types that are looked at.
    pub types: Vec<String>,
    /// Bytes of an answer held back in mode `replace`.
    pub hold_bytes: Size,
    /// And for how long.
    pub hold: Period,
    /// What happens to one found after that: `"record"` or `"abort"`.
    pub late: Late,
    /// The share of compressed answers looked into in mode `report`.
    pub sample: f64,
    /// A file of signatures that are looked for beside the built-in ones.
    pub signatures: Option<PathBuf>,
}

/// What is done about disguised failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DisguiseMode {
    /// Nothing.
    Off,
    /// They are recorded and pass.
    Report,
    /// They are replaced.
    Replace,
}

/// What is done about a disguised failure found too late to replace it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Late {
    /// It is recorded.
    Record,
    /// The answer is broken off.
    Abort,
}

/// `[intercept.capture]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Capture {
    /// Kept of the original body, after decoding.
    pub max_body: Size,
    /// Read at most, so that the connection can be used again.
    pub drain: Size,
    /// The page waits for the body no longer than this; reading goes on behind it.
    pub hold: Period,
    /// Reading ends after this.
    pub deadline: Period,
}

/// `[intercept.redact]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Redact {
    /// Headers whose values are taken out.
    #[serde(with = "super::written::list")]
    #[schemars(with = "Vec<String>")]
    pub headers: Vec<HeaderName>,
    /// Query keys whose values are taken out, in URLs wherever they stand; compared without case.
    pub query: Vec<String>,
    /// Regular expressions added to the built-in ones. What the first group takes part in goes, or else the whole match; `(?P<name>...)` names it in
    /// the mark: `[redacted: name]`. Lines are searched one by one for `^` and `$`, bytes rather than letters: `(?u)` makes `\w` mean more than ASCII.
    pub patterns: Vec<String>,
    /// Whether the built-in patterns are in force.
    pub builtin: bool,
}

impl Redact {
    /// A pattern as bodies are searched for it, whatever bytes they hold: `^` and `$` at lines, and `\w`, `\d` and `.` in ASCII, unless the
    /// pattern asks for Unicode with `(?u)` or needs it, as `[äöü]` does.
    ///
    /// # Errors
    ///
    /// When it is no regular expression, or one that would take more than a megabyte.
    pub fn pattern(pattern: &str) -> Result<regex::bytes::Regex, regex::Error> {
        let compiled = |flags: &str| {
            let mut builder = regex::bytes::RegexBuilder::new(&format!("{flags}{pattern}"));
            builder.size_limit(1 << 20).build()
        };
        compiled("(?m-u)").or_else(|_| compiled("(?m)"))
    }
}

impl Default for Intercept {
    fn default() -> Self {
        Self {
            statuses: StatusSet(vec![500..=599]),
            only: Only::All,
            pass_header: Some(HeaderName::from_static("x-pardon-pass")),
            pass_content_types: Vec::new(),
            keep_headers: [
                "retry-after",
                "www-authenticate",
                "access-control-*",
                "timing-allow-origin",
                "vary",
            ]
            .map(str::to_owned)
            .to_vec(),
            reference_headers: vec![HeaderName::from_static("x-exception-id")],
            reference_pattern: String::new(),
            record: true,
            strip_headers: Vec::new(),
            reveal: Vec::new(),
            disguise: Disguise::default(),
            capture: Capture::default(),
            redact: Redact::default(),
        }
    }
}

impl Default for Disguise {
    fn default() -> Self {
        Self {
            mode: DisguiseMode::Report,
            status: 500,
            types: ["text/html", "text/plain", "application/json"]
                .map(str::to_owned)
                .to_vec(),
            hold_bytes: Size::kib(16),
            hold: Period::millis(250),
            late: Late::Record,
            sample: 0.1,
            signatures: None,
        }
    }
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            max_body: Size::kib(256),
            drain: Size::mib(1),
            hold: Period::millis(250),
            deadline: Period::seconds(5),
        }
    }
}

impl Default for Redact {
    fn default() -> Self {
        Self {
            headers: [
                "authorization",
                "proxy-authorization",
                "cookie",
                "set-cookie",
                "x-api-key",
            ]
            .map(HeaderName::from_static)
            .to_vec(),
            query: ["token", "password", "secret", "key", "code"]
                .map(str::to_owned)
                .to_vec(),
            patterns: Vec::new(),
            builtin: true,
        }
    }
}
