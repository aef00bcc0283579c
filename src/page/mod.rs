//! The page that a visitor sees instead of a failure.
//!
//! In comes a [`PageContext`], which holds all that a visitor may see and nothing else; out comes a [`Page`], a complete
//! response but for the request ID's header. Everything that can fail (templates, logo, links) fails in [`Pages::build`]; a render cannot.
//!
//! A page is at most 256 KiB long, a built-in one is under 14 KB. No value changes the structure of a page, in any format.

mod book;
mod brand;
mod catalogue;
mod color;
mod date;
mod delay;
mod escape;
mod extent;
mod folder;
mod format;
mod grpc;
mod language;
mod locales;
mod markup;
mod negotiate;
mod notice;
mod plan;
mod problem;
mod qr;
mod sandbox;
pub mod theme;
mod trial;
mod values;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;

pub use format::Format;
pub use locales::words;
pub use notice::{Layer, Notice};
pub use problem::{PageProblem, Place};
pub use theme::source;

use crate::config;
use book::{Book, Sheet};
use brand::Brand;
use catalogue::Catalogue;
use extent::Extent;
use folder::Folder;
use values::{Look, Values};

/// What a visitor may see of a failure.
#[derive(Clone, Copy, Debug)]
pub struct PageContext<'a> {
    /// The status of the page.
    pub status: StatusCode,
    /// What happened.
    pub notice: Notice,
    /// The reference; empty where there is none.
    pub request_id: &'a str,
    /// When it happened.
    pub time: Timestamp,
    /// The host that was asked for.
    pub host: &'a str,
    /// The path that was asked for, without its query.
    pub path: &'a str,
    /// The method of the request; what a visitor is told to do depends on whether it is a safe one.
    pub method: &'a Method,
    /// After how many seconds trying again makes sense; becomes `Retry-After`.
    pub retry_after: Option<u32>,
    /// What is known of planned work, where that is the reason.
    pub planned: Option<Planned<'a>>,
}

/// What the operator says of planned work.
#[derive(Clone, Copy, Debug)]
pub struct Planned<'a> {
    /// In the operator's words; empty where there are none.
    pub message: &'a str,
    /// When it ends.
    pub until: Option<Timestamp>,
}

/// What a visitor wants: a format, a language, and how much of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The format.
    pub format: Format,
    /// The place of the language among those of the route's pages.
    language: usize,
    extent: Extent,
    /// The frame of Turbo's that a fragment goes to.
    turbo_frame: Option<Box<str>>,
}

/// A complete response, but for the header with the request ID. For HEAD the body is left away by whoever sends it.
#[derive(Clone, Debug)]
pub struct Page {
    /// The status; 200 for gRPC.
    pub status: StatusCode,
    /// All headers, with an exact `Content-Length`.
    pub headers: HeaderMap,
    /// The body; empty for gRPC.
    pub body: Bytes,
    /// The format.
    pub format: Format,
    /// The language: `en`.
    pub language: Arc<str>,
    /// The name of the template that made it: `502.html.tera`, or `pardon/plain.html.tera` for a built-in one.
    pub template: Arc<str>,
}

/// The pages of a route.
pub struct Pages {
    books: Vec<Book>,
    look: Look,
    /// The first is the one to fall back to.
    languages: Vec<Arc<Catalogue>>,
    /// What is left if a language is asked for that is not there.
    english: Arc<Catalogue>,
    warnings: Vec<PageProblem>,
}

impl Pages {
    /// Checks the sections and tries every template with every status; relative paths start at `folder`.
    ///
    /// # Errors
    ///
    /// Every problem of the brand and of the templates.
    pub fn build(
        pages: &config::Pages,
        brand: &config::Brand,
        folder: &Path,
    ) -> Result<Self, Vec<PageProblem>> {
        let (brand, mut problems) = Brand::build(brand, folder);
        let (templates, unreadable) = match &pages.folder {
            Some(path) => Folder::read(&folder.join(path)),
            None => (Folder::default(), Vec::new()),
        };
        problems.extend(unreadable);
        let languages = locales::chosen(&pages.languages, &templates, &mut problems);
        let untried = Self {
            books: books(&templates, pages.theme, &mut problems),
            look: Look {
                brand,
                refresh: pages.refresh == config::Refresh::Auto,
                qr: pages.qr,
            },
            languages,
            english: locales::english(),
            warnings: Vec::new(),
        };
        match untried.tried(&templates) {
            Ok(pages) if problems.is_empty() => return Ok(pages),
            Ok(_) => {}
            Err(found) => problems.extend(found),
        }
        Err(problems)
    }

