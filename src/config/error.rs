//! What is wrong with a configuration: each problem with its file, line, caret and hint, all of them in one report.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::Config;

/// Every problem of a configuration, in the order of the file, then those of the files that it names. One that is returned as
/// an error is never empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    found: Vec<(Arc<Source>, Problem)>,
    config: Option<Box<Config>>,
}

impl Report {
    pub(super) fn new(source: &Arc<Source>, problems: Vec<Problem>) -> Self {
        let placed = |problem| (Arc::clone(source), problem);
        Self {
            found: in_order(problems).into_iter().map(placed).collect(),
            config: None,
        }
    }

    /// A report on something that has no place in a file. Without a hint it is one line.
    pub fn of(title: impl Into<String>, hint: impl Into<String>) -> Self {
        let problem = Problem::new(None, title, hint);
        Self::new(&Arc::new(Source::default()), vec![problem])
    }

    /// A report on a file that the configuration names; `at` is the line and the column in it, both from 1.
    pub fn of_file(
        path: &Path,
        at: Option<(usize, usize)>,
        title: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let name = path.display().to_string();
        let text = at.and_then(|_| fs::read_to_string(path).ok());
        let source = Source::new(&name, text.as_deref().unwrap_or_default());
        let place = at.and_then(|(line, column)| source.letter(line, column));
        let problem = Problem::new(place, title, hint);
        Self::new(&Arc::new(source), vec![problem])
    }

    /// The same report with the configuration as far as it could be read.
    pub(super) fn with(self, config: Option<Config>) -> Self {
        let config = config.map(Box::new);
        Self { config, ..self }
    }

    /// The configuration without what is wrong with it, for whoever looks for more problems. Not one to run.
    #[must_use]
    pub fn readable(&self) -> Option<&Config> {
        self.config.as_deref()
    }

    /// Adds the problems of another report, each once.
    pub fn add(&mut self, other: Self) {
        for problem in other.found {
            if !self.found.contains(&problem) {
                self.found.push(problem);
            }
        }
    }

    /// Whether there is nothing to report.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many problems there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// The same as warnings: what is said here keeps nothing from running.
    #[must_use]
    pub fn into_warnings(self) -> Vec<Warning> {
        let found = self.found.into_iter();
        let warnings = found.map(|(source, problem)| Warning { source, problem });
        warnings.collect()
    }

    /// All problems as a compiler would print them, a blank line between two.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let drawn: Vec<_> = self
            .found
            .iter()
            .map(|(source, problem)| source.draw(problem, Level::ERROR, color))
            .collect();
        drawn.join("\n\n")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

/// Something that a configuration says and that is worth a second look.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning {
    source: Arc<Source>,
    problem: Problem,
}

impl Warning {
    pub(super) fn new(source: &Arc<Source>, problem: Problem) -> Self {
        let source = Arc::clone(source);
        Self { source, problem }
    }

    /// The warning in one line, for the log.
    #[must_use]
    pub fn message(&self) -> String {
        let Problem { span, title, hint } = &self.problem;
        let hint = hint.replace('\n', "; ");
        match span {
            Some(span) => format!("{title}: {hint} ({})", self.source.place(span)),
            None => format!("{title}: {hint}"),
        }
    }

    /// The warning as a compiler would print it.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        self.source.draw(&self.problem, Level::WARNING, color)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.render(false))
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Problem {
    /// Its bytes in the file's text; none for what is missing from the file as a whole.
    pub span: Option<Range<usize>>,
    /// What is wrong.
    pub title: String,
    /// What to do about it, printed beside the caret. May be empty.
    pub hint: String,
}

impl Problem {
    pub(super) fn new(
        span: Option<Range<usize>>,
        title: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let (title, hint) = (title.into(), hint.into());
        Self { span, title, hint }
    }
}

/// Problems by their place, each once: what routes inherit is found once for every route.
pub(super) fn in_order(mut problems: Vec<Problem>) -> Vec<Problem> {
    let mut seen = HashSet::new();
    problems.retain(|problem| seen.insert(problem.clone()));
    problems.sort_by_key(|problem| {
        let place = problem.span.as_ref();
        // What is missing from the file stands after what is in it.
        place.map_or((usize::MAX, usize::MAX), |span| (span.start, span.end))
    });
    problems
}

/// The text of a configuration and the name that it is shown under.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Source {
    name: String,
    text: String,
}

impl Source {
    pub(super) fn new(name: &str, text: &str) -> Self {
        let (name, text) = (name.to_owned(), text.to_owned());
        Self { name, text }
    }

    /// The line of a byte, counted from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        before.filter(|byte| **byte == b'\n').count() + 1
    }

    /// The place of one letter, by its line and column, both from 1.
    fn letter(&self, line: usize, column: usize) -> Option<Range<usize>> {
        let found = self.text.split_inclusive('\n').nth(line.checked_sub(1)?)?;
        let before: usize = self
            .text
            .split_inclusive('\n')
            .take(line - 1)
            .map(str::len)
            .sum();
        let (at, letter) = found.char_indices().nth(column.checked_sub(1)?)?;
        Some(before + at..before + at + letter.len_utf8())
    }

    /// The text of a span, empty if it is none.
    pub(super) fn slice(&self, span: &Range<usize>) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    fn place(&self, span: &Range<usize>) -> String {
        format!("{}:{}", self.name, self.line(span.start))
    }

    fn draw(&self, problem: &Problem, level: Level<'_>, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let group = Group::with_title(level.primary_title(problem.title.as_str()));
        let group = match &problem.span {
            Some(span) => group.element(self.snippet(self.on_one_line(span), &problem.hint)),
            None => self.without_place(group, &problem.hint),
        };
        renderer.render(&[group])
    }

    fn snippet<'a>(
        &'a self,
        span: Range<usize>,
        hint: &'a str,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let caret = AnnotationKind::Primary.span(span);
        let caret = if hint.is_empty() {
            caret
        } else {
            caret.label(hint)
        };
        Snippet::source(&self.text)
            .path(self.name.as_str())
            .annotation(caret)
    }

    fn without_place<'a>(&'a self, mut group: Group<'a>, hint: &'a str) -> Group<'a> {
        if !self.name.is_empty() {
            group = group.element(Origin::path(self.name.as_str()));
        }
        if !hint.is_empty() {
            group = group.element(Level::HELP.message(hint));
        }
        group
    }

    /// The part of a span that can be underlined: within the text, whole characters, its first line.
    fn on_one_line(&self, span: &Range<usize>) -> Range<usize> {
        let start = self
            .text
            .floor_char_boundary(span.start.min(self.text.len()));
        let end = self
            .text
            .ceil_char_boundary(span.end.clamp(start, self.text.len()));
        let line = self.slice(&(start..end)).split(['\r', '\n']).next();
        start..start + line.map_or(0, str::len)
    }
}
