//! `[maintenance]`: planned downtime.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[maintenance]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Maintenance {
    /// Whether visitors get the maintenance page.
    pub on: bool,
    /// When it is expected to end, RFC 3339; `Retry-After` follows from it. Empty: not said.
    pub until: String,
    /// What the page says beside its own words.
    pub message: String,
    /// Addresses or networks that still reach the app; a proxy of `trusted_proxies` is believed on its visitor's.
    #[serde(with = "super::written::list")]
    #[schemars(with = "Vec<String>")]
    pub allow: Vec<IpNet>,
    /// Paths that reach the app all the same, such as those that a load balancer asks; `health.path` of the upstream does too.
    pub pass_paths: Vec<String>,
}
