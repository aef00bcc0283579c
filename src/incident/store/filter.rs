//! Which incidents a person asks for, as conditions on the tables.

use jiff::{SignedDuration, Timestamp};
use rusqlite::ToSql;

use crate::config::units::{Period, StatusSet};
use crate::incident::Cause;

use super::seq_at;

/// Which incidents are asked for. What is not said does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// With one of these statuses.
    pub statuses: Option<StatusSet>,
    /// Of this route.
    pub route: Option<String>,
    /// Of this cause; [`Cause::Refused`] asks for refusals.
    pub cause: Option<Cause>,
}

impl Filter {
    pub(super) fn oldest(&self) -> i64 {
        self.since.map_or(0, seq_at)
    }

    /// Whether it asks for more than a time.
    pub(super) fn is_narrow(&self) -> bool {
        self.statuses.is_some() || self.route.is_some() || self.cause.is_some()
    }

    pub(super) fn table(&self) -> &'static str {
        match self.cause {
            Some(Cause::Refused) => "refusals",
            _ => "incidents",
        }
    }

    /// What follows `WHERE seq >= ?1`, and its values.
    pub(super) fn conditions(&self) -> (String, Vec<String>) {
        let (mut sql, mut values) = (Vec::new(), Vec::new());
        if let Some(statuses) = &self.statuses {
            let ranges = statuses.0.iter();
            let each =
                ranges.map(|range| format!("status BETWEEN {} AND {}", range.start(), range.end()));
            sql.push(format!("({})", each.collect::<Vec<_>>().join(" OR ")));
        }
        let cause = self.cause.map(|cause| cause.as_str().to_owned());
        for (column, value) in [("route", self.route.clone()), ("cause", cause)] {
            if let Some(value) = value {
                values.push(value);
                sql.push(format!("{column} = ?{}", values.len() + 1));
            }
        }
        let each = sql.iter().map(|condition| format!(" AND {condition}"));
        (each.collect(), values)
    }
}

/// The values of a statement: the first, and those of the conditions.
pub(super) fn with<'a>(first: &'a i64, values: &'a [String]) -> Vec<&'a dyn ToSql> {
    let mut all: Vec<&dyn ToSql> = vec![first];
    all.extend(values.iter().map(|value| value as &dyn ToSql));
    all
}

/// A moment that a person asks for: so long ago, or a time.
///
/// # Errors
///
/// When it is neither; says what it could be.
pub fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let period: Period = text.parse().map_err(|_| {
        format!("`{text}` is neither a duration such as 30m, 1h or 7d nor a time such as 2024-02-03T04:05:06Z")
    })?;
    let long = SignedDuration::try_from(*period).unwrap_or(SignedDuration::MAX);
    Ok(Timestamp::now().checked_sub(long).unwrap_or(Timestamp::MIN))
}
