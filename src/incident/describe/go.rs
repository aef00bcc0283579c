//! Go: a panic with its goroutine.

use super::finding::Finding;
use super::frames::{Frame, Frames};
use super::page::{self, Page};

/// A panic: its message, and pairs of lines with a function and its file.
pub(super) fn panic(page: &Page<'_>) -> Option<Finding> {
    let trace = page::after(&page.text, "\ngoroutine ")?;
    let before = page.text.len() - trace.len();
    let mut told = page.text.get(..before)?.lines();
    let headline = told.find(|line| line.contains("panic"))?;
    let mut frames = Frames::default();
    let mut function = "";
    for line in trace.lines().skip(1).take_while(|line| !line.is_empty()) {
        if let Some(file) = line.strip_prefix('\t') {
            frames.push_caller(Frame {
                file: file.split(" +0x").next().unwrap_or(file),
                function,
            });
        } else {
            function = line.rsplit_once('(').map_or(line, |(name, _)| name);
        }
    }
    Some(Finding {
        headline: headline.to_owned(),
        frames,
    })
}
