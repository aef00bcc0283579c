//! What a page shows: in comes its context, out come the variables of design section 5, as a template or a [`Plan`] asks for them.
//!
//! Beside those there are `labels` (the short words of a theme in the page's language), `when` (the time for people),
//! `retry_in` (the time to wait for people), `can_retry` (whether trying again may help), `support_mailto` (a mail link with the
//! reference as its subject), `qr` and `qr_size` (the path of a QR code and the side of its square), `turbo_frame` (the frame
//! that a fragment goes to), `note`, `until` and `until_shown` (the operator's words on planned work, and its end) and `brand.css` (the accent as custom properties of a style, with the contrast worked out).
//!
//! [`Plan`]: super::plan::Plan

use std::cell::OnceCell;
use std::fmt::Display;
use std::io::{self, Write};

use http::{Method, StatusCode};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tera::{Context, EscapeFn, Value};

use super::brand::{Brand, Told, encoding};
use super::catalogue::{Catalogue, Contact, Entry, Mail};
use super::plan::{Filled, Hole};
use super::qr::Qr;
use super::{PageContext, escape};

/// How much of the path, the host and the method a page shows, in characters.
pub(super) const MAX_PATH: usize = 512;
pub(super) const MAX_HOST: usize = 253;
const MAX_METHOD: usize = 32;
/// How much of the path goes into links to support, in characters.
const MAX_LINKED_PATH: usize = 128;
/// After how many seconds a page first tries again by itself, and the longest time to wait that it does so for.
const REFRESH_AFTER: u32 = 8;
const MAX_REFRESH: u32 = 600;

/// How much of the operator's words, in characters.
const MAX_NOTE: usize = 500;

/// What the pages of a route have in common.
pub(super) struct Look {
    pub(super) brand: Brand,
    /// Whether pages try again by themselves where it may help.
    pub(super) refresh: bool,
    /// Whether the reference is drawn as a QR code.
    pub(super) qr: bool,
}

/// All that a page shows.
pub(super) struct Values<'a> {
    page: &'a PageContext<'a>,
    look: &'a Look,
    language: &'a Catalogue,
    entry: Option<&'a Entry>,
    host: &'a str,
    path: &'a str,
    moment: Moment,
    is_html: bool,
    turbo_frame: &'a str,
    qr: OnceCell<Option<Qr>>,
}

impl<'a> Values<'a> {
    pub(super) fn new(page: &'a PageContext<'a>, look: &'a Look, language: &'a Catalogue) -> Self {
        Self {
            page,
            look,
            language,
            entry: language.find(page.notice, page.status.as_u16()),
            host: shortened(page.host, MAX_HOST),
            path: shortened(page.path, MAX_PATH),
            moment: Moment::of(page.time),
            is_html: false,
            turbo_frame: "",
            qr: OnceCell::new(),
        }
    }

    /// The same for HTML, which alone has a QR code, and maybe for a frame of Turbo's.
    pub(super) fn for_html(self, turbo_frame: Option<&'a str>) -> Self {
        Self {
            is_html: true,
            turbo_frame: turbo_frame.unwrap_or_default(),
            ..self
        }
    }

    /// The same of another failure.
    pub(super) fn of(&self, page: &'a PageContext<'a>) -> Self {
        Self {
            is_html: self.is_html,
            ..Self::new(page, self.look, self.language)
        }
    }

    /// As variables of a template.
    pub(super) fn context(&self) -> Context {
        let mut context = Context::new();
        for hole in Hole::ALL {
            context.insert_value(hole.name(), self.value(hole));
        }
        self.insert_constants(&mut context);
        context.insert_value("brand", self.look.brand.value(self.host));
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
        context.insert_value("brand", self.look.brand.value(&Hole::Host.mark()));
        context
    }

    fn has(&self, hole: Hole) -> bool {
        self.value(hole).is_truthy()
    }