    /// The format and the language that a request wants; `replaced` is the `Content-Type` of the answer that the page stands in for.
    #[must_use]
    pub fn negotiate(&self, headers: &HeaderMap, replaced: Option<&HeaderValue>) -> Wanted {
        let there: Vec<&str> = self.languages().collect();
        Wanted {
            format: negotiate::format(headers, replaced),
            language: language::choose(headers, &there),
            extent: extent::of(headers),
            turbo_frame: extent::turbo_frame(headers),
        }
    }

    /// A format and a language by name, for commands; `None` if there are no pages in that language.
    #[must_use]
    pub fn wanted(&self, format: Format, language: Option<&str>) -> Option<Wanted> {
        let place = |tag: &str| {
            self.languages
                .iter()
                .position(|language| language.language.eq_ignore_ascii_case(tag))
        };
        Some(Wanted {
            format,
            language: language.map_or(Some(0), place)?,
            extent: Extent::Page,
            turbo_frame: None,
        })
    }

    /// What can be served as it is, and should be mended: pages that are longer than they should be.
    #[must_use]
    pub fn warnings(&self) -> &[PageProblem] {
        &self.warnings
    }

    /// The languages that there are pages in, the one to fall back to first.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.languages.iter().map(|language| &*language.language)
    }

    /// The page. This cannot fail: a template that does gives way to the built-in one, and that to a page of two lines.
    #[must_use]
    pub fn render(&self, wanted: &Wanted, context: &PageContext<'_>) -> Page {
        let language = self.language(wanted);
        let Some(book) = self.books.iter().find(|book| book.format == wanted.format) else {
            return grpc::page(context, language);
        };
        if wanted.extent == Extent::Nothing {
            return empty(language, context);
        }
        let mut values = Values::new(context, &self.look, language);
        if wanted.format == Format::Html {
            values = values.for_html(wanted.turbo_frame.as_deref());
        }
        match book.render(wanted, context.status.as_u16(), &values) {
            Some((sheet, body)) => page(sheet, book.format, language, context, body),
            None => last_resort(language, context),
        }
    }

    fn language(&self, wanted: &Wanted) -> &Catalogue {
        self.languages.get(wanted.language).unwrap_or(&self.english)
    }

    fn tried(self, folder: &Folder) -> Result<Self, Vec<PageProblem>> {
        let (mut pages, findings) = trial::run(self, folder).map_err(|problem| vec![problem])?;
        if !findings.problems.is_empty() {
            return Err(findings.problems);
        }
        let languages = pages.languages.len();
        for sheet in pages.books.iter_mut().flat_map(Book::sheets_mut) {
            sheet.expect_languages(languages);
            if let Some(tried) = findings.sheets.get(&sheet.name) {
                sheet.length = tried.length;
                if let Some(policy) = &tried.policy {
                    sheet.set_policy(policy.clone());
                }
            }
        }
        pages.warnings = findings.warnings;
        Ok(pages)
    }
}

fn books(folder: &Folder, theme: config::Theme, problems: &mut Vec<PageProblem>) -> Vec<Book> {
    Format::TEMPLATED
        .into_iter()
        .filter_map(|format| {
            Book::build(format, folder, theme)
                .map_err(|found| problems.extend(found))
                .ok()
        })
        .collect()
}

fn page(
    sheet: &Sheet,
    format: Format,
    language: &Catalogue,
    context: &PageContext<'_>,
    body: Vec<u8>,
) -> Page {
    let mut headers = sheet.headers.clone();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(CONTENT_LANGUAGE, language.content_language.clone());
    if let Some(seconds) = context.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    Page {
        status: context.status,
        headers,
        body: Bytes::from(body),
        format,
        language: Arc::clone(&language.language),
        template: Arc::clone(&sheet.name),
    }
}

/// What a browser gets in place of an image, a script, a style or a font: the status and the headers.
fn empty(language: &Catalogue, context: &PageContext<'_>) -> Page {
    let sheet = Sheet::new("none", Format::Text, false);
    let mut page = page(&sheet, Format::Text, language, context, Vec::new());
    page.headers.remove(CONTENT_TYPE);
    page.headers.remove(CONTENT_LANGUAGE);
    page
}

/// What is left when even the built-in template fails.
fn last_resort(language: &Catalogue, context: &PageContext<'_>) -> Page {
    let mut body = b"Something went wrong. Please try again later.\n".to_vec();
    if !context.request_id.is_empty() {
        body.extend_from_slice(b"\nReference: ");
        // Writing to memory does not fail.
        let _ = escape::of(Format::Text)(context.request_id, &mut body);
        body.push(b'\n');
    }
    let sheet = Sheet::new("none", Format::Text, false);
    page(&sheet, Format::Text, language, context, body)
}

#[cfg(test)]
mod tests;
