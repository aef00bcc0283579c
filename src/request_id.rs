//! The request ID: sixteen characters that a visitor can read out over the phone.
//!
//! `7Q3K-0ZD8-MX4T-9A2C` in Crockford's base32: 43 bits of milliseconds since 2020, 32 bits that differ for every ID of this process,
//! and a check character. IDs sort by time as text. In goes the time of a request or what a person typed; out comes an ID that this
//! process never gives twice, or what the person may have meant. Accepted foreign IDs are bounded to 128 characters.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use serde::{Serialize, Serializer};

/// 2020-01-01T00:00:00Z, in milliseconds since 1970: where the time in an ID starts.
pub const EPOCH_MILLIS: u64 = 1_577_836_800_000;

/// Crockford's base32: no I, L, O, U, and in the order of ASCII, so that IDs sort as the numbers that they write.
const ALPHABET: [u8; 32] = *b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Symbols of an ID, the check character counted in.
const SYMBOLS: usize = 16;
/// Characters of an ID as written, in four groups.
const WRITTEN: usize = 19;
const TIME_BITS: u32 = 43;
const COUNTER_BITS: u32 = 24;
/// The longest ID that is accepted from elsewhere.
const FOREIGN_MAX: usize = 128;

/// One request's ID: on its page, in its headers, in the log and in its record.
#[derive(Clone)]
pub struct RequestId(Text);

#[derive(Clone)]
enum Text {
    Own([u8; WRITTEN]),
    Foreign(Arc<str>),
}

/// What a text that a person typed may stand for. Where IDs of trusted proxies are kept, look for the text as it stands first:
/// a foreign ID may happen to look like one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// An ID of ours; its check character agrees.
    Exact(RequestId),
    /// One of ours with a typing error, as the check character shows; what it may have been, the likeliest first.
    Mistyped {
        /// Every ID that is one wrong, missing, doubled or swapped character away.
        nearest: Vec<RequestId>,
    },
    /// None of ours, but one that a trusted proxy may have given.
    Foreign(RequestId),
    /// Nothing that an ID can be.
    Unreadable,
}

impl RequestId {
    /// Takes an ID over from elsewhere: 1 to 128 of `A-Z a-z 0-9 . _ -`, nothing else.
    #[must_use]
    pub fn accept(text: &str) -> Option<Self> {
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let fits = (1..=FOREIGN_MAX).contains(&text.len()) && text.bytes().all(safe);
        fits.then(|| Self(Text::Foreign(text.into())))
    }

    /// Reads what a person typed: case, hyphens and spaces do not matter, O is 0, I and L are 1.
    #[must_use]
    pub fn parse(text: &str) -> Lookup {
        let foreign = || Self::accept(text.trim()).map_or(Lookup::Unreadable, Lookup::Foreign);
        let Some(typed) = typed_symbols(text) else {
            return foreign();
        };
        let whole: Option<Vec<u8>> = typed.iter().copied().collect();
        match whole.map(<[u8; SYMBOLS]>::try_from) {
            Some(Ok(symbols)) if syndrome(&symbols) == 0 => {
                Lookup::Exact(Self::from_symbols(&symbols))
            }
            _ => match nearest(&typed) {
                found if found.is_empty() => foreign(),
                nearest => Lookup::Mistyped { nearest },
            },
        }
    }

    /// What IDs of ours begin with, if this is the beginning of one as a person types it; `7q3k0z` gives `7Q3K-0Z`.
    #[must_use]
    pub fn beginning(text: &str) -> Option<String> {
        let typed: Option<Vec<u8>> = typed_symbols(text)?.into_iter().collect();
        let typed = typed.filter(|typed| typed.len() < SYMBOLS)?;
        let groups = typed.chunks(4).map(|four| {
            four.iter()
                .map(|symbol| char::from(character(*symbol)))
                .collect::<String>()
        });
        Some(groups.collect::<Vec<_>>().join("-"))
    }

