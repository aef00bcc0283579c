//! Plain text: a trace as it would stand in a log, or a few words.

use super::finding::Finding;
use super::lines::{Picker, Place};
use super::page::{self, Page};
use super::parts;
use super::python;

/// What a trace in any language says.
pub(super) fn read(trace: &str) -> Option<Finding> {
    let python = trace.split_once("Traceback (most recent call last)");
    python
        .and_then(|(_, trace)| python::exception(trace, false))
        .or_else(|| pick(trace, [trace]))
}

/// What a body says that is nothing known.
pub(super) fn general(page: &Page<'_>) -> Option<Finding> {
    pick(&page.text, parts::of(page))
}

fn pick<'p>(text: &str, parts: impl IntoIterator<Item = &'p str>) -> Option<Finding> {
    let mut picker = Picker::of(text);
    let mut lines = parts.into_iter().flat_map(page::lines);
    while let Some(line) = lines.next()
        && !picker.offer(Place::Body, line)
    {}
    picker.pick()
}
