//! Checked values that a configuration is written in: sizes, durations, sets of statuses.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, RangeInclusive};
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::written::{self, Written};

/// A duration as it stands in a configuration: `"250ms"`, `"2s"`, `"5m"`, `"1h"`, `"30d"`; `"0s"` where a key says so turns it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl Period {
    /// A period of whole milliseconds.
    #[must_use]
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// A period of whole seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl Deref for Period {
    type Target = Duration;

    fn deref(&self) -> &Duration {
        &self.0
    }
}

impl Written for Period {
    const EXPECTED: &'static str = "a duration such as \"2s\"";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a duration: write \"250ms\", \"2s\", \"5m\", \"1h\" or \"30d\""
            )
        };
        if text == "0" {
            return Ok(Self::seconds(0));
        }
        let mut rest = text;
        let mut millis = 0_u64;
        while !rest.is_empty() {
            let (count, unit, after) = leading_number(rest).ok_or_else(wrong)?;
            let unit = PERIOD_UNITS.iter().find(|(name, _)| *name == unit);
            let (_, factor) = unit.ok_or_else(wrong)?;
            let part = count.checked_mul(*factor);
            millis = part
                .and_then(|part| millis.checked_add(part))
                .unwrap_or(u64::MAX);
            rest = after;
        }
        match millis {
            _ if text.is_empty() => Err(wrong()),
            LONGEST_PERIOD.. => Err(format!("`{text}` is more than a hundred years")),
            _ => Ok(Self::millis(millis)),
        }
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let unit = PERIOD_UNITS.iter().find(|(name, factor)| {
            // Up to five minutes people think in seconds.
            let fits = *name != "m" || millis >= 300_000;
            fits && millis >= *factor && millis.is_multiple_of(*factor)
        });
        match unit {
            Some((name, factor)) => write!(formatter, "{}{name}", millis / factor),
            None => formatter.write_str("0s"),
        }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        written::one::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        written::one::deserialize(deserializer)
    }
}

impl JsonSchema for Period {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "duration", "pattern": "^(0|([0-9]+(ms|s|m|h|d))+)$|\\$\\{" })
    }
}

/// The units of a period in milliseconds, the largest first.
const PERIOD_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// A hundred years in milliseconds; past it, sums with the clock may overflow.
const LONGEST_PERIOD: u64 = 36_525 * 86_400_000 + 1;

/// Splits `"12ms34s"` into 12, `"ms"` and `"34s"`.
fn leading_number(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (count, rest) = text.split_at(digits);
    let end = rest.find(|letter: char| letter.is_ascii_digit());
    let (unit, after) = rest.split_at(end.unwrap_or(rest.len()));
    Some((count.parse().ok()?, unit, after))
}

/// A number of bytes: `"512B"`, `"64KiB"`, `"1MiB"`, `"1GiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// A size of whole kibibytes.
    #[must_use]
    pub const fn kib(kib: u64) -> Self {
        Self(kib * 1024)
    }

    /// A size of whole mebibytes.
    #[must_use]
    pub const fn mib(mib: u64) -> Self {
        Self::kib(mib * 1024)
    }

    /// The size in bytes, as far as this machine can address it.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Written for Size {
    const EXPECTED: &'static str = "a size such as \"64KiB\"";

    fn read(text: &str) -> Result<Self, String> {
        if text == "0" {
            return Ok(Self(0));
        }
        let split = leading_number(text).filter(|(.., after)| after.is_empty());
        let (count, unit, _) = split.ok_or_else(|| wrong_size(text))?;
        let known = SIZE_UNITS
            .iter()
            .find(|(name, _)| *name == unit.trim_start());
        let (_, factor) = known.ok_or_else(|| near_size(text, count, unit))?;
        let bytes = count.checked_mul(*factor);
        bytes
            .filter(|bytes| *bytes <= LARGEST_SIZE)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is too large"))
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        let whole = |(_, factor): &&(&str, u64)| bytes >= *factor && bytes.is_multiple_of(*factor);
        match SIZE_UNITS.iter().find(whole) {
            Some((name, factor)) => write!(formatter, "{}{name}", bytes / factor),
            None => formatter.write_str("0B"),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        written::one::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        written::one::deserialize(deserializer)
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "size", "pattern": "^(0|[0-9]+ ?(B|KiB|MiB|GiB|TiB))$|\\$\\{" })
    }
}

/// The units of a size in bytes, the largest first.
const SIZE_UNITS: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Large enough for any disk, small enough for sums.
const LARGEST_SIZE: u64 = 1 << 50;

fn wrong_size(text: &str) -> String {
    format!("`{text}` is not a size: write \"512B\", \"64KiB\", \"1MiB\" or \"1GiB\"")
}

/// A hint for sizes written with other units: `64K`, `64kb`, `1 mb`.
fn near_size(text: &str, count: u64, unit: &str) -> String {
    let mut letters = unit.trim().chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let near = SIZE_UNITS
        .iter()
        .find(|(name, _)| name.chars().next() == first);
    match near {
        Some((name, _)) => format!("`{text}` is not a size; did you mean \"{count}{name}\"?"),
        None => wrong_size(text),
    }
}

