//! The JSON Schema of the file, and its reference in Markdown: both from the types, so that a key is described once.
//!
//! A route's sections have the types of the file's own. No key of those is required, so one definition says both.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::Config;

/// The JSON Schema (2020-12) of a configuration file.
#[must_use]
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Config).to_value();
    let sections = definitions(&schema);
    tidy(&mut schema, &sections);
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), "Pardon's configuration".into());
        root.insert(
            "description".to_owned(),
            "One file of a Pardon reverse proxy.".into(),
        );
    }
    require(&mut schema, "/$defs/Upstream", "endpoints");
    schema
}

/// Makes a key required: one whose type has a default for the code's sake, and for the file's sake has none.
fn require(schema: &mut Value, table: &str, key: &str) {
    let Some(Value::Object(table)) = schema.pointer_mut(table) else {
        return;
    };
    table.insert("required".to_owned(), vec![key].into());
    if let Some(Value::Object(key)) = table
        .get_mut("properties")
        .and_then(|keys| keys.get_mut(key))
    {
        key.shift_remove("default");
    }
}

/// The names of definitions that are sections or tables, not values.
fn definitions(schema: &Value) -> Vec<String> {
    let all = schema.get("$defs").and_then(Value::as_object);
    let tables = all.into_iter().flatten();
    let tables = tables.filter(|(_, definition)| definition.get("properties").is_some());
    tables.map(|(name, _)| format!("#/$defs/{name}")).collect()
}

/// Takes out what means nothing in TOML, which has no null, and the defaults of whole sections: their keys have their own.
fn tidy(schema: &mut Value, sections: &[String]) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(|inner| tidy(inner, sections)),
        Value::Object(object) => {
            let target = object.get("$ref").and_then(Value::as_str);
            let is_section =
                target.is_some_and(|target| sections.iter().any(|name| name == target));
            if is_section || object.get("default").is_some_and(Value::is_null) {
                object.shift_remove("default");
            }
            drop_null(object);
            object.values_mut().for_each(|inner| tidy(inner, sections));
        }
        _ => {}
    }
}

/// `["string", "null"]` becomes `"string"`, and a choice between null and one other that other.
fn drop_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else {
        return;
    };
    choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
    if let [Value::Object(only)] = choices.as_slice() {
        let only = only.clone();
        object.shift_remove("anyOf");
        object.extend(only);
    }
}

/// The reference of all keys, in Markdown.
#[must_use]
pub fn reference() -> String {
    let schema = schema();
    let mut reference = Reference {
        schema: &schema,
        text: INTRODUCTION.to_owned(),
    };
    for (name, section) in properties(&schema) {
        reference.section(name, section);
    }
    reference.text
}

const INTRODUCTION: &str = "# Configuration reference

Written by `pardon config reference`. Every key has a default except an upstream's endpoints. Durations are \"250ms\", \"2s\",
\"5m\", \"1h\", \"30d\"; sizes \"512B\", \"64KiB\", \"1MiB\", \"1GiB\"; statuses \"500\", \"502-504\", \"5xx\". `${NAME}` and
`${NAME:-default}` in a text are replaced from the environment; `$${` stands for the characters `${`.
";

/// A reference under way.
struct Reference<'a> {
    schema: &'a Value,
    text: String,
}

impl<'a> Reference<'a> {
    /// A key of the file's top level: a section, sections by name, or a list of sections.
    fn section(&mut self, name: &str, section: &'a Value) {
        let by_name = section.get("additionalProperties");
        if let Some(inner) = by_name.filter(|inner| inner.is_object()) {
            return self.table(&format!("{name}.NAME"), inner, "[]");
        }
        match section.get("items") {
            Some(inner) => self.table(name, inner, "[[]]"),
            None => self.table(name, section, "[]"),
        }
    }

