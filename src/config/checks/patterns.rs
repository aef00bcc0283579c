//! The forms of strings that have no type of their own: header patterns, media types, URLs, language tags, expressions.

use regex::Regex;

use super::super::Redact;

/// What a support link may ask for; the pages fill all of them in.
const PLACEHOLDERS: [&str; 6] = [
    "{request_id}",
    "{time}",
    "{host}",
    "{path}",
    "{language}",
    "{status}",
];

/// A regular expression, or what is wrong with it in one line.
pub(super) fn compiled(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| in_one_line(&error))
}

/// What is wrong with a pattern of `intercept.redact`, which is compiled for bytes.
pub(super) fn wrong_redact_pattern(pattern: &str) -> Option<String> {
    let error = Redact::pattern(pattern).err()?;
    Some(in_one_line(&error))
}

fn in_one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

/// A header's name, or the beginning of names and a `*`.
pub(super) fn wrong_header_pattern(pattern: &str) -> Option<String> {
    let name = pattern.strip_suffix('*').unwrap_or(pattern);
    if pattern == "*" {
        return Some("`*` alone would match every header".to_owned());
    }
    if name.contains('*') {
        return Some("`*` may stand only at the end".to_owned());
    }
    let wrong = http::HeaderName::from_bytes(name.as_bytes()).is_err();
    wrong.then(|| format!("`{name}` is not a header name"))
}

pub(super) fn wrong_media_type(text: &str) -> Option<String> {
    let token = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&byte);
        !part.is_empty() && part.bytes().all(allowed)
    };
    let parts = text.split_once('/');
    let right = parts.is_some_and(|(kind, subtype)| token(kind) && token(subtype));
    (!right).then(|| format!("`{text}` is not a media type such as \"text/html\""))
}

/// A link on the page: absolute, or a path of the host asked for. Only a support link has places to fill in.
pub(super) fn wrong_link(text: &str, fills_in: bool) -> Option<String> {
    let plain = if fills_in {
        PLACEHOLDERS
            .iter()
            .fold(text.to_owned(), |text, place| text.replace(place, "ID"))
    } else {
        text.to_owned()
    };
    if let Some(unknown) = placeholder(&plain) {
        let known = if fills_in {
            "{request_id}, {time}, {host}, {path}, {language} and {status} are"
        } else {
            "nothing is in this link"
        };
        return Some(format!("`{unknown}` is not filled in; {known}"));
    }
    let clean = plain
        .chars()
        .all(|letter| letter.is_ascii_graphic() && !"\"<>\\^`{|}".contains(letter));
    let right = clean && is_link(&plain);
    (!right).then(|| {
        format!("`{text}` is not an http(s), mailto or tel URL, nor a path such as \"/help\"")
    })
}

fn is_link(text: &str) -> bool {
    let after = |scheme: &str| {
        let start = text.get(..scheme.len())?;
        start
            .eq_ignore_ascii_case(scheme)
            .then(|| text.get(scheme.len()..))?
    };
    if let Some(whom) = after("mailto:").or_else(|| after("tel:")) {
        return !whom.is_empty();
    }
    match after("https://").or_else(|| after("http://")) {
        Some(rest) => rest.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '['),
        None => text.starts_with('/') && !text.starts_with("//"),
    }
}

/// The first `{...}` of a text.
fn placeholder(text: &str) -> Option<&str> {
    let start = text.find('{')?;
    let end = text.get(start..)?.find('}')?;
    text.get(start..=start + end)
}

pub(super) fn wrong_email(text: &str) -> Option<String> {
    let parts = text.split_once('@');
    let clean = text
        .chars()
        .all(|letter| !letter.is_whitespace() && !letter.is_control());
    let right = clean
        && parts
            .is_some_and(|(who, host)| !who.is_empty() && !host.is_empty() && !host.contains('@'));
    (!right).then(|| format!("`{text}` is not an e-mail address"))
}

/// A language tag as RFC 5646 forms it: `de`, `pt-BR`, `zh-Hant`.
pub(super) fn wrong_language(text: &str) -> Option<String> {
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    let first = (2..=8).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic());
    let rest = parts.all(|part| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    (!(first && rest))
        .then(|| format!("`{text}` is not a language tag such as \"de\" or \"pt-BR\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links() {
        let right = [
            "https://example.com/support?ref={request_id}",
            "http://[::1]:80/",
            "HTTPS://example.com",
            "mailto:help@example.com?subject={request_id}",
            "/help?r={request_id}&t={time}&h={host}&p={path}&l={language}&s={status}",
            "tel:+49-30-123456",
            "/help",
            "/",
        ];
        for text in right {
            assert_eq!(wrong_link(text, true), None, "{text}");
        }
        let wrong = [
            "",
            "example.com",
            "//evil.example",
            "javascript:alert(1)",
            "https://",
            "https:///x",
            "mailto:",
            "tel:",
            "https://a b",
            "/x\n",
            "https://a/{id}",
            "https://a/\"",
            "https://a/{request_id",
        ];
        for text in wrong {
            assert!(wrong_link(text, true).is_some(), "{text}");
        }
        assert!(wrong_link("/status/{request_id}", false).is_some());
    }

    #[test]
    fn header_patterns() {
        for (text, wrong) in [
            ("retry-after", false),
            ("access-control-*", false),
            ("*", true),
            ("x-*-y", true),
            ("*-x", true),
            ("x y", true),
            ("", true),
        ] {
            assert_eq!(wrong_header_pattern(text).is_some(), wrong, "{text}");
        }
    }

    #[test]
    fn media_types_languages_and_addresses() {
        for (text, wrong) in [
            ("text/html", false),
            ("a/b+json", false),
            ("text", true),
            ("a/b; c", true),
            ("/b", true),
        ] {
            assert_eq!(wrong_media_type(text).is_some(), wrong, "{text}");
        }
        for (text, wrong) in [
            ("de", false),
            ("pt-BR", false),
            ("zh-Hant-TW", false),
            ("d", true),
            ("de_DE", true),
            ("", true),
            ("de-", true),
        ] {
            assert_eq!(wrong_language(text).is_some(), wrong, "{text}");
        }
        for (text, wrong) in [
            ("a@b", false),
            ("a", true),
            ("@b", true),
            ("a@b@c", true),
            ("a b@c", true),
        ] {
            assert_eq!(wrong_email(text).is_some(), wrong, "{text}");
        }
    }
}
