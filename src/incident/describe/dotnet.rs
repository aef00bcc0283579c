//! .NET: ASP.NET's yellow page and the developer page of ASP.NET Core.

use super::finding::Finding;
use super::frames::{Frame, Frames};
use super::markup;
use super::page::{self, Page};

/// So much of a trace is read.
const TRACE: usize = 16 * 1024;

/// The developer page of ASP.NET Core.
pub(super) fn core(page: &Page<'_>) -> Option<Finding> {
    if !page.begins_with("titleerror") {
        return None;
    }
    let told = markup::flat(page.between("class=\"titleerror\">", "</div>")?);
    let raw = page.between("class=\"rawExceptionStackTrace\">", "</pre>");
    let raw = markup::flat(page::head(raw.unwrap_or_default(), TRACE));
    let frames = Frames::of(&raw);
    Some(Finding::told(told.trim().lines().next()?, frames))
}

/// ASP.NET's yellow page. Its frames have no `at`.
pub(super) fn yellow(page: &Page<'_>) -> Option<Finding> {
    let told = page::between(page.head(), "Exception Details: </b>", "<br")?;
    let trace = page::between(page.after("<b>Stack Trace:</b>")?, "<pre>", "</pre>");
    let trace = markup::flat(page::head(trace.unwrap_or_default(), TRACE));
    let mut frames = Frames::default();
    for line in trace
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('['))
    {
        if let Some((function, place)) = line.split_once('(') {
            let file = place.split_once(") in ").map_or("", |(_, file)| file);
            frames.push_caller(Frame { file, function });
        }
    }
    Some(Finding::told(&markup::inline(told), frames))
}
