//! `[upstreams.NAME]`: an app behind Pardon and how it is spoken to.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::units::{Period, Size};
use super::written::Written;

/// `[upstreams.NAME]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Upstream {
    /// Where the app listens: `"http://127.0.0.1:3000"`, `"https://app.internal"`, `"unix:/run/app.sock"`, or
    /// `{ url = "...", weight = 2 }`. A name stands for all its addresses, and is resolved again when its TTL is over. The one
    /// key without a default.
    pub endpoints: Vec<Endpoint>,
    /// What is spoken: `"auto"`, `"http1"` or `"http2"`.
    pub protocol: Protocol,
    /// How an endpoint is chosen among several.
    pub balance: Balance,
    /// The `Host` sent: `"keep"` for the client's, `"endpoint"` for the endpoint's, or a name.
    #[serde(with = "super::written::one")]
    #[schemars(with = "String")]
    pub host: HostHeader,
    /// Connections to the app that may be open at once, idle ones included, for the whole process.
    pub max_connections: usize,
    /// Requests that may wait for a connection, for the whole process.
    pub queue: usize,
    /// Bytes of an answer's head; a larger one is `malformed`.
    pub max_head: Size,
    /// Header fields of an answer; more are `malformed`.
    pub max_headers: usize,
    /// How long the app may take.
    pub timeouts: UpstreamTimeouts,
    /// What is tried again.
    pub retry: Retry,
    /// How an endpoint's health is found.
    pub health: Health,
    /// TLS to `https://` endpoints.
    pub tls: UpstreamTls,
}

/// What is spoken to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// By ALPN over TLS, HTTP/1.1 otherwise.
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// The one with the fewest requests under way for its weight; among equals each in turn.
    LeastRequests,
    /// Each in turn, as often as its weight says. Each worker has a turn of its own.
    RoundRobin,
    /// The less busy of two drawn by chance.
    RandomTwo,
}

/// The `Host` that the app sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostHeader {
    /// The client's.
    Keep,
    /// The endpoint's own name and port.
    Endpoint,
    /// This one.
    Name(String),
}

impl Written for HostHeader {
    const EXPECTED: &'static str = "\"keep\", \"endpoint\" or a name";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "keep" => Ok(Self::Keep),
            "endpoint" => Ok(Self::Endpoint),
            _ if is_authority(text) => Ok(Self::Name(text.to_owned())),
            _ => Err(format!(
                "`{text}` is not \"keep\", \"endpoint\" or a host such as \"app.example.com\""
            )),
        }
    }
}

/// Whether this is a host with or without a port.
fn is_authority(text: &str) -> bool {
    let parsed = text.parse::<http::uri::Authority>();
    parsed.is_ok_and(|authority| !authority.host().is_empty() && !text.contains('@'))
}

impl fmt::Display for HostHeader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Keep => "keep",
            Self::Endpoint => "endpoint",
            Self::Name(name) => name,
        })
    }
}

/// `[upstreams.NAME.timeouts]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTimeouts {
    /// For a connection, name resolution and TLS handshake included.
    pub connect: Period,
    /// For an answer's head, counted from the last piece of the request that was sent.
    pub head: Period,
    /// Between two pieces of an answer's body.
    pub body: Period,
    /// How long an unused connection is kept.
    pub idle: Period,
    /// For everything up to the answer's head: waiting, connecting, sending, trying again.
    pub total: Period,
    /// For a place in the queue, when all connections are taken.
    pub queue: Period,
}

/// `[upstreams.NAME.retry]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// How often a request is sent at most; 1 is never again. Only what is safe is sent again.
    pub attempts: u32,
    /// The share of requests that may be sent again, so that a sick app is not finished off: of those of the last five to ten
    /// seconds, for each worker by itself, and ten more so that a lone request has its chance. 0 is none at all.
    pub budget: f64,
}

/// `[upstreams.NAME.health]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// The path asked for; empty asks for none. An endpoint that has twice not answered 2xx or 3xx within five seconds gets no
    /// requests until it does; with no endpoint left the answer is a 503, `no_endpoint`.
    pub path: String,
    /// How often it is asked for; twice a second while the last answer was not good.
    pub interval: Period,
    /// Failures in a row after which an endpoint is left alone, for one second at first and up to thirty; 0 is never.
    /// A failure is no connection, no answer, or an answer of 502, 503 or 504. Where more than half would be left alone,
    /// none is.
    pub eject_after: u32,
}

/// `[upstreams.NAME.tls]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTls {
    /// A PEM file of authorities trusted instead of the system's, which are those that `SSL_CERT_FILE` and `SSL_CERT_DIR`
    /// name, else those of the distribution, else built-in ones.
    pub ca: Option<PathBuf>,
    /// The name expected in the certificate; default: the endpoint's host.
    pub server_name: Option<String>,
    /// A client certificate chain, as a PEM file.
    pub certificate: Option<PathBuf>,
    /// The client certificate's key, as a PEM file.
    pub key: Option<PathBuf>,
    /// Accept any certificate. Said loudly in the log.
    pub insecure: bool,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            protocol: Protocol::Auto,
            balance: Balance::LeastRequests,
            host: HostHeader::Keep,
            max_connections: 1024,
            queue: 256,
            max_head: Size::kib(64),
            max_headers: 100,
            timeouts: UpstreamTimeouts::default(),
            retry: Retry::default(),
            health: Health::default(),
            tls: UpstreamTls::default(),
        }
    }
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        Self {
            connect: Period::seconds(5),
            head: Period::seconds(60),
            body: Period::seconds(60),
            idle: Period::seconds(60),
            total: Period::seconds(300),
            queue: Period::seconds(10),
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 2,
            budget: 0.2,
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self {
            path: String::new(),
            interval: Period::seconds(5),
            eject_after: 5,
        }
    }
}
