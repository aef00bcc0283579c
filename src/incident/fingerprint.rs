//! The fingerprint: equal for equal failures, so that they can be counted together.
//!
//! In go the cause, the route and the summary without what differs from one occurrence to the next: numbers, addresses, IDs, times,
//! quoted values. Out comes a hash that stays the same in every version and on every machine.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Cause;

/// Equal for equal failures. Written as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u64);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Fingerprint {
    /// The fingerprint of a failure that is told in these words, with the innermost frames of its trace.
    pub(super) fn of<'f>(
        cause: Cause,
        route: &str,
        words: &str,
        frames: impl IntoIterator<Item = &'f str>,
    ) -> Self {
        let mut hash = Fnv::new();
        let frames = frames.into_iter().map(normalised);
        let parts = [
            cause.as_str().to_owned(),
            route.to_owned(),
            normalised(words),
        ];
        for part in parts.into_iter().chain(frames) {
            hash.add(part.as_bytes());
            hash.add(&[0xff]);
        }
        Self(hash.mixed())
    }
}

/// FNV-1a of 64 bits: short, and the same everywhere for ever, which the standard library's hashers do not promise.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn mixed(&self) -> u64 {
        let hash = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^ (hash >> 29)
    }
}

/// So many characters count. The cut comes last, so that a longer number does not move it.
const COUNTED: usize = 200;

/// A number without a digit has so many hexadecimal letters at least,
const SHORTEST_HEX: usize = 8;
/// and one that signs divide has so many characters.
const LONG_HEX: usize = 16;

/// Words behind which the code's own names stand in quotes: they tell one failure from another, other values do not.
const NAMING: [&str; 19] = [
    "argument",
    "attribute",
    "class",
    "column",
    "constant",
    "function",
    "invoke",
    "method",
    "module",
    "name",
    "named",
    "parameter",
    "property",
    "reading",
    "relation",
    "setting",
    "table",
    "template",
    "variable",
];

/// The words with `#` for each number, address, ID and time, and `?` for what stands in quotes.
fn normalised(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    push_words(&mut out, words);
    if out.len() > COUNTED {
        let end = out.char_indices().nth(COUNTED);
        out.truncate(end.map_or(out.len(), |(at, _)| at));
    }
    out
}

fn push_words(out: &mut String, words: &str) {
    let mut rest = words;
    while let Some(letter) = rest.chars().next() {
        if in_word(letter) {
            let mut bytes = rest.bytes();
            let end = bytes.position(|byte| !in_word(char::from(byte)));
            let end = end.unwrap_or(rest.len());
            let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            push_word(out, word);
            rest = after;
        } else if let Some((value, after)) = quoted(rest, letter, out.chars().next_back()) {
            push_quoted(out, value);
            rest = after;
        } else {
            out.push(letter);
            rest = rest.get(letter.len_utf8()..).unwrap_or_default();
        }
    }
}

fn push_quoted(out: &mut String, value: &str) {
    let before = out
        .trim_end()
        .rsplit(|letter: char| !letter.is_alphabetic());
    let before = before.into_iter().next().unwrap_or_default();
    let names = NAMING.iter().any(|word| word.eq_ignore_ascii_case(before));
    if names && !value.contains(['\'', '"', '`']) {
        push_words(out, value);
    } else {
        out.push('?');
    }
}

/// A value in quotes and what follows it; an apostrophe within a word (`can't`) opens none.
fn quoted(text: &str, letter: char, before: Option<char>) -> Option<(&str, &str)> {
    let closing = match letter {
        '"' => '"',
        '\'' if !before.is_some_and(char::is_alphanumeric) => '\'',
        '`' => {
            if text.get(1..)?.contains('`') {
                '`'
            } else {
                '\''
            }
        }
        '“' => '”',
        '«' => '»',
        _ => return None,
    };
    let value = text.get(letter.len_utf8()..)?;
    value.split_once(closing)
}

fn in_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '.' | ':' | '-' | '_' | '@')
}

/// Whether nothing in a word can be a value, as in most words: one look at each byte instead of one for each kind of value.
fn is_plain(word: &[u8]) -> bool {
    let (mut in_row, mut colons, mut others) = (0, 0, 0);
    for byte in word {
        match byte {
            b'0'..=b'9' | b'@' => return false,
            b'a'..=b'f' | b'A'..=b'F' if in_row == SHORTEST_HEX - 1 => return false,
            b'a'..=b'f' | b'A'..=b'F' => in_row += 1,
            b'.' | b'-' => in_row = 0,
            b':' => (in_row, colons) = (0, colons + 1),
            _ => (in_row, others) = (0, others + 1),
        }
    }
    others > 0 || (colons < 2 && word.len() < LONG_HEX)
}

/// A word that is all address, time, UUID or number becomes `#`; of others, the parts that are.
fn push_word(out: &mut String, word: &str) {
    if is_plain(word.as_bytes()) {
        out.push_str(word);
    } else {
        push_looked_at(out, word);
    }
}

fn push_looked_at(out: &mut String, word: &str) {
    let core = word.trim_end_matches(['.', ':', '-']);
    let tail = word.get(core.len()..).unwrap_or_default();
    if core.is_empty() {
        out.push_str(word);
        return;
    }
    if is_value(core) {
        out.push('#');
    } else {
        let mut parts = core.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric());
        for part in &mut parts {
            push_part(out, part);
        }
    }
    out.push_str(tail);
}

