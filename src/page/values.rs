//! What a template sees: in comes the context of a page, out come the variables of design section 5.
//!
//! Beside those there are `labels` (the short words of a theme in the page's language), `when` (the time for people) and
//! `brand.css` (the accent as custom properties of a style, with the contrast worked out).

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tera::{Context, Value};

use super::brand::Brand;
use super::catalogue::{Catalogue, Contact};
use super::{PageContext, escape};

/// How much of the path, the host and the method a page shows, in characters.
pub(super) const MAX_PATH: usize = 512;
pub(super) const MAX_HOST: usize = 253;
const MAX_METHOD: usize = 32;

/// All variables of a page.
pub(super) fn of(page: &PageContext<'_>, brand: &Brand, language: &Catalogue) -> Context {
    let mut values = Context::new();
    insert_words(&mut values, page, brand, language);
    insert_brand(&mut values, page, brand);
    insert_request(&mut values, page);
    values
}

fn insert_words(values: &mut Context, page: &PageContext<'_>, brand: &Brand, language: &Catalogue) {
    let status = page.status.as_u16();
    if let Some(entry) = language.find(page.notice, status) {
        let advice = entry.advice(page.method, contact(page, brand));
        values.insert_value("title", entry.title.clone());
        values.insert_value("message", entry.message.clone());
        values.insert_value("advice", advice.clone());
    }
    values.insert_value("labels", language.labels.clone());
    values.insert_value("language", language.language_value.clone());
    values.insert_value("direction", language.direction.clone());
    values.insert_value("status", Value::from(status));
    values.insert_value("reason", Value::safe_string(reason(page.status)));
    values.insert_value("layer", Value::safe_string(page.notice.layer().as_str()));
}

fn insert_brand(values: &mut Context, page: &PageContext<'_>, brand: &Brand) {
    values.insert_value("brand", brand.value(shortened(page.host, MAX_HOST)));
    values.insert_value("support_url", brand.support_url(page.request_id));
    values.insert_value("support_email", brand.support_email.clone());
    values.insert_value("status_url", brand.status_url.clone());
    values.insert_value("home_url", brand.home_url.clone());
}

fn insert_request(values: &mut Context, page: &PageContext<'_>) {
    let moment = Moment::of(page.time);
    values.insert_value("time", Value::safe_string(moment.exact()));
    values.insert_value("when", Value::safe_string(&moment.shown()));
    values.insert_value("request_id", escape::value(page.request_id));
    values.insert_value("host", escape::value(shortened(page.host, MAX_HOST)));
    values.insert_value("path", escape::value(shortened(page.path, MAX_PATH)));
    values.insert_value(
        "method",
        escape::value(shortened(page.method.as_str(), MAX_METHOD)),
    );
    values.insert_value(
        "retry_after",
        page.retry_after.map_or_else(Value::none, Value::from),
    );
    values.insert_value("refresh_after", Value::none());
}

fn contact(page: &PageContext<'_>, brand: &Brand) -> Contact {
    if page.request_id.is_empty() {
        Contact::Nobody
    } else if brand.has_contact() {
        Contact::Support
    } else {
        Contact::Owner
    }
}

/// The standard phrase, never the upstream's.
pub(super) fn reason(status: http::StatusCode) -> &'static str {
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

/// A point in time in UTC, as RFC 3339 has it and to the second.
struct Moment(String);

impl Moment {
    fn of(time: Timestamp) -> Self {
        let civil = time.to_zoned(TimeZone::UTC).datetime();
        let (date, time) = (civil.date(), civil.time());
        let mut text = String::with_capacity(20);
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            date.year(),
            date.month(),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        );
        Self(text)
    }

    /// `2026-01-02T03:04:05Z`
    fn exact(&self) -> &str {
        &self.0
    }

    /// `2026-01-02 03:04:05 UTC`
    fn shown(&self) -> String {
        let mut shown = self.0.replace('T', " ");
        shown.truncate(shown.len().saturating_sub(1));
        shown.push_str(" UTC");
        shown
    }
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
