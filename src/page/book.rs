//! The templates of one format: in come their sources, out come pages; a page of one's own that fails gives way to the built-in one.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use tera::{Context, ErrorKind, Tera};

use super::folder::{BUILT_IN, Folder, Serves};
use super::plan::{Filled, Plan, Plans};
use super::sandbox::{self, Limited, MAX_NESTING, Nesting};
use super::values::Values;
use super::{Format, PageProblem, escape};

const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// The templates of one format.
pub(super) struct Book {
    pub(super) format: Format,
    tera: Tera,
    own: BTreeMap<Serves, Sheet>,
    pub(super) built_in: Sheet,
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
    /// By language.
    plans: Vec<Plans>,
}

impl Book {
    /// Parses the built-in template of a format and the own ones of `folder`.
    pub(super) fn build(format: Format, folder: &Folder) -> Result<Self, Vec<PageProblem>> {
        let name = format!("{BUILT_IN}error{}", format.suffix());
        let mut sources: BTreeMap<&str, &str> = folder.of(format).collect();
        if let Some((place, slip)) = sandbox::nesting_problem(&sources) {
            return Err(vec![nesting_problem(folder, place, &slip)]);
        }
        sources.insert(&name, built_in(format));
        let plain = sandbox::plain_templates(&sources);
        let sheet = |name: &str| Sheet::new(name, format, plain.contains(name));
        Ok(Self {
            format,
            tera: parsed(format, &sources, folder)?,
            own: sources
                .keys()
                .filter_map(|name| Some((Serves::of(name)?, sheet(name))))
                .collect(),
            built_in: sheet(&name),
        })
    }

    /// The template for a status.
    pub(super) fn sheet(&self, status: u16) -> &Sheet {
        [
            Serves::Status(status),
            Serves::Class(status / 100),
            Serves::Any,
        ]
        .iter()
        .find_map(|serves| self.own.get(serves))
        .unwrap_or(&self.built_in)
    }

    /// The templates of one's own, with what they are for.
    pub(super) fn own(&self) -> impl Iterator<Item = (Serves, &Sheet)> {
        self.own.iter().map(|(serves, sheet)| (*serves, sheet))
    }

    /// Every template, to be told what its pages need.
    pub(super) fn sheets_mut(&mut self) -> impl Iterator<Item = &mut Sheet> {
        self.own.values_mut().chain([&mut self.built_in])
    }

    /// A page for a status, with the template that made it; `None` if even the built-in one cannot.
    /// `language` is the place of the page's language.
    pub(super) fn render(
        &self,
        status: u16,
        language: usize,
        values: &Values<'_>,
    ) -> Option<(&Sheet, Vec<u8>)> {
        [self.sheet(status), &self.built_in]
            .into_iter()
            .find_map(|sheet| Some((sheet, self.make(sheet, language, values)?)))
    }

    fn make(&self, sheet: &Sheet, language: usize, values: &Values<'_>) -> Option<Vec<u8>> {
        let plans = sheet.plans.get(language);
        let plan = plans
            .zip(values.filled())
            .and_then(|(plans, filled)| plans.find(filled));
        match plan {
            Some(plan) => plan
                .fill(values, escape::of(self.format), sheet.length)
                .ok(),
            None => self.try_render(sheet, &values.context()).ok(),
        }
    }

    /// Lays out the pages of each template that allows it, for the language of `values` and what is there in them.
    /// Languages come in their order.
    pub(super) fn lay_out(&mut self, usual: &Values<'_>, with_retry: &Values<'_>) {
        let plans: Vec<Plans> = self
            .own
            .values()
            .chain([&self.built_in])
            .map(|sheet| Plans {
                usual: self.plan(sheet, usual, Filled::Usual),
                with_retry: self.plan(sheet, with_retry, Filled::WithRetry),
            })
            .collect();
        for (sheet, plans) in self.sheets_mut().zip(plans) {
            sheet.plans.push(plans);
        }
    }

    fn plan(&self, sheet: &Sheet, values: &Values<'_>, filled: Filled) -> Option<Plan> {
        if !sheet.is_plain || values.filled() != Some(filled) {
            return None;
        }
        let marked = self.try_render(sheet, &values.marked_context()).ok()?;
        Plan::lay_out(&String::from_utf8(marked).ok()?)
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

    /// Sets the `Content-Security-Policy` of its pages.
    pub(super) fn set_policy(&mut self, policy: HeaderValue) {
        self.headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
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

pub(super) fn built_in(format: Format) -> &'static str {
    match format {
        Format::Html => include_str!("../../templates/error.html.tera"),
        Format::Json => include_str!("../../templates/error.json.tera"),
        Format::Xml => include_str!("../../templates/error.xml.tera"),
        Format::Text | Format::Grpc => include_str!("../../templates/error.txt.tera"),
    }
}
