//! From a file, or from flags, to a checked configuration or to every problem at once.
//!
//! The text is parsed once into a tree of spanned values. Variables are filled in and sections laid over each other there; then
//! serde reads it. Serde stops at its first error, so the item in question is taken out of the tree and it reads again.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;
use toml::de::DeTable;

use super::checks::{self, Findings};
use super::error::{Problem, Report, Source, Warning, in_order};
use super::syntax::Syntax;
use super::tree::{self, Environment};
use super::written::Written;
use super::{Config, Endpoint, Listen, Route, Upstream, shape, wording};

/// Where a configuration is looked for that no flag names.
const USUAL_PLACES: [&str; 2] = ["pardon.toml", "/etc/pardon/pardon.toml"];

/// Problems reported at most; a file with more has one cause.
const MOST_PROBLEMS: usize = 100;

/// The name of the upstream that flags alone make.
const FLAG_UPSTREAM: &str = "app";

/// A configuration that will work, and what is worth a second look.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// In the order of the file.
    pub warnings: Vec<Warning>,
}

/// The file to load: the one that a flag names, else the first of the usual places that exists.
///
/// # Errors
///
/// When no file is named and none exists; the report says where it was looked for and what to do.
pub fn find(named: Option<&Path>) -> Result<PathBuf, Report> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let usual = USUAL_PLACES.iter().map(PathBuf::from);
    let mut existing = usual.filter(|path| path.exists());
    existing.next().ok_or_else(|| {
        Report::of(
            "no configuration found",
            format!(
                "looked for {}\nname a file with --config FILE, \
                 or start without one: pardon run --upstream http://127.0.0.1:3000",
                USUAL_PLACES.join(" and ")
            ),
        )
    })
}

/// What flags say beside a file; it counts instead of what the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// The endpoint of the file's only upstream, or of one called `app` where the file has none.
    pub upstream: Option<String>,
    /// The only address to listen on.
    pub listen: Option<String>,
}

/// Loads a file. Its relative paths start from its own folder.
///
/// # Errors
///
/// When it cannot be read, or with every problem that it has.
pub fn load(path: &Path) -> Result<Loaded, Report> {
    load_with(path, &Flags::default())
}

/// [`load`], with flags beside the file.
///
/// # Errors
///
/// When it cannot be read, or with every problem that it has, or when a flag's value is none.
pub fn load_with(path: &Path, flags: &Flags) -> Result<Loaded, Report> {
    let name = path.display().to_string();
    let unreadable = |reason: String| Report::of(format!("cannot read `{name}`"), reason);
    let bytes = std::fs::read(path).map_err(|error| unreadable(reason(&error)))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = error
            .as_bytes()
            .iter()
            .take(error.utf8_error().valid_up_to());
        let line = line.filter(|byte| **byte == b'\n').count() + 1;
        unreadable(format!("line {line} is not UTF-8"))
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    parse_in((&text, &name), folder, flags, &|name| {
        std::env::var(name).ok()
    })
}

/// Why a file cannot be read, as a person says it.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder; name the file in it".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        _ => error.to_string(),
    }
}

/// Reads a configuration from its text; `name` is shown in problems, relative paths start from `folder`.
///
/// # Errors
///
/// With every problem of the text.
pub fn parse(text: &str, name: &str, folder: &Path) -> Result<Loaded, Report> {
    parse_in((text, name), folder, &Flags::default(), &|name| {
        std::env::var(name).ok()
    })
}

/// [`parse`] with the flags and the environment given.
pub(super) fn parse_in(
    (text, name): (&str, &str),
    folder: &Path,
    flags: &Flags,
    environment: Environment<'_>,
) -> Result<Loaded, Report> {
    let source = Arc::new(Source::new(name, text));
    let (root, errors) = DeTable::parse_recoverable(text);
    let syntax = Syntax::of(errors, &source);
    let mut reading = Reading::begin(root.into_inner(), &source, environment);
    reading.without_wrong_lines(&syntax, &source);
    match reading.config(text.len()) {
        Some(mut config) => {
            folder.clone_into(&mut config.folder);
            reading.problems.extend(flags.apply(&mut config));
            reading.conclude(config, syntax, &source)
        }
        None => Err(Report::new(
            &source,
            syntax.and_trusted(reading.problems, &source),
        )),
    }
}

