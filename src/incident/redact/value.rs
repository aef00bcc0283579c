//! How far a value reaches, and whether it is one rather than code or prose.
//!
//! A value has no greatest length: what is taken out is not looked at again. What is looked at and left is short, so that no text makes
//! the same bytes be looked at many times.

use std::ops::Range;

use super::name::Label;
use super::symbol::{Gap, Quote, Symbol, Tag, count_step, tag};

/// What is longer than that is neither code nor prose.
pub(super) const SHORT: usize = 128;
/// The beginning of a mark.
const MARK: &[u8] = b"[redacted: ";

/// How sure it is that a value comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `password=`
    Sure,
    /// `password%3D`
    Encoded,
    /// `password: `
    Likely,
    /// `password = `
    Doubtful,
}

/// Words that stand where a value could and are none.
const STATEMENTS: [&[u8]; 33] = [
    b"array",
    b"bad",
    b"bool",
    b"boolean",
    b"disabled",
    b"enabled",
    b"expected",
    b"expired",
    b"false",
    b"incorrect",
    b"int",
    b"integer",
    b"invalid",
    b"match",
    b"missing",
    b"no",
    b"yes",
    b"mixed",
    b"nil",
    b"none",
    b"null",
    b"number",
    b"object",
    b"optional",
    b"please",
    b"required",
    b"set",
    b"str",
    b"string",
    b"true",
    b"undefined",
    b"unset",
    b"wrong",
];

/// Beginnings of expressions.
const EXPRESSIONS: [&[u8]; 13] = [
    b"self.",
    b"this.",
    b"settings.",
    b"config.",
    b"options.",
    b"params.",
    b"request.",
    b"req.",
    b"process.env",
    b"os.",
    b"env.",
    b"args.",
    b"kwargs.",
];

/// Goes past `string(19) `, `[`, and the letter before a Python string.
pub(super) fn skip_introduction(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let mut skip = sized_string(rest).unwrap_or(0);
    while let Some(b'[' | b'(') = rest.get(skip) {
        skip += 1;
        if skip > 2 {
            return at;
        }
    }
    let at_letter = rest
        .get(skip)
        .is_some_and(|byte| b"bBuUrRfF@".contains(byte));
    let quoted = |skip: usize| Quote::at(text, at + skip).is_some();
    match skip {
        _ if at_letter && quoted(skip + 1) => at + skip + 1,
        0 => at,
        _ if quoted(skip) => at + skip,
        _ => at,
    }
}

/// Where the last string of a list ends, and where the text goes on.
pub(super) fn list_end(text: &[u8], first: Quote) -> (usize, usize) {
    let mut end = first.close(text);
    while let Some(quote) = next_string(text, end.1) {
        end = quote.close(text);
    }
    end
}

/// The string behind a comma.
fn next_string(text: &[u8], at: usize) -> Option<Quote> {
    let comma = Symbol::at(text, Gap::at(text, at).end).filter(|symbol| symbol.byte == b',')?;
    let next = Gap::at(text, comma.end).end;
    let string = Quote::at(text, next)?;
    (!begins_masked(text.get(string.end..)?)).then_some(string)
}

/// The length of `string(19) `.
fn sized_string(rest: &[u8]) -> Option<usize> {
    let number = rest.strip_prefix(b"string(")?;
    let digits = number
        .iter()
        .take(9)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let behind = number.get(digits..)?.strip_prefix(b")")?;
    Some(rest.len() - behind.len() + Gap::at(behind, 0).end)
}

/// Whether a value is hidden already, by us or by the app. Looks at its beginning alone.
pub(super) fn is_masked(value: &[u8]) -> bool {
    let value = value.get(..SHORT).unwrap_or(value).trim_ascii();
    let star = |byte: &u8| b"*\xe2\x80\xa2".contains(byte);
    let stars = value.len() < SHORT && !value.is_empty() && value.iter().all(star);
    stars || begins_masked(value) || memchr::memmem::find(value, MARK).is_some()
}

/// Whether what begins here says that it is hidden.
pub(super) fn begins_masked(text: &[u8]) -> bool {
    let hidden: [&[u8]; 7] = [
        b"[redacted",
        b"[filtered",
        b"[hidden",
        b"<redacted",
        b"&lt;redacted",
        b"[masked",
        b"(hidden",
    ];
    let begins = |word: &&[u8]| {
        text.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    hidden.iter().any(begins)
}

/// Whether a mark stands at a place. It ends what was left before it, which was no secret then and is none now.
fn is_mark(text: &[u8], at: usize) -> bool {
    text.get(at..).is_some_and(|rest| rest.starts_with(MARK))
}

/// A value, unless it is short and what follows it is a mark, or it is hidden.
fn shown(text: &[u8], range: Range<usize>, next: usize) -> Option<Range<usize>> {
    let left = is_mark(text, next) && range.len() <= SHORT;
    let masked = is_masked(text.get(range.clone())?);
    (!left && !masked && !range.is_empty()).then_some(range)
}

/// Whether a value can be that of a session: a word such as `app.session` names a cookie.
pub(super) fn is_session(value: &[u8]) -> bool {
    value.len() >= 20 || value.iter().any(u8::is_ascii_digit)
}

/// Whether a string is filled in elsewhere: `%s`, `{password}`, `${PASSWORD}`, `#{password}`.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    match value {
        b"?" | b"%s" | b"=" | b"$" | [b'%', b'(', .., b's'] => true,
        [b'{' | b'$' | b'#' | b'<', .., b'}' | b'>'] => {
            let inner = value.trim_ascii_start();
            let inside = inner.get(1..).unwrap_or_default();
            inside
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_{}.-:?%>< ".contains(byte))
        }
        _ => false,
    }
}

