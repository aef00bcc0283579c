//! Secrets that are known by their own form: keys and tokens of well-known services, JSON web tokens, bearer and basic credentials, and
//! private keys.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::Secret;
use super::symbol::count_step;

/// A private key, certificate chains and all, is not longer.
const KEY_BLOCK: usize = 32 * 1024;
const KEY_END: &[u8] = b"-----END";

/// The form of a service's tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// The name in the mark.
    pub name: &'static str,
    /// What the tokens begin with, as far as it is searched for.
    pub literal: &'static [u8],
    /// Bytes of the token that stand before the literal.
    pub before: usize,
    /// Bytes of the token behind the literal: at least.
    pub least: usize,
    /// Whether it is made of capital letters and digits.
    pub capitals: bool,
}

const fn form(name: &'static str, literal: &'static [u8], before: usize, least: usize) -> Form {
    Form {
        name,
        literal,
        before,
        least,
        capitals: false,
    }
}

const fn capitals(name: &'static str, literal: &'static [u8], least: usize) -> Form {
    Form {
        name,
        literal,
        before: 0,
        least,
        capitals: true,
    }
}

/// The services known.
pub(super) const FORMS: [Form; 22] = [
    capitals("aws-key", b"AKIA", 16),
    capitals("aws-key", b"ASIA", 16),
    form("google-key", b"AIza", 0, 35),
    form("google-token", b"ya29.", 0, 20),
    form("google-key", b"GOCSPX-", 0, 20),
    form("github-token", b"ghp_", 0, 30),
    form("github-token", b"gho_", 0, 30),
    form("github-token", b"ghu_", 0, 30),
    form("github-token", b"ghs_", 0, 30),
    form("github-token", b"ghr_", 0, 30),
    form("github-token", b"github_pat_", 0, 22),
    form("gitlab-token", b"glpat-", 0, 20),
    form("slack-token", b"xoxb-", 0, 10),
    form("slack-token", b"xoxp-", 0, 10),
    form("slack-token", b"xoxa-", 0, 10),
    form("slack-token", b"xoxs-", 0, 10),
    form("slack-token", b"xoxr-", 0, 10),
    form("slack-token", b"xoxe", 0, 10),
    form("slack-token", b"xapp-", 0, 10),
    form("stripe-key", b"k_live_", 1, 10),
    form("stripe-key", b"k_test_", 1, 10),
    form("stripe-key", b"whsec_", 0, 16),
];

