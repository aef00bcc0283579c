//! `[server]`: where Pardon listens and what a client may ask of it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use http::HeaderName;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{Period, Size};
use super::written::Written;

/// `[server]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Addresses to listen on: `"0.0.0.0:8080"`, `"tls://0.0.0.0:8443"`, `"unix:/run/pardon/pardon.sock"`.
    #[serde(with = "super::written::list")]
    #[schemars(with = "Vec<String>")]
    pub listen: Vec<Listen>,
    /// Worker threads; default: the CPUs that the process may use. At most 256.
    pub workers: Option<usize>,
    /// Peers whose `X-Forwarded-*`, `Forwarded` and PROXY protocol are believed: addresses or networks.
    #[serde(with = "super::written::list")]
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<IpNet>,
    /// PROXY protocol v1 and v2, accepted only from trusted proxies.
    pub proxy_protocol: bool,
    /// How long answers in flight may take to finish after SIGTERM.
    pub drain: Period,
    /// How long new connections are still accepted after SIGTERM, while `/readyz` says no.
    pub shutdown_delay: Period,
    /// Client connections that may be open at once; a further one is answered 503 and closed, on a TLS port closed.
    pub max_connections: usize,
    /// Whether requests to the app carry a `Via` field.
    pub via: bool,
    /// What becomes of a request without a trace: `"begin"` one, or `"pass"` it as it is. A client's own `traceparent` is passed on.
    pub traceparent: Traceparent,
    /// The request ID's header, and whose IDs are taken over.
    pub request_id: RequestIdHeader,
    /// How long a client may take.
    pub timeouts: ServerTimeouts,
    /// How much a client may send.
    pub limits: Limits,
    /// Certificates of `tls://` listeners.
    pub tls: ServerTls,
}

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Plain HTTP on a TCP address.
    Tcp(SocketAddr),
    /// HTTPS on a TCP address.
    Tls(SocketAddr),
    /// Plain HTTP on a Unix socket.
    Unix(PathBuf),
}

impl Written for Listen {
    const EXPECTED: &'static str = "an address with a port";

    fn read(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let absent = path.is_empty();
            let wrong = || format!("`{text}` has no path: write \"unix:/run/pardon.sock\"");
            return (!absent).then(|| Self::Unix(path.into())).ok_or_else(wrong);
        }
        match text.split_once("://") {
            None => Written::read(text).map(Self::Tcp),
            Some(("tls", address)) => Written::read(address).map(Self::Tls),
            Some((scheme, _)) => Err(format!(
                "`{scheme}://` is not listened on: write \"0.0.0.0:8080\" or \"tls://0.0.0.0:8443\""
            )),
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Tls(address) => write!(formatter, "tls://{address}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// `[server.request_id]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RequestIdHeader {
    /// The header that carries the request ID, to the app and to the client.
    #[serde(with = "super::written::one")]
    #[schemars(with = "String")]
    pub header: HeaderName,
    /// Whose IDs are kept: `"never"`, or `"trusted"` for those of trusted proxies.
    pub accept: AcceptId,
}

/// Whose request IDs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AcceptId {
    /// Nobody's: every request gets a new one.
    Never,
    /// Those of `trusted_proxies`.
    Trusted,
}

/// What becomes of a request without a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Traceparent {
    /// One is begun; an app that traces records it.
    Begin,
    /// None is begun.
    Pass,
}

/// `[server.timeouts]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerTimeouts {
    /// For a TLS handshake or a PROXY protocol header.
    pub handshake: Period,
    /// For a whole request head, from its first byte, or from the connection's beginning for the first.
    pub head: Period,
    /// Between two pieces of a request body.
    pub body: Period,
    /// Between two requests of a connection.
    pub idle: Period,
    /// Between two moments at which the client takes some of the answer.
    pub write: Period,
    /// In which nothing moves in a tunnel (after a 101, as for WebSocket); the others above do not count there, but for `write`.
    pub tunnel: Period,
    /// The least rate of a request body and of a reader, in bytes a second, averaged over ten seconds in which the client
    /// is waited for; `"0B"` is none.
    pub min_rate: Size,
}

/// `[server.limits]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of a request head.
    pub head: Size,
    /// Header fields of a request.
    pub headers: usize,
    /// Bytes of a request target.
    pub uri: Size,
    /// Bytes of a request body; `"0B"` is no limit.
    pub body: Size,
    /// HTTP/2 streams open at once on a connection.
    pub h2_streams: u32,
    /// HTTP/2 streams that a client may reset, or have reset by its faults, before the connection is closed; each that it lets end
    /// makes up for one.
    pub h2_resets: usize,
}

/// `[server.tls]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerTls {
    /// Certificates, chosen by the server name that the client asks for; the first is for those who ask for none of them. Files that
    /// change are read again.
    pub certificates: Vec<Certificate>,
    /// The oldest version of TLS that is spoken: `"1.2"` or `"1.3"`.
    pub min_version: String,
}

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The chain, the leaf first, then each that vouches for the one before.
    pub chain: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: vec![Listen::Tcp(SocketAddr::from(([0, 0, 0, 0], 8080)))],
            workers: None,
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            drain: Period::seconds(8),
            shutdown_delay: Period::seconds(0),
            max_connections: 20_000,
            via: true,
            traceparent: Traceparent::Begin,
            request_id: RequestIdHeader::default(),
            timeouts: ServerTimeouts::default(),
            limits: Limits::default(),
            tls: ServerTls::default(),
        }
    }
}

impl Default for RequestIdHeader {
    fn default() -> Self {
        Self {
            header: HeaderName::from_static("x-request-id"),
            accept: AcceptId::Never,
        }
    }
}

impl Default for ServerTimeouts {
    fn default() -> Self {
        Self {
            handshake: Period::seconds(10),
            head: Period::seconds(10),
            body: Period::seconds(30),
            idle: Period::seconds(75),
            write: Period::seconds(30),
            tunnel: Period::seconds(3600),
            min_rate: Size(240),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Size::kib(64),
            headers: 100,
            uri: Size::kib(16),
            body: Size(0),
            h2_streams: 128,
            h2_resets: 1024,
        }
    }
}

impl Default for ServerTls {
    fn default() -> Self {
        Self {
            certificates: Vec::new(),
            min_version: "1.2".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners() {
        for text in [
            "0.0.0.0:8080",
            "[::]:80",
            "tls://0.0.0.0:8443",
            "unix:/run/pardon.sock",
        ] {
            assert_eq!(Listen::read(text).unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "8080",
            "http://0.0.0.0:80",
            "tls://",
            "unix:",
            "0.0.0.0",
            "example.com:80",
        ] {
            assert!(Listen::read(wrong).is_err(), "{wrong}");
        }
    }
}