/// Whether a call or pair ends behind its second string.
pub(super) fn ends_call(text: &[u8], at: usize) -> bool {
    let gap = Gap::at(text, at);
    let next = Symbol::at(text, gap.end);
    next.is_none_or(|symbol| b")]".contains(&symbol.byte))
}

/// A value without quotes and blanks.
pub(super) fn token(text: &[u8], at: usize, form: Form) -> Option<Range<usize>> {
    if begins_masked(text.get(at..)?) {
        return None;
    }
    let (end, next) = token_end(text, at, form);
    let token = text.get(at..end)?;
    let cut = end == text.len();
    let long = token.len() > SHORT;
    let least = if matches!(form, Form::Sure | Form::Encoded) || cut {
        1
    } else {
        3
    };
    let counts = long
        || token.len() >= least && !is_code(text, token, end) && is_likely(text, token, end, form);
    shown(text, at..end, next).filter(|_| counts)
}

/// Where a value ends, and where what follows it begins: behind tags.
fn token_end(text: &[u8], start: usize, form: Form) -> (usize, usize) {
    let (mut at, mut end) = (start, start);
    let mut open = 0_usize;
    while let Some(symbol) = Symbol::at(text, at) {
        match tag(text, at) {
            Some((Tag::Inline, after)) => {
                at = after;
                continue;
            }
            Some(_) => break,
            None => {}
        }
        match symbol.byte {
            b'[' if is_mark(text, at) => break,
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' if open > 0 => open -= 1,
            _ if at == start && b"&;,)]}".contains(&symbol.byte) => break,
            _ if ends_token(text, at, symbol, form) => break,
            _ => {}
        }
        at = symbol.end;
        end = at;
    }
    (end, at)
}

/// Whether a value ends before a character. What may be part of a password ends it only where something else begins.
fn ends_token(text: &[u8], at: usize, symbol: Symbol, form: Form) -> bool {
    match symbol.byte {
        b' ' | b'\t' | b'\n' | b'\r' | 0 | b'"' | b'\'' | b'`' => true,
        b'\\' => Quote::at(text, at).is_some(),
        b'%' if form == Form::Encoded => text
            .get(at + 1..)
            .is_some_and(|code| code.starts_with(b"26") || code.starts_with(b"23")),
        b'<' | b'>' => symbol.coded,
        b'&' | b';' | b',' | b')' | b']' | b'}' => begins_another(text, symbol.end),
        _ => false,
    }
}

/// Whether behind a separator comes the end, another sign, or another pair. A mark is part of what it stands in.
fn begins_another(text: &[u8], at: usize) -> bool {
    if is_mark(text, at) {
        return false;
    }
    let Some(next) = Symbol::at(text, at) else {
        return true;
    };
    if !next.byte.is_ascii_alphanumeric() {
        return !b"-_!#$%*+@^~.".contains(&next.byte) || tag(text, at).is_some();
    }
    let rest = text.get(at..).unwrap_or_default();
    let name = rest
        .iter()
        .take(48)
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"_-. ".contains(byte))
        .count();
    matches!(rest.get(name), Some(b'=' | b':' | b'[' | b'%'))
}

/// Whether a word is the name of something that has the value, or a word of the language.
fn is_code(text: &[u8], token: &[u8], end: usize) -> bool {
    let name = token
        .strip_prefix(b"$")
        .or_else(|| token.strip_prefix(b"@"))
        .or_else(|| token.strip_prefix(b":"));
    let path = name.unwrap_or(token);
    let length = path
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(byte))
        .count();
    let (ident, rest) = path.split_at_checked(length).unwrap_or((path, b""));
    let word = path
        .first()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    if is_placeholder(token) || token.starts_with(b"${") || token.starts_with(b"#{") {
        return true;
    }
    let called = [&b"("[..], b"[", b"->", b"::", b"-&gt;", b"?."]
        .iter()
        .any(|sign| rest.starts_with(sign));
    let whole = rest.is_empty() || rest == b";";
    let behind = || text.get(end..).is_some_and(|rest| rest.starts_with(b"["));
    let variable =
        name.is_some() && token.starts_with(b"$") && (ident.starts_with(b"_") || ident == b"this");
    word && (called || variable || whole && (is_reference(ident) || behind()))
}