    /// The ID as it is written everywhere.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Own(written) => std::str::from_utf8(written).unwrap_or_default(),
            Text::Foreign(text) => text,
        }
    }

    /// The ID as a header's value.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        let bytes = match &self.0 {
            Text::Own(written) => &written[..],
            Text::Foreign(text) => text.as_bytes(),
        };
        HeaderValue::from_bytes(bytes).unwrap_or(HeaderValue::from_static(""))
    }

    fn from_symbols(symbols: &[u8; SYMBOLS]) -> Self {
        let mut written = [b'-'; WRITTEN];
        for (group, four) in written.chunks_mut(5).zip(symbols.chunks(4)) {
            for (place, symbol) in group.iter_mut().zip(four) {
                *place = character(*symbol);
            }
        }
        Self(Text::Own(written))
    }

    /// The ID of a moment (milliseconds since 2020) and the 32 bits that tell it from the others of that moment.
    fn assemble(millis: u64, tail: u32) -> Self {
        let time = millis & ((1 << TIME_BITS) - 1);
        let tail = u64::from(tail);
        // Nine symbols of the time and two bits, six of the remaining thirty.
        let (high, low) = ((time << 2) | (tail >> 30), tail & ((1 << 30) - 1));
        let mut symbols = [0; SYMBOLS];
        for (index, symbol) in symbols.iter_mut().take(SYMBOLS - 1).enumerate() {
            let bits = if index < 9 {
                high >> (40 - 5 * index)
            } else {
                low >> (70 - 5 * index)
            };
            *symbol = u8::try_from(bits & 31).unwrap_or(0);
        }
        let check = syndrome(&symbols);
        if let Some(last) = symbols.last_mut() {
            *last = check;
        }
        Self::from_symbols(&symbols)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({})", self.as_str())
    }
}

impl PartialEq for RequestId {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for RequestId {}

impl Hash for RequestId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What all workers' IDs have in common: the key of the permutation, and the time below which no ID is given. One a process.
#[derive(Debug)]
pub struct IdKey {
    rounds: [u32; 4],
    /// The latest millisecond given, since 2020.
    floor: AtomicU64,
}

impl Default for IdKey {
    fn default() -> Self {
        Self::new()
    }
}

impl IdKey {
    /// A random key.
    #[must_use]
    pub fn new() -> Self {
        Self::keyed(RandomState::new().build_hasher().finish(), 0)
    }

    /// A random key for a process that goes on where another stopped: every ID is later than `newest`, the latest time that the
    /// other gave, in milliseconds since 2020.
    #[must_use]
    pub fn with_floor(newest: u64) -> Self {
        Self::keyed(RandomState::new().build_hasher().finish(), newest + 1)
    }

    fn keyed(key: u64, floor: u64) -> Self {
        Self {
            rounds: [1, 2, 3, 4].map(|round| scatter(key, round)),
            floor: AtomicU64::new(floor),
        }
    }

    /// The later of this moment and the latest one given so far. Workers share the floor's cache line for reading and write it
    /// once in a millisecond.
    fn rise_to(&self, millis: u64) -> u64 {
        let floor = self.floor.load(Ordering::Relaxed);
        if millis <= floor {
            return floor;
        }
        self.floor.fetch_max(millis, Ordering::Relaxed).max(millis)
    }

    /// A permutation of the 32-bit numbers (four Feistel rounds): neither the worker nor the count shows, and no two inputs meet.
    fn permute(&self, plain: u32) -> u32 {
        let (mut left, mut right) = (plain >> 16, plain & 0xffff);
        for key in self.rounds {
            let mixed = (right ^ key).wrapping_mul(0x9e37_79b1);
            let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85eb_ca77) >> 16;
            (left, right) = (right, left ^ mixed);
        }
        (left << 16) | right
    }
}

/// Where one worker's IDs come from: at most 2^24 with the same time, then the time itself moves on.
#[derive(Debug)]
pub struct IdSource {
    key: Arc<IdKey>,
    worker: u32,
    counter: Cell<u32>,
    millis: Cell<u64>,
    /// How many more IDs this worker may give with this time.
    left: Cell<u32>,
}

impl IdSource {
    /// The source of one worker; workers are told apart by their number, 0 to 255.
    #[must_use]
    pub fn new(key: &Arc<IdKey>, worker: usize) -> Self {
        debug_assert!(worker < 256, "an ID has room for 256 workers");
        Self {
            key: Arc::clone(key),
            worker: u32::try_from(worker & 0xff).unwrap_or(0) << COUNTER_BITS,
            counter: Cell::new(0),
            millis: Cell::new(0),
            left: Cell::new(0),
        }
    }

    /// A new ID. Its time is never below that of any ID given before in this process, even when the clock was set back.
    pub fn next(&self, now: SystemTime) -> RequestId {
        let mut millis = self.key.rise_to(millis_since_2020(now));
        if millis == self.millis.get() && self.left.get() == 0 {
            millis = self.key.rise_to(millis + 1);
        }
        if millis != self.millis.get() {
            self.millis.set(millis);
            self.left.set(1 << COUNTER_BITS);
        }
        self.left.set(self.left.get() - 1);
        let counter = self.counter.get();
        self.counter.set((counter + 1) & ((1 << COUNTER_BITS) - 1));
        RequestId::assemble(millis, self.key.permute(self.worker | counter))
    }
}

