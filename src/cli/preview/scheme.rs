//! A page in a scheme that the browser is not in: in comes a page, out comes one whose media queries say what was asked for.
//!
//! Only a preview does this: the page's style is another one then, so its security policy allows any style written into the page.

use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, CONTENT_SECURITY_POLICY};

use crate::page::{Format, Page};

/// What a visitor's system asks pages for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// What the browser of whoever looks is set to: the page is left as it is.
    Browser,
    Light,
    Dark,
    /// A palette of few colours in place of the page's own, near enough to see what is lost. Exact is the emulation in a
    /// browser's developer tools.
    Forced,
}

/// Always and never, wherever a media query may stand.
const YES: &str = "(min-width:0)";
const NO: &str = "(max-width:0)";

/// What forced colours do to a page: no colours, pictures behind text or shadows but the system's.
const FORCED: &str = "<style>*,*::before,*::after{color:CanvasText!important;background-color:Canvas!important;\
    border-color:CanvasText!important;outline-color:Highlight!important;box-shadow:none!important;text-shadow:none!important}\
    a,a *{color:LinkText!important}button,button *{color:ButtonText!important;background-color:ButtonFace!important}\
    svg *{fill:CanvasText!important;stroke:CanvasText!important}</style>";

impl Scheme {
    pub(super) const ALL: [Self; 4] = [Self::Browser, Self::Light, Self::Dark, Self::Forced];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Light => "light",
            Self::Dark => "dark",
            Self::Forced => "forced",
        }
    }

    /// The page as this scheme has it.
    pub(super) fn applied(self, mut page: Page) -> Page {
        if self == Self::Browser || page.format != Format::Html {
            return page;
        }
        let body = self.rewritten(&String::from_utf8_lossy(&page.body));
        page.headers
            .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        if let Some(policy) = page
            .headers
            .get(CONTENT_SECURITY_POLICY)
            .and_then(any_style)
        {
            page.headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        page.body = Bytes::from(body);
        page
    }

    fn rewritten(self, body: &str) -> String {
        let dark = self == Self::Dark;
        let body = settled(body, "prefers-color-scheme", "dark", dark);
        let body = settled(&body, "prefers-color-scheme", "light", !dark);
        let body = settled(&body, "forced-colors", "active", self == Self::Forced);
        let body = body.replace("light dark", if dark { "dark" } else { "light" });
        match body.split_once("</head>") {
            Some((head, rest)) if self == Self::Forced => format!("{head}{FORCED}</head>{rest}"),
            _ => body,
        }
    }
}

/// The page with a media feature that is what it is, however it is spaced.
fn settled(body: &str, feature: &str, value: &str, holds: bool) -> String {
    let tight = body.replace(
        &format!("({feature}: {value})"),
        &format!("({feature}:{value})"),
    );
    tight.replace(
        &format!("({feature}:{value})"),
        if holds { YES } else { NO },
    )
}

/// The policy with any inline style in place of those of known hashes.
fn any_style(policy: &HeaderValue) -> Option<HeaderValue> {
    let directive = |one: &str| match one.trim().split_once(' ') {
        Some(("style-src", _)) => "style-src 'unsafe-inline'".to_owned(),
        _ => one.trim().to_owned(),
    };
    let directives: Vec<_> = policy.to_str().ok()?.split(';').map(directive).collect();
    HeaderValue::try_from(directives.join("; ")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<head><meta name=\"color-scheme\" content=\"light dark\"><style>a{color-scheme:light dark}\
        @media (prefers-color-scheme: dark) and (min-width:9px){b{}}@media (forced-colors:active){c{}}</style></head>";

    #[test]
    fn media_queries_say_what_was_asked_for() {
        let dark = Scheme::Dark.rewritten(PAGE);
        assert!(
            dark.contains("content=\"dark\"")
                && dark.contains("@media (min-width:0) and (min-width:9px)"),
            "{dark}"
        );
        assert!(dark.contains("@media (max-width:0){c{}}"), "{dark}");
        let light = Scheme::Light.rewritten(PAGE);
        assert!(
            light.contains("a{color-scheme:light}") && light.contains("@media (max-width:0) and"),
            "{light}"
        );
        let forced = Scheme::Forced.rewritten(PAGE);
        assert!(
            forced.contains("@media (min-width:0){c{}}") && forced.ends_with("</style></head>"),
            "{forced}"
        );
    }

    #[test]
    fn the_policy_allows_the_style_that_was_rewritten_and_no_more() {
        let policy = HeaderValue::from_static(
            "default-src 'none'; style-src 'sha256-a' 'sha256-b'; script-src 'sha256-c'",
        );
        assert_eq!(
            any_style(&policy).unwrap(),
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-c'"
        );
    }
}