/// The configuration made from flags alone: one upstream, called `app`, and all requests go to it.
///
/// # Errors
///
/// When a flag's value is none.
pub fn for_upstream(url: &str, listen: Option<&str>) -> Result<Loaded, Report> {
    let source = Arc::new(Source::default());
    let mut config = Config::default();
    config.admin.optional = true;
    let flags = Flags {
        upstream: Some(url.to_owned()),
        listen: listen.map(str::to_owned),
    };
    let problems = flags.apply(&mut config);
    if !problems.is_empty() {
        return Err(Report::new(&source, problems));
    }
    complete(&mut config);
    let findings = checks::all(&config, &DeTable::default(), &[]);
    conclude(config, findings, &source)
}

impl Flags {
    /// Lays the flags over a configuration; gives what is wrong with them.
    fn apply(&self, config: &mut Config) -> Vec<Problem> {
        let mut problems = Vec::new();
        let wrong =
            |flag: &str, reason| Problem::new(None, format!("bad value for `{flag}`"), reason);
        if let Some(url) = &self.upstream {
            match Endpoint::read(url).and_then(|endpoint| place(&endpoint, config)) {
                Ok(()) => {}
                Err(reason) => problems.push(wrong("--upstream", reason)),
            }
        }
        match self.listen.as_deref().map(Listen::read).transpose() {
            Ok(Some(listen)) => config.server.listen = vec![listen],
            Ok(None) => {}
            Err(reason) => problems.push(wrong("--listen", reason)),
        }
        problems
    }
}

/// Makes an endpoint the only one of the only upstream.
fn place(endpoint: &Endpoint, config: &mut Config) -> Result<(), String> {
    if config.upstreams.len() > 1 {
        return Err("the file has several upstreams; say there where each is".to_owned());
    }
    if config.upstreams.is_empty() {
        config
            .upstreams
            .insert(FLAG_UPSTREAM.to_owned(), Upstream::default());
    }
    for upstream in config.upstreams.values_mut() {
        upstream.endpoints = vec![endpoint.clone()];
    }
    Ok(())
}

fn conclude(config: Config, findings: Findings, source: &Arc<Source>) -> Result<Loaded, Report> {
    if !findings.problems.is_empty() {
        return Err(Report::new(source, findings.problems));
    }
    let warnings = in_order(findings.warnings).into_iter();
    let warnings = warnings
        .map(|problem| Warning::new(source, problem))
        .collect();
    Ok(Loaded { config, warnings })
}

/// Fills in what follows from the rest: the only upstream, names, the one route of a file without routes.
fn complete(config: &mut Config) {
    let only = match config.upstreams.len() {
        1 => config.upstreams.first_key_value(),
        _ => None,
    };
    if let Some((_, upstream)) = only
        && config.routes.is_empty()
    {
        config.routes.push(Route {
            intercept: config.intercept.clone(),
            brand: config.brand.clone(),
            pages: config.pages.clone(),
            maintenance: config.maintenance.clone(),
            timeouts: upstream.timeouts.clone(),
            ..Route::default()
        });
    }
    for route in &mut config.routes {
        if let Some((name, _)) = only
            && route.upstream.is_empty()
        {
            route.upstream.clone_from(name);
        }
        if route.name.is_empty() {
            route.name.clone_from(&route.upstream);
        }
        route.host.make_ascii_lowercase();
    }
}

/// A file on its way from the tree to the configuration.
struct Reading<'i> {
    tree: DeTable<'i>,
    problems: Vec<Problem>,
    /// The paths of what was taken out: nothing more is said about them.
    gone: Vec<Vec<String>>,
}

