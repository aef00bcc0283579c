//! Whose page it is: in comes `[brand]`, out come the values that every page of a route shares.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use tera::{Map, Value};

use super::color::{Color, DARK_PAGE, LIGHT_PAGE};
use super::{PageProblem, escape};
use crate::config;

/// With this logo every built-in page stays under 14 KB.
const MAX_LOGO: u64 = 3584;
/// What may stand in any part of a URL as it is (RFC 3986, unreserved).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The checked brand of a route.
pub(super) struct Brand {
    /// `None`: the host asked for.
    name: Option<String>,
    map: Map,
    value: Value,
    support: Option<SupportUrl>,
    pub(super) support_email: Value,
    pub(super) status_url: Value,
    pub(super) home_url: Value,
    has_contact: bool,
}

/// The support link: text, and what is told behind it.
pub(super) struct SupportUrl {
    parts: Vec<(String, Told)>,
    end: String,
}

/// What a link to support can tell about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    RequestId,
    Time,
    Host,
    Path,
    Language,
    Status,
}

impl Brand {
    /// Checks the section and reads the logo; a relative path starts at `folder`. Without what is wrong with it, if anything.
    pub(super) fn build(section: &config::Brand, folder: &Path) -> (Self, Vec<PageProblem>) {
        let mut problems = Vec::new();
        let mut kept = |result: Result<String, PageProblem>| {
            result.unwrap_or_else(|problem| {
                problems.push(problem);
                String::new()
            })
        };
        let color = kept(checked_color(section.color.as_deref()));
        let logo = kept(inlined_logo(section.logo.as_deref(), folder));
        let support = kept(checked_url(
            "brand.support_url",
            section.support_url.as_deref(),
        ));
        let status = kept(checked_url(
            "brand.status_url",
            section.status_url.as_deref(),
        ));
        let home = kept(checked_url("brand.home_url", section.home_url.as_deref()));
        let email = kept(checked_email(section.support_email.as_deref()));
        let map = brand_map(section.name.as_deref(), &color, &logo);
        let brand = Self {
            name: section.name.clone(),
            value: Value::from(map.clone()),
            map,
            has_contact: !support.is_empty() || !email.is_empty(),
            support: SupportUrl::new(&support),
            support_email: escape::value(&email),
            status_url: escape::value(&status),
            home_url: escape::value(&home),
        };
        (brand, problems)
    }

    /// `brand` as templates see it on a page for `host`.
    pub(super) fn value(&self, host: &str) -> Value {
        if self.name.is_some() {
            return self.value.clone();
        }
        let mut map = self.map.clone();
        map.insert("name".into(), escape::value(host));
        Value::from(map)
    }

    /// The support link, where there is one.
    pub(super) fn support(&self) -> Option<&SupportUrl> {
        self.support.as_ref()
    }

    /// Whether a page shows a way to reach support.
    pub(super) fn has_contact(&self) -> bool {
        self.has_contact
    }
}

impl Told {
    const ALL: [(&str, Self); 6] = [
        ("{request_id}", Self::RequestId),
        ("{time}", Self::Time),
        ("{host}", Self::Host),
        ("{path}", Self::Path),
        ("{language}", Self::Language),
        ("{status}", Self::Status),
    ];

    /// The first placeholder of a text, with its start and its end.
    fn first_in(text: &str) -> Option<(usize, usize, Self)> {
        Self::ALL
            .iter()
            .filter_map(|(name, told)| {
                let start = text.find(name)?;
                Some((start, start + name.len(), *told))
            })
            .min_by_key(|(start, _, _)| *start)
    }
}

impl SupportUrl {
    fn new(url: &str) -> Option<Self> {
        if url.is_empty() {
            return None;
        }
        let mut parts = Vec::new();
        let mut rest = url;
        while let Some((start, end, told)) = Told::first_in(rest) {
            parts.push((rest.get(..start)?.to_owned(), told));
            rest = rest.get(end..)?;
        }
        let end = rest.to_owned();
        Some(Self { parts, end })
    }

    /// With what it tells in its places.
    pub(super) fn filled<'a>(&self, told: impl Fn(Told) -> &'a str) -> String {
        let mut url = String::with_capacity(128);
        for (text, place) in &self.parts {
            url.push_str(text);
            url.extend(encoding(told(*place)));
        }
        url.push_str(&self.end);
        url
    }
}

/// `text` as one part of a URL, in pieces.
pub(super) fn encoding(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, UNRESERVED)
}

/// `text` as one part of a URL.
pub(super) fn percent_encoded(text: &str) -> String {
    encoding(text).to_string()
}

fn brand_map(name: Option<&str>, color: &str, logo: &str) -> Map {
    let accent = Color::parse(color).unwrap_or(Color::DEFAULT);
    [
        ("name", escape::value(name.unwrap_or_default())),
        ("color", escape::value(color)),
        ("logo", escape::value(logo)),
        ("css", escape::value(&properties(accent))),
    ]
    .into_iter()
    .map(|(key, value)| (key.into(), value))
    .collect()
}

/// The accent as custom properties of a style: `--accent` and `--on-accent` for surfaces, `--link` and `--link-dark` for text.
fn properties(accent: Color) -> String {
    format!(
        "--accent:{};--on-accent:{};--link:{};--link-dark:{}",
        accent.hex(),
        accent.ink().hex(),
        accent.readable_on(LIGHT_PAGE).hex(),
        accent.readable_on(DARK_PAGE).hex(),
    )
}

