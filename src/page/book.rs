//! The templates of one format: in come their sources, out come pages; a page of one's own that fails gives way to the built-in one.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use tera::{Context, ErrorKind, Tera};

use super::extent::Extent;
use super::folder::{Folder, Serves};
use super::plan::{Plan, Plans, Texts};
use super::sandbox::{self, Limited, MAX_NESTING, Nesting};
use super::values::Values;
use super::{Format, Notice, PageContext, PageProblem, Wanted, escape, theme};
use crate::config::Theme;

const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// The templates of one format.
pub(super) struct Book {
    pub(super) format: Format,
    tera: Tera,
    own: BTreeMap<Serves, Sheet>,
    pub(super) built_in: BuiltIn,
}

/// The built-in templates of a format that make something whole.
pub(super) struct BuiltIn {
    page: Sheet,
    /// For a page in a frame, where that has one of its own.
    frame: Option<Sheet>,
    /// For what a script puts into a page.
    fragment: Option<Sheet>,
}

/// A template that makes whole pages.
pub(super) struct Sheet {
    pub(super) name: Arc<str>,
    /// The headers of its pages; those that depend on the page are there with stand-ins, so that filling them in moves nothing.
    pub(super) headers: HeaderMap,
    /// How long its pages tend to be.
    pub(super) length: usize,
    /// Whether its pages can be laid out in advance.
    is_plain: bool,
    /// By language, made with the first page of each.
    plans: Vec<OnceLock<Plans>>,
}

impl Book {
    /// Parses the built-in template of a format and the own ones of `folder`.
    pub(super) fn build(
        format: Format,
        folder: &Folder,
        theme: Theme,
    ) -> Result<Self, Vec<PageProblem>> {
        let mut sources: BTreeMap<&str, &str> = folder.of(format).collect();
        if let Some((place, slip)) = sandbox::nesting_problem(&sources) {
            return Err(vec![nesting_problem(folder, place, &slip)]);
        }
        sources.extend(theme::templates(format).iter().copied());
        let plain = sandbox::plain_templates(&sources);
        let sheet = |name: &str| Sheet::new(name, format, plain.contains(name));
        Ok(Self {
            format,
            tera: parsed(format, &sources, folder)?,
            own: sources
                .keys()
                .filter_map(|name| Some((Serves::of(name)?, sheet(name))))
                .collect(),
            built_in: BuiltIn::of(format, theme, sheet),
        })
    }

    /// The template for a status and an extent.
    fn sheet(&self, status: u16, extent: Extent) -> &Sheet {
        let fragment = self.own.get(&Serves::Fragment);
        let fragment = fragment.or(self.built_in.fragment.as_ref());
        let page = || {
            [
                Serves::Status(status),
                Serves::Class(status / 100),
                Serves::Any,
            ]
            .iter()
            .find_map(|serves| self.own.get(serves))
        };
        fragment
            .filter(|_| extent == Extent::Fragment)
            .or_else(page)
            .unwrap_or_else(|| self.built_in.sheet(extent))
    }

    /// The templates of one's own, with what they are for.
    pub(super) fn own(&self) -> impl Iterator<Item = (Serves, &Sheet)> {
        self.own.iter().map(|(serves, sheet)| (*serves, sheet))
    }

    /// Every template, to be told what its pages need.
    pub(super) fn sheets_mut(&mut self) -> impl Iterator<Item = &mut Sheet> {
        self.own.values_mut().chain(self.built_in.all_mut())
    }

    /// A page, with the template that made it; `None` if even the built-in one cannot.
    pub(super) fn render(
        &self,
        wanted: &Wanted,
        status: u16,
        values: &Values<'_>,
    ) -> Option<(&Sheet, Vec<u8>)> {
        [
            self.sheet(status, wanted.extent),
            self.built_in.sheet(wanted.extent),
        ]
        .into_iter()
        .find_map(|sheet| Some((sheet, self.make(sheet, wanted.language, values)?)))
    }

