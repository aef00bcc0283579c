//! Signed, expiring permission to see an app's original answers.
//!
//! A [`Key`] makes a [`Pass`] into a token and tells its own tokens from others: HMAC-SHA256, compared in constant time. A token is
//! at most 512 characters of the alphabet that URLs, cookies and header fields share, and says nothing secret: when it
//! ends, which route it is for, and a number that the log knows each of its uses by.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

/// The parameter of a link that carries a token, and the cookie that a browser gets for it.
pub const NAME: &str = "pardon-bypass";
/// The header field that carries a token.
pub const HEADER: &str = "x-pardon-bypass";

/// A key has at least so many bytes, all of them random.
const SHORTEST: usize = 32;
const LONGEST: usize = 1024;
/// Characters of a token.
const MAX_TOKEN: usize = 512;
/// What a token's first byte says: how the rest is to be read.
const FORM: u8 = 1;
const SIGNATURE: usize = 32;

/// What signs tokens. It shows itself to nobody.
#[derive(Clone)]
pub struct Key(hmac::Key);

/// Why a file holds no key.
#[derive(Debug)]
pub enum KeyProblem {
    /// It cannot be read.
    Unreadable(io::Error),
    /// It holds fewer bytes than a key needs.
    Short(usize),
    /// It holds more than any key.
    Long,
}

/// The number of a token, by which the log knows its uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassId([u8; 8]);

/// What a token permits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Its number.
    pub id: PassId,
    /// When it ends, in seconds since 1970.
    pub until: u64,
    /// The route that it is for; empty: all.
    pub route: String,
}

/// Why a token permits nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is none.
    Malformed,
    /// Another key made it, or nobody's.
    Forged,
    /// Its time is over.
    Expired,
}

impl Key {
    /// Reads a key: the bytes of a file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or what it holds is no key.
    pub fn read(file: &Path) -> Result<Self, KeyProblem> {
        let mut bytes = Vec::new();
        File::open(file)
            .and_then(|file| file.take(LONGEST as u64 + 1).read_to_end(&mut bytes))
            .map_err(KeyProblem::Unreadable)?;
        match bytes.len() {
            ..SHORTEST => Err(KeyProblem::Short(bytes.len())),
            SHORTEST..=LONGEST => Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes))),
            _ => Err(KeyProblem::Long),
        }
    }

    /// The token of a pass.
    #[must_use]
    pub fn sign(&self, pass: &Pass) -> String {
        let mut bytes = vec![FORM];
        bytes.extend_from_slice(&pass.until.to_be_bytes());
        bytes.extend_from_slice(&pass.id.0);
        bytes.extend_from_slice(pass.route.as_bytes());
        let signature = hmac::sign(&self.0, &bytes);
        bytes.extend_from_slice(signature.as_ref());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What a token permits now.
    ///
    /// # Errors
    ///
    /// Why it permits nothing.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Pass, Unfit> {
        if token.len() > MAX_TOKEN {
            return Err(Unfit::Malformed);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token);
        let bytes = bytes.map_err(|_| Unfit::Malformed)?;
        let signed = bytes.len().checked_sub(SIGNATURE);
        let (signed, signature) = signed
            .and_then(|signed| bytes.split_at_checked(signed))
            .ok_or(Unfit::Malformed)?;
        hmac::verify(&self.0, signed, signature).map_err(|_| Unfit::Forged)?;
        let pass = Pass::read(signed).ok_or(Unfit::Malformed)?;
        if seconds(now) < pass.until {
            Ok(pass)
        } else {
            Err(Unfit::Expired)
        }
    }
}

impl Pass {
    /// A pass with a number of its own.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers.
    pub fn new(until: SystemTime, route: &str) -> io::Result<Self> {
        let mut id = [0; 8];
        let filled = SystemRandom::new().fill(&mut id);
        filled.map_err(|_| io::Error::other("the system has no random numbers"))?;
        Ok(Self {
            id: PassId(id),
            until: seconds(until),
            route: route.to_owned(),
        })
    }

    fn read(signed: &[u8]) -> Option<Self> {
        let (form, rest) = signed.split_first()?;
        let (until, rest) = rest.split_first_chunk::<8>()?;
        let (id, route) = rest.split_first_chunk::<8>()?;
        (*form == FORM).then_some(())?;
        Some(Self {
            id: PassId(*id),
            until: u64::from_be_bytes(*until),
            route: str::from_utf8(route).ok()?.to_owned(),
        })
    }

    /// Whether it is for the route of this name.
    #[must_use]
    pub fn is_for(&self, route: &str) -> bool {
        self.route.is_empty() || self.route == route
    }

    /// For how many seconds it goes on.
    #[must_use]
    pub fn left(&self, now: SystemTime) -> u64 {
        self.until.saturating_sub(seconds(now))
    }
}

impl KeyProblem {
    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "",
            Self::Short(_) | Self::Long => {
                "32 random bytes: `head -c 32 /dev/urandom > bypass.key`"
            }
        }
    }
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(formatter, "{error}"),
            Self::Short(bytes) => write!(formatter, "{bytes} bytes are less than {SHORTEST}"),
            Self::Long => write!(formatter, "more than {LONGEST} bytes"),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(..)")
    }
}

impl fmt::Display for PassId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl Unfit {
    /// Why, for the log.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "it is no token",
            Self::Forged => "its signature is not this key's",
            Self::Expired => "its time is over",
        }
    }
}

/// Whole seconds since 1970; 0 before that.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(byte: u8) -> Key {
        Key(hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32]))
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_says_what_was_signed_until_its_time_is_over() {
        for route in ["", "shop", "ünïcode"] {
            let pass = Pass::new(at(1000), route).unwrap();
            let token = key(1).sign(&pass);
            assert_eq!(key(1).verify(&token, at(999)), Ok(pass.clone()));
            assert_eq!(key(1).verify(&token, at(1000)), Err(Unfit::Expired));
            assert_eq!(key(2).verify(&token, at(999)), Err(Unfit::Forged));
            assert!(pass.is_for("shop") == (route != "ünïcode"));
        }
    }

    #[test]
    fn no_changed_character_is_overlooked() {
        let pass = Pass::new(at(1000), "shop").unwrap();
        let token = key(1).sign(&pass);
        for place in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let read = key(1).verify(&changed, at(0));
            assert!(read.is_err(), "{place}: {read:?}");
        }
        for none in ["", "A", "====", &token[1..], &"A".repeat(2000), "ä"] {
            assert!(key(1).verify(none, at(0)).is_err(), "{none}");
        }
    }
}