fn checked_color(color: Option<&str>) -> Result<String, PageProblem> {
    let Some(text) = color else {
        return Ok(String::new());
    };
    Color::parse(text).map(Color::hex).ok_or_else(|| {
        PageProblem::key("brand.color", format!("`{text}` is no colour"))
            .hint("six hexadecimal digits, like \"#0b5fff\"")
    })
}

fn checked_url(key: &'static str, url: Option<&str>) -> Result<String, PageProblem> {
    let Some(text) = url else {
        return Ok(String::new());
    };
    let scheme_fits = ["https://", "http://", "mailto:", "tel:", "/"]
        .iter()
        .any(|start| text.starts_with(start));
    let whole = !text
        .chars()
        .any(|c| c.is_control() || c.is_whitespace() || c == '\\');
    if scheme_fits && whole && !text.starts_with("//") {
        return Ok(text.to_owned());
    }
    Err(PageProblem::key(key, format!("`{text}` is no link"))
        .hint("it starts with https://, http://, mailto:, tel: or /"))
}

fn checked_email(email: Option<&str>) -> Result<String, PageProblem> {
    let Some(text) = email else {
        return Ok(String::new());
    };
    let odd = |c: char| c.is_control() || c.is_whitespace() || "<>\"'?&,;:\\".contains(c);
    match text.split_once('@') {
        Some((user, host)) if !user.is_empty() && !host.is_empty() && !text.contains(odd) => {
            Ok(text.to_owned())
        }
        _ => Err(PageProblem::key(
            "brand.support_email",
            format!("`{text}` is no mail address"),
        )),
    }
}

fn inlined_logo(logo: Option<&Path>, folder: &Path) -> Result<String, PageProblem> {
    let Some(path) = logo else {
        return Ok(String::new());
    };
    let file = folder.join(path);
    let problem =
        |message: String| PageProblem::key("brand.logo", format!("{}: {message}", file.display()));
    let unreadable = |error: std::io::Error| problem(error.to_string());
    let size = fs::metadata(&file).map_err(unreadable)?.len();
    if size > MAX_LOGO {
        return Err(
            problem(format!("{size} bytes are too many, at most {MAX_LOGO}"))
                .hint("the logo is part of every page, which should fit into 14 KB"),
        );
    }
    let bytes = fs::read(&file).map_err(unreadable)?;
    let kind = image_type(&bytes).ok_or_else(|| {
        problem("no image that pages can show".to_owned()).hint("SVG, PNG, JPEG, GIF or WebP")
    })?;
    Ok(format!(
        "data:{kind};base64,{}",
        BASE64_STANDARD.encode(bytes)
    ))
}

fn image_type(bytes: &[u8]) -> Option<&'static str> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    if starts(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if starts(b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if starts(b"GIF8") {
        Some("image/gif")
    } else if starts(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some("image/webp")
    } else {
        let text = std::str::from_utf8(bytes).ok()?;
        text.contains("<svg").then_some("image/svg+xml")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(section: &config::Brand) -> Vec<String> {
        let (_, problems) = Brand::build(section, Path::new("/nowhere"));
        problems.iter().map(|p| p.place.to_string()).collect()
    }

    #[test]
    fn every_bad_value_is_named() {
        let section = config::Brand {
            name: Some("Shop".to_owned()),
            logo: Some("logo.svg".into()),
            color: Some("blue".to_owned()),
            support_url: Some("javascript:alert(1)".to_owned()),
            support_email: Some("nobody".to_owned()),
            status_url: Some("//evil.example".to_owned()),
            home_url: Some("/a b".to_owned()),
        };
        assert_eq!(
            keys(&section),
            [
                "brand.color",
                "brand.logo",
                "brand.support_url",
                "brand.status_url",
                "brand.home_url",
                "brand.support_email"
            ]
        );
        assert!(keys(&config::Brand::default()).is_empty());
    }

    #[test]
    fn the_reference_is_encoded_into_the_support_link() {
        let filled = |url: &str| {
            let section = config::Brand {
                support_url: Some(url.to_owned()),
                ..config::Brand::default()
            };
            let (brand, _) = Brand::build(&section, Path::new("."));
            brand.support().unwrap().filled(|told| match told {
                Told::RequestId => "A&B/<ü",
                Told::Path => "/a?b",
                _ => "",
            })
        };
        for (url, expected) in [
            (
                "/?a={request_id}&b={request_id}",
                "/?a=A%26B%2F%3C%C3%BC&b=A%26B%2F%3C%C3%BC",
            ),
            (
                "/?p={path}&r={request_id}&t={time}",
                "/?p=%2Fa%3Fb&r=A%26B%2F%3C%C3%BC&t=",
            ),
            ("/?x={other}", "/?x={other}"),
        ] {
            assert_eq!(filled(url), expected);
        }
    }

    #[test]
    fn images_are_known_by_their_first_bytes() {
        let cases: [(&[u8], Option<&str>); 6] = [
            (b"\x89PNG\r\n\x1a\n....", Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"GIF89a", Some("image/gif")),
            (b"RIFF....WEBPVP8 ", Some("image/webp")),
            (b"<?xml version=\"1.0\"?><svg/>", Some("image/svg+xml")),
            (b"<html>", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(image_type(bytes), expected);
        }
    }
}
