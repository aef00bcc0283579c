//! Which keys are accepted but not in force yet: the one list to shorten as the stages behind them are built.

use toml::de::{DeTable, DeValue};

use super::error::{Problem, Source};
use super::tree::Value;

/// Keys that make no difference yet, and the values besides `false`, `""` and `[]` that mean nothing anyway.
/// `*` stands for any one name; a section stands for all its keys; sections that routes have count there too.
const NOT_YET: &[(&str, &[&str])] = &[
    ("maintenance", &[]),
];

/// One warning that names all such keys of a file with their lines.
pub(super) fn warning(root: &DeTable<'_>, source: &Source) -> Option<Problem> {
    let mut keys = Vec::new();
    collect(root, &mut Vec::new(), &mut keys);
    if keys.is_empty() {
        return None;
    }
    keys.sort_by_key(|key| key.offset);
    let hint = by_section(&keys, source);
    Some(Problem::new(
        None,
        "keys that are accepted but not in force yet",
        hint,
    ))
}

/// A key that is not in force.
struct Key {
    section: String,
    name: String,
    offset: usize,
}

/// `[pages] refresh (line 4), qr (line 9)`, a line for each section.
fn by_section(keys: &[Key], source: &Source) -> String {
    let sections = keys.chunk_by(|a, b| a.section == b.section);
    let lines = sections.map(|keys| {
        let section = keys.first().map_or("", |key| key.section.as_str());
        let line = |key: &Key| format!("{} (line {})", key.name, source.line(key.offset));
        let named: Vec<_> = keys.iter().map(line).collect();
        format!("[{section}] {}", named.join(", "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn collect(table: &DeTable<'_>, path: &mut Vec<String>, keys: &mut Vec<Key>) {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        match value.get_ref() {
            DeValue::Table(inner) => collect(inner, path, keys),
            DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => {
                let tables = items.iter().filter_map(|item| item.get_ref().as_table());
                tables.for_each(|table| collect(table, path, keys));
            }
            _ if counts(path, value) => keys.push(Key {
                section: path
                    .split_last()
                    .map_or(String::new(), |(_, above)| above.join(".")),
                name: key.get_ref().to_string(),
                offset: key.span().start,
            }),
            _ => {}
        }
        path.pop();
    }
}

/// Whether the key is on the list, and not with a value that makes no difference.
fn counts(path: &[String], value: &Value<'_>) -> bool {
    let path = match path.split_first() {
        Some((first, rest)) if first == "routes" => rest,
        _ => path,
    };
    let row = NOT_YET.iter().find(|(pattern, _)| covers(pattern, path));
    row.is_some_and(|(_, idle)| match value.get_ref() {
        DeValue::String(text) => !text.is_empty() && !idle.contains(&text.as_ref()),
        DeValue::Integer(number) => !idle.contains(&number.as_str()),
        DeValue::Array(list) => !list.is_empty(),
        DeValue::Boolean(on) => *on,
        _ => true,
    })
}

/// Whether the path is the pattern's key or lies in its section.
fn covers(pattern: &str, path: &[String]) -> bool {
    let steps: Vec<_> = pattern.split('.').collect();
    let equal = |(step, name): (&&str, &String)| *step == "*" || step == name;
    steps.len() <= path.len() && steps.iter().zip(path).all(equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_without_a_stage_are_named_once_with_their_lines() {
        let text = "[server]\nproxy_protocol = true\ndrain = \"1s\"\nshutdown_delay = \"1s\"\nlimits.h2_streams = 7\n\
                    [intercept]\nreveal = [\"10.0.0.0/8\"]\n[pages]\nqr = true\n\
                    [[routes]]\n[routes.maintenance]\non = true\nmessage = \"\"\n";
        let root = DeTable::parse(text).unwrap().into_inner();
        let warning = warning(&root, &Source::new("pardon.toml", text)).unwrap();
        let expected = "[intercept] reveal (line 7)\n[routes.maintenance] on (line 12)";
        assert_eq!(warning.hint, expected);
    }
}
