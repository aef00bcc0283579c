//! Card numbers: 13 to 19 digits in the ways that cards are written, of a known issuer, with a right check digit.
//!
//! There is no word to search for. But a number of 13 bytes and more covers six bytes from some eighth place on, and of two neighbours in it
//! one is a digit, since its signs stand alone: so a look at those places is enough to find all runs of digits.

use std::ops::Range;

use super::symbol::count_step;

/// A look at six bytes every so many finds any number of 13 bytes.
const STRIDE: usize = 8;
/// So many words are looked at in one go.
const BLOCK: usize = 8;
/// The first six bytes of a word, and the lowest bit of each.
const SIX: u64 = (1 << 48) - 1;
const LOWEST: u64 = u64::from_le_bytes([1; 8]);
/// Further than this before a place no card begins that holds it.
const LONGEST: usize = 24;
/// The shortest and the longest card number.
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Calls back with each card number.
pub(super) fn find(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    let (words, rest) = text.as_chunks();
    let mut last = [0; STRIDE];
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }
    let mut done = 0;
    let mut look = |at: usize| {
        let first = text.get(at..).unwrap_or_default();
        let digit = match first {
            [b'0'..=b'9', ..] => at,
            [_, b'0'..=b'9', ..] => at + 1,
            _ => return,
        };
        if digit >= done {
            done = in_run(text, digit, &mut found);
        }
    };
    for (block, words) in words.chunks(BLOCK).enumerate() {
        if !may_hold(words) {
            continue;
        }
        for (place, word) in words.iter().enumerate() {
            if is_in_number(*word) {
                look((block * BLOCK + place) * STRIDE);
            }
        }
    }
    if is_in_number(last) {
        look(words.len() * STRIDE);
    }
}

/// Whether one of some words may be a part of a number, at the first glance. All are looked at without a branch.
fn may_hold(words: &[[u8; STRIDE]]) -> bool {
    let Ok(words) = <&[[u8; STRIDE]; BLOCK]>::try_from(words) else {
        return true;
    };
    let each = words.iter().map(|word| is_near(u64::from_le_bytes(*word)));
    each.fold(false, |any, near| any | near)
}

/// Whether the first six bytes may be a part of a number: of two neighbours one is from the zero on.
fn is_in_number(word: [u8; STRIDE]) -> bool {
    let word = u64::from_le_bytes(word);
    let digits = word >> 4 & LOWEST;
    let lone = !(digits | digits >> 8) & LOWEST & (SIX >> 8);
    is_near(word) && lone == 0
}

/// Whether the first six bytes of a word are all from the space to the question mark, where the digits and their signs are.
fn is_near(word: u64) -> bool {
    (word ^ (LOWEST * 0x20)) & (LOWEST * 0xe0) & SIX == 0
}

/// Looks at the run of digits and lone signs around a place; gives its end.
fn in_run(text: &[u8], at: usize, found: &mut impl FnMut(Range<usize>)) -> usize {
    let start = at
        - run(text
            .get(..at)
            .unwrap_or_default()
            .iter()
            .rev()
            .take(LONGEST));
    let end = at + run(text.get(at..).unwrap_or_default().iter());
    let mut place = start;
    while let Some(group) = group(text, place, end) {
        place = match card(text, &group, end) {
            Some(card) => {
                let after = card.end;
                found(card);
                after
            }
            None => group.end,
        };
    }
    end
}

/// How many bytes are digits, or signs between digits.
fn run<'a>(bytes: impl Iterator<Item = &'a u8>) -> usize {
    let mut sign = false;
    let part = |byte: &&u8| {
        count_step();
        let was = sign;
        sign = is_sign(**byte);
        byte.is_ascii_digit() || sign && !was
    };
    bytes.take_while(part).count()
}

fn is_sign(byte: u8) -> bool {
    byte == b' ' || byte == b'-'
}

/// The next digits from a place on.
fn group(text: &[u8], from: usize, end: usize) -> Option<Range<usize>> {
    let rest = text.get(from..end)?;
    let start = from + rest.iter().position(u8::is_ascii_digit)?;
    let length = text
        .get(start..end)?
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    for _ in 0..=length {
        count_step();
    }
    Some(start..start + length)
}

/// The card number that begins with a group of digits.
fn card(text: &[u8], first: &Range<usize>, end: usize) -> Option<Range<usize>> {
    let card = if DIGITS.contains(&first.len()) {
        first.clone()
    } else {
        in_groups(text, first, end)?
    };
    let mut digits = [0; 19];
    let written = text
        .get(card.clone())?
        .iter()
        .filter(|byte| byte.is_ascii_digit());
    let count = digits
        .iter_mut()
        .zip(written)
        .map(|(place, digit)| *place = digit - b'0')
        .count();
    let digits = digits.get(..count)?;
    (stands_alone(text, &card) && is_issued(digits) && passes_luhn(digits)).then_some(card)
}

