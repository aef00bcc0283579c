//! What the gallery shows: in comes a selection, as the address of its page says it, out come its page and the pages on it.

use std::sync::LazyLock;

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use tera::{Context, Tera};

use super::edition::{Book, Edition};
use super::scheme::Scheme;
use crate::page::{Format, Notice, Page, PageContext, Planned};

const TEMPLATE: &str = "gallery.html.tera";
const REFERENCE: &str = "7Q3K-0ZD8-MX4T-9A2C";

/// Why there is a page, and for what request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Case {
    status: u16,
    notice: Notice,
    is_post: bool,
}

/// What is chosen, each by its place in its list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Selection {
    chosen: [usize; Choice::ALL.len()],
    /// What is shown side by side in all its values.
    across: Choice,
}

/// What there is to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Choice {
    #[default]
    Case,
    Book,
    Format,
    Language,
    Scheme,
}

#[derive(Serialize)]
struct Select {
    name: &'static str,
    label: &'static str,
    options: Vec<Named>,
}

#[derive(Serialize)]
struct Named {
    value: String,
    label: String,
    selected: bool,
}

#[derive(Serialize)]
struct Card {
    caption: String,
    detail: String,
    address: String,
}

impl Choice {
    const ALL: [Self; 5] = [
        Self::Case,
        Self::Book,
        Self::Format,
        Self::Language,
        Self::Scheme,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Case => "case",
            Self::Book => "book",
            Self::Format => "format",
            Self::Language => "language",
            Self::Scheme => "scheme",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Case => "Failure",
            Self::Book => "Route and theme",
            Self::Format => "Format",
            Self::Language => "Language",
            Self::Scheme => "Colours",
        }
    }

    const fn place(self) -> usize {
        self as usize
    }

    /// The labels of what can be chosen.
    fn options(self, edition: &Edition, book: usize) -> Vec<String> {
        match self {
            Self::Case => CASES.iter().map(|case| case.label()).collect(),
            Self::Book => edition.books.iter().map(Book::label).collect(),
            Self::Format => Format::TEMPLATED.map(|it| it.name().to_owned()).to_vec(),
            Self::Scheme => Scheme::ALL.map(|it| it.name().to_owned()).to_vec(),
            Self::Language => {
                let book = edition.books.get(book);
                let languages = book.into_iter().flat_map(|book| book.pages.languages());
                languages.map(str::to_owned).collect()
            }
        }
    }
}

/// Every notice with the statuses that it comes with, and what sending makes another page of.
static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let mut cases = Vec::new();
    for notice in Notice::ALL {
        for status in statuses(notice) {
            let case = Case {
                status,
                notice,
                is_post: false,
            };
            cases.push(case);
            if matches!(status, 500 | 502..=504) {
                cases.push(Case {
                    is_post: true,
                    ..case
                });
            }
        }
    }
    cases
});

fn statuses(notice: Notice) -> Vec<u16> {
    let known =
        |code: &u16| StatusCode::from_u16(*code).is_ok_and(|it| it.canonical_reason().is_some());
    match notice {
        Notice::AppFailed => (500..600).chain(400..500).filter(known).collect(),
        Notice::AppUnreachable => vec![502, 504],
        Notice::AppBadAnswer => vec![502],
        Notice::AppTooSlow => vec![504],
        Notice::Internal => vec![500],
        Notice::Refused => vec![400, 404, 408, 413, 414, 421, 431],
        _ => vec![503],
    }
}

impl Case {
    fn label(self) -> String {
        let method = if self.is_post { ", after a POST" } else { "" };
        format!(
            "{} {}{method}",
            self.status,
            self.notice.name().replace('_', " ")
        )
    }
}

impl Book {
    fn label(&self) -> String {
        format!("{}, {}", self.route, self.theme)
    }
}

