//! The configuration: one TOML file in, one checked [`Config`] out, or every problem of the file at once.

mod admin;
mod brand;
mod bypass;
mod changes;
mod checks;
mod endpoint;
mod error;
mod incidents;
mod intercept;
mod load;
mod log;
mod maintenance;
mod pages;
mod reference;
mod route;
mod server;
mod shape;
mod syntax;
mod tree;
pub mod units;
mod upstream;
mod wording;
mod written;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use admin::{Admin, Token, TokenProblem};
pub use brand::Brand;
pub use bypass::Bypass;
pub use changes::Changes;
pub use endpoint::{Endpoint, Scheme};
pub use error::{Report, Warning};
pub use incidents::{ClientAddress, Incidents, Sync};
pub use intercept::{Capture, Disguise, DisguiseMode, Intercept, Late, Only, Redact};
pub use load::{Flags, Loaded, find, for_upstream, load, load_with, parse};
pub use log::{AccessFormat, Log, LogFormat};
pub use maintenance::Maintenance;
pub use pages::{Pages, Refresh, Theme};
pub use reference::{reference, schema};
pub use route::Route;
pub use server::{
    AcceptId, Certificate, Limits, Listen, RequestIdHeader, Server, ServerTimeouts, ServerTls,
    Traceparent,
};
pub use upstream::{
    Balance, Health, HostHeader, Protocol, Retry, Upstream, UpstreamTimeouts, UpstreamTls,
};

/// A whole configuration, checked, with every default filled in and each route's overrides laid over what they override.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The listeners and what a client may ask of them.
    pub server: Server,
    /// The apps behind, by name.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Which request goes to which app; the first match wins. Never empty in a loaded configuration.
    pub routes: Vec<Route>,
    /// What is intercepted, captured and redacted, for routes that say nothing else.
    pub intercept: Intercept,
    /// Whose page it is.
    pub brand: Brand,
    /// The templates and languages of pages.
    pub pages: Pages,
    /// Planned downtime.
    pub maintenance: Maintenance,
    /// Signed links to the app's original answers.
    pub bypass: Bypass,
    /// Where incidents are kept, and for how long.
    pub incidents: Incidents,
    /// The operator's listener.
    pub admin: Admin,
    /// What is written to stderr.
    pub log: Log,
    /// The folder that relative paths of the file start from: the file's own; not a key.
    #[serde(skip)]
    pub folder: PathBuf,
}

#[cfg(test)]
mod tests;