    fn make(&self, sheet: &Sheet, language: usize, values: &Values<'_>) -> Option<Vec<u8>> {
        let plans = sheet.plans.get(language).zip(values.filled());
        let plan = plans.and_then(|(plans, filled)| {
            // The first page of a language waits for this, some tens of microseconds.
            let plans = plans.get_or_init(|| self.lay_out(sheet, values));
            plans.find(filled)
        });
        match plan {
            Some(plan) => plan
                .fill(values, escape::of(self.format), sheet.length)
                .ok(),
            None => self.try_render(sheet, &values.context()).ok(),
        }
    }

    /// Lays out the pages of a template for the language of `values`, once for each set of values that are usual.
    fn lay_out(&self, sheet: &Sheet, values: &Values<'_>) -> Plans {
        let mut texts = Texts::default();
        let mut plan = |values: Values<'_>| {
            let filled = values.filled().filter(|_| sheet.is_plain)?;
            let marked = self.try_render(sheet, &values.marked_context()).ok()?;
            let plan = Plan::lay_out(&String::from_utf8(marked).ok()?, &mut texts)?;
            Some((filled, plan))
        };
        usual()
            .iter()
            .filter_map(|context| plan(values.of(context)))
            .collect()
    }

    /// A page from one template. A panic in the template engine counts as a failure of the template.
    pub(super) fn try_render(&self, sheet: &Sheet, values: &Context) -> tera::TeraResult<Vec<u8>> {
        let mut page = Limited::with_capacity(sheet.length);
        let rendering = AssertUnwindSafe(|| self.tera.render_to(&sheet.name, values, &mut page));
        catch_unwind(rendering)
            .unwrap_or_else(|_| Err(tera::Error::message("the template engine failed")))?;
        Ok(page.into_bytes())
    }
}

impl BuiltIn {
    fn of(format: Format, theme: Theme, sheet: impl Fn(&str) -> Sheet) -> Self {
        let is_html = format == Format::Html;
        let has_frame = is_html && theme != Theme::Compact;
        Self {
            page: sheet(&theme::page(format, theme)),
            frame: has_frame.then(|| sheet(&theme::html(Theme::Compact.name()))),
            fragment: is_html.then(|| sheet(&theme::html("fragment"))),
        }
    }

    /// The template for an extent.
    pub(super) fn sheet(&self, extent: Extent) -> &Sheet {
        let own = match extent {
            Extent::Frame => self.frame.as_ref(),
            Extent::Fragment => self.fragment.as_ref(),
            Extent::Page | Extent::Nothing => None,
        };
        own.unwrap_or(&self.page)
    }

    /// All of them, in a fixed order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Sheet> {
        let others = [&self.frame, &self.fragment].into_iter().flatten();
        [&self.page].into_iter().chain(others)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Sheet> {
        let others = [&mut self.frame, &mut self.fragment].into_iter().flatten();
        [&mut self.page].into_iter().chain(others)
    }
}

impl Sheet {
    pub(super) fn new(name: &str, format: Format, is_plain: bool) -> Self {
        Self {
            name: name.into(),
            headers: headers(format),
            length: 0,
            is_plain,
            plans: Vec::new(),
        }
    }

    /// Makes room for the plans of so many languages.
    pub(super) fn expect_languages(&mut self, count: usize) {
        self.plans.resize_with(count, OnceLock::new);
    }

