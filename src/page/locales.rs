//! The languages of pages: in come the tags of the configuration and the folder of own pages, out come catalogues in their order.
//!
//! A built-in catalogue is read when it is first asked for, and then shared by all routes. One of the folder's own,
//! `locales/*.toml`, is laid over the built-in one of its language, or adds a language.

use std::sync::{Arc, OnceLock};

use super::PageProblem;
use super::catalogue::{Catalogue, CatalogueError};
use super::folder::Folder;

/// Where own catalogues stand in the folder of own pages.
pub(super) const OWN: &str = "locales/";

struct BuiltIn {
    tag: &'static str,
    source: &'static str,
    read: OnceLock<Arc<Catalogue>>,
}

macro_rules! built_in {
    ($($tag:literal),* $(,)?) => {
        [$(BuiltIn {
            tag: $tag,
            source: include_str!(concat!("../../templates/locales/", $tag, ".toml")),
            read: OnceLock::new(),
        }),*]
    };
}

/// English first, to which all others fall back.
static BUILT_IN: [BuiltIn; COUNT] = built_in![
    "en", "ar", "cs", "da", "de", "es", "fa", "fi", "fr", "he", "it", "ja", "ko", "nb", "nl", "pl",
    "pt-BR", "pt-PT", "ru", "sv", "tr", "uk", "ur", "zh-Hans", "zh-Hant"
];
const COUNT: usize = 25;

impl BuiltIn {
    fn catalogue(&self) -> Arc<Catalogue> {
        let read = || {
            #[expect(
                clippy::expect_used,
                reason = "the catalogue is part of the binary and a test parses each"
            )]
            Arc::new(Catalogue::parse(self.source).expect("the built-in catalogue is complete"))
        };
        Arc::clone(self.read.get_or_init(read))
    }
}

/// The English texts.
pub(super) fn english() -> Arc<Catalogue> {
    let [english, ..] = &BUILT_IN;
    english.catalogue()
}

/// The English catalogue as it is written, to begin one of another language with.
#[must_use]
pub fn words() -> &'static str {
    let [english, ..] = &BUILT_IN;
    english.source
}

/// The source of a built-in catalogue.
pub(super) fn source(tag: &str) -> Option<&'static str> {
    let built_in = BUILT_IN
        .iter()
        .find(|one| one.tag.eq_ignore_ascii_case(tag));
    built_in.map(|one| one.source)
}

/// The catalogues of these languages; of all where none is named. Never empty.
pub(super) fn chosen(
    tags: &[String],
    folder: &Folder,
    problems: &mut Vec<PageProblem>,
) -> Vec<Arc<Catalogue>> {
    let own = own(folder, problems);
    let find = |tag: &str| {
        let is_it = |catalogue: &&Arc<Catalogue>| catalogue.language.eq_ignore_ascii_case(tag);
        own.iter().find(is_it).map(Arc::clone).or_else(|| {
            let built_in = BUILT_IN
                .iter()
                .find(|one| one.tag.eq_ignore_ascii_case(tag));
            built_in.map(BuiltIn::catalogue)
        })
    };
    let mut chosen: Vec<Arc<Catalogue>> = if tags.is_empty() {
        let added = own.iter().map(|catalogue| &*catalogue.language);
        let added = added.filter(|tag| {
            BUILT_IN
                .iter()
                .all(|one| !one.tag.eq_ignore_ascii_case(tag))
        });
        BUILT_IN
            .iter()
            .map(|one| one.tag)
            .chain(added)
            .filter_map(find)
            .collect()
    } else {
        let missing = tags.iter().filter(|tag| find(tag).is_none());
        problems.extend(missing.map(|tag| not_there(tag)));
        tags.iter().filter_map(|tag| find(tag)).collect()
    };
    if chosen.is_empty() {
        chosen.push(english());
    }
    chosen
}

fn not_there(tag: &str) -> PageProblem {
    let tags: Vec<&str> = BUILT_IN.iter().map(|one| one.tag).collect();
    let problem = PageProblem::key("pages.languages", format!("there are no pages in `{tag}`"));
    problem.hint(format!(
        "built in are {}; others come from `{OWN}{tag}.toml` in the folder of own pages",
        tags.join(", ")
    ))
}

fn own(folder: &Folder, problems: &mut Vec<PageProblem>) -> Vec<Arc<Catalogue>> {
    let mut catalogues = Vec::new();
    for (name, source) in folder.catalogues() {
        match Catalogue::parse_own(source, self::source) {
            Ok(catalogue) => catalogues.push(Arc::new(catalogue)),
            Err(error) => {
                let problem = PageProblem::file(folder.path.join(name), error.to_string());
                problems.push(match place(&error, source) {
                    Some((line, column)) => problem.at(line, column),
                    None => problem,
                });
            }
        }
    }
    catalogues
}

