//! Python: tracebacks wherever they stand, and the debug pages of Django, Werkzeug (Flask) and Starlette (FastAPI).

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use memchr::memmem::Finder;

use super::finding::Finding;
use super::frames::{self, Frame, Frames};
use super::markup;
use super::page::{self, Kind, Mark, Page};

static TRACEBACK: Mark = Mark::new(|| Finder::new("Traceback (most recent call last)"));
/// In what Django answers where no page was asked for.
static DJANGO: Mark = Mark::new(|| Finder::new("\nException Type: "));
/// So near to its file a function is named.
const PLACE: usize = 512;
/// So near before a traceback a comment begins that holds it.
const COMMENT: usize = 256;
/// Marks that end the text of a page in which a traceback stands.
static ENDS: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| page::searcher(["</pre", "</textarea", "</code", "-->"]));

/// Django's debug page. Where it happened is read from the table at its head: the traceback's place depends on the
/// length of everything before it.
pub(super) fn django(page: &Page<'_>) -> Option<Finding> {
    if !page.begins_with("NONE,NOARCHIVE") {
        return None;
    }
    let summary = page.after(" id=\"summary\"")?;
    let Some(class) = django_row(summary, "Exception Type:") else {
        return Some(Finding::words(markup::inline(
            page.between("<title>", "</title>")?,
        )));
    };
    let value =
        page::after(summary, "class=\"exception_value\">").and_then(|rest| rest.split_once("</"));
    let value = value.map_or(String::new(), |(value, _)| markup::flat(value));
    let mut frames = Frames::default();
    if let Some(place) = django_row(summary, "Exception Location:") {
        frames.push_caller(location(&place));
    }
    if let Some(view) = django_row(summary, "Raised during:") {
        frames.push_caller(Frame::of_function(&view));
    }
    Some(Finding::exception(&class, &first_line(&value), frames))
}

/// The cell behind a heading of the table.
fn django_row(summary: &str, heading: &str) -> Option<String> {
    let cell = page::between(page::after(summary, heading)?, "<td", "</td>")?;
    Some(markup::inline(cell.split_once('>')?.1))
}

/// `/app/views.py, line 25, in load_cart`.
fn location(place: &str) -> Frame<'_> {
    let (file, line) = place.split_once(", line ").unwrap_or((place, ""));
    Frame {
        file,
        function: line
            .split_once(", in ")
            .map_or("", |(_, function)| function),
    }
}

/// What Django answers where no page was asked for.
pub(super) fn django_text(page: &Page<'_>) -> Option<Finding> {
    let (class, rest) = DJANGO.after(&page.text)?.split_once('\n')?;
    let class = class.split(" at ").next().unwrap_or(class);
    let value = rest
        .strip_prefix("Exception Value: ")
        .map_or("", first_line_of);
    let mut frames = Frames::default();
    let trace = page::before(TRACEBACK.after(&page.text)?, "\nException Type: ");
    if let Some(frame) = trace.lines().rev().find_map(frames::parse) {
        frames.push_caller(frame);
    }
    if let Some(view) = page::between(rest, "\nRaised during: ", "\n") {
        frames.push_caller(Frame::of_function(view));
    }
    Some(Finding::exception(class, value, frames))
}

/// The debugger of Flask, when its plain traceback is out of sight: the exception is the title.
pub(super) fn werkzeug(page: &Page<'_>) -> Option<Finding> {
    const MARK: &str = " // Werkzeug Debugger</title>";
    if !page.begins_with(MARK) {
        return None;
    }
    let title = page.between("<title>", MARK)?;
    Some(Finding::words(markup::inline(title)))
}

/// Starlette's page.
pub(super) fn starlette(page: &Page<'_>) -> Option<Finding> {
    if !page.begins_with("<title>Starlette Debugger</title>") {
        return None;
    }
    let headline = markup::flat(page.between("<h2>", "</h2>")?);
    let mut frames = Frames::default();
    let mut rest = page.after("class=\"frame-filename\">");
    while let Some(title) = rest
        && !frames.is_full()
    {
        let file = title.split('<').next()?;
        rest = page::after(title, "class=\"frame-filename\">");
        let function = page::between(page::head(title, PLACE), "<b>", "</b>").unwrap_or_default();
        frames.push_caller(Frame { file, function });
    }
    Some(Finding::told(&first_line(&headline), frames))
}

/// A traceback in the writing of the interpreter: the last one, which is what became of those before it.
pub(super) fn traceback(page: &Page<'_>) -> Option<Finding> {
    let [text, tail] = page.parts();
    [tail, text].into_iter().find_map(|part| {
        let trace = TRACEBACK.after_last(part)?;
        let before = part.len() - trace.len();
        let escaped = page.kind == Kind::Markup && !in_comment(part.get(..before)?);
        exception(trace, escaped)
    })
}

/// The exception is the first line that is not indented; what is behind the frames is source. It is looked for first, and the frames from
/// there outwards, as far as they tell something.
pub(super) fn exception(trace: &str, escaped: bool) -> Option<Finding> {
    let (_, rest) = page::split_line(trace)?;
    let trace = up_to_end(rest);
    let (at, headline) = told(trace, escaped)?;
    let frames = frames_of(trace.get(..at)?, escaped);
    Some(Finding { headline, frames })
}

/// Where the exception stands, and what it says.
fn told(trace: &str, escaped: bool) -> Option<(usize, String)> {
    let mut has_frame = false;
    let mut rest = trace;
    while let Some((line, after)) = page::split_line(rest) {
        let at = trace.len() - rest.len();
        rest = after;
        let indented = line.starts_with([' ', '\t']);
        if indented && has_frame {
            rest = page::unindented(rest);
            continue;
        }
        let words = plain(line, escaped);
        match frame(&words) {
            Some(frame) => has_frame |= !frame.is_empty(),
            None if indented || !has_frame || words.trim().is_empty() => {}
            None => return Some((at, words.into_owned())),
        }
    }
    None
}

/// The frames of a traceback, whose last line is the innermost.
fn frames_of(trace: &str, escaped: bool) -> Frames {
    let mut frames = Frames::default();
    for line in trace.lines().rev() {
        if let Some(frame) = frame(&plain(line, escaped)) {
            frames.push_caller(frame);
            if frames.is_settled() {
                break;
            }
        }
    }
    frames
}

/// The frame that a line is. In a group of exceptions it stands behind a rule.
fn frame(line: &str) -> Option<Frame<'_>> {
    frames::parse(line.trim_start_matches(['|', ' ', '\t']))
}

/// The part of a text that belongs to the traceback.
fn up_to_end(text: &str) -> &str {
    let end = ENDS.as_ref().and_then(|ends| ends.find(text));
    let part = end.and_then(|end| text.get(..end.start()));
    part.unwrap_or(text)
}

fn plain(line: &str, escaped: bool) -> Cow<'_, str> {
    if escaped && line.contains(['&', '<']) {
        Cow::Owned(markup::inline(line))
    } else {
        Cow::Borrowed(line)
    }
}

/// Whether a comment has begun that has not ended.
fn in_comment(before: &str) -> bool {
    let near = page::tail(before, COMMENT);
    near.rfind("<!--") > near.rfind("-->")
}

fn first_line(text: &str) -> String {
    first_line_of(text).to_owned()
}

fn first_line_of(text: &str) -> &str {
    text.trim_start().lines().next().unwrap_or_default()
}
