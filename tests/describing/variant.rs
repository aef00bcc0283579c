//! Another occurrence of a fault: the same page with other times, addresses, ports, IDs, customers and lines.

use std::fmt::Write;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands in place of what an occurrence brought.
type Other = fn(&mut Random, &Captures) -> String;

const BROUGHT: [(&str, Other); 12] = [
    // A UUID, an address in memory, an object's ID.
    (
        r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
        |random, _| [8, 4, 4, 4, 12].map(|length| random.hex(length)).join("-"),
    ),
    (r"\b0x[0-9a-f]{6,16}\b", |random, _| {
        format!("0x{}", random.hex(12))
    }),
    (r"\b(c|pre|post)?[0-9]{6,}\b", |random, found| {
        format!("{}{}", part(found, 1), random.number())
    }),
    // An address, a port.
    (r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b", |random, _| {
        [(); 4].map(|()| random.below(256).to_string()).join(".")
    }),
    (
        r"(internal|localhost|example|\.[0-9]{1,3}):[0-9]{2,5}\b",
        |random, found| format!("{}:{}", part(found, 1), random.below(65536)),
    ),
    // A date, a time, a duration.
    (r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}\b", |random, _| {
        format!(
            "20{}-1{}-2{}",
            random.digits(2),
            random.below(3),
            random.below(10)
        )
    }),
    (
        r"\b[0-9]{1,2} (Nov|Dec) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}\b",
        |random, found| {
            let day = random.below(31);
            format!(
                "{day} {} 20{} 12:{}:59",
                part(found, 1),
                random.digits(2),
                random.digits(2)
            )
        },
    ),
    (r"\b[0-9]{2}:[0-9]{2}:[0-9]{2}\b", |random, _| {
        format!(
            "1{}:2{}:3{}",
            random.below(10),
            random.below(10),
            random.below(10)
        )
    }),
    (r"\b[0-9]+\.[0-9]+ ?(ms|s|seconds)\b", |random, found| {
        format!(
            "{}.{} {}",
            random.below(100),
            random.digits(3),
            part(found, 1)
        )
    }),
    // A customer.
    (r"\b(cart-|@)?(alice|bob)\b", |random, found| {
        format!("{}customer{}", part(found, 1), random.number())
    }),
    // A line: the fault is the same after an edit above it.
    (
        r"\b(lines? (?:<[a-z]+(?: [^>]*)?>)?#?)[0-9]+",
        |random, found| format!("{}{}", part(found, 1), random.below(2000)),
    ),
    (
        r"\.(py|rb|js|php|java)([:(])[0-9]+(:[0-9]+)?",
        |random, found| {
            let column = found.get(3).map(|_| format!(":{}", random.below(90)));
            let (ending, mark) = (part(found, 1), part(found, 2));
            let column = column.unwrap_or_default();
            format!(".{ending}{mark}{}{column}", random.below(2000))
        },
    ),
];

static PATTERNS: LazyLock<Vec<(Regex, Other)>> = LazyLock::new(|| {
    let each = BROUGHT.iter();
    each.map(|(pattern, other)| (Regex::new(pattern).unwrap(), *other))
        .collect()
});

/// Another occurrence of what a body tells of. The same for the same seed.
pub fn of(body: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut text = String::from_utf8_lossy(body).into_owned();
    for (pattern, other) in PATTERNS.iter() {
        let replaced = pattern.replace_all(&text, |found: &Captures| other(&mut random, found));
        text = replaced.into_owned();
    }
    text.into_bytes()
}

fn part<'t>(found: &Captures<'t>, group: usize) -> &'t str {
    found.get(group).map_or("", |part| part.as_str())
}

/// Numbers that look random: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// A number of six to twelve digits.
    fn number(&mut self) -> u64 {
        let length = self.below(7);
        100_000 + self.below(900_000 * 10_u64.pow(u32::try_from(length).unwrap()))
    }

    fn digits(&mut self, length: usize) -> String {
        (0..length).map(|_| self.below(10).to_string()).collect()
    }

    fn hex(&mut self, length: usize) -> String {
        let mut text = String::new();
        for _ in 0..length {
            write!(text, "{:x}", self.below(16)).unwrap();
        }
        text
    }
}
