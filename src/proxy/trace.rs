//! The trace that a request belongs to (W3C Trace Context): the client's, or one begun here. Its ID stands in the record and the log, so
//! that who has one finds the other; spans of its own Pardon has none, so a client's field goes on as it came.

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};

use http::{HeaderMap, HeaderName};

use super::glance::Glance;
use crate::config::Traceparent;

pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The length of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// A field of ours, with room for the trace's ID and the parent's. Its flags say that the app may record the trace: one that is new and
/// says no would keep an app from recording any.
const FIELD: &[u8; LENGTH] = b"00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";

/// The trace of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trace {
    /// What the client has sent goes on as it is.
    Clients,
    /// Begun here, with this ID.
    Begun(u64, u64),
}

/// Where one worker's traces come from.
#[derive(Debug)]
pub(super) struct TraceSource {
    begins: bool,
    state: Cell<u64>,
}

impl TraceSource {
    pub(super) fn new(setting: Traceparent) -> Self {
        Self {
            begins: setting == Traceparent::Begin,
            // Random, and another each time.
            state: Cell::new(RandomState::new().build_hasher().finish()),
        }
    }

    /// The trace of a request with these fields.
    pub(super) fn of(&self, headers: &HeaderMap, glance: Glance) -> Trace {
        let clients = glance.traceparent && clients_id(headers).is_some();
        if clients || !self.begins {
            return Trace::Clients;
        }
        // An ID of zeros is none; the second half is the parent's ID too.
        Trace::Begun(self.next(), self.next().max(1))
    }

    /// The next of a sequence that nobody foresees who has not seen it (splitmix64).
    fn next(&self) -> u64 {
        let state = self.state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.state.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Trace {
    /// The field that goes to the app, where it is ours.
    pub(super) fn begun(self) -> Option<[u8; LENGTH]> {
        let Self::Begun(high, low) = self else {
            return None;
        };
        let mut field = *FIELD;
        let (high, low) = (hex(high), hex(low));
        field[3..19].copy_from_slice(&high);
        field[19..35].copy_from_slice(&low);
        field[36..52].copy_from_slice(&low);
        Some(field)
    }

    /// The trace's ID.
    pub(super) fn id(self, headers: &HeaderMap) -> Option<String> {
        match self {
            Self::Begun(high, low) => Some(format!("{high:016x}{low:016x}")),
            Self::Clients => clients_id(headers).map(str::to_owned),
        }
    }
}

/// The ID in a client's `traceparent`, if that stands once and is one (section 3.2): of a version to come its beginning counts.
fn clients_id(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let value = values.next()?.to_str().ok()?;
    let (known, rest) = value.split_at_checked(LENGTH)?;
    let mut parts = known.split('-');
    let mut part = |length| parts.next().filter(|text| is_hex(text, length));
    let (version, id, parent) = (part(2)?, part(32)?, part(16)?);
    part(2)?;
    let whole = match version {
        "00" => rest.is_empty(),
        "ff" => false,
        _ => rest.is_empty() || rest.starts_with('-'),
    };
    let zeros = |text: &str| text.bytes().all(|byte| byte == b'0');
    let one = values.next().is_none();
    (one && whole && !zeros(id) && !zeros(parent)).then_some(id)
}

fn is_hex(text: &str, length: usize) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == length && text.bytes().all(digit)
}

/// Sixteen digits, eight at a time.
fn hex(number: u64) -> [u8; 16] {
    let [high, low] = [number >> 32, number & 0xffff_ffff].map(eight_digits);
    ((u128::from(high) << 64) | u128::from(low)).to_be_bytes()
}

/// The digits of a number below 2^32, each in a byte of its own: its bits are spread, then each nibble becomes its digit.
fn eight_digits(number: u64) -> u64 {
    let spread = ((number << 16) | number) & 0x0000_ffff_0000_ffff;
    let spread = ((spread << 8) | spread) & 0x00ff_00ff_00ff_00ff;
    let nibbles = ((spread << 4) | spread) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = ((nibbles + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    nibbles + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'0' - 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn id_in(value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::from_str(value).unwrap());
        clients_id(&headers).map(str::to_owned)
    }

    #[test]
    fn digits_are_those_of_the_number() {
        let source = TraceSource::new(Traceparent::Begin);
        for number in [
            0,
            1,
            u64::MAX,
            0x0123_4567_89ab_cdef,
            source.next(),
            source.next(),
        ] {
            let expected = format!("{number:016x}");
            assert_eq!(hex(number), expected.as_bytes(), "{expected}");
        }
    }

    #[test]
    fn a_clients_trace_is_one_or_none() {
        for value in [
            format!("00-{ID}-00f067aa0ba902b7-01"),
            format!("00-{ID}-00f067aa0ba902b7-00"),
            format!("cc-{ID}-00f067aa0ba902b7-01"),
            format!("cc-{ID}-00f067aa0ba902b7-01-what-comes"),
        ] {
            assert_eq!(id_in(&value).as_deref(), Some(ID), "{value}");
        }
        let zeros = "0".repeat(32);
        for value in [
            String::new(),
            ID.to_owned(),
            format!("00-{ID}-00f067aa0ba902b7"),
            format!("00-{ID}-00f067aa0ba902b7-01-more"),
            format!("cc-{ID}-00f067aa0ba902b7-01.more"),
            format!("ff-{ID}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", ID.to_uppercase()),
            format!("00-{zeros}-00f067aa0ba902b7-01"),
            format!("00-{ID}-0000000000000000-01"),
            format!("00-{ID}-00f067aa0ba902b7-0g"),
            format!("00-{ID}00f067aa0ba902b7--01"),
        ] {
            assert_eq!(id_in(&value), None, "{value}");
        }
    }

    #[test]
    fn a_trace_is_begun_where_the_client_has_none() {
        let source = TraceSource::new(Traceparent::Begin);
        let headers = HeaderMap::new();
        let traces: Vec<_> = (0..3)
            .map(|_| source.of(&headers, Glance::default()))
            .collect();
        let ids: Vec<_> = traces.iter().map(|it| it.id(&headers).unwrap()).collect();
        assert!(ids.iter().all(|id| is_hex(id, 32)), "{ids:?}");
        assert!(ids[0] != ids[1] && ids[1] != ids[2]);
        let silent = TraceSource::new(Traceparent::Pass);
        let trace = silent.of(&headers, Glance::default());
        assert_eq!((trace, trace.id(&headers)), (Trace::Clients, None));
    }
}