/// The line and column of a mistake, both from 1, where they are known.
fn place(error: &CatalogueError, source: &str) -> Option<(usize, usize)> {
    let CatalogueError::Unreadable(error) = error else {
        return None;
    };
    let before = source.get(..error.span()?.start)?;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    Some((before.matches('\n').count() + 1, column))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::Method;

    use super::*;
    use crate::page::Notice;
    use crate::page::catalogue::Contact;

    #[test]
    fn every_language_says_everything_in_its_own_words() {
        let english = english();
        let mut tags = BTreeSet::new();
        for built_in in &BUILT_IN {
            let catalogue = Catalogue::parse(built_in.source)
                .unwrap_or_else(|error| panic!("{}: {error}", built_in.tag));
            assert_eq!(&*catalogue.language, built_in.tag);
            assert!(tags.insert(built_in.tag), "{} twice", built_in.tag);
            assert_eq!(catalogue.sections(), english.sections(), "{}", built_in.tag);
            assert!(catalogue.delay.has_every_form(), "{}", built_in.tag);
            for notice in Notice::ALL {
                for status in 400..600 {
                    let entry = catalogue.find(notice, status).unwrap();
                    let same = english.find(notice, status).unwrap();
                    let foreign = built_in.tag != "en";
                    assert!(!foreign || entry.message_text != same.message_text);
                    for method in [Method::GET, Method::POST] {
                        let [ours, theirs] = [entry, same]
                            .map(|entry| entry.advice(&method, Contact::Support).to_string());
                        assert!(!foreign || ours != theirs, "{}: {ours}", built_in.tag);
                    }
                }
            }
            let labels = |catalogue: &Catalogue| -> BTreeSet<String> {
                let labels = catalogue.labels.as_map().unwrap();
                labels.keys().map(ToString::to_string).collect()
            };
            assert_eq!(labels(&catalogue), labels(&english), "{}", built_in.tag);
        }
    }

    #[test]
    fn languages_written_from_the_right_say_so() {
        for built_in in &BUILT_IN {
            let rtl = ["ar", "fa", "he", "ur"].contains(&built_in.tag);
            let direction = if rtl { "rtl" } else { "ltr" };
            assert_eq!(
                built_in.catalogue().direction.as_str(),
                Some(direction),
                "{}",
                built_in.tag
            );
        }
    }

    #[test]
    fn own_catalogues_override_and_add() {
        let mut folder = Folder::default();
        let whole = include_str!("../../templates/locales/en.toml");
        let own = whole.replace("Something went wrong", "Ours");
        let added = whole.replace("language = \"en\"", "language = \"tlh\"");
        folder.sources.insert("locales/en.toml".into(), own);
        folder.sources.insert("locales/tlh.toml".into(), added);
        let mut problems = Vec::new();
        let tags = ["tlh".to_owned(), "EN".to_owned()];
        let chosen = chosen(&tags, &folder, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(&*chosen[0].language, "tlh");
        let entry = chosen[1].find(Notice::AppFailed, 500).unwrap();
        assert_eq!(entry.title.as_str(), Some("Ours"));
    }

    #[test]
    fn an_own_catalogue_says_only_what_is_to_be_otherwise() {
        let mut folder = Folder::default();
        let own = "language = \"de\"\nlabels.support = \"Hilfe\"\n[notices.app_failed.general]\ntitle = \"Hoppla\"\n";
        folder.sources.insert("locales/de.toml".into(), own.into());
        let mut problems = Vec::new();
        let chosen = chosen(&["de".to_owned()], &folder, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        let built_in = Catalogue::parse(source("de").unwrap()).unwrap();
        let [ours, theirs] =
            [&*chosen[0], &built_in].map(|it| it.find(Notice::AppFailed, 599).unwrap());
        assert_eq!(ours.title.as_str(), Some("Hoppla"));
        assert_eq!(ours.message_text, theirs.message_text);
        let label = |name: &'static str| {
            let labels = chosen[0].labels.as_map().unwrap();
            labels.get(&name.into()).unwrap().to_string()
        };
        assert_eq!(label("support"), "Hilfe");
        assert_eq!(label("home"), "Startseite");
        let wrong = own.replace("labels.support", "lables.support");
        folder.sources.insert("locales/de.toml".into(), wrong);
        super::chosen(&["de".to_owned()], &folder, &mut problems);
        assert!(
            format!("{problems:?}").contains("unknown field `lables`"),
            "{problems:?}"
        );
    }

    #[test]
    fn what_is_wrong_with_languages_is_said() {
        let mut folder = Folder::default();
        folder.sources.insert(
            "locales/xx.toml".into(),
            "language = \"xx\"\nwrong = ".into(),
        );
        let mut problems = Vec::new();
        let chosen = chosen(&["tlh".to_owned()], &folder, &mut problems);
        assert_eq!(&*chosen[0].language, "en");
        assert!(format!("{problems:?}").contains("there are no pages in `tlh`"));
        assert!(format!("{problems:?}").contains("xx.toml"));
    }
}
