//! `password=`, `"password": "`, `[password] =>`, `<td>PASSWORD</td><td>` and their like: what stands behind the name of a secret.
//!
//! A name alone says nothing: code and prose are full of passwords that are none. What joins the name to what follows decides how much
//! must speak for a value: a quoted string is one, a word after `password=` nearly always, a word after `password: ` if it looks like one.

use std::ops::Range;

use super::Secret;
use super::name::{self, Label};
use super::symbol::{Gap, Quote, Symbol, Tag, Wall, tag};
use super::value::{self, Form};

/// What joins a name and a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joint {
    /// `=`; with blanks around it, it may be code.
    Equals { spaced: bool },
    /// `%3D`, in a URL that is itself a value.
    EncodedEquals,
    /// `:`
    Colon,
    /// `=>`
    Arrow,
    /// `,` between a quoted name and a quoted value.
    Comma,
    /// `(` of a function that sets.
    Call,
    /// A blank after `--password`.
    Blank,
    /// The wall between two cells.
    Cell,
    /// The `>` of `<password>`.
    Element,
}

/// A name with what follows it, up to where a value would begin.
struct Joined {
    label: Label,
    joint: Joint,
    value: usize,
    quoted: bool,
    bracketed: bool,
    /// Whether another line begins between the joint and the value.
    line: bool,
    name: Range<usize>,
}

/// The secret that a telling word at a place is the name of, or where to go on looking.
pub(super) fn find(text: &[u8], word: &Range<usize>) -> Result<Secret, usize> {
    let end = word.end + name::length(text.get(word.end..).unwrap_or_default());
    named(text, word).ok_or(end)
}

fn named(text: &[u8], word: &Range<usize>) -> Option<Secret> {
    let name = name::around(text, word).filter(|name| may_join(text, name))?;
    let label = Label::of(text.get(name.clone())?)?;
    if is_mark(text, &name) || is_unexpected(text, &name) {
        return None;
    }
    let range = Joined::read(text, name, label)?.value(text)?;
    Some(Secret::new(label.word(), range))
}

/// Whether what follows a name can join it to a value: a quick look, since most words are just words.
fn may_join(text: &[u8], name: &Range<usize>) -> bool {
    let rest = text.get(name.end..).unwrap_or_default();
    let next = rest.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
    let option = || {
        text.get(name.clone())
            .is_some_and(|name| name.starts_with(b"--"))
    };
    next.is_some_and(|byte| b"=:\"'`\\]%&<>|?(\xc2".contains(byte)) || option()
}

/// The value behind the name of a header that the user has listed, in a dump of headers or variables.
pub(super) fn of_header(text: &[u8], name: &Range<usize>) -> Option<Range<usize>> {
    let letter =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    let before = name.start.checked_sub(1).and_then(|at| text.get(at));
    if letter(before) || letter(text.get(name.end)) || is_mark(text, name) {
        return None;
    }
    Joined::read(text, name.clone(), Label::Header)?.value(text)
}

/// Whether the name is that of a mark: what was redacted before stays as it is.
fn is_mark(text: &[u8], name: &Range<usize>) -> bool {
    text.get(..name.start)
        .is_some_and(|before| before.ends_with(b"[redacted: "))
}

/// Parsers speak of unexpected tokens.
fn is_unexpected(text: &[u8], name: &Range<usize>) -> bool {
    text.get(..name.start)
        .is_some_and(|before| before.ends_with(b"nexpected "))
}

impl Joined {
    fn read(text: &[u8], name: Range<usize>, label: Label) -> Option<Self> {
        let mut joined = Self {
            label,
            joint: Joint::Blank,
            value: name.end,
            quoted: false,
            bracketed: false,
            line: false,
            name,
        };
        joined.close_name(text);
        joined.joint = joined.joint(text)?;
        let gap = Gap::at(text, joined.value);
        joined.value = gap.end;
        joined.line |= gap.line;
        Some(joined)
    }

    /// Goes past the quotes and brackets that close the name.
    fn close_name(&mut self, text: &[u8]) {
        self.value = skip_inline(text, self.value);
        if let Some(quote) = Quote::at(text, self.value) {
            self.quoted = true;
            self.value = quote.end;
        }
        self.value = skip_visibility(text, self.value);
        let rest = text.get(self.value..).unwrap_or_default();
        let bracket = match rest {
            [b']', ..] => 1,
            [b'%', b'5', b'D' | b'd', ..] => 3,
            _ => 0,
        };
        self.bracketed = bracket > 0;
        self.value += bracket;
    }