/// Milliseconds since 2020; a clock before that counts as 2020.
fn millis_since_2020(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH + Duration::from_millis(EPOCH_MILLIS))
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

/// One of several independent 32-bit keys from one of 64 bits (the finalizer of splitmix64).
fn scatter(key: u64, round: u64) -> u32 {
    let mut z = key.wrapping_add(round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    u32::try_from(z >> 32).unwrap_or(0)
}

#[expect(
    clippy::indexing_slicing,
    reason = "five bits are below the alphabet's 32"
)]
fn character(symbol: u8) -> u8 {
    ALPHABET[usize::from(symbol & 31)]
}

/// Times the primitive element x in GF(32), as polynomials modulo x^5 + x^2 + 1.
fn times_x(symbol: u8) -> u8 {
    let shifted = symbol << 1;
    (shifted & 31) ^ ((shifted >> 5) * 0b0_0101)
}

/// The weighted sum over GF(32), zero for a right ID. The weights are x^15 down to x^0, all different: a wrong symbol adds a nonzero
/// multiple of its weight, a swap of neighbours that differ adds their difference times that of their weights, also nonzero.
fn syndrome(symbols: &[u8; SYMBOLS]) -> u8 {
    symbols
        .iter()
        .fold(0, |sum, symbol| times_x(sum) ^ (symbol & 31))
}

/// What a person typed, as symbols; `None` inside for a letter that no ID has (U). `None` for what has other characters.
fn typed_symbols(text: &str) -> Option<Vec<Option<u8>>> {
    text.chars()
        .filter(|letter| !letter.is_whitespace() && !matches!(letter, '-' | '_' | '.' | '–' | '—'))
        .map(|letter| letter.is_ascii_alphanumeric().then(|| symbol_of(letter)))
        .take(FOREIGN_MAX)
        .collect()
}

fn symbol_of(letter: char) -> Option<u8> {
    let letter = match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    (0..32).find(|symbol| char::from(character(*symbol)) == letter)
}

