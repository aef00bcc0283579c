//! Groups: what is alike, counted, with its course over the time that is asked for.

use std::borrow::Cow;
use std::io::{self, Write};

use jiff::Timestamp;

use super::list::{losses, tell};
use super::table::{ID, or_dash, status};
use super::{Args, LISTED};
use crate::cli::screen::Screen;
use crate::cli::{moment, store, visible};
use crate::incident::store::{Filter, Group, Reader};
use crate::telemetry::json;

const HOUR: i64 = 3600;
/// The heights of a mark; before them, that of nothing.
const MARKS: [char; 9] = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// A terminal narrower than this shows shorter courses, and no routes.
const WIDE: usize = 110;

/// Prints the groups that a filter lets through.
pub(super) fn print(args: &Args, filter: &Filter, reader: &Reader) -> anyhow::Result<()> {
    let limit = args.limit(LISTED);
    let mut groups = reader.groups(filter, limit.saturating_add(1))?;
    let more = groups.len() > limit;
    groups.truncate(limit);
    let (screen, now) = (Screen::of(&io::stdout()), Timestamp::now());
    let table = Table::new(screen, &groups, filter.since, now);
    let text: String = if args.json {
        groups.iter().map(json::line).collect::<Result<_, _>>()?
    } else {
        let rows = groups.iter().map(|group| table.row(group));
        std::iter::once(table.header()).chain(rows).collect()
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    let mut notes = Vec::new();
    match groups.as_slice() {
        [] => notes.push("None.".to_owned()),
        _ => notes.push(table.course.legend()),
    }
    if more {
        notes.push(format!(
            "The {limit} most frequent; there are more: --limit N."
        ));
    }
    notes.extend(losses(filter, reader)?);
    tell(&notes, args.json)
}

struct Table {
    screen: Screen,
    course: Course,
    now: Timestamp,
}

impl Table {
    fn new(screen: Screen, groups: &[Group], since: Option<Timestamp>, now: Timestamp) -> Self {
        let most = if is_narrow(screen) { 8 } else { 24 };
        let first = groups.iter().map(|group| group.first).min().unwrap_or(now);
        let course = Course::new(since.unwrap_or(first).max(first), now, most);
        Self {
            screen,
            course,
            now,
        }
    }

    fn header(&self) -> String {
        let route = self.route("ROUTE");
        let course = visible::padded("COURSE", self.course.width());
        let line = format!(
            "{:>7}  {course}  FIRST  LAST  STATUS  {route}{:ID$}  SUMMARY",
            "COUNT", "LAST ID"
        );
        format!("{}\n", self.screen.dim(&line))
    }

    fn row(&self, group: &Group) -> String {
        let count = store::grouped(group.count);
        let course = visible::padded(&self.course.of(group), self.course.width());
        let [first, last] = [group.first, group.last].map(|time| moment::age(time, self.now));
        let status = status(Some(group.status));
        let route = self.route(&or_dash(visible::line(&group.route)));
        let front = format!("{count:>7}  {course}  {first:>5}  {last:>4}  {status:6}  {route}");
        let newest = group.newest.as_ref();
        let id = visible::padded(newest.map_or("-", |newest| newest.id.as_str()), ID);
        let taken = visible::width(&front) + visible::width(&id) + 2;
        let summary = self.fit(summary(group), taken);
        format!("{front}{}  {summary}\n", self.screen.bold(&id))
    }

    /// What of a text has room in a line of which so many columns are taken.
    fn fit<'a>(&self, text: Cow<'a, str>, taken: usize) -> Cow<'a, str> {
        let Some(columns) = self.screen.columns else {
            return text;
        };
        let room = columns.saturating_sub(taken).max(16);
        visible::cut(&text, room).into_owned().into()
    }

    /// The column of routes, where there is one.
    fn route(&self, text: &str) -> String {
        match self.screen.columns {
            None => format!("{}  ", visible::padded(text, 12)),
            Some(_) if is_narrow(self.screen) => String::new(),
            Some(_) => format!("{}  ", visible::padded(&visible::cut(text, 10), 10)),
        }
    }
}

