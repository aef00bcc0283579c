//! Names of things that are secret: `DB_PASSWORD`, `clientSecret`, `csrfmiddlewaretoken`, and not `token_type` or `PASSWORD_HASHERS`.

use std::ops::Range;

/// A name that is longer on either side of its telling word is not a name.
const LONGEST: usize = 64;

/// What a name says of its value; the word stands in the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Password,
    Secret,
    Token,
    Key,
    Credentials,
    Session,
    Salt,
    /// The rest of a line, or two words.
    Authorization,
    /// The rest of a line.
    Cookie,
    /// A header that the user has listed.
    Header,
}

impl Label {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Secret => "secret",
            Self::Token => "token",
            Self::Key => "key",
            Self::Credentials => "credentials",
            Self::Session => "session",
            Self::Salt => "salt",
            Self::Authorization => "authorization",
            Self::Cookie => "cookie",
            Self::Header => "header",
        }
    }

    /// Whether a value may be many words.
    pub(super) fn is_of_header(self) -> bool {
        matches!(self, Self::Authorization | Self::Cookie | Self::Header)
    }

    /// What a name is the name of, when it is that of a secret.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        let mut label = None;
        let mut before: &[u8] = b"";
        for part in parts(name) {
            match Self::of_part(part, before) {
                Some(found) => label = Some(found),
                None if matches!(label, Some(Self::Authorization | Self::Cookie)) => label = None,
                None if label.is_some() && is(&HARMLESS, part) => label = None,
                None => {}
            }
            before = part;
        }
        label
    }

    fn of_part(part: &[u8], before: &[u8]) -> Option<Self> {
        let part = part.trim_ascii_digits();
        if is(&[b"id", b"key"], part) && is(&[b"session", b"sess"], before) {
            return Some(Self::Session);
        }
        if is(&[b"key"], part) && is(&KEYS, before) {
            return Some(Self::Key);
        }
        // A profiler's token only says which of its pages to look at.
        if is(&[b"debug"], before) {
            return None;
        }
        let whole = WORDS
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(part));
        let end = || ENDS.iter().find(|(word, _)| ends_with(part, word));
        whole.or_else(end).map(|(_, label)| *label)
    }
}

/// Parts that are secret by themselves.
const WORDS: [(&[u8], Label); 25] = [
    (b"pass", Label::Password),
    (b"pw", Label::Password),
    (b"dbpass", Label::Password),
    (b"userpass", Label::Password),
    (b"mysqlpass", Label::Password),
    (b"passcode", Label::Password),
    (b"passwords", Label::Password),
    (b"secrets", Label::Secret),
    (b"credential", Label::Credentials),
    (b"credentials", Label::Credentials),
    (b"creds", Label::Credentials),
    (b"accesskey", Label::Key),
    (b"secretkey", Label::Secret),
    (b"privatekey", Label::Key),
    (b"accountkey", Label::Key),
    (b"authkey", Label::Key),
    (b"appkey", Label::Key),
    (b"sid", Label::Session),
    (b"salt", Label::Salt),
    (b"auth", Label::Authorization),
    (b"authorization", Label::Authorization),
    (b"authtoken", Label::Token),
    (b"cookie", Label::Cookie),
    (b"cookies", Label::Cookie),
    (b"sess", Label::Session),
];

/// And those that end in such a word.
const ENDS: [(&[u8], Label); 9] = [
    (b"password", Label::Password),
    (b"passwd", Label::Password),
    (b"passphrase", Label::Password),
    (b"pwd", Label::Password),
    (b"secret", Label::Secret),
    (b"token", Label::Token),
    (b"apikey", Label::Key),
    (b"sessionid", Label::Session),
    (b"sessid", Label::Session),
];

/// What a key is secret of.
const KEYS: [&[u8]; 22] = [
    b"access",
    b"account",
    b"api",
    b"app",
    b"auth",
    b"cipher",
    b"client",
    b"crypt",
    b"deploy",
    b"encrypt",
    b"encryption",
    b"hmac",
    b"in",
    b"jwt",
    b"license",
    b"master",
    b"nonce",
    b"private",
    b"shared",
    b"signing",
    b"ssh",
    b"storage",
];

/// What comes after the telling word when it is about a secret rather than the secret.
const HARMLESS: [&[u8]; 75] = [
    b"age",
    b"alias",
    b"at",
    b"backend",
    b"backends",
    b"cache",
    b"changed",
    b"class",
    b"column",
    b"count",
    b"cs",
    b"days",
    b"domain",
    b"enabled",
    b"encoding",
    b"endpoint",
    b"engine",
    b"error",
    b"errors",
    b"exception",
    b"expired",
    b"expires",
    b"expiry",
    b"field",
    b"file",
    b"form",
    b"format",
    b"go",
    b"handler",
    b"hashers",
    b"header",
    b"hint",
    b"html",
    b"httponly",
    b"index",
    b"input",
    b"invalid",
    b"java",
    b"js",
    b"jsx",
    b"label",
    b"length",
    b"lifetime",
    b"limit",
    b"link",
    b"max",
    b"min",
    b"model",
    b"name",
    b"options",
    b"parameters",
    b"params",
    b"path",
    b"php",
    b"placeholder",
    b"policy",
    b"prefix",
    b"py",
    b"rb",
    b"required",
    b"rs",
    b"samesite",
    b"secure",
    b"serializer",
    b"size",
    b"strength",
    b"timeout",
    b"ts",
    b"ttl",
    b"type",
    b"uri",
    b"url",
    b"validators",
    b"version",
    b"vue",
];

fn is(words: &[&[u8]], part: &[u8]) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(part))
}

