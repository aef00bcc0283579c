//! Secrets in URLs: values of listed query keys, and user info, wherever in the URL they stand.
//!
//! One pass, whatever the text: an attacker who chooses the URL chooses its length, never the time per byte. In doubt more is taken out
//! rather than less: a listed key's value ends only where every parser would end it.

use percent_encoding::percent_decode;

use super::mark;

/// The query keys whose values are taken out.
#[derive(Debug)]
pub(super) struct QueryKeys(pub Vec<String>);

impl QueryKeys {
    pub(super) fn holds(&self, name: &str) -> bool {
        self.0.iter().any(|key| key.eq_ignore_ascii_case(name))
    }

    /// A URL, or a path and query, or a text that ends in one, without its secrets.
    pub(super) fn redact(&self, url: &str) -> String {
        let bare = without_user_info(url);
        let Some(query) = bare.find(['?', '#', ';']) else {
            return bare;
        };
        let (path, mut rest) = bare.split_at_checked(query).unwrap_or((&bare, ""));
        let mut out = String::with_capacity(bare.len() + 16);
        out.push_str(path);
        while !rest.is_empty() {
            rest = self.parameter(&mut out, rest);
        }
        out
    }

    /// Copies one delimiter and the parameter behind it; gives what follows. Delimiters and `=` may be percent-encoded: then the parameter
    /// is part of a URL that is itself a value (`?next=%2Freset%3Ftoken%3D1`).
    fn parameter<'a>(&self, out: &mut String, text: &'a str) -> &'a str {
        let opening = delimiter(text.as_bytes()).unwrap_or(0);
        let key = text.get(opening..).unwrap_or_default();
        let (end, equals) = key_end(key.as_bytes());
        let value_at = opening + end + equals;
        let (kept, value) = text.split_at_checked(value_at).unwrap_or((text, ""));
        out.push_str(kept);
        let key = key.get(..end).unwrap_or_default();
        let Some(name) = self.listed(key).filter(|_| equals > 0) else {
            return value;
        };
        let end = value_end(value, equals > 1);
        if end > 0 {
            out.push_str(&mark(name));
        }
        value.get(end..).unwrap_or_default()
    }

    /// The listed name that a key stands for: the whole key, or a part of `user[password]` or `user.password`.
    fn listed(&self, key: &str) -> Option<&str> {
        let mut decoded;
        let key = if key.contains('%') {
            decoded = percent_decode(key.as_bytes()).decode_utf8_lossy();
            if decoded.contains('%') {
                decoded = percent_decode(decoded.as_bytes())
                    .decode_utf8_lossy()
                    .into_owned()
                    .into();
            }
            &*decoded
        } else {
            key
        };
        // A `+` is a space there.
        let blank = |letter: char| letter.is_whitespace() || letter == '+';
        let same = |part: &str, name: &str| part.trim_matches(blank).eq_ignore_ascii_case(name);
        let names = |part: &str| self.0.iter().find(|name| same(part, name));
        names(key)
            .or_else(|| key.split(['[', ']', '.']).find_map(names))
            .map(String::as_str)
    }
}

/// The length of the delimiter that the text begins with.
fn delimiter(text: &[u8]) -> Option<usize> {
    match text {
        [b'?' | b'&' | b';' | b'#', ..] => Some(1),
        [b'%', b'3', b'f' | b'F' | b'b' | b'B', ..] | [b'%', b'2', b'3' | b'6', ..] => Some(3),
        _ => None,
    }
}

/// Where a key ends, and how long the equals sign behind it is; 0 when the key has no value.
fn key_end(text: &[u8]) -> (usize, usize) {
    for at in 0..text.len() {
        let rest = text.get(at..).unwrap_or_default();
        match rest {
            [b'=', ..] => return (at, 1),
            [b'%', b'3', b'd' | b'D', ..] => return (at, 3),
            rest if delimiter(rest).is_some() => return (at, 0),
            _ => {}
        }
    }
    (text.len(), 0)
}

/// Where a secret value ends: at `&` or `#`, and within a percent-encoded URL at those two encoded. A `;` or `?` may be part of it.
fn value_end(value: &str, encoded: bool) -> usize {
    let ends = |rest: &[u8]| match rest {
        [b'&' | b'#', ..] => true,
        [b'%', b'2', b'3' | b'6', ..] => encoded,
        _ => false,
    };
    let bytes = value.as_bytes();
    (0..bytes.len())
        .find(|at| ends(bytes.get(*at..).unwrap_or_default()))
        .unwrap_or(bytes.len())
}

/// The text with what stands between `//` and `@` taken out of every URL's authority.
fn without_user_info(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(slashes) = rest.find("//") {
        let (before, authority) = rest.split_at_checked(slashes + 2).unwrap_or((rest, ""));
        out.push_str(before);
        let end = authority
            .find(['/', '?', '#', '<', '>', '"', ' '])
            .unwrap_or(authority.len());
        let (name, after) = authority.split_at_checked(end).unwrap_or((authority, ""));
        match name.rsplit_once('@') {
            Some((_, host)) => {
                out.push_str(&mark("user"));
                out.push('@');
                out.push_str(host);
            }
            None => out.push_str(name),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}