    /// The sign between name and value; the place moves behind it.
    fn joint(&mut self, text: &[u8]) -> Option<Joint> {
        let gap = Gap::at(text, self.value);
        if gap.wall == Some(Wall::Cell) {
            self.value = gap.end;
            return (!self.quoted && !self.bracketed).then_some(Joint::Cell);
        }
        if gap.line || gap.wall.is_some() {
            return None;
        }
        let symbol = Symbol::at(text, gap.end)?;
        let next = Symbol::at(text, symbol.end).map(|symbol| symbol.byte);
        self.value = symbol.end;
        match (symbol.byte, next) {
            (b'=', Some(b'~')) | (b':', Some(b':')) => None,
            (b'=', Some(b'>')) => self.behind(text, 1, Joint::Arrow),
            (b'=', Some(b'=')) => self.behind(text, 1, Joint::Equals { spaced: true }),
            (b'=', _) => Some(Joint::Equals {
                spaced: gap.blank || is_blank(next),
            }),
            (b':' | b'|' | b'?', Some(b'=')) => {
                self.behind(text, 1, Joint::Equals { spaced: true })
            }
            (b'|', Some(b'|')) => self.behind(text, 2, Joint::Equals { spaced: true }),
            (b':', _) => Some(Joint::Colon),
            (b',', _) if self.quoted && !self.bracketed => Some(self.pair(text)),
            (b'(', _) if self.sets(text) => Some(Joint::Call),
            (b'>', _) if self.opens_element(text) => Some(Joint::Element),
            (b'%', _) if text.get(symbol.end..)?.starts_with(b"3D") => {
                self.behind(text, 2, Joint::EncodedEquals)
            }
            (b'%', _) if text.get(symbol.end..)?.starts_with(b"3d") => {
                self.behind(text, 2, Joint::EncodedEquals)
            }
            _ => self.spoken_joint(text, &gap),
        }
    }

    /// A joint of several signs.
    fn behind(&mut self, text: &[u8], signs: usize, joint: Joint) -> Option<Joint> {
        for _ in 0..signs {
            self.value = Symbol::at(text, self.value)?.end;
        }
        Some(joint)
    }

    /// `--password x`, and `name="password" value="x"`.
    fn spoken_joint(&mut self, text: &[u8], gap: &Gap) -> Option<Joint> {
        let option = text.get(self.name.clone())?.starts_with(b"--");
        self.value = gap.end;
        if option && gap.blank {
            return Some(Joint::Blank);
        }
        self.value = behind_value_key(text, gap.end).filter(|_| self.quoted)?;
        Some(Joint::Equals { spaced: false })
    }

    /// `'password', 'x'`, and `"name": "password", "value": "x"`.
    fn pair(&mut self, text: &[u8]) -> Joint {
        match behind_value_key(text, Gap::at(text, self.value).end) {
            Some(value) => {
                self.value = value;
                Joint::Colon
            }
            None => Joint::Comma,
        }
    }

    /// Whether the name is a function's that sets: `setPassword("x")`.
    fn sets(&self, text: &[u8]) -> bool {
        let name = text.get(self.name.clone()).unwrap_or_default();
        [&b"set"[..], b"with"]
            .iter()
            .any(|verb| name.starts_with(verb))
    }

