//! What is worth knowing about a chain that can be used: when it ends, whom it is for, whether it holds together.

use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use super::Pair;

/// How long before its end a certificate is worth a word.
const SOON: Duration = Duration::from_hours(14 * 24);

/// Something about a chain that works and that clients may not like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Concern {
    /// What it is, with the file's name.
    pub(crate) title: String,
    /// What follows from it.
    pub(crate) hint: String,
}

impl Pair {
    /// What clients may not like about the chain at this time.
    pub(crate) fn concerns(&self, now: UnixTime) -> Vec<Concern> {
        let chain = &self.certified.cert;
        let file = self.files.chain.display();
        let mut found = Vec::new();
        for (at, certificate) in chain.iter().enumerate() {
            let subject = match at {
                0 => format!("the certificate in `{file}`"),
                _ => format!("certificate {} in `{file}`", at + 1),
            };
            found.extend(Validity::of(certificate).and_then(|it| it.concern(&subject, now)));
        }
        if let Some(at) = gap(chain) {
            found.push(Concern {
                title: format!("`{file}` is not in order"),
                hint: format!(
                    "number {} does not vouch for number {at}: clients may not find the way to an authority",
                    at + 1
                ),
            });
        }
        found
    }
}

/// The number of the first certificate, from 1, that the next one did not issue.
fn gap(chain: &[CertificateDer<'_>]) -> Option<usize> {
    let follows = |pair: &[CertificateDer<'_>]| {
        let [one, next] = pair else { return true };
        match (EndEntityCert::try_from(one), EndEntityCert::try_from(next)) {
            (Ok(one), Ok(next)) => one.issuer() == next.subject(),
            _ => false,
        }
    };
    let wrong = chain.windows(2).position(|pair| !follows(pair));
    wrong.map(|at| at + 1)
}

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug)]
struct Validity {
    begins: UnixTime,
    ends: UnixTime,
}

impl Validity {
    /// webpki says neither moment, but in the errors of a check at a time when it holds by no means.
    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let at = |seconds| {
            let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
            let parsed = EndEntityCert::try_from(certificate).ok()?;
            let checked =
                parsed.verify_for_usage(&[], &[], &[], time, KeyUsage::server_auth(), None, None);
            checked.err()
        };
        // The year 9999 is the last that a certificate can name.
        let (before, after) = (at(0)?, at(253_402_300_800)?);
        match (before, after) {
            (
                webpki::Error::CertNotValidYet { not_before, .. },
                webpki::Error::CertExpired { not_after, .. },
            ) => Some(Self {
                begins: not_before,
                ends: not_after,
            }),
            _ => None,
        }
    }

    fn concern(self, subject: &str, now: UnixTime) -> Option<Concern> {
        let (begins, ends) = (day(self.begins), day(self.ends));
        let left = self.ends.as_secs().saturating_sub(now.as_secs());
        let (title, hint) = if now.as_secs() > self.ends.as_secs() {
            let title = format!("{subject} has expired");
            (
                title,
                format!("it was valid until {ends}: clients refuse it"),
            )
        } else if now.as_secs() < self.begins.as_secs() {
            let title = format!("{subject} is not valid yet");
            (
                title,
                format!("it is from {begins} on: clients refuse it until then"),
            )
        } else if left < SOON.as_secs() {
            let title = format!("{subject} expires soon");
            (title, format!("it is valid until {ends}"))
        } else {
            return None;
        };
        Some(Concern { title, hint })
    }
}

fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    time.strftime("%Y-%m-%d").to_string()
}