impl Selection {
    /// What a query says; what it says of nothing there is, is the first of its list.
    pub(super) fn read(query: &str) -> Self {
        let mut selection = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            if name == "across" {
                let named = Choice::ALL
                    .into_iter()
                    .find(|choice| choice.name() == value);
                selection.across = named.unwrap_or_default();
            }
            let choice = Choice::ALL.into_iter().find(|choice| choice.name() == name);
            let place = choice.and_then(|choice| selection.chosen.get_mut(choice.place()));
            if let (Some(place), Ok(value)) = (place, value.parse()) {
                *place = value;
            }
        }
        selection
    }

    fn chosen(&self, choice: Choice) -> usize {
        self.chosen.get(choice.place()).copied().unwrap_or_default()
    }

    fn with(mut self, choice: Choice, value: usize) -> Self {
        if let Some(place) = self.chosen.get_mut(choice.place()) {
            *place = value;
        }
        self
    }

    /// The address of its one page.
    fn address(&self) -> String {
        let query = Choice::ALL.map(|choice| format!("{}={}", choice.name(), self.chosen(choice)));
        format!("/page?{}", query.join("&"))
    }

    /// The page that is chosen; `None` where there is none of that kind.
    pub(super) fn page(&self, edition: &Edition) -> Option<Page> {
        let book = edition.books.get(self.chosen(Choice::Book))?;
        let case = CASES.get(self.chosen(Choice::Case))?;
        let format = *Format::TEMPLATED.get(self.chosen(Choice::Format))?;
        let scheme = *Scheme::ALL.get(self.chosen(Choice::Scheme))?;
        let language = book.pages.languages().nth(self.chosen(Choice::Language));
        let wanted = book.pages.wanted(format, language)?;
        let context = PageContext {
            status: StatusCode::from_u16(case.status).ok()?,
            notice: case.notice,
            request_id: REFERENCE,
            time: Timestamp::now(),
            host: "shop.example.com",
            path: "/orders/17",
            method: if case.is_post {
                &Method::POST
            } else {
                &Method::GET
            },
            retry_after: (case.status == 503).then_some(120),
            planned: (case.notice == Notice::Maintenance).then_some(Planned {
                message: "",
                until: Some(Timestamp::now()),
            }),
        };
        Some(scheme.applied(book.pages.render(&wanted, &context)))
    }

    /// The gallery's page.
    ///
    /// # Errors
    ///
    /// What the template engine says.
    pub(super) fn gallery(&self, edition: &Edition) -> tera::TeraResult<String> {
        let mut context = Context::new();
        context.insert("edition", &edition.number);
        context.insert("problems", &edition.problems);
        context.insert("selects", &self.selects(edition));
        context.insert("cards", &self.cards(edition));
        engine()?.render(TEMPLATE, &context)
    }

    fn selects(&self, edition: &Edition) -> Vec<Select> {
        let book = self.chosen(Choice::Book);
        let across = Select {
            name: "across",
            label: "Side by side",
            options: Choice::ALL
                .map(|choice| Named {
                    value: choice.name().to_owned(),
                    label: choice.label().to_owned(),
                    selected: choice == self.across,
                })
                .into(),
        };
        let chosen = Choice::ALL.into_iter().map(|choice| Select {
            name: choice.name(),
            label: choice.label(),
            options: named(choice.options(edition, book), self.chosen(choice)),
        });
        [across].into_iter().chain(chosen).collect()
    }

    fn cards(&self, edition: &Edition) -> Vec<Card> {
        let options = self.across.options(edition, self.chosen(Choice::Book));
        let all = options
            .into_iter()
            .enumerate()
            .filter_map(|(place, caption)| {
                let shown = self.with(self.across, place);
                let page = shown.page(edition)?;
                let kind = page.headers.get(http::header::CONTENT_TYPE);
                let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
                Some(Card {
                    caption,
                    detail: format!("{kind}, {} bytes, by {}", page.body.len(), page.template),
                    address: shown.address(),
                })
            });
        all.collect()
    }
}

fn named(labels: Vec<String>, selected: usize) -> Vec<Named> {
    let named = |(place, label): (usize, String)| Named {
        value: place.to_string(),
        label,
        selected: place == selected,
    };
    labels.into_iter().enumerate().map(named).collect()
}

fn engine() -> tera::TeraResult<Tera> {
    let mut tera = Tera::default();
    tera.autoescape_on([".html.tera"]);
    let source = include_str!("../../../templates/preview/gallery.html.tera");
    tera.add_raw_template(TEMPLATE, source)?;
    Ok(tera)
}
