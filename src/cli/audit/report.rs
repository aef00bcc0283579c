//! What was found, as a person reads it: text, a page, or a line of JSON for each finding.

use std::fmt::Write as _;
use std::time::Duration;

use http::Uri;

use super::finding::{Finding, What};
use crate::cli::visible;

/// A walk's outcome.
pub(super) struct Report<'a> {
    pub(super) url: &'a Uri,
    pub(super) through: Option<&'a Uri>,
    pub(super) asked: usize,
    /// Addresses that were found and not asked for.
    pub(super) left: usize,
    pub(super) took: Duration,
    pub(super) findings: &'a [Finding],
}

impl Report<'_> {
    /// One object a finding.
    pub(super) fn json(&self) -> serde_json::Result<String> {
        let mut text = String::new();
        for finding in self.findings {
            text.push_str(&serde_json::to_string(finding)?);
            text.push('\n');
        }
        Ok(text)
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n", self.heading());
        for (index, finding) in self.findings.iter().enumerate() {
            let title = finding.what.title();
            let _ = write!(text, "\n{}. {}\n", index + 1, visible::line(&title));
            for (what, says) in details(finding) {
                let _ = writeln!(text, "   {what:<12} {}", visible::line(&says));
            }
        }
        text
    }

    pub(super) fn html(&self) -> String {
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Audit of {url}</title>\
             <style>body {{ font: 16px/1.5 sans-serif; max-width: 50em; margin: 2em auto; padding: 0 1em }} \
             dt {{ float: left; width: 8em; color: #555 }} dd {{ margin-left: 8em; overflow-wrap: anywhere }}</style></head>\n\
             <body><h1>Audit of {url}</h1>\n<p>{}</p>\n<ol>\n",
            escaped(&self.heading()),
            url = escaped(&self.url.to_string()),
        );
        for finding in self.findings {
            let _ = write!(page, "<li><h2>{}</h2><dl>", escaped(&finding.what.title()));
            for (what, says) in details(finding) {
                let _ = write!(page, "<dt>{what}</dt><dd>{}</dd>", escaped(&says));
            }
            page.push_str("</dl></li>\n");
        }
        page.push_str("</ol></body></html>\n");
        page
    }

    fn heading(&self) -> String {
        let seconds = self.took.as_secs_f32();
        let mut text = format!("{}: {} requests in {seconds:.1} s", self.url, self.asked);
        if self.left > 0 {
            let _ = write!(text, ", {} addresses left", self.left);
        }
        let leaks = |finding: &&Finding| {
            matches!(finding.what, What::Leak { .. } | What::DisguisedLeak { .. })
        };
        let leaks = self.findings.iter().filter(leaks).count();
        let _ = write!(
            text,
            "; {} findings, {leaks} of them leaks",
            self.findings.len()
        );
        match self.through {
            Some(url) => {
                let _ = write!(text, "; with Pardon: {url}");
            }
            None => text.push_str("; with Pardon: as by default, and disguise.mode = \"replace\""),
        }
        text
    }
}

/// What is said of a finding, by kind.
fn details(finding: &Finding) -> Vec<(&'static str, String)> {
    let mut details = Vec::new();
    for place in &finding.places {
        let status = place
            .status
            .map_or_else(String::new, |status| format!(" -> {status}"));
        let says = format!("{} {}{status} ({})", place.method, place.target, place.why);
        details.push(("at", says));
    }
    if finding.count > finding.places.len() {
        let more = finding.count - finding.places.len();
        details.push(("", format!("and {more} more")));
    }
    if let What::Leak { evidence } | What::DisguisedLeak { evidence } = &finding.what {
        for sign in evidence {
            let says = format!(
                "{} ({}), weight {}, at byte {}",
                sign.signature, sign.framework, sign.weight, sign.offset
            );
            details.push(("evidence", says));
        }
    }
    details.push(("with Pardon", finding.with_pardon.clone()));
    details.push(("to do", finding.advice.clone()));
    details
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in visible::line(text).chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}
