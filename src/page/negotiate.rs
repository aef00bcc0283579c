//! Which format a visitor wants: in come the request's headers and the media type of the answer being replaced, out comes a [`Format`].
//!
//! `Accept` with its q-values decides (RFC 9110, 12.5.1). Where it says nothing, the kind of request does, then the
//! answer being replaced, then the user agent. At most [`MAX_BYTES`] and [`MAX_RANGES`] of `Accept` are looked at.

use http::header::{ACCEPT, CONTENT_TYPE, UPGRADE, USER_AGENT};
use http::{HeaderMap, HeaderValue};

use super::Format;

const MAX_BYTES: usize = 4096;
const MAX_RANGES: usize = 64;
const WHOLE: u16 = 1000;

/// The format for a request; `replaced` is the `Content-Type` of the answer that the page stands in for.
pub(super) fn format(headers: &HeaderMap, replaced: Option<&HeaderValue>) -> Format {
    if is_grpc(headers) {
        return Format::Grpc;
    }
    if is_upgrade(headers) {
        return Format::Text;
    }
    let first = headers.get(ACCEPT).map(HeaderValue::as_bytes);
    match first {
        None | Some(b"*/*") if headers.get_all(ACCEPT).iter().nth(1).is_none() => {
            implied(headers, replaced, &Tally::NOTHING_SAID)
        }
        // What every browser sends: nothing after it can be liked better.
        Some(accept) if accept.starts_with(b"text/html,") => Format::Html,
        _ => {
            let tally = Tally::count(headers);
            tally
                .favourite()
                .unwrap_or_else(|| implied(headers, replaced, &tally))
        }
    }
}

/// Whether it asks for another protocol: nothing that does reads more than text. Curl asks for HTTP/2 with every request.
fn is_upgrade(headers: &HeaderMap) -> bool {
    let protocol = headers.get(UPGRADE).map(HeaderValue::as_bytes);
    protocol.is_some_and(|protocol| !protocol.eq_ignore_ascii_case(b"h2c"))
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| starts_with(kind.as_bytes(), b"application/grpc"))
}

/// The format where `Accept` leaves the choice.
fn implied(headers: &HeaderMap, replaced: Option<&HeaderValue>, tally: &Tally) -> Format {
    [
        fetched_as_document(headers),
        replaced.and_then(|kind| format_of(essence(kind.as_bytes()))),
        from_browser(headers),
        Some(Format::Text),
    ]
    .into_iter()
    .flatten()
    .chain(Format::TEMPLATED)
    .find(|format| tally.leaves(*format))
    .unwrap_or(Format::Text)
}

fn fetched_as_document(headers: &HeaderMap) -> Option<Format> {
    let kind = headers.get("sec-fetch-dest")?.as_bytes();
    matches!(
        kind,
        b"document" | b"iframe" | b"frame" | b"embed" | b"object"
    )
    .then_some(Format::Html)
}

fn from_browser(headers: &HeaderMap) -> Option<Format> {
    let agent = headers.get(USER_AGENT)?.as_bytes();
    agent.starts_with(b"Mozilla/").then_some(Format::Html)
}

/// How well each format is liked.
struct Tally([Liking; 4]);

/// The best range that fits a format.
#[derive(Clone, Copy)]
struct Liking {
    quality: u16,
    fit: Fit,
    /// The range's place in `Accept`.
    place: usize,
}

/// How closely a range names a format, from the vaguest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Unnamed,
    Anything,
    Type,
    Exact,
}

impl Tally {
    /// Nothing is asked for, so everything will do.
    const NOTHING_SAID: Self = Self(
        [Liking {
            quality: WHOLE,
            fit: Fit::Anything,
            place: 0,
        }; 4],
    );

    fn count(headers: &HeaderMap) -> Self {
        let mut tally = Self(
            [Liking {
                quality: 0,
                fit: Fit::Unnamed,
                place: 0,
            }; 4],
        );
        let values = headers.get_all(ACCEPT).iter().map(HeaderValue::as_bytes);
        let ranges = within_bytes(values).flat_map(|value| split(value, b','));
        for (place, range) in ranges.take(MAX_RANGES).enumerate() {
            if let Some((media, quality)) = read_range(range) {
                tally.add(media, quality, place);
            }
        }
        tally
    }

    fn add(&mut self, media: &[u8], quality: u16, place: usize) {
        for (format, liking) in Format::TEMPLATED.into_iter().zip(&mut self.0) {
            let fit = fit(media, format);
            let better = fit > liking.fit || (fit == liking.fit && quality > liking.quality);
            if better && fit > Fit::Unnamed {
                *liking = Liking {
                    quality,
                    fit,
                    place,
                };
            }
        }
    }

