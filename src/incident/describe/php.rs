//! PHP: errors as the engine and Xdebug print them into a page, and the pages of Symfony, Laravel, Whoops and WordPress.

use memchr::memmem;

use super::finding::Finding;
use super::frames::{self, Frame, Frames};
use super::markup;
use super::page::{self, Page};

/// So much of what follows an error's name belongs to it.
const ERROR: usize = 8 * 1024;

/// So much of a dump stands before its message.
const DUMP: usize = 256;
/// An error's name is not longer than this.
const LABEL: usize = 32;

/// A message that ends in its place, `no jar in /app/shop.php:7` or `in /app/shop.php on line 7`: both.
pub(super) fn place(line: &str) -> Option<(&str, &str)> {
    let rest = line.trim_end_matches(|letter: char| letter.is_ascii_digit());
    if rest.len() == line.len() {
        return None;
    }
    let rest = rest
        .strip_suffix(" on line ")
        .or_else(|| rest.strip_suffix(':'))?;
    let (message, file) = rest.rsplit_once(" in ")?;
    let file = file.strip_prefix("file ").unwrap_or(file);
    let is_file = file.contains(['/', '\\', '.']) && !file.contains(' ');
    is_file.then_some((message, file))
}

/// An error that ended the script, printed behind whatever the page had so far.
pub(super) fn fatal(page: &Page<'_>) -> Option<Finding> {
    page.parts().into_iter().find_map(|part| {
        let marks = memmem::find_iter(part.as_bytes(), b"</b>:  ");
        marks.take(64).find_map(|at| {
            let (before, rest) = part.split_at_checked(at)?;
            let (_, label) = page::tail(before, LABEL).rsplit_once("<b>")?;
            let ends = ["Fatal error", "Parse error", "Recoverable fatal error"].contains(&label);
            ends.then(|| error(label, rest.get("</b>:".len()..).unwrap_or_default()))
        })
    })
}

/// An error and its trace: the message may have several lines.
fn error(label: &str, text: &str) -> Finding {
    let text = markup::flat(page::head(text, ERROR));
    let mut frames = Frames::default();
    let mut message = format!("{label}:");
    let mut in_message = true;
    for line in text.lines().map(str::trim) {
        if line == "Stack trace:" || line.starts_with("thrown in ") {
            in_message = false;
        } else if let Some(frame) = frames::parse(line) {
            frames.push_caller(frame);
        } else if in_message && message.len() < 1024 {
            message.push(' ');
            message.push_str(line);
            in_message = place(line).is_none();
        } else if !line.starts_with('#') {
            break;
        }
    }
    Finding::told(&message, frames)
}

/// Xdebug's table. Of many, the one that ended the script.
pub(super) fn xdebug(page: &Page<'_>) -> Option<Finding> {
    if !page::has(&page.text, "xdebug-error") {
        return None;
    }
    let mut errors = page.text.split("( ! )</span>").skip(1);
    let first = errors.next()?;
    let fatal = |error: &&str| {
        let told = error.trim_start();
        told.starts_with("Fatal error") || told.starts_with("Parse error")
    };
    let error = Some(first)
        .filter(fatal)
        .or_else(|| errors.find(fatal))
        .unwrap_or(first);
    let told = markup::flat(error.split("</th>").next()?);
    let told = told.trim().lines().next()?;
    Some(Finding::told(told, xdebug_frames(error)))
}

/// The rows of a call stack, the outermost first: `<td>open(  )</td><td title='/app/db.php'`.
fn xdebug_frames(table: &str) -> Frames {
    let mut frames = Frames::default();
    let mut rows = table.split("</td><td title='");
    let mut before = rows.next().unwrap_or_default();
    for row in rows {
        let call = before.rsplit('>').next().unwrap_or_default();
        let function = call.split('(').next().unwrap_or_default();
        if function != "{main}" {
            let file = row.split('\'').next().unwrap_or_default();
            frames.push_called(Frame { file, function });
        }
        before = row;
    }
    frames
}

/// Symfony's page, which Laravel uses too. The place is the first that it can be copied from.
pub(super) fn symfony(page: &Page<'_>) -> Option<Finding> {
    if !page.head().trim_start().starts_with("<!--") {
        return None;
    }
    let classes = page.between("class=\"exception-hierarchy\"", "</h2>")?;
    let class = page::after_last(classes, "<abbr title=\"")?
        .split('"')
        .next()?;
    let message = page::between(page.after("exception-message\"")?, ">", "</h")?;
    let mut frames = Frames::default();
    if let Some(file) = page.between("data-clipboard-text=\"", "\"") {
        frames.push_caller(Frame::of_file(file));
    }
    Some(Finding::exception(class, &markup::inline(message), frames))
}

/// Whoops and Ignition begin or end their pages with the plain trace in a comment.
pub(super) fn comment(page: &Page<'_>) -> Option<Finding> {
    let start = page::head(&page.text, 256);
    let comment = page::after(start, "<!--").map(|_| page.between("<!--", "-->"))??;
    let mut lines = comment.trim().lines();
    let told = lines.next()?;
    let (_, file) = place(told)?;
    let mut frames = Frames::default();
    lines
        .filter_map(frames::parse)
        .for_each(|frame| frames.push_caller(frame));
    (!file.is_empty()).then(|| Finding::told(told, frames))
}

/// An exception that was printed for want of anything better: `print_r` and `var_dump` show what is in it.
pub(super) fn dumped(page: &Page<'_>) -> Option<Finding> {
    let rest = page
        .after("message\":protected]=>")
        .or_else(|| page.after("[message:protected] =>"))?;
    let before = page.text.get(..page.text.len() - rest.len())?;
    let line = page::tail(before, DUMP).rsplit('>').nth(1)?;
    let class = line.trim_start().trim_start_matches("object(");
    let class = class.split([' ', ')', '\n']).next()?;
    let message = rest.trim_start().lines().next()?;
    let message = match message.strip_prefix("string(") {
        Some(string) => string.split_once(") ")?.1.trim_matches('"'),
        None => message,
    };
    let file = page::between(rest, "[file:protected] => ", "\n").unwrap_or_default();
    let mut frames = Frames::default();
    frames.push_caller(Frame::of_file(file));
    Some(Finding::exception(class, &markup::inline(message), frames))
}

/// WordPress: the database's error above a page, or the page in place of one.
pub(super) fn wordpress(page: &Page<'_>) -> Option<Finding> {
    let head = page.head();
    let Some(error) = page::after(head, "class=\"wpdberror\">") else {
        let told = page::between(head, "class=\"wp-die-message\">", "</div>")?;
        let heading = page::after(told, "<h1>").unwrap_or(told);
        return Some(Finding::words(markup::flat(heading).lines().next()?));
    };
    let (told, rest) = error.split_once("<br")?;
    let query = page::between(rest, "<code>", "</code>").map_or(String::new(), markup::inline);
    let mut frames = Frames::default();
    frames.push_caller(Frame::of_function(query.split(" WHERE ").next()?));
    let told = markup::inline(told);
    Some(Finding {
        headline: told,
        frames,
    })
}
