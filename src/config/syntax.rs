//! Which of a file's syntax errors are worth reporting, and which part of the file can be trusted beside them.

use std::collections::BTreeSet;
use std::ops::Range;

use super::error::{Problem, Source};
use super::wording;

/// Mistakes after which the parser finds its way again by the end of the line.
const ENDS_WITH_LINE: [&str; 7] = [
    "string values must be quoted",
    "duplicate key",
    "key with no value",
    "extra `=`",
    "invalid basic string",
    "invalid literal string",
    "unexpected key or value",
];

/// The syntax errors of a file.
#[derive(Default)]
pub(super) struct Syntax {
    /// One for each line that is wrong, up to the first that takes the rest of the file with it.
    pub problems: Vec<Problem>,
    wrong_lines: BTreeSet<usize>,
    lost_from: Option<usize>,
}

impl Syntax {
    pub(super) fn of(mut errors: Vec<toml::de::Error>, source: &Source) -> Self {
        errors.sort_by_key(|error| error.span().map(|span| span.start));
        let mut syntax = Self::default();
        for error in errors {
            let line = error.span().map_or(1, |span| source.line(span.start));
            if syntax.lost_from.is_some() {
                break;
            }
            if syntax.wrong_lines.insert(line) {
                syntax.problems.push(wording::syntax(&error, source));
            }
            if !ENDS_WITH_LINE
                .iter()
                .any(|local| error.message().starts_with(local))
            {
                syntax.lost_from = Some(line);
            }
        }
        syntax
    }

    /// Whether a mistake took the rest of the file with it, so that nothing can be said about what is missing.
    pub(super) fn is_lost(&self) -> bool {
        self.lost_from.is_some()
    }

    /// Whether what stands at this place was read as it was written.
    pub(super) fn is_read(&self, place: &Range<usize>, source: &Source) -> bool {
        if self.problems.is_empty() {
            return true;
        }
        let line = source.line(place.start);
        !self.wrong_lines.contains(&line) && self.lost_from.is_none_or(|lost| line < lost)
    }

    /// The syntax errors, and of other problems those that do not follow from them.
    pub(super) fn and_trusted(self, mut others: Vec<Problem>, source: &Source) -> Vec<Problem> {
        if self.problems.is_empty() {
            return others;
        }
        others.retain(|problem| {
            let place = problem.span.as_ref();
            place.is_some_and(|place| self.is_read(place, source))
        });
        others.extend(self.problems);
        others
    }
}
