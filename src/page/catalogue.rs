//! The words of pages: in comes a catalogue (`templates/locales/*.toml`), out come the texts for a notice and a status.
//!
//! Everything that does not depend on a request is made here once, so that a render only picks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, Method};
use serde::Deserialize;
use tera::{Map, Value};
use toml::Table;

use super::brand::{Told, percent_encoded};
use super::date::{DateForm, DateSource};
use super::delay::{Delay, Units};
use super::{Notice, escape};

/// The texts of one language.
pub(super) struct Catalogue {
    pub(super) language: Arc<str>,
    pub(super) content_language: HeaderValue,
    pub(super) language_value: Value,
    pub(super) direction: Value,
    pub(super) labels: Value,
    pub(super) mail: Mail,
    /// How the time of a failure is written.
    pub(super) date: DateForm,
    /// How a time to wait is said.
    pub(super) delay: Delay,
    entries: BTreeMap<(Notice, u16), Entry>,
}

/// The words of a mail about a reference, percent-encoded.
pub(super) struct Mail {
    pub(super) subject: String,
    reference: String,
    /// Before the time, the address, the status and the language.
    labels: [String; 4],
}

/// What a page says about one notice and status.
pub(super) struct Entry {
    pub(super) title: Value,
    pub(super) message: Value,
    /// The message once more as plain text, for formats without a template.
    pub(super) message_text: String,
    /// By what the visitor did, then by whom there is to tell.
    advice: [[Value; 3]; 2],
}

/// Whom a visitor can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contact {
    /// Nobody: there is no reference to mention.
    Nobody = 0,
    /// The people who run the site, whoever they are.
    Owner = 1,
    /// A support desk whose address the page shows.
    Support = 2,
}

/// The labels that the built-in templates show: a catalogue has them all, and may have others for templates of one's own.
const LABELS: [&str; 20] = [
    "reference",
    "support",
    "email",
    "status",
    "home",
    "time",
    "address",
    "error",
    "retry",
    "copy",
    "copied",
    "qr",
    "try_again",
    "again",
    "stop",
    "layer",
    "host",
    "path",
    "language",
    "until",
];

/// The longest language tag that anyone needs (RFC 5646, 4.4.1).
const MAX_TAG: usize = 35;

/// Why a catalogue cannot be used.
#[derive(Debug)]
pub(super) enum CatalogueError {
    /// Not TOML, or not of the shape of a catalogue.
    Unreadable(toml::de::Error),
    /// A section for something that there is no page about.
    Unknown(String),
    /// A text that is neither in its section nor in `general`.
    Missing(String),
    /// `language` is not of the form of a tag (RFC 5646): it stands in headers, in attributes and in the names of files.
    BadLanguage,
    /// `date.pattern` names something that a moment does not have.
    BadDate,
}

impl Catalogue {
    /// Reads a whole catalogue.
    pub(super) fn parse(text: &str) -> Result<Self, CatalogueError> {
        let source = toml::from_str(text).map_err(CatalogueError::Unreadable)?;
        Self::of(source)
    }

    /// Reads a catalogue of one's own: where there is a built-in one of its language it need have only what it says otherwise.
    pub(super) fn parse_own(
        text: &str,
        built_in: impl FnOnce(&str) -> Option<&'static str>,
    ) -> Result<Self, CatalogueError> {
        let own: Table = toml::from_str(text).map_err(CatalogueError::Unreadable)?;
        let tag = own.get("language").and_then(toml::Value::as_str);
        let Some(base) = tag.and_then(built_in) else {
            return Self::parse(text);
        };
        let mut whole = toml::from_str(base).map_err(CatalogueError::Unreadable)?;
        lay_over(&mut whole, own);
        match whole.try_into() {
            Ok(source) => Self::of(source),
            Err(error) => Err(CatalogueError::Unreadable(error)),
        }
    }

    fn of(source: Source) -> Result<Self, CatalogueError> {
        let entries = source.entries()?;
        if let Some(label) = LABELS
            .iter()
            .find(|name| !source.labels.contains_key(**name))
        {
            return Err(CatalogueError::Missing(format!("labels.{label}")));
        }
        let mail = Mail::new(&source)?;
        if !is_tag(&source.language) {
            return Err(CatalogueError::BadLanguage);
        }
        Ok(Self {
            content_language: HeaderValue::from_str(&source.language)
                .map_err(|_| CatalogueError::BadLanguage)?,
            language_value: escape::value(&source.language),
            direction: escape::value(source.direction.name()),
            labels: labels(source.labels),
            mail,
            date: DateForm::new(source.date).ok_or(CatalogueError::BadDate)?,
            delay: Delay::new(&source.language, source.delay)
                .map_err(|form| CatalogueError::Missing(form.to_owned()))?,
            language: source.language.into(),
            entries,
        })
    }

    /// What there are words of its own for.
    #[cfg(test)]
    pub(super) fn sections(&self) -> Vec<(Notice, u16)> {
        self.entries.keys().copied().collect()
    }

