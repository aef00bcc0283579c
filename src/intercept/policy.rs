//! What a route intercepts, ready to be asked: [`config::Intercept`] with its patterns taken apart.

use std::net::IpAddr;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use ipnet::IpNet;
use regex::bytes::{Regex, RegexBuilder};

use super::disguise::{Disguise, Watch};
use crate::config::units::StatusSet;
use crate::config::{self, DisguiseMode, Late, Only};

/// A route's rules of interception.
#[derive(Clone, Debug)]
pub struct Policy {
    statuses: StatusSet,
    pass_header: Option<HeaderName>,
    pass_content_types: Vec<String>,
    keep: NameSet,
    strip: NameSet,
    reference_headers: Vec<HeaderName>,
    /// Finds the app's own reference in a body; its one group is the reference.
    pub reference: Option<Regex>,
    /// How much of a failed answer is read and kept.
    pub capture: config::Capture,
    /// Whether failures are kept at all.
    pub record: bool,
    /// What is done about failures in disguise; none where nothing is.
    pub disguise: Option<Disguise>,
    /// What looks into failures, where the app's own pages pass.
    leaking: Option<Disguise>,
    hold: (usize, Duration),
    /// Peers that see the app's original answers.
    reveal: Vec<IpNet>,
}

/// Header names, and beginnings of header names.
#[derive(Clone, Debug, Default)]
struct NameSet {
    names: Vec<HeaderName>,
    beginnings: Vec<String>,
}

impl Policy {
    /// The rules as the configuration states them.
    #[must_use]
    pub fn build(settings: &config::Intercept) -> Self {
        Self {
            statuses: settings.statuses.clone(),
            pass_header: settings.pass_header.clone(),
            pass_content_types: settings
                .pass_content_types
                .iter()
                .map(|kind| kind.to_ascii_lowercase())
                .collect(),
            keep: NameSet::new(&settings.keep_headers),
            strip: NameSet::new(&settings.strip_headers),
            reference_headers: settings.reference_headers.clone(),
            reference: reference(&settings.reference_pattern),
            capture: settings.capture.clone(),
            record: settings.record,
            disguise: Disguise::build(&settings.disguise),
            leaking: (settings.only == Only::Leaking).then(Disguise::of_failures),
            hold: (
                settings.disguise.hold_bytes.bytes(),
                *settings.disguise.hold,
            ),
            reveal: settings.reveal.clone(),
        }
    }

    /// Whether a peer at this address sees the app's original answers.
    #[must_use]
    pub fn reveals(&self, address: IpAddr) -> bool {
        self.reveal.iter().any(|network| network.contains(&address))
    }

    /// Looks into a passing answer, where that is to be.
    pub(super) fn watch(
        &self,
        method: &Method,
        status: StatusCode,
        headers: &HeaderMap,
        sampled: impl FnOnce(f64) -> bool,
    ) -> Option<Watch> {
        let disguise = self.disguise.as_ref()?;
        if self.has_pass_header(headers) {
            return None;
        }
        let all = disguise.mode == DisguiseMode::Replace;
        disguise.watch(method, status, headers, || all || sampled(disguise.sample))
    }

    /// Looks into a failed answer, where it may be a page of the app's own that passes.
    pub(super) fn look_at_failure(
        &self,
        method: &Method,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Option<Watch> {
        let leaking = self.leaking.as_ref().filter(|_| *method != Method::HEAD)?;
        leaking.watch_failure(status, headers)
    }

    /// Whether failures in disguise are replaced.
    #[must_use]
    pub fn replaces_disguised(&self) -> bool {
        self.disguise
            .as_ref()
            .is_some_and(|disguise| disguise.mode == DisguiseMode::Replace)
    }

    /// Whether an answer is broken off when it turns out to be a failure on its way.
    #[must_use]
    pub fn aborts_disguised(&self) -> bool {
        self.replaces_disguised()
            && self
                .disguise
                .as_ref()
                .is_some_and(|disguise| disguise.late == Late::Abort)
    }

    /// The status of the page of a failure in disguise.
    pub(super) fn disguise_status(&self) -> StatusCode {
        let status = self.disguise.as_ref().map(|disguise| disguise.status);
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// How much of an answer is held back while it is looked into, in bytes, and for how long.
    pub(super) fn hold(&self) -> (usize, Duration) {
        self.hold
    }

    /// Whether answers with this status are intercepted.
    #[must_use]
    pub fn intercepts(&self, status: StatusCode) -> bool {
        self.statuses.contains(status.as_u16())
    }

    /// Whether an answer calls itself the app's own page.
    #[must_use]
    pub fn has_pass_header(&self, headers: &HeaderMap) -> bool {
        self.pass_header
            .as_ref()
            .is_some_and(|name| headers.contains_key(name))
    }

    /// Whether answers of this media type are left alone.
    #[must_use]
    pub fn leaves_type_alone(&self, headers: &HeaderMap) -> bool {
        if self.pass_content_types.is_empty() {
            return false;
        }
        let Some(kind) = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
        else {
            return false;
        };
        let kind = kind
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        self.pass_content_types
            .iter()
            .any(|pattern| match pattern.strip_suffix('*') {
                Some(beginning) => kind.starts_with(beginning),
                None => kind == *pattern,
            })
    }

    /// Whether a page keeps this header of the answer that it stands in for.
    #[must_use]
    pub fn keeps(&self, name: &HeaderName) -> bool {
        self.keep.holds(name)
    }

    /// The headers of a failed answer that its page keeps.
    pub fn kept<'a>(
        &'a self,
        headers: &'a HeaderMap,
    ) -> impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)> {
        headers.iter().filter(|(name, _)| self.keep.holds(name))
    }

