//! `[log]`: what is written to stderr.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::units::Size;

/// `[log]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `"json"` or `"pretty"`; default: pretty when stderr is a terminal, JSON otherwise.
    pub format: Option<LogFormat>,
    /// `"error"`, `"warn"`, `"info"`, `"debug"` or `"trace"`.
    pub level: String,
    /// One line a request: `false`, `"json"` or `"combined"`. Failures are always logged.
    pub access: AccessFormat,
    /// Lines that wait for a slow reader; past it they are dropped and counted.
    pub buffer: Size,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a person at a terminal.
    Pretty,
}

/// The form of access log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFormat {
    /// None are written.
    Off,
    /// One JSON object a line.
    Json,
    /// The Combined Log Format.
    Combined,
}

impl Serialize for AccessFormat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_bool(false),
            Self::Json => serializer.serialize_str("json"),
            Self::Combined => serializer.serialize_str("combined"),
        }
    }
}

impl<'de> Deserialize<'de> for AccessFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AccessVisitor)
    }
}

impl JsonSchema for AccessFormat {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "access".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": [false, "json", "combined"] })
    }
}

struct AccessVisitor;

impl Visitor<'_> for AccessVisitor {
    type Value = AccessFormat;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("`false`, \"json\" or \"combined\"")
    }

    fn visit_bool<E: de::Error>(self, on: bool) -> Result<AccessFormat, E> {
        if on {
            return Err(E::custom("say which form: \"json\" or \"combined\""));
        }
        Ok(AccessFormat::Off)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<AccessFormat, E> {
        match text {
            "json" => Ok(AccessFormat::Json),
            "combined" => Ok(AccessFormat::Combined),
            _ => Err(E::unknown_variant(text, &["json", "combined"])),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: None,
            level: "info".to_owned(),
            access: AccessFormat::Off,
            buffer: Size::mib(4),
        }
    }
}
