//! `/api/incidents`: the store for programs. The same filters and the same objects as `pardon incidents --json` and `pardon show --json`.
//!
//! Bounds: 1,000 rows and 8 MiB an answer; an incident that is asked for comes whole, however large.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::apart::Apart;
use super::query::Query;
use super::reply::{Problem, Reply, reply};
use crate::incident::StoreError;
use crate::incident::store::{Found, Reader};
use crate::telemetry::json;

/// The most bytes of an answer's JSON, and of the bodies that are read for one.
const BYTES: usize = 8 << 20;

/// How many are named where several may be meant.
const NAMED: usize = 20;

const JSON: &str = "application/json";

/// Says that there are more than the answer has room for.
const MORE: HeaderName = HeaderName::from_static("x-pardon-more");

/// The incidents that a query lets through, or the groups of what is alike.
pub(super) async fn list(store: &Apart, query: Option<&str>) -> Result<Reply, Problem> {
    let query = Query::read(query.unwrap_or_default())?;
    let list = store.ask(BYTES, move |reader| {
        // One more than is asked for shows whether there is more.
        let limit = query.limit + 1;
        if query.group {
            let groups = reader.groups(&query.filter, limit)?;
            Ok(List::of(&groups, query.limit))
        } else {
            let listed = reader.list(&query.filter, limit)?;
            Ok(List::of(&listed, query.limit))
        }
    });
    Ok(list.await?.reply())
}

/// The incident that an ID stands for, however it is written; as a list where a trusted proxy has repeated the ID.
pub(super) async fn one(store: &Apart, id: &str) -> Result<Reply, Problem> {
    let unreadable = |_| Problem::new(StatusCode::NOT_FOUND, "this is no ID", "use UTF-8");
    let id = percent_decode_str(id).decode_utf8().map_err(unreadable)?;
    let id = id.into_owned();
    store.ask(BYTES, move |reader| look_up(reader, &id)).await?
}

fn look_up(reader: &Reader, id: &str) -> Result<Result<Reply, Problem>, StoreError> {
    let missing = |title: &str, hint: &str| Problem::new(StatusCode::NOT_FOUND, title, hint);
    let (problem, mut meant) = match reader.find(id)? {
        Found::Incidents(_, found) => {
            let found = match found.as_slice() {
                [only] => reply(StatusCode::OK, JSON, json::line(only).unwrap_or_default()),
                several => List::of(several, several.len()).reply(),
            };
            return Ok(Ok(found));
        }
        Found::Beginning(listed) => {
            let title = "several incidents have an ID that begins so";
            (missing(title, "give more of the ID"), listed)
        }
        Found::Mistyped(listed) => {
            let title = "this ID has a typing error: its check character does not agree";
            (
                missing(title, "look at those that are one slip away"),
                listed,
            )
        }
        Found::Nothing => {
            let title = "nothing in the store has this ID or reference";
            let hint = "it may be older than `incidents.max_age`; requests refused with 400, 408, 414 or 431 are in the log only";
            (missing(title, hint), Vec::new())
        }
    };
    meant.truncate(NAMED);
    Ok(Err(Problem {
        incidents: meant,
        ..problem
    }))
}

/// A JSON array, an element a line.
struct List {
    text: String,
    more: bool,
}

impl List {
    /// Of so many at most, as many as there is room for.
    fn of(items: &[impl Serialize], limit: usize) -> Self {
        let mut text = String::from("[");
        let mut listed = 0;
        for item in items.iter().take(limit) {
            // Rows always have a JSON.
            let line = json::line(item).unwrap_or_default();
            if listed > 0 && text.len() + line.len() > BYTES {
                break;
            }
            text.push_str(if listed > 0 { ",\n" } else { "\n" });
            text.push_str(line.trim_end());
            listed += 1;
        }
        text.push_str(if listed > 0 { "\n]\n" } else { "]\n" });
        Self {
            text,
            more: listed < items.len(),
        }
    }

    fn reply(self) -> Reply {
        let mut reply = reply(StatusCode::OK, JSON, self.text);
        if self.more {
            say_more(reply.headers_mut());
        }
        reply
    }
}

fn say_more(headers: &mut HeaderMap) {
    headers.insert(MORE, HeaderValue::from_static("true"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_holds_what_it_has_room_for() {
        let whole = |items: &[&str], limit| {
            let list = List::of(items, limit);
            (list.text, list.more)
        };
        assert_eq!(whole(&[], 3), ("[]\n".to_owned(), false));
        let two = "[\n\"a\",\n\"b\"\n]\n".to_owned();
        assert_eq!(whole(&["a", "b"], 2), (two.clone(), false));
        assert_eq!(whole(&["a", "b", "c"], 2), (two, true));
        let large = "x".repeat(BYTES / 2);
        let list = List::of(&[&large, &large, &large], 3);
        assert!(list.more && list.text.len() <= BYTES);
        let larger = "x".repeat(2 * BYTES);
        let list = List::of(&[&larger], 1);
        assert!(
            !list.more && list.text.len() > BYTES,
            "one comes in any case"
        );
    }
}