/// The IDs that are one slip away from what was typed, the likeliest first; none when it is too far from an ID for that.
fn nearest(typed: &[Option<u8>]) -> Vec<RequestId> {
    let unknown = typed.iter().filter(|symbol| symbol.is_none()).count();
    let found = match (typed.len(), unknown) {
        (SYMBOLS, 0) => swapped(typed).chain(replaced(typed)).collect(),
        (SYMBOLS, 1) => Vec::from_iter(solve(typed.to_vec())),
        (15, 0) => (0..SYMBOLS)
            .rev()
            .filter_map(|place| solve(inserted(typed, place)))
            .collect(),
        (17, 0) => (0..=SYMBOLS)
            .filter_map(|place| solve(removed(typed, place)))
            .collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    let mut ids: Vec<RequestId> = Vec::new();
    for id in found.iter().map(RequestId::from_symbols) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

fn swapped(typed: &[Option<u8>]) -> impl Iterator<Item = [u8; SYMBOLS]> {
    (1..SYMBOLS).filter_map(|place| {
        let mut other = typed.to_vec();
        other.swap(place - 1, place);
        solve(other)
    })
}

/// Each place in turn taken for the wrong one; those first where the two characters look or sound alike.
fn replaced(typed: &[Option<u8>]) -> impl Iterator<Item = [u8; SYMBOLS]> {
    let mut found: Vec<(bool, [u8; SYMBOLS])> = (0..SYMBOLS)
        .filter_map(|place| {
            let mut other = typed.to_vec();
            let wrong = other.get_mut(place)?.take()?;
            let right = solve(other)?;
            Some((!alike(wrong, *right.get(place)?), right))
        })
        .collect();
    found.sort_by_key(|(unlike, _)| *unlike);
    found.into_iter().map(|(_, symbols)| symbols)
}

fn inserted(typed: &[Option<u8>], place: usize) -> Vec<Option<u8>> {
    let mut other = typed.to_vec();
    other.insert(place, None);
    other
}

fn removed(typed: &[Option<u8>], place: usize) -> Vec<Option<u8>> {
    let mut other = typed.to_vec();
    other.remove(place);
    other
}

/// Sixteen symbols with at most one unknown, which the check determines; `None` when nothing is unknown and the check fails.
fn solve(typed: Vec<Option<u8>>) -> Option<[u8; SYMBOLS]> {
    let hole = typed.iter().position(Option::is_none);
    let known: Vec<u8> = typed.into_iter().map(Option::unwrap_or_default).collect();
    let mut symbols = <[u8; SYMBOLS]>::try_from(known).ok()?;
    let rest = syndrome(&symbols);
    match hole {
        // The place's weight is x^(15 - place); times x^(31 - (15 - place)) undoes it, since x^31 = 1.
        Some(place) => {
            *symbols.get_mut(place)? = (0..SYMBOLS + place).fold(rest, |value, _| times_x(value));
            Some(symbols)
        }
        None => (rest == 0).then_some(symbols),
    }
}

/// Whether two symbols are easily taken for each other, on paper or over the phone.
fn alike(one: u8, other: u8) -> bool {
    const GROUPS: [&[u8]; 12] = [
        b"0DQ",
        b"17J",
        b"2Z",
        b"5S",
        b"6G",
        b"8B3",
        b"VYWX",
        b"MN",
        b"FS",
        b"3BCDEGPTVZ",
        b"8AHJK",
        b"1479",
    ];
    GROUPS.iter().any(|group| {
        let has = |symbol| group.contains(&character(symbol));
        has(one) && has(other)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn at(millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(EPOCH_MILLIS + millis)
    }

    fn symbols(id: &RequestId) -> [u8; SYMBOLS] {
        let read: Vec<u8> = typed_symbols(id.as_str())
            .unwrap()
            .into_iter()
            .flatten()
            .collect();
        read.try_into().unwrap()
    }

    fn samples() -> Vec<[u8; SYMBOLS]> {
        let source = IdSource::new(&Arc::new(IdKey::keyed(7, 0)), 3);
        (0..64)
            .map(|n| symbols(&source.next(at(200_000_000_000 + n * 7919))))
            .collect()
    }

    #[test]
    fn is_written_in_four_groups_of_the_alphabet() {
        let id = IdSource::new(&Arc::new(IdKey::new()), 255).next(SystemTime::now());
        let groups: Vec<&str> = id.as_str().split('-').collect();
        assert_eq!(groups.len(), 4);
        for group in groups {
            assert_eq!(group.len(), 4);
            assert!(group.bytes().all(|byte| ALPHABET.contains(&byte)));
        }
        assert_eq!(id.header_value(), id.as_str());
    }

    #[test]
    fn check_character_finds_every_single_wrong_character() {
        for right in samples() {
            assert_eq!(syndrome(&right), 0);
            for place in 0..SYMBOLS {
                for other in (0..32).filter(|other| *other != right[place]) {
                    let mut wrong = right;
                    wrong[place] = other;
                    assert_ne!(syndrome(&wrong), 0, "{right:?} {place} {other}");
                }
            }
        }
    }

    #[test]
    fn check_character_finds_every_swap_of_neighbours() {
        // Over a field the check of a swap depends on the two symbols and their places alone, so all of them can be tried.
        for place in 1..SYMBOLS {
            for one in 0..32 {
                for other in (0..32).filter(|other| *other != one) {
                    let mut right = [0; SYMBOLS];
                    (right[place - 1], right[place]) = (one, other);
                    let mut wrong = right;
                    wrong.swap(place - 1, place);
                    assert_ne!(syndrome(&right), syndrome(&wrong), "{place} {one} {other}");
                }
            }
        }
    }

    #[test]
    fn what_was_meant_is_among_the_nearest() {
        for right in samples().into_iter().take(8) {
            let meant = RequestId::from_symbols(&right);
            for place in 0..SYMBOLS {
                let mut wrong = right.map(|symbol| char::from(character(symbol))).to_vec();
                wrong[place] = if wrong[place] == 'K' { 'W' } else { 'K' };
                assert_near(&wrong, &meant);
                wrong[place] = 'U';
                assert_near(&wrong, &meant);
                wrong.remove(place);
                assert_near(&wrong, &meant);
                wrong.insert(place, char::from(character(right[place])));
                wrong.insert(place, wrong[place]);
                assert_near(&wrong, &meant);
            }
        }
    }

    fn assert_near(typed: &[char], meant: &RequestId) {
        let typed: String = typed.iter().collect();
        let Lookup::Mistyped { nearest } = RequestId::parse(&typed) else {
            panic!("{typed} is not seen as a mistyped {meant}");
        };
        assert!(nearest.contains(meant), "{typed} for {meant}: {nearest:?}");
    }

    #[test]
    fn a_swap_and_a_lookalike_come_first() {
        let id = RequestId::from_symbols(&samples()[0]);
        let mut swap: Vec<u8> = id.as_str().bytes().collect();
        swap.swap(16, 17);
        let Lookup::Mistyped { nearest } = RequestId::parse(std::str::from_utf8(&swap).unwrap())
        else {
            panic!("a swap is a typing error");
        };
        assert!(
            nearest.iter().take(3).any(|near| *near == id),
            "{nearest:?}"
        );
    }

    #[test]
    fn lookup_forgives_what_people_type() {
        let symbols = [0, 1, 0, 1, 10, 11, 12, 13, 31, 30, 29, 28, 2, 3, 4];
        let mut whole = [0; SYMBOLS];
        whole[..15].copy_from_slice(&symbols);
        whole[15] = syndrome(&whole);
        let id = RequestId::from_symbols(&whole);
        let check = char::from(character(whole[15]));
        for typed in [
            id.to_string(),
            id.as_str().to_lowercase(),
            id.as_str().replace('-', ""),
            id.as_str().replace('-', " "),
            format!("  oioL abcd–zyxw-234{check}\n"),
        ] {
            assert_eq!(
                RequestId::parse(&typed),
                Lookup::Exact(id.clone()),
                "{typed:?}"
            );
        }
    }

    #[test]
    fn other_texts_are_foreign_or_unreadable() {
        let long = "x".repeat(FOREIGN_MAX + 1);
        for (typed, foreign) in [
            ("req_01.abc-9", true),
            ("4bf92f3577b34da6a3ce929d0e0e4736", true),
            ("", false),
            ("a'; drop table incidents; --", false),
            ("a%", false),
            ("ünïcode", false),
            (long.as_str(), false),
        ] {
            let expected = match RequestId::accept(typed) {
                Some(id) => Lookup::Foreign(id),
                None => Lookup::Unreadable,
            };
            assert_eq!(RequestId::accept(typed).is_some(), foreign, "{typed:?}");
            assert_eq!(RequestId::parse(typed), expected, "{typed:?}");
        }
    }

    #[test]
    fn a_million_ids_of_four_workers_are_all_different_and_in_order_of_time() {
        let key = Arc::new(IdKey::new());
        let workers: Vec<IdSource> = (0..4).map(|n| IdSource::new(&key, n)).collect();
        let mut seen = HashSet::with_capacity(1_000_000);
        let mut last = String::new();
        for n in 0..250_000 {
            for worker in &workers {
                let id = worker.next(at(1_000_000 + n / 1000)).to_string();
                let time = id[..10].to_owned();
                assert!(time[..9] >= last[..last.len().min(9)], "{id} after {last}");
                assert!(seen.insert(id));
                last = time;
            }
        }
    }

    #[test]
    fn text_sorts_by_time() {
        let source = IdSource::new(&Arc::new(IdKey::new()), 0);
        let ids: Vec<String> = (0..2000)
            .map(|n| source.next(at(n * n * 1_000)).to_string())
            .collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn a_clock_set_back_gives_no_earlier_and_no_equal_id() {
        let key = Arc::new(IdKey::new());
        let (one, other) = (IdSource::new(&key, 0), IdSource::new(&key, 1));
        let before = one.next(at(5_000_000));
        let after = [
            other.next(at(4_000_000)),
            one.next(at(0)),
            one.next(UNIX_EPOCH),
        ];
        for id in &after {
            assert_eq!(id.as_str()[..9], before.as_str()[..9]);
            assert_ne!(*id, before);
        }
        let resumed = IdSource::new(&Arc::new(IdKey::with_floor(5_000_000)), 0).next(at(9));
        assert!(resumed.as_str() > before.as_str());
    }

    #[test]
    fn a_worker_out_of_counts_moves_to_the_next_millisecond() {
        let source = IdSource::new(&Arc::new(IdKey::new()), 0);
        let first = source.next(at(70));
        source.left.set(0);
        source.counter.set(0);
        let second = source.next(at(70));
        assert_ne!(first, second);
        assert_eq!(source.millis.get(), 71);
        assert_eq!(source.left.get(), (1 << COUNTER_BITS) - 1);
        source.counter.set((1 << COUNTER_BITS) - 1);
        assert_ne!(source.next(at(72)), source.next(at(72)));
        assert_eq!(source.counter.get(), 1);
    }

    #[test]
    fn the_permutation_never_meets_itself() {
        let key = IdKey::keyed(0x0123_4567_89ab_cdef, 0);
        let inputs = (0..200_000).chain(0xff00_0000..0xff00_0000 + 200_000);
        let outputs: HashSet<u32> = inputs.map(|plain| key.permute(plain)).collect();
        assert_eq!(outputs.len(), 400_000);
    }
}
