//! Java: the error pages of Tomcat and Jetty.

use super::finding::Finding;
use super::frames::{self, Frames};
use super::markup;
use super::page::{self, Page};

/// Tomcat's report: the root cause says what happened, the exception above it what became of that.
pub(super) fn tomcat(page: &Page<'_>) -> Option<Finding> {
    if !page.head().contains("<b>Type</b> ") {
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
    if !page.head().contains("<h2>HTTP ERROR ") {
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

/// An exception with its trace. The message may have several lines, which end in an excerpt or in a frame.
fn trace(pre: &str) -> Option<Finding> {
    let text = markup::flat(pre);
    let root = page::after_last(&text, "\nCaused by: ").unwrap_or(&text);
    let mut lines = root.lines().map(str::trim);
    let mut headline = lines.next()?.to_owned();
    let mut frames = Frames::default();
    for line in lines {
        if let Some(frame) = frames::parse(line) {
            frames.push_caller(frame);
        } else if frames.is_empty() && is_message(line) && headline.len() < 1024 {
            headline.push(' ');
            headline.push_str(line);
        }
    }
    Some(Finding { headline, frames })
}

/// Jasper shows the page's source, `7: <p>`, and announces the trace.
fn is_message(line: &str) -> bool {
    let excerpt = line.split_once(':').is_some_and(|(number, _)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    !excerpt && line != "Stacktrace:"
}