    /// The header of an answer that holds the app's own reference.
    #[must_use]
    pub fn reference_header<'a>(
        &self,
        headers: &'a HeaderMap,
    ) -> Option<(&HeaderName, &'a HeaderValue)> {
        let mut names = self.reference_headers.iter();
        names.find_map(|name| Some((name, headers.get(name)?)))
    }

    /// Whether passing answers lose this header.
    #[must_use]
    pub fn strips(&self, name: &HeaderName) -> bool {
        self.strip.holds(name)
    }

    /// Removes from a passing answer what the configuration wants removed, and the pass header.
    pub fn strip(&self, headers: &mut HeaderMap) {
        if let Some(name) = &self.pass_header {
            headers.remove(name);
        }
        if !self.strip.is_empty() {
            let doomed: Vec<_> = headers
                .keys()
                .filter(|name| self.strip.holds(name))
                .cloned()
                .collect();
            for name in doomed {
                headers.remove(name);
            }
        }
    }
}

/// The configuration's check has compiled it before.
fn reference(pattern: &str) -> Option<Regex> {
    let pattern = Some(pattern).filter(|pattern| !pattern.is_empty())?;
    RegexBuilder::new(pattern)
        .unicode(false)
        .build()
        .or_else(|_| Regex::new(pattern))
        .ok()
}

impl NameSet {
    /// From patterns as the configuration holds them: a name, or a beginning and `*`. A pattern that can match no
    /// header name matches none.
    fn new(patterns: &[String]) -> Self {
        let mut set = Self::default();
        for pattern in patterns {
            let pattern = pattern.to_ascii_lowercase();
            if let Some(beginning) = pattern.strip_suffix('*') {
                set.beginnings.push(beginning.to_owned());
            } else if let Ok(name) = HeaderName::try_from(pattern) {
                set.names.push(name);
            }
        }
        set
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.beginnings.is_empty()
    }

    fn holds(&self, name: &HeaderName) -> bool {
        self.names.contains(name)
            || self
                .beginnings
                .iter()
                .any(|beginning| name.as_str().starts_with(beginning))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_what_the_list_names() {
        let policy = Policy::build(&config::Intercept::default());
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("retry-after", "30"),
            ("www-authenticate", "Basic"),
            ("www-authenticate", "Bearer"),
            ("access-control-allow-origin", "*"),
            ("set-cookie", "a=b"),
            ("server", "Apache"),
            ("x-powered-by", "PHP"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let kept: Vec<_> = policy
            .kept(&headers)
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(
            kept,
            [
                "retry-after",
                "www-authenticate",
                "www-authenticate",
                "access-control-allow-origin"
            ]
        );
    }

    #[test]
    fn passing_answers_lose_what_the_list_names() {
        let policy = Policy::build(&config::Intercept {
            strip_headers: vec!["Server".to_owned(), "x-debug-*".to_owned()],
            ..config::Intercept::default()
        });
        let mut headers = HeaderMap::new();
        for name in [
            "server",
            "x-debug-token",
            "x-debug-link",
            "x-pardon-pass",
            "etag",
        ] {
            headers.insert(name, HeaderValue::from_static("1"));
        }
        policy.strip(&mut headers);
        assert_eq!(
            headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["etag"]
        );
    }
}
