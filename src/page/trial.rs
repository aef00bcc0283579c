//! The trial of templates: every template of one's own makes its pages for every status and notice, with values of every
//! kind, before one visitor sees it. In comes a parsed [`Pages`], out come the security policy of each template, or its problems.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

use super::book::{Book, Sheet, tera_problems};
use super::folder::{Folder, Serves};
use super::markup::{Fault, Markup, PROBE};
use super::values::{MAX_HOST, MAX_PATH, Values};
use super::{Format, Notice, PageContext, PageProblem, Pages, Planned};

/// How long nothing may come of a page, and how long all may take of the processor; templates are the operator's, yet a slip must not
/// keep the process from starting or ending.
const DEADLINE: Duration = Duration::from_secs(20);
const ALL_SLOW: Duration = Duration::from_mins(1);
/// How long one page may take of the processor, far beyond what any sensible one needs. A busy machine makes no template slow.
const SLOW: Duration = Duration::from_millis(500);
/// What fits into the first flight of a TCP connection.
const FLIGHT: usize = 14 * 1024;
/// Room for values that are longer than those of the trial.
const SLACK: usize = 512;
const USUAL_ID: &str = "7Q3K-0ZD8-MX4T-9A2C";
const OWN_STATUSES: [u16; 22] = [
    500, 501, 502, 503, 504, 505, 506, 507, 508, 509, 510, 511, 599, 400, 404, 408, 413, 414, 421,
    429, 431, 499,
];

/// What a trial found out about each template, by its name.
pub(super) struct Findings {
    pub(super) sheets: BTreeMap<Arc<str>, Tried>,
    pub(super) problems: Vec<PageProblem>,
    /// What can be served, and should be mended.
    pub(super) warnings: Vec<PageProblem>,
}

/// What is known about a template after its trial.
pub(super) struct Tried {
    pub(super) policy: Option<HeaderValue>,
    pub(super) length: usize,
}

/// Tries all templates. The pages come back with what was found.
pub(super) fn run(pages: Pages, folder: &Folder) -> Result<(Pages, Findings), PageProblem> {
    let pages = Arc::new(pages);
    let (sender, receiver) = mpsc::channel();
    let tried = Arc::clone(&pages);
    let folder_tried = folder.clone();
    let thread = thread::Builder::new()
        .name("trial".to_owned())
        .spawn(move || {
            let findings = Trial::of(&tried, &folder_tried, &sender);
            drop(tried);
            // Nobody listens any more once the deadline has passed.
            let _ = sender.send(Some(findings));
        });
    if let Err(error) = thread {
        return Err(PageProblem::file(
            &folder.path,
            format!("could not be tried: {error}"),
        ));
    }
    let outcome = loop {
        match receiver.recv_timeout(DEADLINE) {
            Ok(None) => {}
            Ok(Some(findings)) => break Ok(findings),
            Err(error) => break Err(error),
        }
    };
    let message = match outcome {
        Ok(findings) => match Arc::into_inner(pages) {
            Some(pages) => return Ok((pages, findings)),
            None => "could not be tried",
        },
        Err(RecvTimeoutError::Timeout) => "its templates come to no end",
        Err(RecvTimeoutError::Disconnected) => "its templates could not be tried",
    };
    Err(PageProblem::file(&folder.path, message))
}

/// Values as a request may bring them.
struct Sample {
    request_id: &'static str,
    host: &'static str,
    path: &'static str,
    method: Method,
    retry_after: Option<u32>,
}

/// What would break out of an attribute, an element, a comment, a CDATA section, a string, a script, if anything let it.
const HOSTILE: &str = concat!(
    "/a'\"></title></style></script></textarea>--> <pardon-probe pardon-probe=1 > ",
    "pardon-probe=1 ' pardon-probe='1' \" pardon-probe=\"1\" ]]><pardon-probe/>&amp;&x;",
    "\",\"pardon-probe\":\"1\\\",\"pardon-probe\":\"1\\u0022 {{ 7*7 }}{% if %}{# \0\u{8}\u{1b}\r\n",
    "\u{85}\u{2028}\u{202e}\u{2066}\u{fffe}"
);
/// The same without the ends of elements before it, which would swallow the rest where only `<` was let through.
const ENTERING: &str = "/<pardon-probe pardon-probe=1 > pardon-probe=1 ><pardon-probe/>";
static LONGEST_PATH: LazyLock<String> = LazyLock::new(|| "/<'\"&".repeat(MAX_PATH));
static LONGEST_HOST: LazyLock<String> = LazyLock::new(|| "host.".repeat(MAX_HOST));

fn samples() -> [Sample; 6] {
    let plain = |method, retry_after| Sample {
        request_id: USUAL_ID,
        host: "shop.example.com",
        path: "/orders/17",
        method,
        retry_after,
    };
    let odd = |request_id, host, path| Sample {
        request_id,
        host,
        path,
        method: Method::GET,
        retry_after: None,
    };
    [
        plain(Method::GET, None),
        plain(Method::POST, Some(120)),
        odd("", "", ""),
        odd(HOSTILE, HOSTILE, HOSTILE),
        odd(ENTERING, ENTERING, ENTERING),
        odd("_", &LONGEST_HOST, &LONGEST_PATH),
    ]
}

