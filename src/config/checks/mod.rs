//! What no single value can say: pairs that do not fit, names that lead nowhere, files that cannot be read.
//!
//! Every check adds what it finds, with its place in the file; nothing stops at the first.

mod certificates;
mod files;
mod intercept;
mod pages;
mod patterns;
mod routes;
mod server;
mod upstreams;

use std::ops::Range;

use toml::de::DeTable;

use super::error::Problem;
use super::units::Period;
use super::{Config, Route, tree};

/// What the checks found.
#[derive(Default)]
pub(super) struct Findings {
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

/// Checks a whole configuration. `tree` is what it was read from, `gone` what was taken out of that with an error.
pub(super) fn all(config: &Config, tree: &DeTable<'_>, gone: &[Vec<String>]) -> Findings {
    let (problems, warnings) = (Vec::new(), Vec::new());
    let mut checks = Checks {
        config,
        tree,
        gone,
        problems,
        warnings,
    };
    checks.server();
    checks.admin();
    checks.upstreams();
    checks.routes();
    checks.intercepts();
    checks.brands();
    checks.pages();
    checks.maintenances();
    checks.stores();
    let Checks {
        problems, warnings, ..
    } = checks;
    Findings { problems, warnings }
}

/// A configuration under examination.
struct Checks<'a> {
    config: &'a Config,
    tree: &'a DeTable<'a>,
    gone: &'a [Vec<String>],
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'a> Checks<'a> {
    /// A problem of the value at a path.
    fn wrong(&mut self, path: &Path, title: impl Into<String>, hint: impl Into<String>) {
        let place = self.place(path);
        self.problems.push(Problem::new(place, title, hint));
    }

    /// A problem of a value that is wrong by itself.
    fn bad(&mut self, path: &Path, hint: impl Into<String>) {
        self.wrong(path, format!("bad value for `{}`", path.key()), hint);
    }

    /// A value that is bad if there is a reason.
    fn bad_if(&mut self, path: &Path, reason: Option<impl Into<String>>) {
        if let Some(reason) = reason {
            self.bad(path, reason);
        }
    }

    fn warn(&mut self, path: &Path, title: impl Into<String>, hint: impl Into<String>) {
        let place = self.place(path);
        self.warnings.push(Problem::new(place, title, hint));
    }

    /// A duration that must not be zero.
    fn lasting(&mut self, path: &Path, period: Period) {
        self.bad_if(path, period.is_zero().then_some("must be longer than 0s"));
    }

    /// A number that must not be zero.
    fn at_least_one(&mut self, path: &Path, number: u64) {
        self.bad_if(path, (number == 0).then_some("must be at least 1"));
    }

    /// A share: from 0 to 1.
    fn share(&mut self, path: &Path, share: f64) {
        let outside = !(0.0..=1.0).contains(&share);
        self.bad_if(path, outside.then_some("a share lies between 0.0 and 1.0"));
    }

    /// Where the value at a path stands, or the name of the nearest section around it that the file has.
    fn place(&self, path: &Path) -> Option<Range<usize>> {
        if let Some(found) = tree::find(self.tree, &path.0) {
            let section = found.value.get_ref().is_table();
            return Some(if section {
                found.key_place()
            } else {
                found.value.span()
            });
        }
        let mut above = path.0.as_slice();
        while let Some((_, rest)) = above.split_last() {
            if let Some(found) = tree::find(self.tree, rest) {
                return Some(found.key_place());
            }
            above = rest;
        }
        None
    }

    /// Whether the value at a path was taken out with an error, so that nothing more is to be said about it.
    fn is_gone(&self, path: &Path) -> bool {
        self.gone
            .iter()
            .any(|gone| gone.starts_with(&path.0) || path.0.starts_with(gone))
    }

    /// The routes, unless they are not the file's but follow from it: then there is nothing to check in them.
    fn written_routes(&self) -> &'a [Route] {
        let written = tree::find(self.tree, &["routes"]).is_some();
        if written { &self.config.routes } else { &[] }
    }

    /// A section as it stands in the file, and as it holds for each route.
    fn sections<T>(
        &self,
        name: &str,
        root: &'a T,
        of: impl Fn(&'a Route) -> &'a T,
    ) -> Vec<(Path, &'a T)> {
        let routes = self.written_routes().iter().enumerate();
        let routes = routes.map(|(at, route)| (Path::of("routes").nth(at).at(name), of(route)));
        std::iter::once((Path::of(name), root))
            .chain(routes)
            .collect()
    }
}

/// The way to a value: `upstreams`, `app`, `endpoints`, `0`.
#[derive(Clone)]
struct Path(Vec<String>);

impl Path {
    fn of(section: &str) -> Self {
        Self(vec![section.to_owned()])
    }

    fn at(&self, key: &str) -> Self {
        let mut path = self.clone();
        path.0.push(key.to_owned());
        path
    }

    fn nth(&self, at: usize) -> Self {
        self.at(&at.to_string())
    }

    /// The last name on the way, past numbers of list elements.
    fn key(&self) -> &str {
        let named = self
            .0
            .iter()
            .rev()
            .find(|step| step.parse::<usize>().is_err());
        named.map_or("", String::as_str)
    }
}