/// A token of a known form, whose literal stands at a place.
pub(super) fn token(text: &[u8], literal: &Range<usize>, form: &Form) -> Option<Secret> {
    let start = literal.start.checked_sub(form.before)?;
    if before(text, start).is_some_and(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let rest = text.get(literal.end..)?;
    let capital = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let length = run(rest, |byte| {
        if form.capitals {
            capital(byte)
        } else {
            is_token_byte(*byte)
        }
    });
    let cut = length == rest.len() && length > 0;
    let joined = rest
        .get(length)
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let exact = !form.capitals || length == form.least && !joined;
    let whole = exact && length >= form.least;
    (cut || whole).then_some(Secret::new(form.name, start..literal.end + length))
}

/// The byte before a place.
fn before(text: &[u8], at: usize) -> Option<u8> {
    text.get(at.checked_sub(1)?).copied()
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn run(bytes: &[u8], part: impl Fn(&u8) -> bool) -> usize {
    let length = bytes.iter().take_while(|byte| part(byte)).count();
    for _ in 0..=length {
        count_step();
    }
    length
}

/// A Slack webhook's path, behind its host.
pub(super) fn webhook(text: &[u8], start: usize) -> Option<Secret> {
    let length = run(text.get(start..)?, |byte| {
        is_token_byte(*byte) || *byte == b'/'
    });
    (length > 0).then_some(Secret::new("slack-webhook", start..start + length))
}

/// A JSON web token: its head is a JSON object, whose Base64 begins with `eyJ`.
pub(super) fn web_token(text: &[u8], start: usize) -> Option<Secret> {
    if before(text, start).is_some_and(|byte| is_token_byte(byte) || byte == b'.') {
        return None;
    }
    let segment = |at: usize| {
        run(text.get(at..).unwrap_or_default(), |byte| {
            is_token_byte(*byte)
        })
    };
    let head = start + segment(start);
    let mut end = head;
    for _ in 0..4 {
        if text.get(end) != Some(&b'.') {
            break;
        }
        end += 1 + segment(end + 1);
    }
    let whole = head - start >= 12 && (end > head + 4 || end == text.len());
    whole.then_some(Secret::new("jwt", start..end))
}

/// What follows `Bearer `: not a word of prose, which has fewer letters and no digits.
pub(super) fn bearer(text: &[u8], start: usize) -> Option<Secret> {
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    let rest = text.get(start..)?;
    let length = run(rest, part);
    let digits = rest.iter().take(length).any(u8::is_ascii_digit);
    let counts = length >= 16 || digits && (length >= 6 || length == rest.len());
    counts.then_some(Secret::new("bearer", start..start + length))
}

/// What follows `Basic `, if it is the Base64 of a name, a colon and a password.
pub(super) fn basic(text: &[u8], start: usize) -> Option<Secret> {
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    let rest = text.get(start..)?;
    let length = run(rest, part);
    let padding = rest
        .iter()
        .skip(length)
        .take(2)
        .take_while(|byte| **byte == b'=')
        .count();
    let pair = holds_pair(rest.get(..length)?);
    pair.then_some(Secret::new("basic", start..start + length + padding))
}

/// Whether text in Base64 holds a colon. What is cut loses its last few bits only.
fn holds_pair(encoded: &[u8]) -> bool {
    let beginning = encoded.get(..64).unwrap_or(encoded);
    let beginning = beginning.get(..beginning.len() / 4 * 4).unwrap_or_default();
    let decoded = STANDARD_NO_PAD
        .decode(beginning)
        .or_else(|_| URL_SAFE_NO_PAD.decode(beginning));
    let tail = encoded.len() >= 6 && encoded.len() <= 64;
    let whole = if tail {
        STANDARD_NO_PAD.decode(encoded).ok()
    } else {
        None
    };
    let bytes = whole.or(decoded.ok()).unwrap_or_default();
    bytes.contains(&b':')
}

/// Finds the ends of private keys, and remembers the next so that no text is searched twice. It is told what remains of a text, so it counts
/// from the text's end.
#[derive(Debug, Default)]
pub(super) struct KeyBlocks {
    next: Option<NextEnd>,
}

#[derive(Clone, Copy, Debug)]
enum NextEnd {
    /// It begins so many bytes before the text ends.
    Before(usize),
    None,
}

impl KeyBlocks {
    /// The block that begins at a place, to its end line; what is cut or torn goes on as long as it could be a key.
    pub(super) fn at(&mut self, text: &[u8], start: usize) -> Option<Secret> {
        let title = title(text, start)?;
        let end = match self.next_end(text, title) {
            Some(end) if end - start <= KEY_BLOCK => end_line(text, end),
            _ => title + run(text.get(title..)?, |byte| is_key_byte(*byte)),
        };
        Some(Secret::new("private-key", start..end))
    }

    fn next_end(&mut self, text: &[u8], from: usize) -> Option<usize> {
        let rest = text.get(from..).unwrap_or_default();
        let next = match self.next {
            Some(NextEnd::Before(length)) if length <= rest.len() => NextEnd::Before(length),
            Some(NextEnd::None) => NextEnd::None,
            _ => memchr::memmem::find(rest, KEY_END)
                .map_or(NextEnd::None, |at| NextEnd::Before(rest.len() - at)),
        };
        self.next = Some(next);
        match next {
            NextEnd::Before(length) => Some(text.len() - length),
            NextEnd::None => None,
        }
    }
}

/// Where the key begins, behind `-----BEGIN RSA PRIVATE KEY-----`; that may be cut, too.
fn title(text: &[u8], start: usize) -> Option<usize> {
    const DASHES: &[u8] = b"-----";
    let rest = text.get(start + b"-----BEGIN".len()..)?;
    let window = rest.get(..64).unwrap_or(rest);
    let words = window
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase() || **byte == b' ')
        .count();
    let name = window.get(..words)?;
    let private = memchr::memmem::find(name, b"PRIVATE").is_some();
    let closed = window.get(words..)?.starts_with(DASHES);
    (private && closed).then_some(text.len() - rest.len() + words + DASHES.len())
}

fn end_line(text: &[u8], end: usize) -> usize {
    let rest = text.get(end + KEY_END.len()..).unwrap_or_default();
    let words = rest
        .iter()
        .take(64)
        .take_while(|byte| byte.is_ascii_uppercase() || **byte == b' ')
        .count();
    let dashes = rest
        .iter()
        .skip(words)
        .take(5)
        .take_while(|byte| **byte == b'-')
        .count();
    end + KEY_END.len() + words + dashes
}

/// Base64, its lines, the fields before it, and line ends as strings and pages write them.
fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || b"+/=-\\:,".contains(&byte)
}