    /// Sets the `Content-Security-Policy` of its pages.
    pub(super) fn set_policy(&mut self, policy: HeaderValue) {
        self.headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
}

/// Failures whose pages are laid out: such that offer to try again and others, each with and without a time to wait.
fn usual() -> [PageContext<'static>; 4] {
    let [failed, away] = [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::BAD_GATEWAY];
    [
        (failed, None),
        (failed, Some(1)),
        (away, None),
        (away, Some(1)),
    ]
    .map(|(status, retry_after)| PageContext {
        status,
        notice: Notice::AppFailed,
        request_id: "0",
        time: Timestamp::UNIX_EPOCH,
        host: "host",
        path: "/",
        method: &Method::GET,
        retry_after,
        planned: None,
    })
}

/// The headers that every page of a format has.
fn headers(format: Format) -> HeaderMap {
    [
        (CONTENT_TYPE, format.content_type()),
        (CONTENT_LENGTH, HeaderValue::from_static("0")),
        (CONTENT_LANGUAGE, HeaderValue::from_static("en")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_ROBOTS_TAG, HeaderValue::from_static("noindex")),
    ]
    .into_iter()
    .collect()
}

/// A problem for what tera says about a template.
pub(super) fn tera_problems(folder: &Folder, name: &str, error: &tera::Error) -> Vec<PageProblem> {
    match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
            let (line, column) = (report.span().start_line, report.span().start_col + 1);
            vec![place(folder, report.filename(), report.message()).at(line, column)]
        }
        ErrorKind::Io(std::io::ErrorKind::FileTooLarge) => {
            let most = sandbox::MAX_OUTPUT / 1024;
            vec![place(
                folder,
                name,
                &format!("makes a page of more than {most} KiB"),
            )]
        }
        ErrorKind::MissingParent { current, parent } => {
            vec![
                place(
                    folder,
                    current,
                    &format!("extends `{parent}`, which is not there"),
                )
                .hint("a template finds others of its format in its own folder only"),
            ]
        }
        other => reports(folder, name, &other.to_string()),
    }
}

/// Problems from a message that may hold several reports, each with a line ` --> file:line:column`.
fn reports(folder: &Folder, name: &str, message: &str) -> Vec<PageProblem> {
    let found: Vec<PageProblem> = message
        .split("error: ")
        .filter_map(|report| {
            let (what, rest) = report.split_once('\n')?;
            let location = rest.lines().next()?.trim().strip_prefix("--> ")?;
            let mut parts = location.rsplitn(3, ':');
            let column = parts.next()?.parse().ok()?;
            let line = parts.next()?.parse().ok()?;
            let problem = place(folder, parts.next()?, what).at(line, column);
            Some(if what.starts_with("Unknown template") {
                problem.hint("a template finds others of its format in its own folder only")
            } else {
                problem
            })
        })
        .collect();
    if found.is_empty() {
        vec![place(folder, name, message)]
    } else {
        found
    }
}

fn place(folder: &Folder, name: &str, message: &str) -> PageProblem {
    // Ours begin in lower case, as all of Pardon's messages do.
    let mut characters = message.chars();
    let first = characters.next().map(|c| c.to_ascii_lowercase());
    let message: String = first.into_iter().chain(characters).collect();
    PageProblem::file(folder.path.join(name), message.trim_end_matches('.'))
}

fn nesting_problem(folder: &Folder, name: &str, slip: &Nesting) -> PageProblem {
    match slip {
        Nesting::TooDeep => place(
            folder,
            name,
            &format!("loops nest more than {MAX_NESTING} deep"),
        )
        .hint("loops of included and extended templates count"),
        Nesting::Component => {
            place(folder, name, "components are not available here").hint("use `{% include %}`")
        }
    }
}

/// Parses each template by itself first, so that every syntax error is found, then all together.
fn parsed(
    format: Format,
    sources: &BTreeMap<&str, &str>,
    folder: &Folder,
) -> Result<Tera, Vec<PageProblem>> {
    let problems: Vec<PageProblem> = sources
        .iter()
        .filter_map(|(name, source)| {
            Some((name, engine(format).add_raw_template(name, source).err()?))
        })
        .filter(|(_, error)| matches!(error.kind(), ErrorKind::SyntaxError(_)))
        .flat_map(|(name, error)| tera_problems(folder, name, &error))
        .collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut tera = engine(format);
    tera.add_raw_templates(sources.iter())
        .map_err(|error| tera_problems(folder, "", &error))?;
    Ok(tera)
}

fn engine(format: Format) -> Tera {
    let mut tera = Tera::default();
    tera.autoescape_on([format.suffix()]);
    tera.set_escape_fn(escape::of(format));
    sandbox::install(&mut tera);
    tera
}