/// A set of HTTP status codes: `["5xx"]`, `["500", "502-504", "404"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSet(pub Vec<RangeInclusive<u16>>);

impl StatusSet {
    /// Whether the set holds this status code.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl FromStr for StatusSet {
    type Err = String;

    /// Reads one entry: `"500"`, `"502-504"`, `"5xx"`.
    fn from_str(text: &str) -> Result<Self, String> {
        StatusRange::read(text).map(|range| Self(vec![range.0]))
    }
}

/// One entry of a [`StatusSet`].
struct StatusRange(RangeInclusive<u16>);

impl Written for StatusRange {
    const EXPECTED: &'static str = "a status such as \"500\", \"502-504\" or \"5xx\"";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a status: write \"500\", \"502-504\" or \"5xx\"");
        let range = match text.split_once('-') {
            Some((first, last)) => status(first).zip(status(last)),
            None => match text {
                "4xx" => Some((400, 499)),
                "5xx" => Some((500, 599)),
                _ => status(text).map(|one| (one, one)),
            },
        };
        let (first, last) = range.ok_or_else(wrong)?;
        match (first, last) {
            _ if first > last => Err(format!("`{text}` ends before it begins")),
            (400.., ..=599) => Ok(Self(first..=last)),
            _ => Err(format!(
                "`{text}` is outside 400 to 599: other answers are not failures"
            )),
        }
    }
}

/// A status of three digits.
fn status(text: &str) -> Option<u16> {
    let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self.0.start(), *self.0.end()) {
            (400, 499) => formatter.write_str("4xx"),
            (500, 599) => formatter.write_str("5xx"),
            (first, last) if first == last => write!(formatter, "{first}"),
            (first, last) => write!(formatter, "{first}-{last}"),
        }
    }
}

impl Serialize for StatusSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries: Vec<_> = self.0.iter().cloned().map(StatusRange).collect();
        written::list::serialize(&entries, serializer)
    }
}

impl<'de> Deserialize<'de> for StatusSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries: Vec<StatusRange> = written::list::deserialize(deserializer)?;
        Ok(Self(entries.into_iter().map(|entry| entry.0).collect()))
    }
}

impl JsonSchema for StatusSet {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "statuses".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array",
            "title": "list of statuses",
            "items": { "type": "string", "pattern": "^([45][0-9]{2}(-[45][0-9]{2})?|[45]xx)$|\\$\\{" }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods() {
        let table = [
            ("250ms", 250, "250ms"),
            ("2s", 2000, "2s"),
            ("60s", 60_000, "60s"),
            ("5m", 300_000, "5m"),
            ("1h", 3_600_000, "1h"),
            ("1h30m", 5_400_000, "90m"),
            ("30d", 2_592_000_000, "30d"),
            ("0s", 0, "0s"),
            ("0", 0, "0s"),
            ("36525d", 3_155_760_000_000, "36525d"),
        ];
        for (text, millis, written) in table {
            let period = Period::read(text).unwrap();
            assert_eq!(period, Period::millis(millis), "{text}");
            assert_eq!(period.to_string(), written);
        }
        for wrong in [
            "",
            "5",
            "s",
            "5 s",
            "5sec",
            "-5s",
            "1.5s",
            "5s3",
            "99999999999999999999s",
            "36526d",
            "²s",
        ] {
            assert!(Period::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        let table = [
            ("512B", 512, "512B"),
            ("0", 0, "0B"),
            ("0B", 0, "0B"),
            ("64KiB", 65_536, "64KiB"),
            ("64 KiB", 65_536, "64KiB"),
            ("1024KiB", 1_048_576, "1MiB"),
            ("1GiB", 1_073_741_824, "1GiB"),
        ];
        for (text, bytes, written) in table {
            let size = Size::read(text).unwrap();
            assert_eq!(size, Size(bytes), "{text}");
            assert_eq!(size.to_string(), written);
        }
        for wrong in ["", "64", "KiB", "-1B", "1.5MiB", "64KiB3", "99999999TiB"] {
            assert!(Size::read(wrong).is_err(), "{wrong}");
        }
        for near in ["64K", "64kb", "64 KB"] {
            let error = Size::read(near).unwrap_err();
            assert!(error.ends_with("did you mean \"64KiB\"?"), "{error}");
        }
    }

    #[test]
    fn statuses() {
        let table = [
            ("500", 500..=500),
            ("502-504", 502..=504),
            ("5xx", 500..=599),
            ("4xx", 400..=499),
        ];
        for (text, range) in table {
            let read = StatusRange::read(text).unwrap();
            assert_eq!(read.0, range);
            assert_eq!(read.to_string(), text);
        }
        for wrong in [
            "", "5", "5XX", "200", "2xx", "504-502", "500-600", "399-404", "+50", "500-", "5000",
        ] {
            assert!(StatusRange::read(wrong).is_err(), "{wrong}");
        }
    }
}
