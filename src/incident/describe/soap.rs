//! SOAP: faults of both versions.

use super::finding::Finding;
use super::frames::Frames;
use super::markup;
use super::page::{self, Page};

/// What a fault says, whatever the prefix of its elements.
pub(super) fn fault(page: &Page<'_>) -> Option<Finding> {
    let head = page.head();
    let (code, text) = match page::after(head, "<faultstring") {
        Some(text) => (page::between(head, "<faultcode>", "</"), text),
        None => (None, page::after(page::after(head, ":Reason>")?, ":Text")?),
    };
    let text = markup::flat(page::between(text, ">", "</")?);
    let code = code.map_or("", |code| code.rsplit(':').next().unwrap_or(code));
    Some(Finding::exception(code, &text, Frames::default()))
}