fn ends_with(part: &[u8], word: &[u8]) -> bool {
    let start = part.len().checked_sub(word.len());
    let end = start.and_then(|start| part.get(start..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(word))
}

trait Digits {
    fn trim_ascii_digits(&self) -> &[u8];
}

impl Digits for [u8] {
    fn trim_ascii_digits(&self) -> &[u8] {
        let letters = self.iter().rposition(|byte| !byte.is_ascii_digit());
        letters.map_or(self, |last| self.get(..=last).unwrap_or(self))
    }
}

/// The parts of a name: between signs, and where `camelCase` begins another.
fn parts(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = name.split(|byte| !byte.is_ascii_alphanumeric());
    words.flat_map(|mut word| {
        std::iter::from_fn(move || {
            let (part, rest) = word.split_at_checked(hump(word))?;
            word = rest;
            (!part.is_empty()).then_some(part)
        })
    })
}

/// Where the first part of a word without signs ends.
fn hump(word: &[u8]) -> usize {
    let ends = word.windows(2).enumerate().find_map(|(at, pair)| {
        let after = word.get(at + 2).copied().unwrap_or(b'A');
        match pair {
            [before, next] if next.is_ascii_uppercase() && !before.is_ascii_uppercase() => {
                Some(at + 1)
            }
            [b'A'..=b'Z', b'A'..=b'Z'] if after.is_ascii_lowercase() => Some(at + 1),
            _ => None,
        }
    });
    ends.unwrap_or(word.len())
}

/// The whole name around a word that was found.
pub(super) fn around(text: &[u8], word: &Range<usize>) -> Option<Range<usize>> {
    let (left, right) = sides(text, word);
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let before = left.iter().rev().take_while(|byte| in_name(byte)).count();
    let after = right.iter().take_while(|byte| in_name(byte)).count();
    if before == LONGEST || after == LONGEST {
        return None;
    }
    let encoded = left.iter().rev().nth(before) == Some(&b'%');
    let start = word.start - before + if encoded { 2 } else { 0 };
    let signs = right
        .get(..after)?
        .iter()
        .rev()
        .take_while(|byte| b"-.".contains(byte))
        .count();
    (start <= word.start).then_some(start..word.end + after - signs)
}

/// How much of one word a text begins with. What follows a sign may be a secret by its own form.
pub(super) fn length(text: &[u8]) -> usize {
    let in_word = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    text.iter().take(LONGEST).take_while(in_word).count()
}

/// What a name may reach to on either side of its word.
fn sides<'a>(text: &'a [u8], word: &Range<usize>) -> (&'a [u8], &'a [u8]) {
    let left = text
        .get(word.start.saturating_sub(LONGEST)..word.start)
        .unwrap_or_default();
    let right = text.get(word.end..).unwrap_or_default();
    (left, right.get(..LONGEST).unwrap_or(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        for (name, word) in [
            ("password", "password"),
            ("Password", "password"),
            ("DB_PASSWORD", "password"),
            ("dbPassword2", "password"),
            ("DBPassword", "password"),
            ("wp.db.pwd", "password"),
            ("pass", "password"),
            ("FTP_PASS", "password"),
            ("PHP_AUTH_PW", "password"),
            ("password_confirmation", "password"),
            ("passphrase", "password"),
            ("userpassword", "password"),
            ("client_secret", "secret"),
            ("SECRET_KEY", "secret"),
            ("secretKeyBase", "secret"),
            ("csrfmiddlewaretoken", "token"),
            ("X-CSRF-Token", "token"),
            ("password_reset_token", "token"),
            ("api_key", "key"),
            ("apiKey", "key"),
            ("APIKEY", "key"),
            ("APP_KEY", "key"),
            ("AWS_ACCESS_KEY", "key"),
            ("private-key", "key"),
            ("SharedAccessKey", "key"),
            ("PHPSESSID", "session"),
            ("sessionid", "session"),
            ("session_id", "session"),
            ("connect.sid", "session"),
            ("AUTH_SALT", "salt"),
            ("HTTP_AUTHORIZATION", "authorization"),
            ("Set-Cookie", "cookie"),
            ("HTTP_COOKIE", "cookie"),
            ("credentials", "credentials"),
        ] {
            let label = Label::of(name.as_bytes());
            assert_eq!(label.map(Label::word), Some(word), "{name}");
        }
    }

    #[test]
    fn names_of_other_things() {
        for name in [
            "bypass",
            "compass",
            "passenger",
            "passed",
            "author",
            "tokenizer",
            "tokens",
            "max_tokens",
            "token_type",
            "secretary",
            "PASSWORD_HASHERS",
            "PASSWORD_RESET_TIMEOUT",
            "AUTH_USER_MODEL",
            "AUTHENTICATION_BACKENDS",
            "SESSION_COOKIE_AGE",
            "CSRF_COOKIE_NAME",
            "cookie_path",
            "session",
            "monkey",
            "keyword",
            "cache_key",
            "KeyError",
            "public_key",
            "passwordField",
            "side",
            "inside",
            "assess",
            "authorization_url",
            "X-Debug-Token",
            "password_file",
        ] {
            assert_eq!(Label::of(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn a_name_is_found_around_its_word() {
        for (text, name) in [
            ("x DB_PASSWORD=", "DB_PASSWORD"),
            ("user%5Bpassword%5D=", "password"),
            ("a.password.", "a.password"),
            ("--password x", "--password"),
            ("$password->", "password"),
        ] {
            let start = text.to_ascii_lowercase().find("password").unwrap();
            let found = around(text.as_bytes(), &(start..start + 8)).unwrap();
            assert_eq!(&text[found], name);
        }
    }
}
