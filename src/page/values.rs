//! What a page shows: in comes its context, out come the variables of design section 5, as a template or a [`Plan`] asks for them.
//!
//! Beside those there are `labels` (the short words of a theme in the page's language), `when` (the time for people),
//! `support_mailto` (a mail link with the reference as its subject) and `brand.css` (the accent as custom properties of a
//! style, with the contrast worked out).
//!
//! [`Plan`]: super::plan::Plan

use std::io::{self, Write};

use http::StatusCode;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tera::{Context, EscapeFn, Value};

use super::brand::{Brand, encoding};
use super::catalogue::{Catalogue, Contact, Entry};
use super::plan::{Filled, Hole};
use super::{PageContext, escape};

/// How much of the path, the host and the method a page shows, in characters.
pub(super) const MAX_PATH: usize = 512;
pub(super) const MAX_HOST: usize = 253;
const MAX_METHOD: usize = 32;

/// All that a page shows.
pub(super) struct Values<'a> {
    page: &'a PageContext<'a>,
    brand: &'a Brand,
    language: &'a Catalogue,
    entry: Option<&'a Entry>,
    host: &'a str,
    path: &'a str,
    moment: Moment,
}

impl<'a> Values<'a> {
    pub(super) fn new(
        page: &'a PageContext<'a>,
        brand: &'a Brand,
        language: &'a Catalogue,
    ) -> Self {
        Self {
            page,
            brand,
            language,
            entry: language.find(page.notice, page.status.as_u16()),
            host: shortened(page.host, MAX_HOST),
            path: shortened(page.path, MAX_PATH),
            moment: Moment::of(page.time),
        }
    }

    /// As variables of a template.
    pub(super) fn context(&self) -> Context {
        let mut context = Context::new();
        for hole in Hole::ALL {
            context.insert_value(hole.name(), self.value(hole));
        }
        self.insert_constants(&mut context);
        context.insert_value("brand", self.brand.value(self.host));
        context
    }

    /// As variables of a template, with a mark in place of each value that depends on the request.
    pub(super) fn marked_context(&self) -> Context {
        let mut context = Context::new();
        for hole in Hole::ALL {
            let value = if self.has(hole) {
                Value::safe_string(&hole.mark())
            } else {
                self.value(hole)
            };
            context.insert_value(hole.name(), value);
        }
        self.insert_constants(&mut context);
        context.insert_value("brand", self.brand.value(&Hole::Host.mark()));
        context
    }

    fn has(&self, hole: Hole) -> bool {
        self.value(hole).is_truthy()
    }

    /// Which values are there; `None`: not those that pages are laid out for.
    pub(super) fn filled(&self) -> Option<Filled> {
        let has_place = !self.host.is_empty() && !self.path.is_empty();
        match self.page.retry_after {
            _ if self.page.request_id.is_empty() || !has_place => None,
            None => Some(Filled::Usual),
            Some(0) => None, // Nothing to a template's `if`, and yet something to print.
            Some(_) => Some(Filled::WithRetry),
        }
    }

    /// Writes a value into a page.
    pub(super) fn write(&self, hole: Hole, escape: EscapeFn, page: &mut Vec<u8>) -> io::Result<()> {
        match hole {
            Hole::Status => page.write_all(self.page.status.as_str().as_bytes()),
            Hole::Reason => page.write_all(reason(self.page.status).as_bytes()),
            Hole::Layer => page.write_all(self.page.notice.layer().as_str().as_bytes()),
            Hole::Time => page.write_all(self.moment.exact().as_bytes()),
            Hole::When => self.moment.write_shown(page),
            Hole::RequestId => escape(self.page.request_id, page),
            Hole::Host => escape(self.host, page),
            Hole::Path => escape(self.path, page),
            Hole::Title | Hole::Message | Hole::Advice => match self.words(hole) {
                Some(words) if words.is_safe() => write_safe(words, page),
                words => escape(words.and_then(Value::as_str).unwrap_or_default(), page),
            },
            Hole::SupportUrl => escape(&self.support_url(), page),
            Hole::SupportMailto => escape(&self.mailto(), page),
            Hole::Method => escape(self.method(), page),
            Hole::RetryAfter => match self.page.retry_after {
                Some(seconds) => write!(page, "{seconds}"),
                None => Ok(()),
            },
        }
    }

