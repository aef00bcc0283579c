//! One address of an app: how an endpoint is written, and what it means.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::written::{self, Written};

/// One address of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// How it is reached.
    pub scheme: Scheme,
    /// A name, an address without brackets, or a socket's path for `unix:`.
    pub host: String,
    /// The port; 0 for `unix:`.
    pub port: u16,
    /// Its share beside the other endpoints'; 0 gets no new requests.
    pub weight: u32,
}

/// How an endpoint is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain TCP.
    Http,
    /// TLS over TCP.
    Https,
    /// A Unix socket.
    Unix,
}

impl Written for Endpoint {
    const EXPECTED: &'static str = "a URL such as \"http://127.0.0.1:3000\"";

    fn read(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Self::unix(path);
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| without_scheme(text))?;
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => {
                return Err(format!(
                    "`{scheme}://` is not spoken: write http://, https:// or unix:"
                ));
            }
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err("an endpoint has no path: requests keep their own".to_owned());
        }
        Self::tcp(scheme, authority)
    }
}

impl Endpoint {
    fn unix(path: &str) -> Result<Self, String> {
        if !path.starts_with('/') {
            return Err("a socket's path begins with `/`: \"unix:/run/app.sock\"".to_owned());
        }
        Ok(Self {
            scheme: Scheme::Unix,
            host: path.to_owned(),
            port: 0,
            weight: 1,
        })
    }

    fn tcp(scheme: Scheme, authority: &str) -> Result<Self, String> {
        if authority.contains('@') {
            return Err("a user name or password has no place here".to_owned());
        }
        let (host, port) = split_port(authority);
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port > 0),
            None => Some(scheme.port()),
        };
        let port = port.ok_or_else(|| format!("`{authority}` has a port outside 1 to 65535"))?;
        if !is_host(host) {
            return Err(format!("`{authority}` is not a host name or an address"));
        }
        let host = host.trim_matches(['[', ']']).to_owned();
        Ok(Self {
            scheme,
            host,
            port,
            weight: 1,
        })
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text)
    }
}

/// As it is written in the file, its weight left out.
impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scheme, host, port, ..
        } = self;
        match scheme {
            Scheme::Unix => write!(formatter, "unix:{host}"),
            _ if host.contains(':') => write!(formatter, "{}://[{host}]:{port}", scheme.name()),
            _ => write!(formatter, "{}://{host}:{port}", scheme.name()),
        }
    }
}

impl Scheme {
    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Unix => 0,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Unix => "unix",
        }
    }
}

/// What an endpoint without a scheme was probably meant to be.
fn without_scheme(text: &str) -> String {
    if Endpoint::tcp(Scheme::Http, text).is_ok() {
        return format!("`{text}` has no scheme; did you mean \"http://{text}\"?");
    }
    format!("`{text}` is not a URL such as \"http://127.0.0.1:3000\"")
}

/// Splits `host:port`; a colon inside brackets belongs to the address.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// A name, an IPv4 address or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    if let Some(inside) = text.strip_prefix('[') {
        let address = inside.strip_suffix(']').unwrap_or_default();
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(allowed) && !text.contains("..")
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.weight == 1 {
            return serializer.collect_str(self);
        }
        let (url, weight) = (self.to_string(), self.weight);
        Weighted { url, weight }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EndpointVisitor)
    }
}

impl JsonSchema for Endpoint {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "endpoint".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let weighted = generator.subschema_for::<Weighted<String>>();
        json_schema!({ "title": "endpoint", "anyOf": [{ "type": "string" }, weighted] })
    }
}

/// An endpoint with its weight: `{ url = "http://10.0.0.1:3000", weight = 2 }`.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Weighted<T> {
    /// The address, as it would stand alone.
    url: T,
    /// Its share beside the other endpoints'; 0 gets no new requests.
    #[serde(default = "one")]
    weight: u32,
}

fn one() -> u32 {
    1
}

/// An endpoint's URL inside a [`Weighted`], so that its errors have their own place.
#[derive(Deserialize)]
#[serde(transparent)]
struct Url(#[serde(deserialize_with = "written::one::deserialize")] Endpoint);

struct EndpointVisitor;

impl<'de> Visitor<'de> for EndpointVisitor {
    type Value = Endpoint;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(Endpoint::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Endpoint, E> {
        Endpoint::read(text).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Endpoint, A::Error> {
        let Weighted {
            url: Url(endpoint),
            weight,
        } = Weighted::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Endpoint { weight, ..endpoint })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        let table = [
            ("http://127.0.0.1:3000", Scheme::Http, "127.0.0.1", 3000),
            ("http://app", Scheme::Http, "app", 80),
            ("https://app.internal/", Scheme::Https, "app.internal", 443),
            ("http://[::1]:8080", Scheme::Http, "::1", 8080),
            ("https://[fd00::1]", Scheme::Https, "fd00::1", 443),
            ("http://my_app:80", Scheme::Http, "my_app", 80),
            ("unix:/run/app.sock", Scheme::Unix, "/run/app.sock", 0),
        ];
        for (text, scheme, host, port) in table {
            let endpoint = Endpoint::read(text).unwrap();
            let expected = Endpoint {
                scheme,
                host: host.to_owned(),
                port,
                weight: 1,
            };
            assert_eq!(endpoint, expected, "{text}");
            assert_eq!(Endpoint::read(&endpoint.to_string()).unwrap(), endpoint);
        }
    }

    #[test]
    fn wrong_endpoints_say_what_is_wrong() {
        let table = [
            ("127.0.0.1:3000", "did you mean \"http://127.0.0.1:3000\"?"),
            ("localhost", "did you mean \"http://localhost\"?"),
            ("ftp://app", "`ftp://` is not spoken"),
            ("http://app/api", "has no path"),
            ("http://app?x", "has no path"),
            ("http://user:pw@app", "user name or password"),
            ("http://app:0", "port outside"),
            ("http://app:70000", "port outside"),
            ("http://", "`` is not a host name"),
            ("http://::1", "`::1` is not a host name"),
            ("http://[::1", "`[::1` is not a host name"),
            ("http://a b", "`a b` is not a host name"),
            ("unix:app.sock", "begins with `/`"),
            ("", "is not a URL"),
        ];
        for (text, part) in table {
            let error = Endpoint::read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