    /// A section: its keys, then the sections inside.
    fn table(&mut self, name: &str, section: &'a Value, brackets: &str) {
        let (open, close) = brackets.split_at(brackets.len() / 2);
        let section = self.resolve(section);
        let about = description(section)
            .trim_start_matches(|letter| letter != '\n')
            .trim();
        let _ = write!(self.text, "\n## `{open}{name}{close}`\n");
        if !about.is_empty() {
            let _ = write!(self.text, "\n{about}\n");
        }
        let (inner, keys): (Vec<_>, Vec<_>) =
            properties(section).partition(|(_, key)| self.is_table(key));
        if !keys.is_empty() {
            self.text
                .push_str("\n| key | type | default | |\n| --- | --- | --- | --- |\n");
        }
        for (key, value) in keys {
            self.key(key, value);
        }
        let shared = brackets == "[[]]";
        for (key, value) in inner {
            if shared {
                let about = one_line(description(value));
                let _ = write!(self.text, "\n`[{name}.{key}]`: {about}\n");
            } else {
                self.table(&format!("{name}.{key}"), value, "[]");
            }
        }
    }

    fn key(&mut self, key: &str, value: &Value) {
        let default = value.get("default").filter(|default| **default != "");
        let default = default.map_or(String::new(), |default| format!("`{default}`"));
        let kind = self.kind(value).replace('|', "\\|");
        let about = one_line(description(value)).replace('|', "\\|");
        let _ = writeln!(self.text, "| `{key}` | {kind} | {default} | {about} |");
    }

    /// The definition that a schema refers to, or itself.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let name = schema.get("$ref").and_then(Value::as_str);
        let target = name.and_then(|name| self.schema.pointer(name.strip_prefix('#')?));
        target.unwrap_or(schema)
    }

    fn is_table(&self, schema: &'a Value) -> bool {
        self.resolve(schema).get("properties").is_some()
    }

    /// A type in words: `duration`, `list of string`, `"keep" or "drop"`.
    fn kind(&self, schema: &Value) -> String {
        let target = schema.get("$ref").and_then(Value::as_str);
        let definition = target.and_then(|name| self.schema.pointer(name.strip_prefix('#')?));
        let schema = definition.unwrap_or(schema);
        if let Some(title) = schema.get("title").and_then(Value::as_str) {
            return title.to_owned();
        }
        if let Some(choices) = choices(schema) {
            return choices.join(" or ");
        }
        if let Some(items) = schema.get("items") {
            return format!("list of {}", plural(&self.kind(items)));
        }
        if schema.get("properties").is_some() {
            let keys: Vec<_> = properties(schema).map(|(key, _)| key.as_str()).collect();
            return format!("{{ {} }}", keys.join(", "));
        }
        let kind = schema.get("type").and_then(Value::as_str);
        kind.map_or("value", |kind| if kind == "string" { "text" } else { kind })
            .to_owned()
    }
}

fn plural(kind: &str) -> String {
    match kind {
        "text" | "endpoint" => format!("{kind}s"),
        _ => kind.to_owned(),
    }
}

/// The values of a type that has only few.
fn choices(schema: &Value) -> Option<Vec<String>> {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return Some(values.iter().map(|value| format!("`{value}`")).collect());
    }
    let variants = schema.get("oneOf")?.as_array()?;
    let values = variants.iter().filter_map(|variant| variant.get("const"));
    Some(values.map(|value| format!("`{value}`")).collect())
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten()
}

fn description(schema: &Value) -> &str {
    let text = schema.get("description").and_then(Value::as_str);
    text.unwrap_or_default()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_each_key_once_and_nothing_null() {
        let text = schema().to_string();
        assert!(!text.contains("null"), "{text}");
        assert_eq!(text.matches("\"pass_header\":{").count(), 1);
        assert!(!text.contains("\"folder\":{\"default\""));
    }

    #[test]
    fn the_reference_names_every_section_and_key() {
        let text = reference();
        for section in [
            "[server]",
            "[server.limits]",
            "[upstreams.NAME.retry]",
            "[[routes]]",
            "[intercept.capture]",
            "[log]",
        ] {
            assert!(text.contains(&format!("\n## `{section}`\n")), "{section}");
        }
        let rows = [
            "| `drain` | duration | `\"8s\"` |",
            "| `statuses` | list of statuses | `[\"5xx\"]` |",
            "| `only` | `\"all\"` or `\"leaking\"` | `\"all\"` |",
            "| `via` | boolean | `true` |",
            "| `endpoints` | list of endpoints |  |",
            "| `access` | `false` or `\"json\"` or `\"combined\"` | `false` |",
        ];
        for row in rows {
            assert!(text.contains(row), "{row}");
        }
    }
}