impl<'i> Reading<'i> {
    /// Fills in variables and lays the sections over each other.
    fn begin(tree: DeTable<'i>, source: &Source, environment: Environment<'_>) -> Self {
        let mut reading = Self {
            tree,
            problems: Vec::new(),
            gone: Vec::new(),
        };
        let unfilled = tree::expand(&mut reading.tree, source, environment);
        reading.without(unfilled);
        reading.without(shape::misplaced_lists(&reading.tree));
        tree::lay_sections(&mut reading.tree);
        reading
    }

    /// Checks what serde has read, and reports everything together.
    fn conclude(
        mut self,
        mut config: Config,
        syntax: Syntax,
        source: &Arc<Source>,
    ) -> Result<Loaded, Report> {
        complete(&mut config);
        let mut findings = Findings::default();
        if !syntax.is_lost() {
            findings = checks::all(&config, &self.tree, &self.gone);
        }
        findings.problems.append(&mut self.problems);
        findings.problems = syntax.and_trusted(findings.problems, source);
        let wrong: Vec<_> = findings.problems.iter().map(|it| it.span.clone()).collect();
        let folder = config.folder.clone();
        conclude(config, findings, source)
            .map_err(|report| report.with(self.readable(wrong.into_iter().flatten(), &folder)))
    }

    /// The configuration without what stands at these places.
    fn readable(
        mut self,
        wrong: impl Iterator<Item = Range<usize>>,
        folder: &Path,
    ) -> Option<Config> {
        for place in wrong {
            tree::take_out(&mut self.tree, &place);
        }
        let mut config = self.config(0)?;
        folder.clone_into(&mut config.folder);
        complete(&mut config);
        Some(config)
    }

    /// Takes out what stands on lines that could not be read as they were written: that there was a key is known, what it
    /// says is not.
    fn without_wrong_lines(&mut self, syntax: &Syntax, source: &Source) {
        let doubtful = |place: &Range<usize>| !syntax.is_read(place, source);
        for place in tree::places(&self.tree).into_iter().filter(doubtful) {
            self.gone.extend(tree::take_out(&mut self.tree, &place));
        }
    }

    /// Takes out what stands at these places.
    fn without(&mut self, problems: Vec<(Range<usize>, Problem)>) {
        for (place, problem) in problems {
            self.gone.extend(tree::take_out(&mut self.tree, &place));
            self.problems.push(problem);
        }
    }

    /// What serde makes of the tree once everything that it refuses is out; none if that does not end.
    fn config(&mut self, end: usize) -> Option<Config> {
        while self.problems.len() < MOST_PROBLEMS {
            let root = Spanned::new(0..end, self.tree.clone());
            match Config::deserialize(toml::de::Deserializer::from(root)) {
                Ok(config) => return Some(config),
                Err(error) => self.refuse(error.message(), error.span())?,
            }
        }
        None
    }

    /// Takes out the item that was refused; none if there is no such item.
    fn refuse(&mut self, message: &str, place: Option<Range<usize>>) -> Option<()> {
        let path = place
            .as_ref()
            .and_then(|place| tree::take_out(&mut self.tree, place));
        let found = path.is_some();
        let path = path.unwrap_or_default();
        if !self.took_out_itself(message, &path) {
            self.problems.push(wording::item(message, place, &path));
        }
        self.gone.push(path);
        found.then_some(())
    }

    /// Whether what serde misses in the item at `path` was there, and was taken out.
    fn took_out_itself(&self, message: &str, path: &[String]) -> bool {
        let Some(missing) = wording::missing(message) else {
            return false;
        };
        let is_it = |gone: &Vec<String>| {
            let last = gone.split_last();
            last.is_some_and(|(name, above)| name == missing && above == path)
        };
        self.gone.iter().any(is_it)
    }
}