    /// Whether the name is a tag's: `<password>`, or `&lt;db:password&gt;`.
    fn opens_element(&self, text: &[u8]) -> bool {
        let before = text.get(..self.name.start).unwrap_or_default();
        let prefix = before
            .iter()
            .rev()
            .take(16)
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b':')
            .count();
        let before = before.get(..before.len() - prefix).unwrap_or_default();
        before.ends_with(b"<")
            || before.ends_with(b"&lt;") && !self.quoted
            || self.name_is_behind_entity(text)
    }

    /// `&lt;password&gt;`: the entity's semicolon is no part of a name.
    fn name_is_behind_entity(&self, text: &[u8]) -> bool {
        text.get(..self.name.start)
            .is_some_and(|before| before.ends_with(b"&lt;"))
    }

    fn value(&self, text: &[u8]) -> Option<Range<usize>> {
        let at = value::skip_introduction(text, self.value);
        if text.get(at..)?.starts_with(b"-----BEGIN") {
            return None;
        }
        if let Some(quote) = Quote::at(text, at) {
            let list = text
                .get(self.value)
                .is_some_and(|byte| b"[(".contains(byte));
            let end = if list {
                value::list_end(text, quote)
            } else {
                quote.close(text)
            };
            return self.string(text, quote, end);
        }
        let secret = match self.joint {
            Joint::Comma | Joint::Call => None,
            Joint::Cell if self.label.is_of_header() => value::line(text, self.value, None),
            Joint::Cell => value::cell(text, self.value),
            Joint::Element => value::element(text, self.value),
            _ if self.line => None,
            _ => self.bare(text, self.value),
        }?;
        self.kept(text, secret)
    }

    /// A value, unless it is hidden already, or known by its form to be none.
    fn kept(&self, text: &[u8], range: Range<usize>) -> Option<Range<usize>> {
        let value = text.get(range.clone())?;
        let name = text.get(self.name.clone())?;
        let folder = matches!(name, b"PWD" | b"OLDPWD") && value.starts_with(b"/");
        let session = self.label == Label::Session && !value::is_session(value);
        let none = value.is_empty() || folder || session || value::is_masked(value);
        (!none).then_some(range)
    }

    /// A value that begins behind a quote and ends before another.
    fn string(
        &self,
        text: &[u8],
        quote: Quote,
        (end, after): (usize, usize),
    ) -> Option<Range<usize>> {
        let content = text.get(quote.end..end)?;
        if self.joint == Joint::Comma && !value::ends_call(text, after) {
            return None;
        }
        let code = content.len() <= value::SHORT && value::is_placeholder(content);
        let key = content.starts_with(b"-----BEGIN");
        self.kept(text, quote.end..end).filter(|_| !code && !key)
    }

    /// A value without quotes.
    fn bare(&self, text: &[u8], at: usize) -> Option<Range<usize>> {
        let line = self.bracketed && self.joint == Joint::Arrow && !self.quoted;
        if line || self.takes_line(text, at) {
            return value::line(text, at, self.opening_quote(text));
        }
        let form = match self.joint {
            Joint::Equals { spaced: false } | Joint::Blank => Form::Sure,
            Joint::EncodedEquals => Form::Encoded,
            Joint::Colon => Form::Likely,
            Joint::Equals { spaced: true } if self.begins_line(text) => Form::Likely,
            _ => Form::Doubtful,
        };
        value::token(text, at, form)
    }

    /// Whether all of the line is the value: of `Cookie` always, of `Authorization` behind a scheme.
    fn takes_line(&self, text: &[u8], at: usize) -> bool {
        match self.label {
            Label::Cookie => value::is_cookie(text, at),
            Label::Authorization => value::is_credential(text, at),
            Label::Header => matches!(self.joint, Joint::Colon | Joint::Equals { .. }),
            _ => false,
        }
    }

    /// The quote that the name stands behind, as in `-H 'Authorization: Basic ...'`.
    fn opening_quote(&self, text: &[u8]) -> Option<u8> {
        let before = text.get(self.name.start.checked_sub(1)?)?;
        matches!(before, b'"' | b'\'').then_some(*before)
    }

    /// Whether the name is the first thing of its line, as in a file of settings.
    fn begins_line(&self, text: &[u8]) -> bool {
        let before = self.name.start.checked_sub(1).and_then(|at| text.get(at));
        before.is_none_or(|before| matches!(before, b'\n' | b'>'))
    }
}

/// Where the value begins when a key that says `value` or `content` stands at a place.
fn behind_value_key(text: &[u8], at: usize) -> Option<usize> {
    let word = Quote::at(text, at).map_or(at, |quote| quote.end);
    let rest = text.get(word..)?;
    let says = |key: &&[u8]| {
        rest.get(..key.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(key))
    };
    let end = word + [&b"value"[..], b"content"].into_iter().find(says)?.len();
    let end = Quote::at(text, end).map_or(end, |quote| quote.end);
    let sign = Symbol::at(text, Gap::at(text, end).end)?;
    matches!(sign.byte, b'=' | b':').then_some(sign.end)
}

fn is_blank(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_whitespace())
}

/// Goes past tags, without blanks.
fn skip_inline(text: &[u8], mut at: usize) -> usize {
    for _ in 0..4 {
        let Some((Tag::Inline, end)) = tag(text, at) else {
            break;
        };
        at = end;
    }
    at
}

/// Goes past `:protected` and `:"Shop":private`, which PHP writes behind the name of a property.
fn skip_visibility(text: &[u8], at: usize) -> usize {
    let window = text.get(at..).unwrap_or_default();
    let window = window.get(..160).unwrap_or(window);
    if window.first() != Some(&b':') {
        return at;
    }
    let Some(bracket) = memchr::memchr2(b']', b'\n', window) else {
        return at;
    };
    let inside = window.get(..bracket).unwrap_or_default();
    let visible = inside.ends_with(b":protected") || inside.ends_with(b":private");
    if visible { at + bracket } else { at }
}