    /// The format liked best, unless it is liked as much as anything else.
    fn favourite(&self) -> Option<Format> {
        let (format, liking) = Format::TEMPLATED
            .into_iter()
            .zip(self.0)
            .filter(|(_, liking)| liking.quality > 0)
            .min_by_key(|(_, liking)| {
                let unnamed = liking.fit <= Fit::Anything;
                (WHOLE.saturating_sub(liking.quality), unnamed, liking.place)
            })?;
        (liking.fit > Fit::Anything).then_some(format)
    }

    /// Whether nothing is liked better than this format. A client that likes nothing of ours gets what fits it otherwise.
    fn leaves(&self, format: Format) -> bool {
        let best = self.0.iter().map(|liking| liking.quality).max();
        Format::TEMPLATED
            .into_iter()
            .zip(self.0)
            .any(|(of, liking)| of == format && Some(liking.quality) == best)
    }
}

/// The values, as long as [`MAX_BYTES`] lasts; a value that it cuts loses the range that was cut.
fn within_bytes<'a>(values: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    values.scan(MAX_BYTES, |left, value| {
        let whole = value.len() <= *left;
        let kept = value.get(..*left).unwrap_or(value);
        *left -= kept.len();
        if whole {
            return Some(kept);
        }
        let end = kept.iter().rposition(|&byte| byte == b',')?;
        kept.get(..end)
    })
}

/// The media range without its parameters, and its quality in thousandths; `None` for what is no range.
fn read_range(range: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = split(range, b';');
    let media = parts.next()?.trim_ascii();
    if !media.contains(&b'/') {
        return None;
    }
    let quality = parts.map(<[u8]>::trim_ascii).find_map(|part| {
        part.strip_prefix(b"q=")
            .or_else(|| part.strip_prefix(b"Q="))
    });
    Some((media, quality.map_or(Some(WHOLE), read_quality)?))
}

/// `0.125` as 125; at most three digits count.
fn read_quality(text: &[u8]) -> Option<u16> {
    let text = str::from_utf8(text).ok()?.trim();
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = part.chars().chain("000".chars()).take(3).collect();
    let thousandths = digits.parse::<u16>().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" => Some(WHOLE),
        _ => None,
    }
}

/// Parts between separators that stand outside of quotes.
fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |&byte| {
        if escaped {
            escaped = false;
            return false;
        }
        escaped = quoted && byte == b'\\';
        quoted ^= byte == b'"';
        byte == separator && !quoted
    })
}

fn fit(media: &[u8], format: Format) -> Fit {
    if media == b"*/*" {
        return Fit::Anything;
    }
    let group: &[u8] = match format {
        Format::Html | Format::Text => b"text/*",
        Format::Json | Format::Xml | Format::Grpc => b"application/*",
    };
    if media.eq_ignore_ascii_case(group) {
        Fit::Type
    } else if format_of(media) == Some(format) {
        Fit::Exact
    } else {
        Fit::Unnamed
    }
}

/// The format that a media type belongs to.
fn format_of(media: &[u8]) -> Option<Format> {
    let is = |name: &[u8]| media.eq_ignore_ascii_case(name);
    let ends = |suffix: &[u8]| {
        let start = media.len().checked_sub(suffix.len());
        let tail = start.and_then(|start| media.get(start..));
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(suffix))
    };
    if is(b"text/html") || is(b"application/xhtml+xml") {
        Some(Format::Html)
    } else if is(b"application/json") || is(b"text/json") || ends(b"+json") {
        Some(Format::Json)
    } else if is(b"text/plain") {
        Some(Format::Text)
    } else if is(b"application/xml") || is(b"text/xml") || is_structured_xml(media, ends(b"+xml")) {
        Some(Format::Xml)
    } else {
        None
    }
}

/// `application/atom+xml`, and not a picture.
fn is_structured_xml(media: &[u8], suffixed: bool) -> bool {
    suffixed && starts_with(media, b"application/")
}

fn essence(media: &[u8]) -> &[u8] {
    let end = media.iter().position(|&byte| byte == b';');
    media
        .get(..end.unwrap_or(media.len()))
        .unwrap_or(media)
        .trim_ascii()
}

