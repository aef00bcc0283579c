//! Java: the error pages of Tomcat and Jetty.

use super::finding::Finding;
use super::frames::{self, Frames};
use super::markup;
use super::page::{self, Page};

/// A message is not followed further than this.
const MESSAGE: usize = 1024;

/// Tomcat's report: the root cause says what happened, the exception above it what became of that.
pub(super) fn tomcat(page: &Page<'_>) -> Option<Finding> {
    if !page.begins_with("<b>Type</b> ") {
        return None;
    }
    let trace = page::after_last(&page.text, "<b>Root Cause</b></p><pre>")
        .or_else(|| page.after("<b>Exception</b></p><pre>"))
        .and_then(|rest| trace(rest.split("</pre>").next()?));
    trace.or_else(|| {
        let message = markup::inline(page.between("<b>Message</b>", "</p>")?);
        let title = markup::inline(page.between("<title>", "</title>")?);
        Some(Finding::exception(&title, &message, Frames::default()))
    })
}

/// Jetty's page.
pub(super) fn jetty(page: &Page<'_>) -> Option<Finding> {
    if !page.begins_with("<h2>HTTP ERROR ") {
        return None;
    }
    let pre = page::after_last(&page.text, "<h3>Caused by:</h3><pre>");
    pre.and_then(|rest| trace(rest.split("</pre>").next()?))
        .or_else(|| {
            let title = markup::inline(page.between("<h2>", "</h2>")?);
            Some(Finding::words(
                title.trim().trim_start_matches("HTTP ERROR "),
            ))
        })
}

/// An exception with its trace, or what it was caused by. The message may have several lines, which end in an excerpt or in a frame.
fn trace(pre: &str) -> Option<Finding> {
    let text = markup::flat(pre);
    let root = page::after_last(&text, "\nCaused by: ").unwrap_or(&text);
    let mut lines = root.lines().map(str::trim);
    let first = lines.next()?.to_owned();
    let message = lines.take_while(|line| frames::parse(line).is_none() && !is_end(line));
    let headline = message.filter(|line| !is_excerpt(line)).fold(first, joined);
    let mut frames = Frames::of(root);
    if frames.is_empty() {
        frames = Frames::of(&text);
    }
    Some(Finding { headline, frames })
}

fn joined(mut message: String, line: &str) -> String {
    if message.len() < MESSAGE {
        message.push(' ');
        message.push_str(line);
    }
    message
}

/// Jasper announces the trace, and one that goes on as an outer one did is cut short: `... 28 more`.
fn is_end(line: &str) -> bool {
    line == "Stacktrace:" || line.starts_with("... ")
}

/// Jasper shows the page's source, `7: <p>`.
fn is_excerpt(line: &str) -> bool {
    line.split_once(':').is_some_and(|(number, _)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}
