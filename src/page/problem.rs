//! What is wrong with the pages of a configuration, said so that its author can mend it.

use std::fmt;
use std::path::PathBuf;

use crate::config::Report;

/// One problem of a template or of a value that pages show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageProblem {
    /// Where it is.
    pub place: Place,
    /// What is wrong, in one line without a full stop.
    pub message: String,
    /// How to mend it, where there is something to say.
    pub hint: Option<String>,
}

/// Where a problem is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A key of the configuration: `brand.color`.
    Key(&'static str),
    /// A file: a template, or the folder of templates.
    File {
        /// Its path.
        file: PathBuf,
        /// The line and column in it, both from 1, where they are known.
        at: Option<(usize, usize)>,
    },
}

impl PageProblem {
    pub(super) fn key(key: &'static str, message: impl Into<String>) -> Self {
        Self {
            place: Place::Key(key),
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn file(file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self {
            place: Place::File {
                file: file.into(),
                at: None,
            },
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn at(mut self, line: usize, column: usize) -> Self {
        if let Place::File { at, .. } = &mut self.place {
            *at = Some((line, column));
        }
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<PageProblem> for Report {
    fn from(problem: PageProblem) -> Self {
        let PageProblem {
            place,
            message,
            hint,
        } = problem;
        let hint = hint.unwrap_or_default();
        match place {
            Place::Key(key) => Self::of(format!("{key}: {message}"), hint),
            Place::File { file, at } => Self::of_file(&file, at, message, hint),
        }
    }
}

impl fmt::Display for PageProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.message)?;
        match &self.hint {
            Some(hint) => write!(formatter, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(formatter, "{key}"),
            Self::File { file, at: None } => write!(formatter, "{}", file.display()),
            Self::File {
                file,
                at: Some((line, column)),
            } => write!(formatter, "{}:{line}:{column}", file.display()),
        }
    }
}
