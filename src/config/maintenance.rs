//! `[maintenance]`: planned downtime.

use ipnet::IpNet;

/// `[maintenance]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Maintenance {
    /// Whether visitors get the maintenance page.
    pub on: bool,
    /// When it is expected to end, RFC 3339; `Retry-After` follows from it. Empty: not said.
    pub until: String,
    /// What the page says beside its own words.
    pub message: String,
    /// Addresses or networks that still reach the app.
    pub allow: Vec<IpNet>,
}