fn is_narrow(screen: Screen) -> bool {
    screen.columns.is_some_and(|columns| columns < WIDE)
}

fn summary(group: &Group) -> Cow<'_, str> {
    match &group.newest {
        _ if group.fingerprint.0 == 0 => "(others: an hour had more than 1,000 groups)".into(),
        Some(newest) => visible::line(&newest.summary),
        None => format!("({}; the last one is no longer kept)", group.cause).into(),
    }
}

/// How a time is cut into marks of the same number of hours.
struct Course {
    /// The first hour.
    start: i64,
    /// Hours a mark.
    step: i64,
    marks: usize,
}

impl Course {
    /// From the hour of `first` to that of `last`, in at most so many marks.
    fn new(first: Timestamp, last: Timestamp, most: usize) -> Self {
        let (start, end) = (hour(first), hour(last));
        let hours = (end - start + 1).max(1);
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let step = (hours + most - 1) / most;
        let marks = usize::try_from((hours + step - 1) / step).unwrap_or(1);
        // The last mark is whole: it ends with the hour that runs.
        let start = end + 1 - step * i64::try_from(marks).unwrap_or(1);
        Self { start, step, marks }
    }

    fn width(&self) -> usize {
        self.marks.max("COURSE".len())
    }

    fn legend(&self) -> String {
        let hours = store::counted(self.step.unsigned_abs(), "hour", "hours");
        format!("Each mark of a course is {hours}; the last one ends with this hour.")
    }

    fn of(&self, group: &Group) -> String {
        let mut counts = vec![0; self.marks];
        for (time, count) in &group.hours {
            let place = usize::try_from((hour(*time) - self.start) / self.step);
            let last = self.marks.saturating_sub(1);
            if let Some(sum) = counts.get_mut(place.unwrap_or(0).min(last)) {
                *sum += count;
            }
        }
        let most = counts.iter().copied().max().unwrap_or(0).max(1);
        counts.iter().map(|count| mark(*count, most)).collect()
    }
}

fn hour(time: Timestamp) -> i64 {
    time.as_second().div_euclid(HOUR)
}

/// The mark of a count: its height is its share of the largest.
fn mark(count: u64, most: u64) -> char {
    let height = (u128::from(count) * 8).div_ceil(u128::from(most));
    let height = usize::try_from(height).unwrap_or(8);
    MARKS.get(height).copied().unwrap_or('█')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::{Cause, Fingerprint};

    fn group(hours: &[(&str, u64)]) -> Group {
        let hours: Vec<(Timestamp, u64)> = hours
            .iter()
            .map(|(time, count)| (time.parse().unwrap(), *count))
            .collect();
        Group {
            fingerprint: Fingerprint(1),
            route: "shop".into(),
            status: 500,
            cause: Cause::UpstreamStatus,
            count: hours.iter().map(|(_, count)| count).sum(),
            first: hours[0].0,
            last: hours[hours.len() - 1].0,
            hours,
            newest: None,
        }
    }

    #[test]
    fn a_course_ends_with_this_hour() {
        let group = group(&[
            ("2024-02-03T00:00:00Z", 1),
            ("2024-02-03T01:00:00Z", 80),
            ("2024-02-03T05:00:00Z", 40),
        ]);
        let now = "2024-02-03T06:30:00Z".parse().unwrap();
        for (since, most, expected) in [
            ("2024-02-03T00:10:00Z", 24, "▁█···▄·"),
            ("2024-02-03T00:10:00Z", 4, "▁█·▄"),
            ("2024-02-03T00:10:00Z", 1, "█"),
            ("2024-02-03T05:00:00Z", 24, "█·"),
            ("2030-01-01T00:00:00Z", 24, "█"),
        ] {
            let course = Course::new(since.parse().unwrap(), now, most);
            assert_eq!(course.of(&group), expected, "{since} {most}");
        }
    }
}
