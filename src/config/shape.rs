//! Lists where sections belong. Serde would read a list as a section's keys in their order, which nobody means:
//! `[[brand]]` for `[brand]`, or `[upstreams]` with endpoints of its own.

use std::ops::Range;
use std::sync::LazyLock;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::error::Problem;
use super::tree;
use super::{schema, wording};

/// The schema says which values are tables; it is the same for every file.
static SCHEMA: LazyLock<Value> = LazyLock::new(schema);

/// Every list that stands for a table, with its place.
pub(super) fn misplaced_lists(root: &DeTable<'_>) -> Vec<(Range<usize>, Problem)> {
    let mut found = Vec::new();
    table(&SCHEMA, root, &mut Vec::new(), &mut found);
    found
}

type Found = Vec<(Range<usize>, Problem)>;

fn table(schema: &Value, table: &DeTable<'_>, path: &mut Vec<String>, found: &mut Found) {
    for (key, inner) in table {
        let key = key.get_ref().as_ref();
        let named = schema.get("properties").and_then(|keys| keys.get(key));
        let Some(schema) = named.or_else(|| schema.get("additionalProperties")) else {
            continue;
        };
        path.push(key.to_owned());
        value(schema, inner, path, found);
        path.pop();
    }
}

fn value(schema: &Value, inner: &tree::Value<'_>, path: &mut Vec<String>, found: &mut Found) {
    let name = schema
        .get("$ref")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let target = name.strip_prefix('#').and_then(|name| SCHEMA.pointer(name));
    let schema = target.unwrap_or(schema);
    match (inner.get_ref(), schema.get("items")) {
        (DeValue::Table(keys), _) => table(schema, keys, path, found),
        (DeValue::Array(list), Some(items)) => {
            list.iter()
                .for_each(|inner| value(items, inner, path, found));
        }
        (DeValue::Array(_), None) if schema.get("properties").is_some() => {
            let name = name.rsplit('/').next().unwrap_or_default();
            let message = format!("invalid type: sequence, expected struct {name}");
            let place = inner.span();
            found.push((place.clone(), wording::item(&message, Some(place), path)));
        }
        _ => {}
    }
}