/// A number written 4-4-4-4 or 4-6-5.
fn in_groups(text: &[u8], first: &Range<usize>, end: usize) -> Option<Range<usize>> {
    let sign = *text.get(first.end).filter(|_| first.len() == 4)?;
    let next = |group: &Range<usize>| {
        let same = text.get(group.end) == Some(&sign) && is_sign(sign);
        let next = self::group(text, group.end, end).filter(|_| same)?;
        (next.start == group.end + 1).then_some(next)
    };
    let second = next(first)?;
    let third = next(&second)?;
    let last = match (second.len(), third.len()) {
        (6, 4 | 5) => third,
        (4, 4) => next(&third).filter(|fourth| fourth.len() == 4)?,
        _ => return None,
    };
    Some(first.start..last.end)
}

/// Whether a number is not a part of something longer: a name, a path, a decimal, a UUID.
fn stands_alone(text: &[u8], card: &Range<usize>) -> bool {
    let joins = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let before = text.get(..card.start).unwrap_or_default().last();
    let mut after = text.get(card.end..).unwrap_or_default().iter();
    let (next, then) = (after.next(), after.next());
    let sentence =
        matches!(next, Some(b'.' | b'-')) && !then.is_some_and(u8::is_ascii_alphanumeric);
    !before.is_some_and(joins) && (sentence || !next.is_some_and(joins))
}

/// Whether an issuer gives out numbers of this beginning and length.
fn is_issued(digits: &[u8]) -> bool {
    let four = digits
        .iter()
        .take(4)
        .fold(0_u16, |value, digit| value * 10 + u16::from(*digit));
    let lengths: &[usize] = match four {
        4000..=4999 => &[13, 16, 19],
        5100..=5599 | 2221..=2720 => &[16],
        3400..=3499 | 3700..=3799 => &[15],
        3000..=3059 | 3600..=3699 | 3800..=3999 => &[14],
        3528..=3589 | 6011 | 6440..=6599 => &[16, 19],
        6200..=6299 => &[16, 17, 18, 19],
        _ => &[],
    };
    lengths.contains(&digits.len())
}

fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| u32::from(weighted(place, *digit)))
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit > 0)
}

fn weighted(place: usize, digit: u8) -> u8 {
    match place % 2 {
        0 => digit,
        _ if digit > 4 => digit * 2 - 9,
        _ => digit * 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cards(text: &str) -> Vec<&str> {
        let mut cards = Vec::new();
        find(text.as_bytes(), |range| cards.push(&text[range]));
        cards
    }

    #[test]
    fn numbers_that_pay() {
        for card in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "3782 822463 10005",
            "6011111111111117",
            "3530111333300000",
            "30569309025904",
            "4222222222222",
            "6240008631401148",
        ] {
            for shift in 0..14 {
                let text = format!("{}<td>{card}</td>, paid", "x".repeat(shift));
                assert_eq!(cards(&text), [card], "{text}");
            }
            assert_eq!(cards(card), [card]);
        }
        assert_eq!(
            cards("12 7 4111 1111 1111 1111 9999999"),
            ["4111 1111 1111 1111"]
        );
        assert_eq!(cards("card 4111111111111111."), ["4111111111111111"]);
    }

    #[test]
    fn the_same_are_found_as_with_a_look_at_each_byte() {
        let parts = [
            "4111111111111111",
            "4111 1111 1111 1111",
            "3782-822463-10005",
            "17",
            " ",
            "-",
            "; ",
            "x",
            "?9",
            "é",
        ];
        let mut state = 1_u64;
        for _ in 0..2000 {
            let mut text = String::new();
            while text.len() < 60 {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                text.push_str(parts[usize::try_from(state >> 33).unwrap() % parts.len()]);
            }
            let bytes = text.as_bytes();
            let (mut expected, mut done) = (Vec::new(), 0);
            for at in 0..bytes.len() {
                if at >= done && bytes[at].is_ascii_digit() {
                    done = in_run(bytes, at, &mut |range| expected.push(&text[range]));
                }
            }
            assert_eq!(cards(&text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_that_do_not() {
        for text in [
            "4111111111111112",
            "1732096412345",
            "1732096412345678901",
            "pre140655702525824",
            "0x4111111111111111",
            "4111111111111111a",
            "0.4111111111111111",
            "4111111111111111.5",
            "14111111111111111",
            "41111111111111111",
            "550e8400-4111111111111111",
            "4111 1111-1111 1111",
            "4111  1111 1111 1111",
            "0000000000000000",
            "2026-11-20 09:57:25",
            "10.1.2.3:5432",
        ] {
            assert_eq!(cards(text), [""; 0], "{text}");
        }
    }
}
