//! Incidents as lines: on a terminal cut to its width, elsewhere whole and in columns that are always the same.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::cli::screen::Screen;
use crate::cli::{moment, visible};
use crate::incident::Cause;
use crate::incident::store::Listed;

/// Columns of an ID of ours.
pub(super) const ID: usize = 19;
/// A terminal narrower than this shows no routes.
const ROOM_FOR_ROUTES: usize = 100;

/// The form of the lines.
pub(in crate::cli) struct Table {
    screen: Screen,
    now: Timestamp,
}

/// What stands in one line, each as wide as its column.
struct Cells {
    time: String,
    id: String,
    status: String,
    /// What stands between status and summary.
    middle: Vec<String>,
    summary: String,
}

impl Table {
    pub(in crate::cli) fn new(screen: Screen, now: Timestamp) -> Self {
        Self { screen, now }
    }

    /// The names of the columns.
    pub(super) fn header(&self) -> String {
        let id = visible::padded("ID", ID);
        let line = match self.screen.columns {
            None => format!(
                "{:24}  {id}  STATUS  {:15}  {:12}  {:32}  SUMMARY",
                "TIME", "CAUSE", "ROUTE", "REQUEST"
            ),
            Some(columns) => {
                let (route, request, _) = widths(columns);
                let route = route.map_or(String::new(), |width| format!("{:width$}  ", "ROUTE"));
                format!(
                    "{:14}  {id}  STATUS  {route}{:request$}  SUMMARY",
                    "TIME", "REQUEST"
                )
            }
        };
        format!("{}\n", self.screen.dim(&line))
    }

    /// One incident.
    pub(in crate::cli) fn row(&self, listed: &Listed) -> String {
        let cells = match self.screen.columns {
            None => whole(listed),
            Some(columns) => cut(listed, columns, self.now),
        };
        let (time, id) = (self.screen.dim(&cells.time), self.screen.bold(&cells.id));
        let middle = cells.middle.join("  ");
        let line = format!(
            "{time}  {id}  {}  {middle}  {}",
            cells.status, cells.summary
        );
        format!("{}\n", line.trim_end())
    }
}

/// The columns of a terminal for route, request and summary.
fn widths(columns: usize) -> (Option<usize>, usize, usize) {
    let route = (columns >= ROOM_FOR_ROUTES).then_some(10);
    let taken = 14 + 2 + ID + 2 + 6 + 2 + route.map_or(0, |width| width + 2) + 2;
    let left = columns.saturating_sub(taken).max(32);
    let request = (left * 2 / 5).max(14);
    (route, request, left - request)
}

fn cut(listed: &Listed, columns: usize, now: Timestamp) -> Cells {
    let (route, request, summary) = widths(columns);
    let fit = |text: &str, width: usize| visible::padded(&visible::cut(text, width), width);
    let mut middle: Vec<String> = route
        .map(|width| fit(&route_of(listed), width))
        .into_iter()
        .collect();
    middle.push(fit(&asked(listed), request));
    let says = match listed.cause {
        Cause::UpstreamStatus => summary_of(listed).into_owned(),
        // The summary of the others says it in words.
        _ if route.is_none() => summary_of(listed).into_owned(),
        cause => format!("{cause}: {}", summary_of(listed)),
    };
    Cells {
        time: visible::padded(&moment::short(listed.time, now), 14),
        id: visible::padded(listed.id.as_str(), ID),
        status: format!("{:6}", status(listed.status)),
        middle,
        summary: visible::cut(&says, summary).into_owned(),
    }
}

fn whole(listed: &Listed) -> Cells {
    Cells {
        time: format!("{:.3}", listed.time),
        id: visible::padded(listed.id.as_str(), ID),
        status: format!("{:6}", status(listed.status)),
        middle: vec![
            format!("{:15}", listed.cause),
            visible::padded(&route_of(listed), 12),
            visible::padded(&asked(listed), 32),
        ],
        summary: summary_of(listed).into_owned(),
    }
}

fn asked(listed: &Listed) -> String {
    visible::line(&format!("{} {}", listed.method, listed.url)).into_owned()
}

fn route_of(listed: &Listed) -> Cow<'_, str> {
    or_dash(visible::line(&listed.route))
}

fn summary_of(listed: &Listed) -> Cow<'_, str> {
    let summary = visible::line(&listed.summary);
    if listed.settled {
        summary
    } else {
        format!("{summary} (still being read)").into()
    }
}

/// A status as it stands in a column.
pub(super) fn status(status: Option<u16>) -> String {
    let status = status.filter(|status| *status > 0);
    status.map_or_else(|| "-".to_owned(), |status| status.to_string())
}

/// A text, or a dash for nothing.
pub(super) fn or_dash(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.is_empty() { "-".into() } else { text }
}
