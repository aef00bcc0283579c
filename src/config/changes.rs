//! What a reload has changed, by keys.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::Config;

/// Keys that are named of one change; a change of more has one cause.
const MOST_KEYS: usize = 50;

/// What a reload has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// The keys that are in force with another value now: `server.max_connections`, `upstreams.app.endpoints`.
    pub changed: Vec<String>,
    /// The keys whose new value takes effect at the next start.
    pub at_next_start: Vec<String>,
    /// Addresses that are listened on now and were not.
    pub opened: Vec<String>,
    /// Addresses that were listened on and are not any more.
    pub closed: Vec<String>,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changed.is_empty() {
            return f
                .write_str("no key has another value; the files that it names were read again");
        }
        f.write_str(&self.changed.join(", "))
    }
}

impl Config {
    /// The keys whose values differ in another configuration.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut keys = Vec::new();
        // A configuration is read from text, so it always has a JSON.
        let values = [self, other].map(|config| serde_json::to_value(config).unwrap_or_default());
        let [one, other] = &values;
        compare(one, other, "", &mut keys);
        if keys.len() > MOST_KEYS {
            let more = keys.len() - MOST_KEYS;
            keys.truncate(MOST_KEYS);
            keys.push(format!("and {more} more"));
        }
        keys
    }
}

fn compare(one: &Value, other: &Value, key: &str, keys: &mut Vec<String>) {
    let below = |name: &str| match key {
        "" => name.to_owned(),
        _ => format!("{key}.{name}"),
    };
    match (one, other) {
        _ if one == other => {}
        (Value::Object(one), Value::Object(other)) => {
            let value = |of: &Map<_, _>, name: &str| of.get(name).cloned().unwrap_or_default();
            let added = other.keys().filter(|name| !one.contains_key(*name));
            for name in one.keys().chain(added) {
                compare(&value(one, name), &value(other, name), &below(name), keys);
            }
        }
        (Value::Array(one), Value::Array(other))
            if names(one).is_some_and(|own| names(other) == Some(own)) =>
        {
            for (one, other) in one.iter().zip(other) {
                compare(one, other, &below(name(one).unwrap_or_default()), keys);
            }
        }
        _ => keys.push(key.to_owned()),
    }
}

/// The names of a list's items, where each has one: of routes.
fn names(items: &[Value]) -> Option<Vec<&str>> {
    items.iter().map(name).collect()
}

fn name(item: &Value) -> Option<&str> {
    item.get("name")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Route, Upstream};

    #[test]
    fn keys_are_named_as_the_file_has_them() {
        let mut one = Config::default();
        for name in ["shop", "blog"] {
            let route = Route {
                name: name.to_owned(),
                ..Route::default()
            };
            one.routes.push(route);
        }
        let mut other = one.clone();
        assert!(one.differences(&other).is_empty());
        other.server.max_connections += 1;
        other
            .upstreams
            .insert("app".to_owned(), Upstream::default());
        other.routes[1].path = "/news".to_owned();
        let keys = [
            "server.max_connections",
            "upstreams.app",
            "routes.blog.path",
        ];
        let found = one.differences(&other);
        assert_eq!(found, keys);
        other.routes.remove(0);
        assert_eq!(one.differences(&other)[2], "routes");
    }
}
