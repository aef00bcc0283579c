//! `[[routes]]`: which request goes to which app, and what is different for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Brand, Intercept, Maintenance, Pages, UpstreamTimeouts};

/// `[[routes]]`
///
/// The sections of a route lie over the file's own: any key they set counts instead, the others stay; a list replaces.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// Its name in records, metrics and `--route`; default: the upstream's.
    pub name: String,
    /// The host asked for, without port: `"shop.example.com"` or `"*.example.com"`; empty matches any.
    pub host: String,
    /// The path's beginning, whole segments: `"/shop"` matches `/shop` and `/shop/cart`, not `/shopping`.
    pub path: String,
    /// The upstream's name; may be left out where there is only one.
    pub upstream: String,
    /// `[intercept]` as it holds for this route.
    pub intercept: Intercept,
    /// `[brand]` as it holds for this route.
    pub brand: Brand,
    /// `[pages]` as it holds for this route.
    pub pages: Pages,
    /// `[maintenance]` as it holds for this route.
    pub maintenance: Maintenance,
    /// The upstream's timeouts as they hold for this route.
    pub timeouts: UpstreamTimeouts,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            name: String::new(),
            host: String::new(),
            path: "/".to_owned(),
            upstream: String::new(),
            intercept: Intercept::default(),
            brand: Brand::default(),
            pages: Pages::default(),
            maintenance: Maintenance::default(),
            timeouts: UpstreamTimeouts::default(),
        }
    }
}
