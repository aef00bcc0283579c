//! What a query asks of the list of incidents: the filters of `pardon incidents`.

use percent_encoding::percent_decode_str;

use super::reply::Problem;
use crate::config::units::StatusSet;
use crate::incident::Cause;
use crate::incident::store::{Filter, since};

/// How many are listed where nothing is said.
const LISTED: usize = 50;
/// How many are listed at most.
const MOST: usize = 1000;

/// What may be asked.
const KNOWN: &str = "since, status, route, cause, group, limit";

/// What is asked for.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) filter: Filter,
    /// What is alike, counted.
    pub(super) group: bool,
    pub(super) limit: usize,
}

impl Query {
    /// Reads a query: `since=1h&status=502-504,500`.
    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        let mut query = Self {
            filter: Filter::default(),
            group: false,
            limit: LISTED,
        };
        let mut seen = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            query.set(&name, &value)?;
            if seen.contains(&name) {
                let hint = "say it once; several statuses have commas between";
                return Err(Problem::of(&name, format!("`{name}` stands twice"), hint));
            }
            seen.push(name);
        }
        if query.group && query.filter.cause == Some(Cause::Refused) {
            let hint = "leave `group` or `cause=refused` away";
            return Err(Problem::of("group", "refusals are not grouped", hint));
        }
        Ok(query)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        let bad = |hint: String| Problem::of(name, format!("bad value for `{name}`"), hint);
        match name {
            "since" => self.filter.since = Some(since(value).map_err(bad)?),
            "status" => self.filter.statuses = Some(statuses(value).map_err(bad)?),
            "route" => self.filter.route = Some(value.to_owned()),
            "cause" => {
                let cause = Cause::named(value).ok_or_else(|| bad(causes()))?;
                self.filter.cause = Some(cause);
            }
            "group" => {
                self.group = match value {
                    "" | "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(bad("it may be true or false".to_owned())),
                }
            }
            "limit" => {
                let limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=MOST).contains(limit));
                let hint = || bad(format!("a number from 1 to {MOST}"));
                self.limit = limit.ok_or_else(hint)?;
            }
            _ => {
                let title = format!("`{name}` is not known here");
                return Err(Problem::of(
                    name,
                    title,
                    format!("it may be one of {KNOWN}"),
                ));
            }
        }
        Ok(())
    }
}

/// Several sets with commas between.
fn statuses(value: &str) -> Result<StatusSet, String> {
    let mut all = Vec::new();
    for entry in value.split(',') {
        all.extend(entry.trim().parse::<StatusSet>()?.0);
    }
    Ok(StatusSet(all))
}

fn causes() -> String {
    let names = Cause::ALL.map(Cause::as_str);
    format!("it may be one of {}", names.join(", "))
}

/// A part of a query as a form writes it: `+` is a space.
fn decoded(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    let decoded = decoded.map(std::borrow::Cow::into_owned);
    decoded.map_err(|_| {
        let hint = "percent-encode text as UTF-8, and `+` as %2B";
        Problem::of(text, "this is no text", hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_the_filter_of_the_command() {
        let query = "since=2024-02-03T04:05:06%2B01:00&status=500,502-504&route=my+shop&cause=head_timeout&limit=7&&group";
        let read = Query::read(query).unwrap();
        let filter = &read.filter;
        assert_eq!(filter.since.unwrap().to_string(), "2024-02-03T03:05:06Z");
        assert_eq!(filter.statuses.as_ref().unwrap().0, [500..=500, 502..=504]);
        assert_eq!(filter.route.as_deref(), Some("my shop"));
        assert_eq!(filter.cause, Some(Cause::HeadTimeout));
        assert_eq!((read.limit, read.group), (7, true));
        let none = Query::read("").unwrap();
        assert_eq!((none.limit, none.group), (LISTED, false));
    }

    #[test]
    fn what_is_not_understood_is_said_with_its_place() {
        for (query, parameter) in [
            ("statsu=500", "statsu"),
            ("since=yesterday", "since"),
            ("since=2024-02-03T04:05:06+01:00", "since"),
            ("since=", "since"),
            ("status=", "status"),
            ("status=500,", "status"),
            ("status=7xx5", "status"),
            ("cause=bad+luck", "cause"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=-1", "limit"),
            ("limit=many", "limit"),
            ("group=perhaps", "group"),
            ("group&cause=refused", "group"),
            ("limit=1&limit=2", "limit"),
            ("route=%ff", "%ff"),
        ] {
            let problem = Query::read(query).unwrap_err();
            assert_eq!(problem.parameter.as_deref(), Some(parameter), "{query}");
            assert_eq!(problem.status, 400, "{query}");
            assert!(!problem.hint.is_empty(), "{query}");
        }
    }
}
