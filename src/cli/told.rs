//! What an answer tells about the app, for `pardon explain`: in its header, and in its text though it calls itself good.

use http::{HeaderMap, HeaderName};

use super::explain::line;
use crate::config::DisguiseMode;
use crate::incident::Incident;
use crate::intercept::Policy;

/// Headers that say what an app is made of, or how it is doing.
const TELLING: [&str; 20] = [
    "liferay-portal",
    "server",
    "server-timing",
    "sourcemap",
    "via",
    "x-application-context",
    "x-aspnet-version",
    "x-aspnetmvc-version",
    "x-backend-server",
    "x-cf-powered-by",
    "x-drupal-cache",
    "x-generator",
    "x-jenkins",
    "x-mod-pagespeed",
    "x-owa-version",
    "x-powered-by",
    "x-powered-cms",
    "x-runtime",
    "x-sourcefiles",
    "x-sourcemap",
];

/// Whether a header field says what an app is made of, or how it is doing.
pub(super) fn tells(name: &HeaderName) -> bool {
    TELLING.contains(&name.as_str()) || name.as_str().starts_with("x-debug-")
}

/// The header fields of an answer that tell about the app, and what becomes of them where the answer passes.
pub(super) fn by(headers: &HeaderMap, policy: &Policy) -> String {
    let mut text = String::new();
    for name in headers.keys().filter(|name| tells(name)) {
        let fate = if policy.strips(name) {
            "intercept.strip_headers removes it from passing answers"
        } else {
            "intercept.strip_headers could remove it from passing answers"
        };
        let value = headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        let value = value.unwrap_or_default();
        line(&mut text, "tells", &format!("{name}: {value}; {fate}"));
    }
    text
}

/// What is found in an answer that does not call itself a failure, and what becomes of it in each mode. `play` plays it.
pub(super) fn in_modes(
    play: impl Fn(DisguiseMode) -> anyhow::Result<Option<Incident>>,
) -> anyhow::Result<String> {
    let mut text = String::new();
    let Some(reported) =
        play(DisguiseMode::Report)?.filter(|incident| !incident.evidence.is_empty())
    else {
        return Ok(text);
    };
    for evidence in &reported.evidence {
        let (signature, framework) = (&evidence.signature, &evidence.framework);
        let (weight, offset) = (evidence.weight, evidence.offset);
        let says = format!("{signature} ({framework}), weight {weight}, at byte {offset}");
        line(&mut text, "evidence", &says);
    }
    line(&mut text, "mode off", "passes, and nothing is recorded");
    line(&mut text, "mode report", "passes, and is recorded");
    let replaced = play(DisguiseMode::Replace)?;
    let served = replaced
        .as_ref()
        .and_then(|incident| incident.served.as_ref());
    let cut = replaced
        .as_ref()
        .and_then(|incident| incident.upstream.as_ref()?.error.as_ref());
    let says = match (served, cut) {
        (Some(page), _) => format!("replaced by a page with status {}", page.status),
        (None, Some(_)) => "found after what is held back: broken off, and recorded".to_owned(),
        (None, None) => "found after what is held back: passes, and is recorded".to_owned(),
    };
    line(&mut text, "mode replace", &says);
    Ok(text)
}
