//! Ruby: exceptions as the interpreter prints them, Rails' debug page.

use super::finding::Finding;
use super::frames::{Frame, Frames};
use super::markup;
use super::page::{self, Page};

/// So far behind its heading a page shows the line of code that failed.
const SOURCE: usize = 16 * 1024;

/// What the interpreter prints of an exception nobody caught: ``app.rb:7:in `boom': no jar (RuntimeError)``.
pub(super) fn uncaught(line: &str) -> Option<String> {
    let (_, call) = page::split_once(line, ":in ")?;
    let (_, told) = page::split_once(call, "': ")?;
    let (message, class) = told.strip_suffix(')')?.rsplit_once(" (")?;
    let is_class =
        class.starts_with(|letter: char| letter.is_ascii_uppercase()) && !class.contains(' ');
    is_class.then(|| format!("{class}: {message}"))
}

/// Puma, when nothing above it has caught an exception.
pub(super) fn puma(page: &Page<'_>) -> Option<Finding> {
    let told = page.text.strip_prefix("Puma caught this error: ")?;
    let (told, trace) = told.split_once('\n').unwrap_or((told, ""));
    let (message, class) = told.trim_end().strip_suffix(')')?.rsplit_once(" (")?;
    let frames = Frames::of(trace);
    Some(Finding::exception(class, message, frames))
}

/// Rails' debug page: a heading with the exception and the action, then the message, which each version writes otherwise. The trace stands
/// far below, but the line of code that failed does not.
pub(super) fn rails(page: &Page<'_>) -> Option<Finding> {
    if !page.begins_with("Action Controller: Exception caught") {
        return None;
    }
    let header = markup::inline(page.between("<h1>", "</h1>")?);
    let (class, action) = header.split_once(" in ").unwrap_or((&header, ""));
    let rest = page::head(page.after("</h1>")?, SOURCE);
    let mut frames = Frames::default();
    frames.push_caller(Frame::of_function(action.trim()));
    if let Some(source) = page::between(rest, "<div class=\"line active\">", "</div>") {
        frames.push_caller(Frame::of_function(&markup::inline(source)));
    }
    let message = rails_message(rest);
    let class = if message.is_empty() { &header } else { class };
    Some(Finding::exception(class, &message, frames))
}

/// The message stands in one of these places, whichever comes first.
fn rails_message(rest: &str) -> String {
    let places = [
        ("<div class=\"message\">", "</div>"),
        ("<h2 class=\"exception-message\"", "</h2>"),
        ("<h2", "</h2>"),
        ("<pre><code>", "</code></pre>"),
    ];
    let found = places
        .iter()
        .filter_map(|(start, end)| Some((rest.find(start)?, *start, *end)))
        .min_by_key(|(at, ..)| *at);
    let message = found.and_then(|(at, start, end)| {
        let inside = rest.get(at + start.len()..)?;
        let inside = if start.ends_with('>') {
            inside
        } else {
            inside.split_once('>')?.1
        };
        inside.split_once(end)
    });
    markup::inline(message.map_or("", |(message, _)| message))
}
