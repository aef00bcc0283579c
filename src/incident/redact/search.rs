//! One pass over a text for all that is secret by its form or by the name before it.
//!
//! Each such thing holds one of a few short literals. A vectorised search finds those, and at each a check of its own looks at what stands
//! around it. A check either takes out what it has looked at, or has looked at little: so the work follows from the length alone.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::packed::{self, MatchKind};
use aho_corasick::{AhoCorasick, Input};

use super::credential::{self, FORMS, KeyBlocks};
use super::literals::{NAMES, OTHERS, Sign};
use super::url::QueryKeys;
use super::{Mark, Secret, address, assignment, own};

/// The searches that all redactors share. Two, since a vectorised search for few literals takes half the time of one for twice as many
/// (measured: 0.8 us each for 8 KiB, 7 us together).
static SEARCHES: LazyLock<[Search<Sign>; 2]> = LazyLock::new(|| {
    let names = NAMES.iter().map(|literal| (*literal, Sign::Name));
    let tokens = FORMS.iter().map(|form| (form.literal, Sign::Token(form)));
    [
        Search::new(names),
        Search::new(OTHERS.iter().copied().chain(tokens)),
    ]
});

/// Adds each built-in secret, in order.
pub(super) fn find(text: &[u8], listed: &QueryKeys, marks: &mut Vec<Mark>) {
    Pass {
        listed,
        keys: KeyBlocks::default(),
        marks,
    }
    .over(text, 0);
}

/// What is known and found on the way through a text.
struct Pass<'a> {
    listed: &'a QueryKeys,
    keys: KeyBlocks,
    marks: &'a mut Vec<Mark>,
}

impl Pass<'_> {
    /// A text, or a part of one that begins at a place. What follows a secret is looked at as if the secret were not there: it will not be, when
    /// the text is redacted again.
    fn over(&mut self, text: &[u8], begin: usize) {
        let mut hits = Hits::new(text);
        let (mut done, mut at) = (0, 0);
        while let Some((sign, literal)) = hits.next(at) {
            let rest = text.get(done..).unwrap_or_default();
            let literal = literal.start - done..literal.end - done;
            match self.check(rest, sign, &literal) {
                Ok(secret) => {
                    self.between(rest, &literal, &secret, begin + done);
                    at = done + secret.range.end;
                    self.marks.push(secret.moved(begin + done).into());
                    done = at;
                }
                Err(end) => at = done + end.max(literal.end),
            }
        }
    }

    /// Between a name and its value stand tags, which may hold secrets of their own.
    fn between(&mut self, rest: &[u8], literal: &Range<usize>, secret: &Secret, begin: usize) {
        let between = rest
            .get(literal.end..secret.range.start)
            .unwrap_or_default();
        if between.len() > 8 {
            let listed = self.listed;
            Pass {
                listed,
                keys: KeyBlocks::default(),
                marks: self.marks,
            }
            .over(between, begin + literal.end);
        }
    }

    /// The secret that a literal is the sign of, or where to go on.
    fn check(&mut self, text: &[u8], sign: Sign, literal: &Range<usize>) -> Result<Secret, usize> {
        let end = literal.end;
        let found = match sign {
            Sign::Name => return assignment::find(text, &word(text, literal)),
            Sign::Address => address::password(text, end),
            Sign::Before => address::password_before(text, literal.start),
            Sign::Call => address::argument(text, end),
            Sign::PrivateKey => self.keys.at(text, literal.start),
            Sign::WebToken => credential::web_token(text, literal.start),
            Sign::Bearer => credential::bearer(text, end),
            Sign::Basic => credential::basic(text, end),
            Sign::Webhook => credential::webhook(text, end),
            Sign::Token(form) => credential::token(text, literal, form),
            Sign::Parameter(name) => self.parameter(text, literal, name),
        };
        found.ok_or(end)
    }

    fn parameter(&self, text: &[u8], literal: &Range<usize>, name: &'static str) -> Option<Secret> {
        let key = literal.start..literal.start + name.len();
        let value = own::parameter(text, &key).filter(|_| self.listed.holds(name))?;
        Some(Secret::new(name, value))
    }
}

/// The literals of a text in order, of both searches.
struct Hits<'a> {
    text: &'a [u8],
    next: [Option<(Sign, Range<usize>)>; 2],
}

impl<'a> Hits<'a> {
    fn new(text: &'a [u8]) -> Self {
        let next = SEARCHES.each_ref().map(|search| search.next(text, 0));
        Self { text, next }
    }

    /// The first literal that begins at a place or behind it.
    fn next(&mut self, from: usize) -> Option<(Sign, Range<usize>)> {
        for (search, next) in SEARCHES.iter().zip(&mut self.next) {
            if next.as_ref().is_some_and(|(_, found)| found.start < from) {
                *next = search.next(self.text, from);
            }
        }
        let found = self.next.iter().flatten();
        found.min_by_key(|(_, literal)| literal.start).cloned()
    }
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