    /// Which values are there; `None`: not those that pages are laid out for.
    pub(super) fn filled(&self) -> Option<Filled> {
        let has_place = !self.host.is_empty() && !self.path.is_empty();
        let is_usual = !self.page.request_id.is_empty()
            && has_place
            && self.turbo_frame.is_empty()
            && self.page.planned.is_none();
        // A wait of 0 s is nothing to a template's `if`, and yet something to print.
        (is_usual && self.page.retry_after != Some(0)).then(|| Filled {
            retry_after: self.page.retry_after.is_some(),
            can_retry: self.can_retry(),
            refresh: self.refresh_after().is_some(),
        })
    }

    /// Writes a value into a page.
    pub(super) fn write(&self, hole: Hole, escape: EscapeFn, page: &mut Vec<u8>) -> io::Result<()> {
        match hole {
            Hole::Status => page.write_all(self.page.status.as_str().as_bytes()),
            Hole::Reason => page.write_all(reason(self.page.status).as_bytes()),
            Hole::Layer => page.write_all(self.page.notice.layer().as_str().as_bytes()),
            Hole::Time => page.write_all(self.moment.exact().as_bytes()),
            Hole::When => escape(&self.language.date.written(&self.moment), page),
            Hole::RetryIn => escape(&self.retry_in(), page),
            Hole::RefreshAfter => write_number(self.refresh_after(), page),
            Hole::TurboFrame => escape(self.turbo_frame, page),
            Hole::Qr => page.write_all(self.qr().map_or("", |qr| &qr.path).as_bytes()),
            Hole::QrSize => write_number(self.qr().map(|qr| qr.side), page),
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
            Hole::RetryAfter => write_number(self.page.retry_after, page),
        }
    }

    fn value(&self, hole: Hole) -> Value {
        match hole {
            Hole::Status => Value::from(self.page.status.as_u16()),
            Hole::Reason => Value::safe_string(reason(self.page.status)),
            Hole::Layer => Value::safe_string(self.page.notice.layer().as_str()),
            Hole::Time => Value::safe_string(self.moment.exact()),
            Hole::When => escape::value(&self.language.date.written(&self.moment)),
            Hole::RetryIn => escape::value(&self.retry_in()),
            Hole::RefreshAfter => self.refresh_after().map_or_else(Value::none, Value::from),
            Hole::TurboFrame => escape::value(self.turbo_frame),
            Hole::Qr => Value::safe_string(self.qr().map_or("", |qr| &qr.path)),
            Hole::QrSize => self
                .qr()
                .map_or_else(Value::none, |qr| Value::from(qr.side)),
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
        } else if self.look.brand.has_contact() {
            Contact::Support
        } else {
            Contact::Owner
        }
    }

    fn method(&self) -> &str {
        shortened(self.page.method.as_str(), MAX_METHOD)
    }

    /// Whether trying again may help, and does no harm.
    fn can_retry(&self) -> bool {
        let passes = matches!(self.page.status.as_u16(), 502..=504);
        passes && matches!(*self.page.method, Method::GET | Method::HEAD)
    }

    fn refresh_after(&self) -> Option<u32> {
        let wait = self.page.retry_after.unwrap_or(0).max(REFRESH_AFTER);
        (self.look.refresh && self.can_retry() && wait <= MAX_REFRESH).then_some(wait)
    }

    fn retry_in(&self) -> String {
        let wait = self.page.retry_after;
        wait.map_or_else(String::new, |seconds| self.language.delay.said(seconds))
    }

    fn qr(&self) -> Option<&Qr> {
        let drawn = || {
            let is_wanted = self.look.qr && self.is_html && !self.page.request_id.is_empty();
            is_wanted.then(|| Qr::of([&self.support_url(), self.page.request_id]))?
        };
        self.qr.get_or_init(drawn).as_ref()
    }

    /// Empty where there is none.
    fn support_url(&self) -> String {
        let url = self.look.brand.support();
        url.map_or_else(String::new, |url| url.filled(|place| self.told(place)))
    }