    /// The texts for a status: its own, those of its class, or those of the notice in general.
    pub(super) fn find(&self, notice: Notice, status: u16) -> Option<&Entry> {
        [status, status / 100, GENERAL]
            .into_iter()
            .find_map(|key| self.entries.get(&(notice, key)))
    }
}

/// Puts what `own` says in the place of what is there.
fn lay_over(whole: &mut Table, own: Table) {
    for (name, value) in own {
        match (whole.get_mut(&name), value) {
            (Some(toml::Value::Table(there)), toml::Value::Table(value)) => lay_over(there, value),
            (_, value) => drop(whole.insert(name, value)),
        }
    }
}

impl Mail {
    fn new(source: &Source) -> Result<Self, CatalogueError> {
        let label = |name: &str| {
            let text = source.labels.get(name);
            let text = text.ok_or_else(|| CatalogueError::Missing(format!("labels.{name}")))?;
            Ok(percent_encoded(&format!("{text}: ")))
        };
        Ok(Self {
            subject: percent_encoded(&source.subject),
            reference: percent_encoded(&format!("{}: ", source.subject)),
            labels: [
                label("time")?,
                label("address")?,
                label("error")?,
                label("language")?,
            ],
        })
    }

    /// The pieces of the lines that tell what happened: a label, what is told, and what follows it.
    pub(super) fn lines(&self) -> [(&str, Told, &str); 6] {
        let [time, address, error, language] = &self.labels;
        [
            (&self.reference, Told::RequestId, LINE_END),
            (time, Told::Time, LINE_END),
            (address, Told::Host, ""),
            ("", Told::Path, LINE_END),
            (error, Told::Status, LINE_END),
            (language, Told::Language, ""),
        ]
    }
}

impl Entry {
    /// What the visitor can do, by what they did and by whom there is to tell.
    pub(super) fn advice(&self, method: &Method, contact: Contact) -> &Value {
        let [reading, sending] = &self.advice;
        let [nobody, owner, support] = if method.is_safe() { reading } else { sending };
        match contact {
            Contact::Nobody => nobody,
            Contact::Owner => owner,
            Contact::Support => support,
        }
    }
}

impl fmt::Display for CatalogueError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(formatter, "{}", error.message()),
            Self::Unknown(section) => write!(formatter, "no page is about `{section}`"),
            Self::Missing(text) => write!(formatter, "the text `{text}` is missing"),
            Self::BadLanguage => write!(formatter, "`language` is no language tag"),
            Self::BadDate => write!(
                formatter,
                "`date.pattern` has other parts than {{day}}, {{month}}, {{year}} and {{time}}"
            ),
        }
    }
}

/// The end of a line in the body of a mail link (RFC 6068, 5).
const LINE_END: &str = "%0D%0A";

/// Whether a text is parts of one to eight letters and digits with hyphens between.
fn is_tag(text: &str) -> bool {
    let is_part = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    text.len() <= MAX_TAG && text.split('-').all(is_part)
}

