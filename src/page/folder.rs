//! The folder of own templates: in comes its path, out come its files by format, or what is wrong with them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Format, PageProblem, locales};

/// Built-in templates stand in this folder beside the own ones.
pub(super) const BUILT_IN: &str = "pardon/";
const MAX_FILE: u64 = 256 * 1024;
const MAX_FILES: usize = 500;
const MAX_DEPTH: usize = 8;

/// The templates of a folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// By their names from the folder on, with `/` between.
    pub(super) sources: BTreeMap<String, String>,
}

/// Which statuses a template is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Serves {
    /// `502.html.tera`
    Status(u16),
    /// `5xx.html.tera`
    Class(u16),
    /// `error.html.tera`
    Any,
    /// `fragment.html.tera`: what a script puts into a page.
    Fragment,
}

impl Folder {
    /// Reads all templates of a folder and those below, and the catalogues. What begins with a dot is left alone (Kubernetes keeps its
    /// copies of a mounted folder there), and so is what is neither. Without what cannot be read, if anything.
    pub(super) fn read(path: &Path) -> (Self, Vec<PageProblem>) {
        let mut folder = Self {
            path: path.to_owned(),
            sources: BTreeMap::new(),
        };
        let mut problems = Vec::new();
        folder.read_below(path, "", &mut problems);
        (folder, problems)
    }

    /// The templates of one format.
    pub(super) fn of(&self, format: Format) -> impl Iterator<Item = (&str, &str)> {
        self.sources
            .iter()
            .filter(move |(name, _)| name.ends_with(format.suffix()))
            .map(|(name, source)| (name.as_str(), source.as_str()))
    }

    /// The catalogues of own words.
    pub(super) fn catalogues(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sources
            .iter()
            .filter(|(name, _)| is_catalogue(name))
            .map(|(name, source)| (name.as_str(), source.as_str()))
    }

    fn read_below(&mut self, path: &Path, prefix: &str, problems: &mut Vec<PageProblem>) {
        let entries = match names(path) {
            Ok(entries) => entries,
            Err(error) => return problems.push(PageProblem::file(path, error.to_string())),
        };
        for entry in entries.iter().filter(|entry| !entry.starts_with('.')) {
            let file = path.join(entry);
            let name = format!("{prefix}{entry}");
            if !file.is_dir() {
                self.read_file(&file, name, problems);
            } else if prefix.matches('/').count() < MAX_DEPTH {
                self.read_below(&file, &format!("{name}/"), problems);
            }
        }
    }

    fn read_file(&mut self, file: &Path, name: String, problems: &mut Vec<PageProblem>) {
        if !has_extension(&name, "tera") && !is_catalogue(&name) {
            return;
        }
        match checked_name(file, &name).and_then(|()| source(file)) {
            Ok(_) if self.sources.len() >= MAX_FILES => {
                problems.push(PageProblem::file(
                    file,
                    format!("more than {MAX_FILES} templates"),
                ));
            }
            Ok(source) => {
                self.sources.insert(name, source);
            }
            Err(problem) => problems.push(problem),
        }
    }
}

impl Serves {
    /// What a template is for, by its name; `None`: it is a part of others.
    pub(super) fn of(name: &str) -> Option<Self> {
        let (stem, _) = name.split_once('.')?;
        match stem {
            "error" => Some(Self::Any),
            "fragment" => Some(Self::Fragment),
            "4xx" => Some(Self::Class(4)),
            "5xx" => Some(Self::Class(5)),
            digits => {
                let code = digits.parse().ok()?;
                (digits.len() == 3 && (400..600).contains(&code)).then_some(Self::Status(code))
            }
        }
    }
}

fn has_extension(name: &str, wanted: &str) -> bool {
    let extension = Path::new(name).extension();
    extension.is_some_and(|extension| extension == wanted)
}

fn is_catalogue(name: &str) -> bool {
    name.starts_with(locales::OWN) && has_extension(name, "toml")
}

/// The names in a folder, in order, so that problems come in the same order every time.
fn names(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

fn checked_name(file: &Path, name: &str) -> Result<(), PageProblem> {
    if name.starts_with(BUILT_IN) {
        return Err(PageProblem::file(
            file,
            "the folder `pardon` is taken by the built-in templates",
        ));
    }
    if is_catalogue(name) {
        return Ok(());
    }
    if !Format::TEMPLATED
        .iter()
        .any(|format| name.ends_with(format.suffix()))
    {
        return Err(PageProblem::file(file, "a template of no known format")
            .hint("names end in .html.tera, .json.tera, .txt.tera or .xml.tera"));
    }
    let is_meant_for_statuses = name.starts_with(|first: char| first.is_ascii_digit());
    if is_meant_for_statuses && !name.contains('/') && Serves::of(name).is_none() {
        return Err(
            PageProblem::file(file, "a template for no status that has pages")
                .hint("a status from 400 to 599, or 4xx, 5xx, or error for all"),
        );
    }
    Ok(())
}

fn source(file: &Path) -> Result<String, PageProblem> {
    let unreadable = |error: io::Error| PageProblem::file(file, error.to_string());
    let size = fs::metadata(file).map_err(unreadable)?.len();
    if size > MAX_FILE {
        return Err(PageProblem::file(
            file,
            format!("{size} bytes are too many, at most {MAX_FILE}"),
        ));
    }
    fs::read_to_string(file).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_templates_are_for() {
        let cases = [
            ("502.html.tera", Some(Serves::Status(502))),
            ("404.json.tera", Some(Serves::Status(404))),
            ("5xx.html.tera", Some(Serves::Class(5))),
            ("error.txt.tera", Some(Serves::Any)),
            ("fragment.html.tera", Some(Serves::Fragment)),
            ("head.html.tera", None),
            ("parts/502.html.tera", None),
            ("200.html.tera", None),
            ("0502.html.tera", None),
        ];
        for (name, expected) in cases {
            assert_eq!(Serves::of(name), expected, "{name}");
        }
        for taken in ["502.html.tera", "parts/foot.txt.tera", "locales/tlh.toml"] {
            assert!(checked_name(Path::new(taken), taken).is_ok(), "{taken}");
        }
        for refused in [
            "50x.html.tera",
            "200.html.tera",
            "502.htm.tera",
            "error.tera",
            "pardon/error.html.tera",
        ] {
            assert!(
                checked_name(Path::new(refused), refused).is_err(),
                "{refused}"
            );
        }
    }
}
