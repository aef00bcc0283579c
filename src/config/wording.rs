//! Turns the parser's and serde's messages into problems that a person can act on.

use std::ops::Range;

use super::error::{Problem, Source};

/// A problem of the file's syntax.
pub(super) fn syntax(error: &toml::de::Error, source: &Source) -> Problem {
    let span = error.span();
    let message = error.message();
    let written = span
        .as_ref()
        .map(|span| source.slice(span))
        .unwrap_or_default();
    if message.starts_with("string values must be quoted") {
        return match written {
            "" => Problem::new(span, "a value is missing", "write one after `=`"),
            _ => Problem::new(
                span,
                "a text without quotes",
                format!("write \"{written}\""),
            ),
        };
    }
    match message.split_once(", expected ") {
        Some((title, expected)) => Problem::new(span, title, format!("expected {expected}")),
        None => Problem::new(span, message, ""),
    }
}

/// A problem of the item at `path`, as serde says it.
pub(super) fn item(message: &str, span: Option<Range<usize>>, path: &[String]) -> Problem {
    let named = path
        .iter()
        .rev()
        .find(|step| step.parse::<usize>().is_err());
    let key = named.map_or("the file", String::as_str);
    if let Some(rest) = message.strip_prefix("unknown field `") {
        return unknown(
            rest,
            span,
            |name| format!("unknown key `{name}`"),
            "known here",
        );
    }
    if let Some(rest) = message.strip_prefix("unknown variant `") {
        return unknown(
            rest,
            span,
            |_| format!("bad value for `{key}`"),
            "it may be",
        );
    }
    if let Some(name) = missing(message) {
        return Problem::new(span, format!("`{name}` is missing in `{key}`"), "");
    }
    let kind = message.strip_prefix("invalid type: ");
    if let Some((found, expected)) = kind.and_then(|kind| kind.rsplit_once(", expected ")) {
        let hint = format!("expected {}, found {}", plain(expected), plain(found));
        return Problem::new(span, format!("wrong type for `{key}`"), hint);
    }
    let value = message.strip_prefix("invalid value: ");
    if let Some((_, expected)) = value.and_then(|value| value.rsplit_once(", expected ")) {
        let hint = format!("expected {}", plain(expected));
        return Problem::new(span, format!("bad value for `{key}`"), hint);
    }
    Problem::new(span, format!("bad value for `{key}`"), message)
}

/// The name of the key that serde misses, if that is its message.
pub(super) fn missing(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// A name that is none of those expected: ``timout`, expected one of `a`, `b``.
fn unknown(
    rest: &str,
    span: Option<Range<usize>>,
    title: impl Fn(&str) -> String,
    several: &str,
) -> Problem {
    let (name, expected) = rest.split_once("`, expected ").unwrap_or((rest, ""));
    // What stands between backquotes are the odd pieces.
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    Problem::new(span, title(name), nearest_or_all(name, &known, several))
}

/// `did you mean ...?`, or the list of what is known.
pub(super) fn nearest_or_all(name: &str, known: &[&str], several: &str) -> String {
    if let Some(near) = nearest(name, known) {
        return format!("did you mean `{near}`?");
    }
    let quoted: Vec<_> = known.iter().map(|known| format!("`{known}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        _ => format!("{several}: {}", quoted.join(", ")),
    }
}

/// The known name that was probably meant: at most a third of its letters differ.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |known: &&str| strsim::damerau_levenshtein(&name.to_lowercase(), known);
    let near = known.iter().map(|known| (distance(known), *known)).min()?;
    let (distance, known) = near;
    let length = known.len();
    (distance < length && distance <= length.max(3) / 3).then_some(known)
}

/// A type as a person calls it.
fn plain(kind: &str) -> String {
    match kind {
        "usize" | "u8" | "u16" | "u32" | "u64" => "a whole number, 0 or more".to_owned(),
        "i64" => "a whole number".to_owned(),
        "f64" => "a number".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" | "sequence" => "a list".to_owned(),
        "path string" => "a path".to_owned(),
        "a map" | "map" => "a table".to_owned(),
        "struct Upstream" => "a table with a name, such as [upstreams.app]".to_owned(),
        _ if kind.starts_with("struct ") => "a table".to_owned(),
        _ if kind.starts_with("floating point ") => {
            kind.replacen("floating point", "the number", 1)
        }
        _ if kind.starts_with("integer ") => kind.replacen("integer", "the number", 1),
        _ if kind.starts_with("string ") => kind.replacen("string", "the text", 1),
        _ if kind.starts_with("boolean ") => kind.replacen("boolean ", "", 1),
        _ => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_serde_become_plain() {
        let table = [
            (
                "unknown field `timout`, expected one of `timeouts`, `tls`",
                "unknown key `timout`",
                "did you mean `timeouts`?",
            ),
            (
                "unknown field `colour_scheme`, expected `a` or `b`",
                "unknown key `colour_scheme`",
                "known here: `a`, `b`",
            ),
            (
                "unknown variant `al`, expected `all` or `leaking`",
                "bad value for `key`",
                "did you mean `all`?",
            ),
            ("missing field `chain`", "`chain` is missing in `key`", ""),
            (
                "invalid type: string \"a\", expected usize",
                "wrong type for `key`",
                "expected a whole number, 0 or more, found the text \"a\"",
            ),
            (
                "invalid value: integer `-1`, expected usize",
                "bad value for `key`",
                "expected a whole number, 0 or more",
            ),
            (
                "`x` is not a size",
                "bad value for `key`",
                "`x` is not a size",
            ),
        ];
        let path = ["section", "key", "0"].map(str::to_owned);
        for (message, title, hint) in table {
            assert_eq!(item(message, None, &path), Problem::new(None, title, hint));
        }
    }

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["timeouts", "tls", "host", "queue"];
        let table = [
            ("timout", Some("timeouts")),
            ("Timeouts", Some("timeouts")),
            ("tsl", Some("tls")),
            ("hots", Some("host")),
            ("xyz", None),
            ("", None),
        ];
        for (name, expected) in table {
            assert_eq!(nearest(name, &known), expected, "{name}");
        }
    }
}