    /// What a link to support says.
    fn told(&self, place: Told) -> &str {
        match place {
            Told::RequestId => self.page.request_id,
            Told::Time => self.moment.exact(),
            Told::Host => self.host,
            Told::Path => shortened(self.path, MAX_LINKED_PATH),
            Told::Language => &self.language.language,
            Told::Status => self.page.status.as_str(),
        }
    }

    /// Empty where there is no address.
    fn mailto(&self) -> String {
        let address = self.look.brand.support_email.as_str().unwrap_or_default();
        let mut url = String::new();
        if address.is_empty() {
            return url;
        }
        url.reserve(512);
        let mail = &self.language.mail;
        for part in ["mailto:", address, "?subject="] {
            url.push_str(part);
        }
        self.add_subject(mail, &mut url);
        // First there is room for what the person has to say.
        url.push_str("&body=%0D%0A%0D%0A");
        for (label, place, end) in mail.lines() {
            if !self.is_known(place) {
                continue;
            }
            url.push_str(label);
            url.extend(encoding(self.told(place)));
            url.push_str(end);
        }
        url
    }

    /// Whether a page for anybody, or one that shows no reference, has something to say of it.
    fn is_known(&self, place: Told) -> bool {
        match place {
            Told::RequestId | Told::Time => !self.page.request_id.is_empty(),
            Told::Host | Told::Path => !(self.host.is_empty() && self.path.is_empty()),
            Told::Language | Told::Status => true,
        }
    }

    /// The reference; on a page that shows none, the status and where it was met.
    fn add_subject(&self, mail: &Mail, url: &mut String) {
        if self.page.request_id.is_empty() {
            url.push_str(self.page.status.as_str());
            if !self.host.is_empty() {
                url.push_str("%20");
                url.extend(encoding(self.host));
            }
        } else {
            url.push_str(&mail.subject);
            url.push_str("%20");
            url.extend(encoding(self.page.request_id));
        }
    }

    fn insert_constants(&self, context: &mut Context) {
        context.insert_value("support_email", self.look.brand.support_email.clone());
        context.insert_value("status_url", self.look.brand.status_url.clone());
        context.insert_value("home_url", self.look.brand.home_url.clone());
        context.insert_value("labels", self.language.labels.clone());
        context.insert_value("language", self.language.language_value.clone());
        context.insert_value("direction", self.language.direction.clone());
        context.insert_value("can_retry", Value::from(self.can_retry()));
        let planned = self.page.planned;
        let note = planned.map_or("", |planned| shortened(planned.message, MAX_NOTE));
        context.insert_value("note", escape::value(note));
        let until = planned.and_then(|planned| planned.until).map(Moment::of);
        let exact = until
            .as_ref()
            .map(|until| Value::safe_string(until.exact()));
        context.insert_value("until", exact.unwrap_or_else(Value::none));
        let shown = until.map(|until| escape::value(&self.language.date.written(&until)));
        context.insert_value("until_shown", shown.unwrap_or_else(Value::none));
    }
}

fn write_number(number: Option<impl Display>, page: &mut Vec<u8>) -> io::Result<()> {
    number.map_or(Ok(()), |number| write!(page, "{number}"))
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
pub(super) struct Moment([u8; 20]);

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

    /// `2026`
    pub(super) fn year(&self) -> &str {
        self.exact().get(..4).unwrap_or_default()
    }

    /// From 1 to 12.
    pub(super) fn month(&self) -> usize {
        self.number(5)
    }

    /// From 1 to 31.
    pub(super) fn day(&self) -> usize {
        self.number(8)
    }

    /// `03:04:05`
    pub(super) fn clock(&self) -> &str {
        self.exact().get(11..19).unwrap_or_default()
    }

    fn number(&self, at: usize) -> usize {
        let digits = self.exact().get(at..at + 2);
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
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
        assert_eq!(
            (moment.year(), moment.month(), moment.day()),
            ("2026", 1, 2)
        );
        assert_eq!(moment.clock(), "03:04:05");
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("abcd", 3), "abc");
        assert_eq!(shortened("äöüß", 3), "äöü");
        assert_eq!(shortened("äö", 3), "äö");
    }
}
