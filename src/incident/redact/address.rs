//! Passwords in connection strings (`mysql://shop:password@db`) and in the arguments of calls that connect.

use super::Secret;
use super::symbol::{Gap, Quote, Symbol, Tag, count_step, tag};
use super::value::{is_masked, is_placeholder};

/// The authority of a URL is not longer.
const AUTHORITY: usize = 512;
/// How far beyond its authority a URL is looked at for a password that holds a slash.
const BEYOND: usize = 96;
/// A user without a password is taken for a token from this length on.
const TOKEN: usize = 20;
/// The arguments before the password of a call that connects are not longer.
const ARGUMENT: usize = 256;

/// The parts of an authority, as far as it has been read.
#[derive(Default)]
struct Authority {
    colon: Option<(usize, usize)>,
    at_sign: Option<usize>,
    end: usize,
}

/// The password of a URL, behind its `://`.
pub(super) fn password(text: &[u8], start: usize) -> Option<Secret> {
    if !may_hold(text.get(start..)?) {
        return None;
    }
    let mut authority = read(text, start, AUTHORITY, |byte| b"/?#".contains(&byte));
    if authority.at_sign.is_none() && !has_port(text, &authority) {
        authority = read(text, start, BEYOND, |_| false);
    }
    let cut = authority.end == text.len();
    let range = match (authority.colon, authority.at_sign) {
        (Some((_, from)), Some(to)) if from <= to => from..to,
        (Some((_, from)), None) if cut && !is_number(text, from, authority.end) => {
            from..authority.end
        }
        (None, Some(to)) if to - start >= TOKEN => start..to,
        _ => return None,
    };
    let secret = text.get(range.clone())?;
    let left =
        secret.is_empty() || is_masked(secret) || is_placeholder(secret) || is_interpolated(secret);
    (!left).then_some(Secret::new("password", range))
}

/// Whether an at sign may come, plain or escaped, or the text ends before one can.
fn may_hold(rest: &[u8]) -> bool {
    let window = rest.get(..AUTHORITY);
    window.is_none_or(|window| memchr::memchr3(b'@', b'&', b'\\', window).is_some())
}

fn read(text: &[u8], start: usize, longest: usize, ends: impl Fn(u8) -> bool) -> Authority {
    let mut found = Authority {
        end: start,
        ..Authority::default()
    };
    while let Some(symbol) = Symbol::at(text, found.end).filter(|_| found.end < start + longest) {
        match tag(text, found.end) {
            Some((Tag::Inline, after)) => {
                found.end = after;
                continue;
            }
            Some(_) => break,
            None if is_outside(symbol.byte) || ends(symbol.byte) => break,
            None => {}
        }
        match symbol.byte {
            b'[' if found.end == start => break,
            b':' if found.colon.is_none() => found.colon = Some((found.end, symbol.end)),
            b'@' => found.at_sign = Some(found.end),
            _ => {}
        }
        found.end = symbol.end;
    }
    found
}

fn is_outside(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\')
}

/// Whether what follows the colon is a port or nothing.
fn has_port(text: &[u8], authority: &Authority) -> bool {
    authority
        .colon
        .is_none_or(|(_, from)| is_number(text, from, authority.end))
}

fn is_number(text: &[u8], from: usize, to: usize) -> bool {
    let port = text.get(from..to).unwrap_or_default();
    port.len() <= 5 && port.iter().all(u8::is_ascii_digit)
}

fn is_interpolated(secret: &[u8]) -> bool {
    secret.starts_with(b"${") || secret.starts_with(b"#{") || secret.starts_with(b"{{")
}

/// The password before `@tcp(`, as Go's driver for `MySQL` has it: `shop:password@tcp(db:3306)/shop`.
pub(super) fn password_before(text: &[u8], at_sign: usize) -> Option<Secret> {
    let window = text.get(at_sign.saturating_sub(ARGUMENT)..at_sign)?;
    let outside = |byte: &u8| is_outside(*byte) || *byte == b'=';
    let length = window
        .iter()
        .rev()
        .take_while(|byte| !outside(byte))
        .count();
    let start = at_sign - length;
    let info = text.get(start..at_sign)?;
    let colon = memchr::memchr(b':', info)?;
    let secret = info.get(colon + 1..)?;
    let found = !secret.is_empty() && !is_masked(secret) && !is_placeholder(secret);
    found.then_some(Secret::new("password", start + colon + 1..at_sign))
}

/// The third argument of a call that connects, when all before it are strings: `PDO->__construct('mysql:host=db', 'shop', 'password')`.
pub(super) fn argument(text: &[u8], start: usize) -> Option<Secret> {
    let mut at = start;
    for _ in 0..2 {
        at = behind_argument(text, at)?;
    }
    let quote = Quote::at(text, Gap::at(text, at).end)?;
    let (end, _) = quote.close(text);
    let secret = text.get(quote.end..end)?;
    let found = !secret.is_empty() && !is_masked(secret);
    found.then_some(Secret::new("password", quote.end..end))
}

/// Where the next argument begins, behind a short string.
fn behind_argument(text: &[u8], at: usize) -> Option<usize> {
    let quote = Quote::at(text, Gap::at(text, at).end)?;
    let window = text.get(..text.len().min(quote.end + ARGUMENT))?;
    let (_, after) = quote.close(window);
    let gap = Gap::at(text, after);
    count_step();
    Symbol::at(text, gap.end)
        .filter(|symbol| symbol.byte == b',')
        .map(|symbol| symbol.end)
}
