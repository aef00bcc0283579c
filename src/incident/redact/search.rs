//! One pass over a text for all that is secret by its form or by the name before it.
//!
//! Each such thing holds one of a few short literals. A vectorised search finds those, and at each a check of its own looks at what stands
//! around it. A check either takes out what it has looked at, or has looked at little: so the work follows from the length alone.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::packed::{self, MatchKind};
use aho_corasick::{AhoCorasick, Input};

use super::credential::{self, FORMS, Form, KeyBlocks};
use super::{Mark, Secret, address, assignment};

/// What a literal is a sign of.
#[derive(Clone, Copy, Debug)]
enum Sign {
    /// A part of a secret's name.
    Name,
    /// What comes before a URL's authority.
    Address,
    /// What comes behind a password in the addresses of Go's driver for `MySQL`.
    Before,
    /// A call that connects.
    Call,
    PrivateKey,
    WebToken,
    Bearer,
    Basic,
    Webhook,
    Token(&'static Form),
}

/// Beginnings or middles of words, in the ways that they are written: the first letter is left out where it is now small, now capital.
const NAMES: [&[u8]; 36] = [
    b"pass",
    b"Pass",
    b"PASS",
    b"pwd",
    b"Pwd",
    b"PWD",
    b"_pw",
    b"_PW",
    b"ecret",
    b"ECRET",
    b"oken",
    b"OKEN",
    b"_key",
    b"_KEY",
    b"-key",
    b"-Key",
    b"Key",
    b"apikey",
    b"APIKEY",
    b"auth",
    b"Auth",
    b"AUTH",
    b"redential",
    b"REDENTIAL",
    b"creds",
    b"sess",
    b"Sess",
    b"SESS",
    b"ookie",
    b"OOKIE",
    b"sid=",
    b".sid",
    b"sid\"",
    b"sid'",
    b"_salt",
    b"_SALT",
];
const OTHERS: [(&[u8], Sign); 16] = [
    (b"://", Sign::Address),
    (b":&#x2F;&#x2F;", Sign::Address),
    (b":&#47;&#47;", Sign::Address),
    (b":\\/\\/", Sign::Address),
    (b"%3A%2F%2F", Sign::Address),
    (b"%3a%2f%2f", Sign::Address),
    (b"@tcp(", Sign::Before),
    (b"@unix(", Sign::Before),
    (b"onnect(", Sign::Call),
    (b"nection(", Sign::Call),
    (b"PDO(", Sign::Call),
    (b"ysqli(", Sign::Call),
    (b"-----BEGIN", Sign::PrivateKey),
    (b"earer ", Sign::Bearer),
    (b"asic ", Sign::Basic),
    (b"hooks.slack.com/services/", Sign::Webhook),
];

/// The search that all redactors share.
static SEARCH: LazyLock<Search<Sign>> = LazyLock::new(|| {
    let names = NAMES.iter().map(|literal| (*literal, Sign::Name));
    let tokens = FORMS.iter().map(|form| (form.literal, Sign::Token(form)));
    let others = OTHERS.iter().copied();
    let more: [(&[u8], Sign); 2] = [(b"eyJ", Sign::WebToken), (b"construct(", Sign::Call)];
    Search::new(others.chain(names).chain(tokens).chain(more))
});

/// Adds each built-in secret, in order. What follows a secret is looked at as if the secret were not there: it will not be, when the text is
/// redacted again.
pub(super) fn find(text: &[u8], marks: &mut Vec<Mark>) {
    find_in(text, 0, marks);
}

/// The same for a part of a text that begins at a place.
fn find_in(text: &[u8], begin: usize, marks: &mut Vec<Mark>) {
    let mut keys = KeyBlocks::default();
    let mut rest = text;
    let mut at = 0;
    while let Some((sign, literal)) = SEARCH.next(rest, at) {
        match check(rest, sign, &literal, &mut keys) {
            Ok(secret) => {
                let done = begin + text.len() - rest.len();
                // The tags between a name and its value may hold secrets of their own.
                let between = rest
                    .get(literal.end..secret.range.start)
                    .unwrap_or_default();
                find_in(between, done + literal.end, marks);
                rest = rest.get(secret.range.end..).unwrap_or_default();
                at = 0;
                marks.push(secret.moved(done).into());
            }
            Err(end) => at = end.max(literal.end),
        }
    }
}

/// The secret that a literal is the sign of, or where to go on.
fn check(
    text: &[u8],
    sign: Sign,
    literal: &Range<usize>,
    keys: &mut KeyBlocks,
) -> Result<Secret, usize> {
    let end = literal.end;
    let found = match sign {
        Sign::Name => return assignment::find(text, &word(text, literal)),
        Sign::Address => address::password(text, end),
        Sign::Before => address::password_before(text, literal.start),
        Sign::Call => address::argument(text, end),
        Sign::PrivateKey => keys.at(text, literal.start),
        Sign::WebToken => credential::web_token(text, literal.start),
        Sign::Bearer => credential::bearer(text, end),
        Sign::Basic => credential::basic(text, end),
        Sign::Webhook => credential::webhook(text, end),
        Sign::Token(form) => credential::token(text, literal, form),
    };
    found.ok_or(end)
}

/// A literal without the sign behind it.
fn word(text: &[u8], literal: &Range<usize>) -> Range<usize> {
    let last = text
        .get(literal.end - 1)
        .is_some_and(u8::is_ascii_alphanumeric);
    literal.start..literal.end - usize::from(!last)
}

/// A search for many literals at once.
#[derive(Debug)]
pub(super) struct Search<T> {
    engine: Engine,
    signs: Vec<T>,
}

#[derive(Debug)]
enum Engine {
    /// Vectorised.
    Packed(packed::Searcher),
    /// For CPUs without the instructions, and for none or very many literals.
    Automaton(Option<AhoCorasick>),
}

impl<T: Copy> Search<T> {
    pub(super) fn new<'a>(literals: impl Iterator<Item = (&'a [u8], T)>) -> Self {
        let (literals, signs): (Vec<_>, Vec<_>) = literals.unzip();
        let mut config = packed::Config::new();
        config
            .match_kind(MatchKind::LeftmostFirst)
            .heuristic_pattern_limits(false);
        let packed = config.builder().extend(&literals).build();
        let engine = match packed {
            Some(packed) => Engine::Packed(packed),
            None => Engine::Automaton(
                AhoCorasick::new(&literals)
                    .ok()
                    .filter(|_| !literals.is_empty()),
            ),
        };
        Self { engine, signs }
    }

    /// The next literal from a place on.
    pub(super) fn next(&self, text: &[u8], from: usize) -> Option<(T, Range<usize>)> {
        if from >= text.len() {
            return None;
        }
        let (pattern, range) = match &self.engine {
            Engine::Packed(packed) => {
                let found = packed.find_in(text, (from..text.len()).into())?;
                (found.pattern(), found.start()..found.end())
            }
            Engine::Automaton(automaton) => {
                let found = automaton.as_ref()?.find(Input::new(text).range(from..))?;
                (found.pattern(), found.start()..found.end())
            }
        };
        Some((*self.signs.get(pattern.as_usize())?, range))
    }
}