fn is_value(word: &str) -> bool {
    let (mut digits, mut colons, mut ats, mut others) = (0, 0, 0, 0);
    for byte in word.bytes() {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'a'..=b'f' | b'A'..=b'F' | b'.' | b'-' => {}
            b':' => colons += 1,
            b'@' => ats += 1,
            _ => others += 1,
        }
    }
    if ats > 0 {
        return !word.starts_with('@') && word.contains('.');
    }
    others == 0 && (digits > 0 || colons > 1 || word.len() >= LONG_HEX)
}

/// A run of letters and digits with at most one character behind it.
fn push_part(out: &mut String, part: &str) {
    let run = part.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric());
    let tail = part.get(run.len()..).unwrap_or_default();
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    let number = run.strip_prefix("0x").unwrap_or(run);
    let hex = number.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits == 0 && !(hex && run.len() >= SHORTEST_HEX) {
        out.push_str(run);
    } else if hex || is_random(run) {
        out.push('#');
    } else {
        push_without_digits(out, run);
    }
    out.push_str(tail);
}

/// Whether letters and digits alternate as they do in IDs, not in names (`utf8mb4`, `sha256`).
fn is_random(run: &str) -> bool {
    let bytes = run.as_bytes();
    let turns = bytes
        .iter()
        .zip(bytes.iter().skip(1))
        .filter(|(one, other)| one.is_ascii_digit() != other.is_ascii_digit())
        .count();
    run.len() >= 8 && turns >= 3
}

/// Each number in it becomes `#`.
fn push_without_digits(out: &mut String, run: &str) {
    let mut rest = run;
    while let Some(number) = rest.bytes().position(|byte| byte.is_ascii_digit()) {
        let (letters, digits) = rest.split_at_checked(number).unwrap_or((rest, ""));
        out.push_str(letters);
        out.push('#');
        rest = digits.trim_start_matches(|letter: char| letter.is_ascii_digit());
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(summary: &str) -> Fingerprint {
        Fingerprint::of(Cause::UpstreamStatus, "shop", summary, [])
    }

    #[test]
    fn what_differs_by_occurrence_does_not_count() {
        for (one, other) in [
            ("order 17 not found", "order 123456 not found"),
            ("KeyError: 'a17'", "KeyError: 'zoo'"),
            ("no user \"ann\"", "no user \"bob\""),
            ("can't open `x'", "can't open `yy'"),
            (
                "job 550e8400-e29b-41d4-a716-446655440000 died",
                "job abcdefab-cdef-abcd-efab-cdefabcdefab died",
            ),
            (
                "connect 10.0.0.1:5432 refused",
                "connect 10.20.30.4:1 refused",
            ),
            (
                "connect [2001:db8::1]:80 refused",
                "connect [::1]:8080 refused",
            ),
            (
                "at 2024-02-03T04:05:06.789Z boom",
                "at 2031-12-13T14:15:16.1Z boom",
            ),
            ("at 04:05:06 boom", "at 14:15:16 boom"),
            ("object at 0x7f3a2b1c", "object at 0xdeadbeef"),
            ("<Foo:0x00007f1b2c>", "<Foo:0x00aabbccdd>"),
            ("key a8Xk29Qz01 gone", "key 7bb2cQ9Lm3x gone"),
            (
                "mail to ann@example.com failed",
                "mail to bob.b@mail.test failed",
            ),
            ("x.php:17", "x.php:9"),
            ("took 1.5 s", "took 200 s"),
        ] {
            assert_eq!(normalised(one), normalised(other));
            assert_eq!(of(one), of(other));
        }
    }

    #[test]
    fn what_differs_by_failure_counts() {
        let summaries = [
            "OperationalError: could not connect to server",
            "OperationalError: no such table",
            "ValueError: could not connect to server",
            "RuntimeError in BlogController",
            "RuntimeError in CartController",
            "ORA-x",
            "SQLSTATE[HY000]: x",
            "",
        ];
        let mut seen: Vec<Fingerprint> = summaries.map(of).to_vec();
        seen.push(Fingerprint::of(Cause::BrokenOff, "shop", "", []));
        seen.push(Fingerprint::of(Cause::UpstreamStatus, "blog", "", []));
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), summaries.len() + 2);
    }

    #[test]
    fn what_the_code_names_counts() {
        for (one, other) in [
            (
                "undefined method `name' for nil",
                "undefined method `price' for nil",
            ),
            ("reading 'id'", "reading 'name'"),
            ("has no attribute 'foo'", "has no attribute 'bar'"),
            ("Unknown column \"a\" in", "Unknown column \"b\" in"),
        ] {
            assert_ne!(normalised(one), normalised(other));
        }
        assert_eq!(
            normalised("table 'orders_2024'"),
            normalised("table 'orders_2031'")
        );
    }

    #[test]
    fn what_is_plain_would_stay_as_it_is() {
        let parts = [
            "a", "fe", "dead", "beefcafe", "x", "Zoo", ".", "-", "_", ":", "@", "7", "0x",
        ];
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut word = String::new();
            for _ in 0..state % 9 {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                word.push_str(parts[usize::try_from(state >> 33).unwrap() % parts.len()]);
            }
            state = state.wrapping_add(1);
            let mut looked_at = String::new();
            push_looked_at(&mut looked_at, &word);
            assert!(!is_plain(word.as_bytes()) || looked_at == word, "{word}");
        }
    }

    #[test]
    fn it_is_the_same_for_ever() {
        assert_eq!(of("RuntimeError: boom 17").to_string(), "e5b7c312b8f75722");
    }
}