impl Sample {
    fn context(&self, status: StatusCode, notice: Notice, time: Timestamp) -> PageContext<'_> {
        PageContext {
            status,
            notice,
            request_id: self.request_id,
            time,
            host: self.host,
            path: self.path,
            method: &self.method,
            retry_after: self.retry_after,
            planned: (notice == Notice::Maintenance).then_some(Planned {
                message: self.path,
                until: Some(time),
            }),
        }
    }
}

/// The trial of one template.
struct Trial<'a> {
    pages: &'a Pages,
    book: &'a Book,
    sheet: &'a Sheet,
    folder: &'a Folder,
    samples: &'a [Sample],
    notices: &'a [Notice],
    /// Who hears of each page that nothing was wrong with.
    made: &'a Sender<Option<Findings>>,
    /// Styles and scripts of its first page, which all others must share.
    blocks: Option<Markup>,
    length: usize,
}

impl<'a> Trial<'a> {
    fn of(pages: &'a Pages, folder: &'a Folder, made: &'a Sender<Option<Findings>>) -> Findings {
        let mut findings = Findings {
            sheets: BTreeMap::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        let samples = samples();
        for book in &pages.books {
            let one = samples.get(..1).unwrap_or_default();
            // The test suite tries the built-in ones with everything; here they show their styles and their lengths.
            let failed: &[Notice] = &[Notice::AppFailed];
            let built_in = book.built_in.all();
            let built_in = built_in.map(|sheet| (vec![500], sheet, one, failed));
            let own = book.own();
            let own = own
                .map(|(serves, sheet)| (statuses(serves), sheet, &samples[..], &Notice::ALL[..]));
            for (statuses, sheet, samples, notices) in own.chain(built_in) {
                let trial = Trial {
                    pages,
                    book,
                    sheet,
                    folder,
                    samples,
                    notices,
                    made,
                    blocks: None,
                    length: 0,
                };
                match trial.run(&statuses) {
                    Ok((tried, warning)) => {
                        findings.warnings.extend(warning);
                        findings.sheets.insert(Arc::clone(&sheet.name), tried);
                    }
                    Err(problems) => findings.problems.extend(problems),
                }
            }
        }
        findings
    }

    /// Stops at the first page that fails: the others would say the same again.
    fn run(mut self, statuses: &[u16]) -> Result<(Tried, Option<PageProblem>), Vec<PageProblem>> {
        for code in statuses {
            let Ok(status) = StatusCode::from_u16(*code) else {
                continue;
            };
            for &notice in self.notices {
                for (number, sample) in (0_i32..).zip(self.samples) {
                    let time = Timestamp::constant(1_767_323_045 + i64::from(number), 0);
                    let first = notice == Notice::AppFailed || Some(code) == statuses.first();
                    // Languages differ in their words alone, so one sample a status tells whether these fit.
                    let languages = if number == 0 && first { usize::MAX } else { 1 };
                    self.render(&sample.context(status, notice, time), languages)?;
                }
            }
        }
        let warning = self.length_warning();
        let policy = self.blocks.map(|blocks| blocks.policy());
        let tried = Tried {
            policy: policy.and_then(|policy| HeaderValue::try_from(policy).ok()),
            length: self.length + SLACK,
        };
        Ok((tried, warning))
    }

    fn length_warning(&self) -> Option<PageProblem> {
        let bytes = self.length;
        (bytes > FLIGHT).then(|| {
            self.problem(&format!("makes pages of up to {bytes} bytes, more than {FLIGHT}"))
                .hint("beyond that a page needs another round trip to reach its visitor; shorten its styles, or the logo")
        })
    }

    fn render(
        &mut self,
        context: &PageContext<'_>,
        languages: usize,
    ) -> Result<(), Vec<PageProblem>> {
        for language in self.pages.languages.iter().take(languages) {
            let begun = time_worked();
            let mut values = Values::new(context, &self.pages.look, language);
            if self.book.format == Format::Html {
                values = values.for_html(None);
            }
            let page = self
                .book
                .try_render(self.sheet, &values.context())
                .map_err(|error| tera_problems(self.folder, &self.sheet.name, &error))?;
            let page = String::from_utf8_lossy(&page);
            if context.request_id == USUAL_ID {
                self.length = self.length.max(page.len());
            }
            self.check(&page, context)
                .map_err(|problem| vec![problem])?;
            if time_worked().saturating_sub(begun) > SLOW {
                let slow = self.problem("takes too long to make a page");
                return Err(vec![
                    slow.hint("a loop over a path turns once for each of its characters"),
                ]);
            }
            if time_worked() > ALL_SLOW {
                return Err(vec![self.problem("its templates take too long altogether")]);
            }
            // Nobody listens any more once the deadline has passed.
            let _ = self.made.send(None);
        }
        Ok(())
    }

    fn check(&mut self, page: &str, context: &PageContext<'_>) -> Result<(), PageProblem> {
        match self.book.format {
            Format::Html => self.check_html(page, context),
            Format::Json => self.check_json(page),
            Format::Xml => self.check_xml(page),
            Format::Text | Format::Grpc => Ok(()),
        }?;
        if context.request_id == USUAL_ID && !page.contains(USUAL_ID) {
            return Err(self
                .problem("its page does not show the reference")
                .hint("put `{{ request_id }}` where a visitor can read it"));
        }
        Ok(())
    }

    fn check_html(&mut self, page: &str, context: &PageContext<'_>) -> Result<(), PageProblem> {
        let markup = Markup::read(page);
        if let Some(fault) = markup.faults.first() {
            return Err(self.html_problem(fault));
        }
        let first = self.blocks.get_or_insert_with(|| Markup {
            faults: Vec::new(),
            ..markup.clone()
        });
        if first.styles != markup.styles || first.scripts != markup.scripts {
            let status = context.status.as_u16();
            return Err(self
                .problem(&format!("its styles or scripts differ from page to page (status {status})"))
                .hint("they are allowed by their hash, so they cannot depend on a request; set a class outside of them"));
        }
        Ok(())
    }

    fn html_problem(&self, fault: &Fault) -> PageProblem {
        match fault {
            Fault::Injected => self
                .problem("a value could change the structure of its page")
                .hint("put quotes around the values of attributes, and keep values out of scripts and styles"),
            Fault::StyleAttribute => self
                .problem_at("has a `style` attribute, which the page's security policy turns off", &[" style="])
                .hint("use a class and a style element"),
            Fault::Handler(name) => self
                .problem_at(
                    &format!("has an `{name}` attribute that runs a script, which the page's security policy turns off"),
                    &["javascript:", name],
                )
                .hint("use a script element"),
            Fault::Outside(url) => self
                .problem_at(&format!("would fetch `{url}`"), &[url])
                .hint("a page must stand by itself when the app is down: write it in, images as data: URLs"),
            Fault::Form => self
                .problem_at(
                    "has a form or a base element, which the page's security policy turns off",
                    &["<form", "<base"],
                )
                .hint("use a link"),
        }
    }

    fn check_json(&self, page: &str) -> Result<(), PageProblem> {
        let value: serde_json::Value = serde_json::from_str(page).map_err(|error| {
            self.problem(&format!("its page is not JSON: {error}"))
                .hint("put values between double quotes, also those that may be empty; lines and columns are those of the page")
        })?;
        if has_probe(&value) {
            return Err(self.problem("a value could change the structure of its page"));
        }
        Ok(())
    }

    fn check_xml(&self, page: &str) -> Result<(), PageProblem> {
        let document = roxmltree::Document::parse(page).map_err(|error| {
            self.problem(&format!("its page is not well-formed XML: {error}"))
                .hint("lines and columns are those of the page")
        })?;
        let injected = document.descendants().any(|node| {
            node.tag_name().name() == PROBE || node.attributes().any(|it| it.name() == PROBE)
        });
        if injected {
            return Err(self.problem("a value could change the structure of its page"));
        }
        Ok(())
    }

    /// A problem at the first of these texts in the template, or in one that it may include.
    fn problem_at(&self, message: &str, texts: &[&str]) -> PageProblem {
        let own = self.folder.sources.get_key_value(&*self.sheet.name);
        let others = self.folder.sources.iter();
        let found = own.into_iter().chain(others).find_map(|(name, source)| {
            let suits = name.ends_with(self.book.format.suffix());
            let source = source.to_ascii_lowercase();
            let at = texts
                .iter()
                .find_map(|text| source.find(&text.to_ascii_lowercase()));
            Some((name, line_and_column(&source, at?))).filter(|_| suits)
        });
        match found {
            Some((name, (line, column))) => {
                PageProblem::file(self.folder.path.join(name), message).at(line, column)
            }
            None => self.problem(message),
        }
    }

    fn problem(&self, message: &str) -> PageProblem {
        PageProblem::file(self.folder.path.join(&*self.sheet.name), message)
    }
}

/// Both from 1.
fn line_and_column(source: &str, at: usize) -> (usize, usize) {
    let before = source.get(..at).unwrap_or_default();
    let column = before.chars().rev().take_while(|c| *c != '\n').count();
    (before.matches('\n').count() + 1, column + 1)
}

/// What this thread has had of a processor.
fn time_worked() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

fn statuses(serves: Serves) -> Vec<u16> {
    match serves {
        Serves::Status(status) => vec![status],
        Serves::Class(class) => OWN_STATUSES
            .into_iter()
            .filter(|status| status / 100 == class)
            .collect(),
        Serves::Any | Serves::Fragment => OWN_STATUSES.to_vec(),
    }
}

fn has_probe(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Object(members) => members
            .iter()
            .any(|(name, value)| name == PROBE || has_probe(value)),
        serde_json::Value::Array(items) => items.iter().any(has_probe),
        _ => false,
    }
}