fn starts_with(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    const CHROME: &str =
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
    const ANYTHING: (&str, &str) = ("accept", "*/*");
    const MOZILLA: &str = "Mozilla/5.0 (X11; Linux x86_64)";

    #[test]
    fn accept_decides() {
        let cases = [
            (CHROME, Format::Html),
            ("text/html", Format::Html),
            ("TEXT/HTML", Format::Html),
            ("application/xhtml+xml", Format::Html),
            ("application/json", Format::Json),
            ("application/problem+json", Format::Json),
            ("application/vnd.api+json", Format::Json),
            ("application/*+json", Format::Json),
            ("text/json", Format::Json),
            ("application/json, text/plain, */*", Format::Json),
            ("application/json;charset=utf-8", Format::Json),
            ("text/plain", Format::Text),
            ("text/plain, application/json", Format::Text),
            ("application/xml", Format::Xml),
            ("text/xml", Format::Xml),
            ("application/problem+xml", Format::Xml),
            ("application/atom+xml", Format::Xml),
            ("application/xml;q=0.9, application/json;q=0.8", Format::Xml),
            (
                "application/xml;q=0.8, application/json;q=0.9",
                Format::Json,
            ),
            ("text/html;q=0.5, application/json", Format::Json),
            ("text/html;q=0.5, application/json;q=0.500", Format::Html),
            ("application/json;q=0.5, text/html;q=0.5", Format::Json),
            ("text/html;q=0, application/json;q=0.001", Format::Json),
            ("text/*", Format::Html),
            ("text/*, text/html;q=0.1", Format::Text),
            ("text/*;q=0.3, text/plain;q=0.4", Format::Text),
            ("application/*", Format::Json),
            ("application/*, application/json;q=0", Format::Xml),
            ("*/*;q=0.1, application/json", Format::Json),
            ("image/webp, text/plain;q=0.2", Format::Text),
            (
                "application/json;profile=\"a,b;q=0\";q=0.9, text/html;q=0.8",
                Format::Json,
            ),
            ("nonsense, , ;q=1, application/json", Format::Json),
            ("application/json;q=abc, text/plain;q=0.1", Format::Text),
            ("application/json;q=1.000, text/html;q=0.999", Format::Json),
            ("application/json ; q=0.4 , text/html ; Q=0.3", Format::Json),
            (
                "application/json;q=0.2, application/problem+json",
                Format::Json,
            ),
        ];
        for (accept, expected) in cases {
            assert_eq!(
                format(&headers(&[("accept", accept)]), None),
                expected,
                "{accept}"
            );
        }
    }

    type Case = (
        &'static [(&'static str, &'static str)],
        Option<&'static str>,
        Format,
    );

    const IMPLIED: [Case; 18] = [
        (&[], None, Format::Text),
        (&[ANYTHING], None, Format::Text),
        (&[("user-agent", "curl/8")], None, Format::Text),
        (&[("user-agent", MOZILLA)], None, Format::Html),
        (&[ANYTHING, ("user-agent", MOZILLA)], None, Format::Html),
        (&[ANYTHING], Some("application/json"), Format::Json),
        (
            &[ANYTHING, ("user-agent", MOZILLA)],
            Some("application/json; charset=utf-8"),
            Format::Json,
        ),
        (&[ANYTHING], Some("text/html;charset=utf-8"), Format::Html),
        (&[ANYTHING], Some("text/xml"), Format::Xml),
        (&[ANYTHING], Some("application/octet-stream"), Format::Text),
        (
            &[ANYTHING, ("sec-fetch-dest", "document")],
            Some("application/json"),
            Format::Html,
        ),
        (
            &[ANYTHING, ("sec-fetch-dest", "iframe")],
            None,
            Format::Html,
        ),
        (
            &[ANYTHING, ("sec-fetch-dest", "empty")],
            Some("application/json"),
            Format::Json,
        ),
        (
            &[
                ANYTHING,
                ("sec-fetch-dest", "empty"),
                ("user-agent", MOZILLA),
            ],
            None,
            Format::Html,
        ),
        (
            &[("accept", "image/png")],
            Some("application/json"),
            Format::Json,
        ),
        (
            &[("accept", "*/*, text/html;q=0"), ("user-agent", MOZILLA)],
            None,
            Format::Text,
        ),
        (
            &[("accept", "*/*, application/json;q=0.5")],
            Some("application/json"),
            Format::Text,
        ),
        (
            &[ANYTHING, ("content-type", "application/grpc+proto")],
            None,
            Format::Grpc,
        ),
    ];

    #[test]
    fn where_accept_says_nothing_other_signs_do() {
        for (pairs, replaced, expected) in IMPLIED {
            let replaced = replaced.map(HeaderValue::from_static);
            let found = format(&headers(pairs), replaced.as_ref());
            assert_eq!(found, expected, "{pairs:?} {replaced:?}");
        }
    }

    #[test]
    fn several_fields_are_one_list() {
        let several = [
            ("accept", "image/png;q=0.9"),
            ("accept", "application/json;q=0.8"),
        ];
        assert_eq!(format(&headers(&several), None), Format::Json);
        let several = [("accept", "*/*"), ("accept", "application/xml")];
        assert_eq!(format(&headers(&several), None), Format::Xml);
    }

    #[test]
    fn an_endless_accept_costs_little() {
        let commas = ",".repeat(100_000);
        let ranges = "text/plain;q=0.001,".repeat(6_000);
        let quoted = format!("text/html;x=\"{}", "a,\\".repeat(33_000));
        let begun = Instant::now();
        for accept in [&commas, &ranges, &quoted] {
            for _ in 0..100 {
                format(&headers(&[("accept", accept)]), None);
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(format(&headers(&[("accept", &ranges)]), None), Format::Text);
    }
}
