//! Values that stand as strings in the file: read and written through one trait, so that each names what it expects.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::net::SocketAddr;

use http::HeaderName;
use ipnet::IpNet;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A value that a configuration writes as a string.
pub(super) trait Written: Sized {
    /// What is expected, for a value of another type: `a duration such as "2s"`.
    const EXPECTED: &'static str;

    /// Reads the string; the error says what is wrong with it and how it is written.
    fn read(text: &str) -> Result<Self, String>;
}

impl Written for HeaderName {
    const EXPECTED: &'static str = "a header name";

    fn read(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| format!("`{text}` is not a header name"))
    }
}

impl Written for IpNet {
    const EXPECTED: &'static str = "an address or a network";

    fn read(text: &str) -> Result<Self, String> {
        let whole = text.parse::<IpNet>().map(|network| network.trunc());
        whole
            .or_else(|_| text.parse().map(|address: std::net::IpAddr| address.into()))
            .map_err(|_| format!("`{text}` is not an address or a network such as \"10.0.0.0/8\""))
    }
}

impl Written for SocketAddr {
    const EXPECTED: &'static str = "an address with a port";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| {
            format!(
                "`{text}` is not an address with a port{}",
                near_address(text)
            )
        })
    }
}

/// A hint for what people write instead of an address with a port.
fn near_address(text: &str) -> String {
    if let Some(port) = text.strip_prefix(':').or(Some(text))
        && port.parse::<u16>().is_ok()
    {
        return format!("; did you mean \"0.0.0.0:{port}\"?");
    }
    match text.strip_prefix("localhost:") {
        Some(port) => format!("; did you mean \"127.0.0.1:{port}\"?"),
        None => " such as \"127.0.0.1:8080\"".to_owned(),
    }
}

/// Reads a string through [`Written::read`].
struct Reader<T>(PhantomData<T>);

impl<T: Written> Visitor<'_> for Reader<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::read(text).map_err(E::custom)
    }
}

/// An element of a list, so that each has its own place in the file.
struct Element<T>(T);

impl<'de, T: Written> Deserialize<'de> for Element<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one::deserialize(deserializer).map(Element)
    }
}

/// For `#[serde(with)]`: one value.
pub(super) mod one {
    use super::{Deserializer, Display, PhantomData, Reader, Written};
    use serde::Serializer;

    pub(in crate::config) fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(in crate::config) fn deserialize<'de, T: Written, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        deserializer.deserialize_str(Reader(PhantomData))
    }
}

/// For `#[serde(with)]`: a list of values.
pub(super) mod list {
    use super::{Deserialize, Deserializer, Display, Element, Written};
    use serde::Serializer;

    pub(in crate::config) fn serialize<T: Display, S: Serializer>(
        values: &[T],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(ToString::to_string))
    }

    pub(in crate::config) fn deserialize<'de, T: Written, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        let elements = Vec::<Element<T>>::deserialize(deserializer)?;
        Ok(elements.into_iter().map(|element| element.0).collect())
    }
}

/// For `#[serde(with)]`: a header name, or an empty string for none.
pub(super) mod optional_header {
    use super::{Deserializer, HeaderName, Written, one};
    use serde::Serializer;

    struct Optional(Option<HeaderName>);

    impl Written for Optional {
        const EXPECTED: &'static str = HeaderName::EXPECTED;

        fn read(text: &str) -> Result<Self, String> {
            if text.is_empty() {
                return Ok(Self(None));
            }
            HeaderName::read(text).map(|name| Self(Some(name)))
        }
    }

    #[expect(clippy::ref_option, reason = "serde fixes the signature")]
    pub(in crate::config) fn serialize<S: Serializer>(
        value: &Option<HeaderName>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.as_ref().map_or("", HeaderName::as_str))
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<HeaderName>, D::Error> {
        one::deserialize(deserializer).map(|Optional(name)| name)
    }
}

/// For `#[serde(with)]`: a colour, given as `#rrggbb` or `#rgb` and kept as `#rrggbb`.
pub(super) mod color {
    use super::{Deserializer, Written, one};
    use serde::{Serialize, Serializer};

    struct Color(String);

    impl Written for Color {
        const EXPECTED: &'static str = "a colour such as \"#0b5fff\"";

        fn read(text: &str) -> Result<Self, String> {
            let digits = text.strip_prefix('#').unwrap_or_default();
            let hex = digits.chars().all(|digit| digit.is_ascii_hexdigit());
            match digits.len() {
                6 if hex => Ok(Self(text.to_ascii_lowercase())),
                3 if hex => Ok(Self(doubled(digits))),
                _ => Err(format!("`{text}` is not a colour such as \"#0b5fff\"")),
            }
        }
    }

    fn doubled(digits: &str) -> String {
        let digits = digits.to_ascii_lowercase();
        let pairs = digits.chars().flat_map(|digit| [digit, digit]);
        std::iter::once('#').chain(pairs).collect()
    }

    #[expect(clippy::ref_option, reason = "serde fixes the signature")]
    pub(in crate::config) fn serialize<S: Serializer>(
        value: &Option<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<String>, D::Error> {
        one::deserialize(deserializer).map(|Color(text)| Some(text))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn colors_are_kept_with_six_digits() {
            let table = [
                ("#0b5fff", Some("#0b5fff")),
                ("#ABC", Some("#aabbcc")),
                ("0b5fff", None),
                ("#0b5ff", None),
                ("#ggg", None),
                ("red", None),
            ];
            for (text, expected) in table {
                let read = Color::read(text).ok().map(|color| color.0);
                assert_eq!(read.as_deref(), expected, "{text}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_may_be_bare_addresses() {
        let table = [
            ("10.1.2.3", Some("10.1.2.3/32")),
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("::1", Some("::1/128")),
            ("fd00::/8", Some("fd00::/8")),
            ("10.0.0.0/33", None),
            ("localhost", None),
            ("", None),
        ];
        for (text, expected) in table {
            let read = IpNet::read(text).ok().map(|network| network.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_wrong_address_is_met_with_the_likely_one() {
        let table = [
            ("8080", "did you mean \"0.0.0.0:8080\"?"),
            (":8080", "did you mean \"0.0.0.0:8080\"?"),
            ("localhost:80", "did you mean \"127.0.0.1:80\"?"),
            ("0.0.0.0", "such as \"127.0.0.1:8080\""),
        ];
        for (text, hint) in table {
            let error = SocketAddr::read(text).unwrap_err();
            assert!(error.ends_with(hint), "{error}");
        }
    }
}