fn is_reference(ident: &[u8]) -> bool {
    let begins = |start: &&[u8]| ident.starts_with(start);
    is_statement(ident) && !ident.is_empty()
        || EXPRESSIONS.iter().any(begins)
        || Label::of(ident).is_some()
}

fn is_statement(word: &[u8]) -> bool {
    STATEMENTS
        .iter()
        .any(|statement| statement.eq_ignore_ascii_case(word))
}

/// Whether a word looks as much like a value as its form asks.
fn is_likely(text: &[u8], token: &[u8], end: usize, form: Form) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphabetic() || b"_.-:/$".contains(byte);
    let odd = token.iter().any(|byte| !plain(byte));
    match form {
        Form::Sure | Form::Encoded => true,
        Form::Likely => odd || !token.starts_with(b"$") && ends_statement(text, end),
        Form::Doubtful => odd && ends_statement(text, end),
    }
}

/// Whether nothing follows that makes what stood before it a sentence.
fn ends_statement(text: &[u8], end: usize) -> bool {
    let blank = |byte: &&u8| b" \t".contains(byte);
    let rest = text.get(end..).unwrap_or_default();
    let blanks = rest.iter().take(8).take_while(blank).count();
    match rest.get(blanks) {
        None | Some(b'\n' | b'\r' | b'<' | b'}' | b']' | b')' | b'"' | b'\'' | b'&') => true,
        Some(b',' | b';') => blanks == 0,
        _ => false,
    }
}

/// All of a line, as far as it is text.
pub(super) fn line(text: &[u8], start: usize, quote: Option<u8>) -> Option<Range<usize>> {
    if begins_masked(text.get(start..)?) {
        return None;
    }
    let (mut at, mut end) = (start, start);
    while let Some(symbol) = Symbol::at(text, at) {
        match tag(text, at) {
            Some((Tag::Inline, after)) => {
                at = after;
                continue;
            }
            Some(_) => break,
            None if ends_line(text, at, symbol, quote) || is_mark(text, at) => break,
            None => {}
        }
        at = symbol.end;
        if symbol.byte != b' ' {
            end = at;
        }
    }
    let line = text.get(start..end)?;
    shown(text, start..end, at).filter(|_| !is_statement(line))
}

fn ends_line(text: &[u8], at: usize, symbol: Symbol, quote: Option<u8>) -> bool {
    let rest = text.get(at..).unwrap_or_default();
    let broken = rest.starts_with(b"\\n") || rest.starts_with(b"\\r");
    broken || matches!(symbol.byte, b'\n' | b'\r') || quote == Some(symbol.byte)
}

/// Whether a line begins as a cookie does, with `name=`.
pub(super) fn is_cookie(text: &[u8], at: usize) -> bool {
    let rest = text.get(at..).unwrap_or_default();
    let name = rest
        .iter()
        .take(SHORT)
        .take_while(|byte| byte.is_ascii_graphic() && !b"=;<,&\"'()".contains(byte))
        .count();
    name > 0 && rest.get(name) == Some(&b'=')
}

/// Whether a line begins as `Authorization` does, with a scheme and a blank.
pub(super) fn is_credential(text: &[u8], at: usize) -> bool {
    let schemes: [&[u8]; 10] = [
        b"apikey ",
        b"aws4-hmac-sha256 ",
        b"basic ",
        b"bearer ",
        b"digest ",
        b"dpop ",
        b"key ",
        b"negotiate ",
        b"ntlm ",
        b"token ",
    ];
    let rest = text.get(at..).unwrap_or_default();
    schemes.iter().any(|scheme| {
        rest.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// What a cell of a table holds.
pub(super) fn cell(text: &[u8], start: usize) -> Option<Range<usize>> {
    let found = line(text, start, None)?;
    let value = text.get(found.clone())?;
    let letters = |byte: &u8| {
        byte.is_ascii_alphabetic() || byte.is_ascii_whitespace() || b".,!".contains(byte)
    };
    let prose = value.len() <= SHORT && value.contains(&b' ') && value.iter().all(letters);
    (!prose).then_some(found)
}

/// What an element holds: all up to the next tag.
pub(super) fn element(text: &[u8], start: usize) -> Option<Range<usize>> {
    if begins_masked(text.get(start..)?) {
        return None;
    }
    let mut at = start;
    while let Some(symbol) =
        Symbol::at(text, at).filter(|symbol| symbol.byte != b'<' || begins_data(text, at))
    {
        count_step();
        at = symbol.end;
    }
    let blank = text.get(start..at)?.trim_ascii().is_empty();
    shown(text, start..at, at).filter(|_| !blank)
}

fn begins_data(text: &[u8], at: usize) -> bool {
    text.get(at..)
        .is_some_and(|rest| rest.starts_with(b"<![CDATA["))
}