    fn value(&self, hole: Hole) -> Value {
        match hole {
            Hole::Status => Value::from(self.page.status.as_u16()),
            Hole::Reason => Value::safe_string(reason(self.page.status)),
            Hole::Layer => Value::safe_string(self.page.notice.layer().as_str()),
            Hole::Time => Value::safe_string(self.moment.exact()),
            Hole::When => Value::safe_string(&self.moment.shown()),
            Hole::RequestId => escape::value(self.page.request_id),
            Hole::Host => escape::value(self.host),
            Hole::Path => escape::value(self.path),
            Hole::Title | Hole::Message | Hole::Advice => {
                self.words(hole).cloned().unwrap_or_else(Value::none)
            }
            Hole::SupportUrl => escape::value(&self.support_url()),
            Hole::SupportMailto => escape::value(&self.mailto()),
            Hole::Method => escape::value(self.method()),
            Hole::RetryAfter => self.page.retry_after.map_or_else(Value::none, Value::from),
        }
    }

    fn words(&self, hole: Hole) -> Option<&'a Value> {
        let entry = self.entry?;
        match hole {
            Hole::Title => Some(&entry.title),
            Hole::Message => Some(&entry.message),
            _ => Some(entry.advice(self.page.method, self.contact())),
        }
    }

    fn contact(&self) -> Contact {
        if self.page.request_id.is_empty() {
            Contact::Nobody
        } else if self.brand.has_contact() {
            Contact::Support
        } else {
            Contact::Owner
        }
    }

    fn method(&self) -> &str {
        shortened(self.page.method.as_str(), MAX_METHOD)
    }

    /// Empty where there is none.
    fn support_url(&self) -> String {
        let url = self.brand.support();
        url.map_or_else(String::new, |url| url.filled(self.page.request_id))
    }

    /// Empty where there is no address.
    fn mailto(&self) -> String {
        let address = self.brand.support_email.as_str().unwrap_or_default();
        let mut url = String::new();
        if !address.is_empty() {
            url.reserve(128);
            for part in [
                "mailto:",
                address,
                "?subject=",
                &self.language.subject,
                "%20",
            ] {
                url.push_str(part);
            }
            url.extend(encoding(self.page.request_id));
        }
        url
    }

    fn insert_constants(&self, context: &mut Context) {
        context.insert_value("support_email", self.brand.support_email.clone());
        context.insert_value("status_url", self.brand.status_url.clone());
        context.insert_value("home_url", self.brand.home_url.clone());
        context.insert_value("labels", self.language.labels.clone());
        context.insert_value("language", self.language.language_value.clone());
        context.insert_value("direction", self.language.direction.clone());
        context.insert_value("refresh_after", Value::none());
    }
}

fn write_safe(words: &Value, page: &mut Vec<u8>) -> io::Result<()> {
    page.write_all(words.as_str().unwrap_or_default().as_bytes())
}

/// The standard phrase, never the upstream's.
fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or(match status.as_u16() {
        400..500 => "Client Error",
        _ => "Server Error",
    })
}

fn shortened(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let end = text.char_indices().nth(most).map(|(at, _)| at);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// A point in time in UTC to the second, in ASCII as RFC 3339 has it.
struct Moment([u8; 20]);

impl Moment {
    fn of(time: Timestamp) -> Self {
        let civil = TimeZone::UTC.to_datetime(time);
        let year = civil.year().unsigned_abs();
        let [y1, y2] = digits(year / 100);
        let [y3, y4] = digits(year % 100);
        let [[m1, m2], [d1, d2]] = [civil.month(), civil.day()].map(two);
        let [[h1, h2], [n1, n2], [s1, s2]] =
            [civil.hour(), civil.minute(), civil.second()].map(two);
        Self([
            y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2,
            b'Z',
        ])
    }

    /// `2026-01-02T03:04:05Z`
    fn exact(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// `2026-01-02 03:04:05 UTC`
    fn shown(&self) -> String {
        let mut shown = Vec::with_capacity(24);
        // Writing to memory does not fail.
        let _ = self.write_shown(&mut shown);
        String::from_utf8(shown).unwrap_or_default()
    }

    fn write_shown(&self, page: &mut Vec<u8>) -> io::Result<()> {
        let (date, time) = self.0.split_at(10);
        page.write_all(date)?;
        page.write_all(b" ")?;
        page.write_all(time.get(1..9).unwrap_or_default())?;
        page.write_all(b" UTC")
    }
}

fn two(number: i8) -> [u8; 2] {
    digits(u16::from(number.unsigned_abs()))
}

/// Two decimal digits; of a larger number the last ones.
fn digits(number: u16) -> [u8; 2] {
    let digit = |value: u16| b'0' + u8::try_from(value % 10).unwrap_or(0);
    [digit(number / 10), digit(number)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_to_the_second_in_utc() {
        let moment = Moment::of("2026-01-02T04:04:05.987+01:00".parse().unwrap());
        assert_eq!(moment.exact(), "2026-01-02T03:04:05Z");
        assert_eq!(moment.shown(), "2026-01-02 03:04:05 UTC");
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("abcd", 3), "abc");
        assert_eq!(shortened("äöüß", 3), "äöü");
        assert_eq!(shortened("äö", 3), "äö");
    }
}
