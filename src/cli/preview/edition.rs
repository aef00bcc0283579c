//! The pages of one state of the files: in comes a configuration's file, out come its pages, or what is wrong with it beside the last
//! pages that were right.

use std::path::Path;
use std::sync::Arc;

use crate::config::{self, Config, Report, Theme};
use crate::page::Pages;

/// What the gallery shows until a file changes.
pub(super) struct Edition {
    /// How many there were before it.
    pub(super) number: u64,
    config: Config,
    /// In the order of the configuration; those of an earlier edition where this one has a problem.
    pub(super) books: Arc<Vec<Book>>,
    /// What is wrong, as `pardon check` would print it.
    pub(super) problems: Option<String>,
}

/// The pages of a route in a theme.
pub(super) struct Book {
    /// The route, or what stands for requests that none is for.
    pub(super) route: String,
    pub(super) theme: &'static str,
    pub(super) pages: Pages,
}

impl Edition {
    /// The first one; without a file that of the defaults.
    pub(super) fn first(file: Option<&Path>) -> Self {
        let nothing = Self {
            number: 0,
            config: Config::default(),
            books: Arc::default(),
            problems: None,
        };
        match file {
            Some(file) => nothing.next(0, config::load(file).map(|loaded| loaded.config)),
            None => nothing.next(0, Ok(Config::default())),
        }
    }

    /// The one after it.
    pub(super) fn after(before: &Self, file: &Path) -> Self {
        before.next(
            before.number + 1,
            config::load(file).map(|loaded| loaded.config),
        )
    }

    /// The configuration that it was made from, as far as it can be read.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    fn next(&self, number: u64, config: Result<Config, Report>) -> Self {
        let read = config.as_ref().map_or_else(Report::readable, Some);
        let read = read.unwrap_or(&self.config).clone();
        let (books, problems) = match config.and_then(|config| books(&config)) {
            Ok(books) => (Arc::new(books), None),
            Err(report) => (Arc::clone(&self.books), Some(report.render(false))),
        };
        Self {
            number,
            config: read,
            books,
            problems,
        }
    }
}

/// The pages of each route in each theme; routes that share their pages are shown once.
fn books(config: &Config) -> Result<Vec<Book>, Report> {
    let mut books = Vec::new();
    let mut problems = Report::default();
    for (route, pages, brand) in sections(config) {
        for (theme, pages) in themes(pages) {
            match Pages::build(&pages, brand, &config.folder) {
                Ok(pages) => books.push(Book {
                    route: route.clone(),
                    theme,
                    pages,
                }),
                Err(found) => found
                    .into_iter()
                    .for_each(|problem| problems.add(problem.into())),
            }
        }
    }
    if problems.is_empty() {
        Ok(books)
    } else {
        Err(problems)
    }
}

/// What has pages of its own, with a name for it.
fn sections(config: &Config) -> Vec<(String, &config::Pages, &config::Brand)> {
    let mut sections: Vec<(String, &config::Pages, &config::Brand)> = Vec::new();
    let routes = config.routes.iter();
    let routes = routes.map(|route| (route.name.clone(), &route.pages, &route.brand));
    let rest = ("no route".to_owned(), &config.pages, &config.brand);
    for section in routes.chain([rest]) {
        let is_shown = |other: &&(String, &config::Pages, &config::Brand)| {
            other.1 == section.1 && other.2 == section.2
        };
        if sections.iter().find(is_shown).is_none() {
            sections.push(section);
        }
    }
    sections
}

/// The section in every theme, the one that it names first.
fn themes(section: &config::Pages) -> Vec<(&'static str, config::Pages)> {
    let others = Theme::ALL.into_iter();
    let others = others.filter(|theme| *theme != section.theme);
    let all = [section.theme].into_iter().chain(others);
    let with = |theme: Theme| {
        let section = section.clone();
        (theme.name(), config::Pages { theme, ..section })
    };
    all.map(with).collect()
}