/// The key of the texts that are said for any status of a notice; a class (`4xx`) has its first digit.
const GENERAL: u16 = 0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    language: String,
    direction: Direction,
    labels: BTreeMap<String, String>,
    subject: String,
    date: DateSource,
    delay: Units,
    contact: ContactTexts,
    work: WorkTexts,
    notices: BTreeMap<String, BTreeMap<String, Text>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Ltr,
    Rtl,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContactTexts {
    support: String,
    owner: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkTexts {
    unknown: String,
    untouched: String,
    rejected: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Work {
    Unknown,
    Untouched,
    Rejected,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    title: Option<String>,
    message: Option<String>,
    advice: Option<String>,
    sent: Option<String>,
    work: Option<Work>,
}

impl Direction {
    const fn name(self) -> &'static str {
        match self {
            Self::Ltr => "ltr",
            Self::Rtl => "rtl",
        }
    }
}

impl Source {
    fn entries(&self) -> Result<BTreeMap<(Notice, u16), Entry>, CatalogueError> {
        if let Some(stranger) = self.notices.keys().find(|name| notice(name).is_none()) {
            return Err(CatalogueError::Unknown(stranger.clone()));
        }
        let mut entries = BTreeMap::new();
        for notice in Notice::ALL {
            self.add_entries(notice, &mut entries)?;
        }
        Ok(entries)
    }

    fn add_entries(
        &self,
        notice: Notice,
        entries: &mut BTreeMap<(Notice, u16), Entry>,
    ) -> Result<(), CatalogueError> {
        let name = notice.name();
        let missing = || CatalogueError::Missing(format!("{name}.general"));
        let texts = self.notices.get(name).ok_or_else(missing)?;
        let general = texts.get("general").ok_or_else(missing)?;
        for (status, text) in texts {
            let section = format!("{name}.{status}");
            let key = status_key(status).ok_or_else(|| CatalogueError::Unknown(section.clone()))?;
            entries.insert((notice, key), self.entry(&section, text, general)?);
        }
        Ok(())
    }

    fn entry(&self, section: &str, own: &Text, general: &Text) -> Result<Entry, CatalogueError> {
        let said = |name: &str, own: &Option<String>, general: &Option<String>| {
            own.clone()
                .or_else(|| general.clone())
                .ok_or_else(|| CatalogueError::Missing(format!("{section}.{name}")))
        };
        let message = said("message", &own.message, &general.message)?;
        let reading = said("advice", &own.advice, &general.advice)?;
        let work = own.work.or(general.work).unwrap_or(Work::Unknown);
        let sending = own.sent.as_deref().unwrap_or_else(|| self.work.said(work));
        Ok(Entry {
            title: escape::value(&said("title", &own.title, &general.title)?),
            message: escape::value(&message),
            message_text: message,
            advice: [
                self.contact.added_to(&reading),
                self.contact.added_to(sending),
            ],
        })
    }
}

impl ContactTexts {
    fn added_to(&self, advice: &str) -> [Value; 3] {
        [
            escape::value(advice),
            escape::value(&format!("{advice} {}", self.owner)),
            escape::value(&format!("{advice} {}", self.support)),
        ]
    }
}

impl WorkTexts {
    fn said(&self, work: Work) -> &str {
        match work {
            Work::Unknown => &self.unknown,
            Work::Untouched => &self.untouched,
            Work::Rejected => &self.rejected,
        }
    }
}

fn notice(name: &str) -> Option<Notice> {
    Notice::ALL.into_iter().find(|notice| notice.name() == name)
}

fn status_key(section: &str) -> Option<u16> {
    match section {
        "general" => Some(GENERAL),
        "4xx" => Some(4),
        "5xx" => Some(5),
        status => status.parse().ok().filter(|code| (400..600).contains(code)),
    }
}

fn labels(texts: BTreeMap<String, String>) -> Value {
    let labels: Map = texts
        .into_iter()
        .map(|(name, text)| (name.into(), escape::value(&text)))
        .collect();
    Value::from(labels)
}

#[cfg(test)]
mod tests {
    use super::super::locales;
    use super::*;

    #[test]
    fn every_notice_has_words_for_every_status() {
        let english = locales::english();
        for notice in Notice::ALL {
            for status in 100..=999 {
                let entry = english.find(notice, status).unwrap();
                assert!(!entry.message_text.is_empty());
            }
        }
    }

    #[test]
    fn no_text_needs_escaping_or_says_what_a_visitor_cannot_use() {
        let words = include_str!("../../templates/locales/en.toml");
        for entry in locales::english().entries.values() {
            assert!(entry.title.is_safe() && entry.message.is_safe());
            assert!(entry.advice.iter().flatten().all(Value::is_safe));
        }
        let said: Vec<&str> = words
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        for jargon in [
            "server", "upstream", "gateway", "proxy", "HTTP", "timeout", "oops", "sorry",
        ] {
            let found = said
                .iter()
                .find(|line| line.to_lowercase().contains(&jargon.to_lowercase()));
            assert_eq!(found, None, "{jargon}");
        }
    }

    #[test]
    fn a_post_is_told_what_became_of_it() {
        let english = locales::english();
        let cases = [
            (Notice::AppFailed, 500, "may or may not have gone through"),
            (Notice::AppTooSlow, 504, "may or may not have gone through"),
            (
                Notice::AppBadAnswer,
                502,
                "may or may not have gone through",
            ),
            (
                Notice::AppUnreachable,
                502,
                "has not been processed, so it is safe to send it again",
            ),
            (
                Notice::Busy,
                503,
                "has not been processed, so it is safe to send it again",
            ),
            (Notice::Refused, 413, "was not accepted"),
        ];
        for (notice, status, expected) in cases {
            let entry = english.find(notice, status).unwrap();
            let sent = entry.advice(&Method::POST, Contact::Support).to_string();
            let seen = entry.advice(&Method::GET, Contact::Nobody).to_string();
            assert!(sent.contains(expected), "{notice:?}: {sent}");
            assert!(
                sent.ends_with("contact support and mention the reference."),
                "{sent}"
            );
            assert!(!seen.contains("What you sent"), "{seen}");
        }
    }

    #[test]
    fn the_labels_that_a_catalogue_must_have_are_those_of_english() {
        let source: Source =
            toml::from_str(include_str!("../../templates/locales/en.toml")).unwrap();
        let mut needed = LABELS.to_vec();
        needed.sort_unstable();
        assert_eq!(source.labels.keys().collect::<Vec<_>>(), needed);
    }

    #[test]
    fn a_catalogue_with_a_hole_is_refused() {
        let whole = include_str!("../../templates/locales/en.toml");
        let cases = [
            (
                whole.replace("[notices.busy.general]", "[notices.bussy.general]"),
                "no page is about `bussy`",
            ),
            (
                whole.replace("title = \"We are very busy right now\"\n", ""),
                "the text `busy.general.title` is missing",
            ),
            (
                whole.replace("retry = \"Try again in\"\n", ""),
                "the text `labels.retry` is missing",
            ),
            (
                whole.replace("[notices.refused.503]", "[notices.refused.200]"),
                "no page is about `refused.200`",
            ),
        ];
        for (text, expected) in cases {
            let error = Catalogue::parse(&text).err().unwrap();
            assert_eq!(error.to_string(), expected);
        }
    }
}
