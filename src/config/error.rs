//! What is wrong with a configuration: each problem with its file, line, caret and hint, all of them in one report.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// Every problem of a configuration, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    source: Arc<Source>,
    problems: Vec<Problem>,
}

impl Report {
    pub(super) fn new(source: &Arc<Source>, problems: Vec<Problem>) -> Self {
        let source = Arc::clone(source);
        let problems = in_order(problems);
        Self { source, problems }
    }

    /// A report on something that has no place in a file.
    pub(super) fn of(title: impl Into<String>, hint: impl Into<String>) -> Self {
        let problem = Problem::new(None, title, hint);
        Self::new(&Arc::new(Source::default()), vec![problem])
    }

    /// How many problems there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.problems.len()
    }

    /// All problems as a compiler would print them, a blank line between two.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let draw = |problem: &Problem| self.source.draw(problem, Level::ERROR, color);
        let drawn: Vec<_> = self.problems.iter().map(draw).collect();
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
