//! The example file is true, and whatever becomes of it, the loader answers.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::super::{parse, schema};
use super::read;

const EXAMPLE: &str = include_str!("../../../config.example.toml");

/// The example with its commented keys uncommented. Prose never looks like a key: it has no ` = ` after one word.
fn uncommented() -> String {
    let key = |line: &str| {
        let (name, _) = line.split_once(" = ").unwrap_or_default();
        let word = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        word || line.starts_with('[')
    };
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix("# ") {
        Some(inside) if key(inside) => inside,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The files that the example's commented keys name.
fn folder_of_the_example() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("pardon-example-{}", std::process::id()));
    fs::create_dir_all(folder.join("templates")).unwrap();
    fs::write(folder.join("authority.pem"), "x").unwrap();
    fs::write(folder.join("bypass.key"), [7; 32]).unwrap();
    for name in ["site", "client"] {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new([format!("{name}.example")]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let write = |file: &str, label, der: &[u8]| {
            let file = folder.join(format!("{name}.{file}"));
            fs::write(file, pem(label, der)).unwrap();
        };
        write("pem", "CERTIFICATE", certificate.der());
        write("key", "PRIVATE KEY", &key.serialize_der());
    }
    fs::write(folder.join("logo.svg"), "<svg/>").unwrap();
    fs::write(folder.join("signatures.toml"), "").unwrap();
    fs::write(folder.join("admin.token"), "tulip-harbour-42").unwrap();
    folder
}

fn pem(label: &str, der: &[u8]) -> String {
    let encoded = BASE64_STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{encoded}\n-----END {label}-----\n")
}

#[test]
fn the_example_loads_without_a_warning() {
    let example = read(EXAMPLE).unwrap_or_else(|report| panic!("{report}"));
    assert!(example.warnings.is_empty(), "{:?}", example.warnings);
}

#[test]
fn the_example_loads_uncommented() {
    let folder = folder_of_the_example();
    let loaded = parse(&uncommented(), "config.example.toml", &folder);
    fs::remove_dir_all(&folder).unwrap();
    let config = loaded.unwrap_or_else(|report| panic!("{report}")).config;
    assert_eq!(config.routes[0].brand.name.as_deref(), Some("Example Shop"));
}

#[test]
fn the_example_has_every_key_and_states_true_defaults() {
    let schema = schema();
    let stated: Value = toml::from_str(EXAMPLE).unwrap();
    let whole: Value = toml::from_str(&uncommented()).unwrap();
    let mut keys = BTreeSet::new();
    visit(
        &schema,
        &schema,
        &whole,
        "",
        &mut |key, definition, value| {
            assert!(
                value.is_some() || key.starts_with("routes."),
                "the example lacks `{key}`"
            );
            assert!(
                definition.get("description").is_some(),
                "`{key}` has no description"
            );
            keys.insert(key.to_owned());
        },
    );
    assert!(keys.len() > 100, "{}", keys.len());
    visit(
        &schema,
        &schema,
        &stated,
        "",
        &mut |key, definition, value| {
            if let (Some(value), Some(default)) = (value, definition.get("default")) {
                assert_eq!(value, default, "`{key}`");
            }
        },
    );
}

/// Calls `found` for each key of the schema, with its value in the file. Sections by name and lists of them stand for their one example.
fn visit(
    schema: &Value,
    table: &Value,
    file: &Value,
    above: &str,
    found: &mut dyn FnMut(&str, &Value, Option<&Value>),
) {
    let resolve = |value: &Value| -> Value {
        let name = value.get("$ref").and_then(Value::as_str);
        name.map_or(value.clone(), |name| {
            schema.pointer(&name[1..]).unwrap().clone()
        })
    };
    for (key, definition) in table["properties"].as_object().unwrap() {
        let path = if above.is_empty() {
            key.clone()
        } else {
            format!("{above}.{key}")
        };
        let (inner, value) = match (
            definition.get("items"),
            definition.get("additionalProperties"),
        ) {
            (Some(items), _) if key == "routes" => {
                (resolve(items), file.get(key).map(|list| &list[0]))
            }
            (_, Some(named)) => (resolve(named), file.get(key).map(|named| &named["app"])),
            _ => (resolve(definition), file.get(key)),
        };
        if inner.get("properties").is_some() {
            visit(schema, &inner, value.unwrap_or(&Value::Null), &path, found);
        } else {
            found(&path, definition, value);
        }
    }
}

/// Cuts, doubles and swaps pieces of the example: whatever comes out, the loader answers.
#[test]
fn no_text_makes_the_loader_panic() {
    let whole = uncommented();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let pieces = [
        "\"", "[", "]", "=", "{", "}", "\n", "é", "\r\n", "${", "$${", "\t", "'''", "0", ".", "#",
        "\u{feff}", "\0",
    ];
    let lines: Vec<&str> = whole
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    for _ in 0..500 {
        let start = random(lines.len());
        let end = lines.len().min(start + 1 + random(40));
        let mut text = lines[start..end].join("\n");
        for _ in 0..=random(4) {
            let at = text.floor_char_boundary(random(text.len() + 1));
            let until = text.floor_char_boundary((at + random(6)).min(text.len()));
            text.replace_range(at..until.max(at), pieces[random(pieces.len())]);
        }
        match read(&text) {
            Ok(loaded) => loaded
                .warnings
                .iter()
                .for_each(|warning| drop(warning.to_string())),
            Err(report) => assert!(!report.to_string().is_empty()),
        }
    }
}
