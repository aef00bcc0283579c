//! What is left of a page without its values.

use html5ever::tendril::TendrilSink;
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use pardon::page::{Format, Page};

/// Headers whose value is a page's own.
const VALUES: [&str; 3] = ["content-length", "content-language", "grpc-message"];

/// The structure of a page: its headers, and what its parser makes of its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    headers: Vec<String>,
    body: Vec<String>,
}

impl Shape {
    pub fn of(page: &Page) -> Self {
        let text = std::str::from_utf8(&page.body).unwrap();
        Self {
            headers: headers(page),
            body: match page.format {
                Format::Html => html(text),
                Format::Json => json(text),
                Format::Xml => xml(text),
                Format::Text | Format::Grpc => plain(text),
            },
        }
    }
}

fn headers(page: &Page) -> Vec<String> {
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = value.to_str().unwrap();
        assert!(
            value.bytes().all(|byte| matches!(byte, b' '..=b'~')),
            "{name}: {value}"
        );
        if VALUES.contains(&name.as_str()) {
            return name.to_string();
        }
        // The style holds the brand's colour, so its hash is a value; that it is one is the structure.
        let value = if name == "content-security-policy" {
            without_hashes(value)
        } else {
            value.to_owned()
        };
        format!("{name}: {value}")
    };
    page.headers.iter().map(line).collect()
}

fn without_hashes(policy: &str) -> String {
    let word = |word: &str| {
        let hash = word
            .strip_prefix("'sha256-")
            .and_then(|rest| rest.split_once('\''));
        match hash {
            Some((digest, rest)) => {
                assert!(
                    digest
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
                );
                format!("HASH{rest}")
            }
            None => word.to_owned(),
        }
    };
    policy.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn html(text: &str) -> Vec<String> {
    let dom =
        html5ever::parse_document(RcDom::default(), html5ever::ParseOpts::default()).one(text);
    let mut lines: Vec<_> = dom
        .errors
        .borrow()
        .iter()
        .map(ToString::to_string)
        .collect();
    walk(&dom.document, 0, &mut lines);
    lines
}

fn walk(node: &Handle, depth: usize, lines: &mut Vec<String>) {
    match &node.data {
        NodeData::Element { name, attrs, .. } => {
            let mut line = format!("{:depth$}{}", "", name.local);
            for attribute in attrs.borrow().iter() {
                let name = &attribute.name.local;
                line.push(' ');
                line += name;
                line += &fixed(name, &attribute.value);
            }
            if matches!(&*name.local, "style" | "script") {
                line += &block(node);
            }
            lines.push(line);
        }
        NodeData::Comment { .. } => lines.push(format!("{:depth$}comment", "")),
        NodeData::Doctype { name, .. } => lines.push(format!("doctype {name}")),
        NodeData::ProcessingInstruction { .. } => lines.push("instruction".to_owned()),
        NodeData::Document | NodeData::Text { .. } => {}
    }
    for child in node.children.borrow().iter() {
        walk(child, depth + 1, lines);
    }
}

/// The value of an attribute, as far as no brand, word or request has a say in it: of one that links, where it may lead.
fn fixed(name: &str, value: &str) -> String {
    match name {
        // The page itself, once more.
        "href" if value.is_empty() => "=".to_owned(),
        "href" | "src" if value == "data:," => String::new(),
        "src" => {
            assert!(value.starts_with("data:image/svg+xml;base64,"), "{value}");
            String::new()
        }
        "href" => {
            let harmless = ["https://", "http://", "mailto:", "tel:", "/"];
            assert!(
                harmless.iter().any(|start| value.starts_with(start)),
                "{value}"
            );
            assert!(!value.starts_with("//"), "{value}");
            assert!(
                !value.contains(|c: char| c.is_control() || c.is_whitespace()),
                "{value:?}"
            );
            String::new()
        }
        "class" | "id" | "for" | "dir" | "charset" | "name" | "rel" | "http-equiv" | "type" => {
            format!("={value}")
        }
        _ => String::new(),
    }
}

/// The text of a style or a script without the brand's colours.
fn block(node: &Handle) -> String {
    let mut text = String::new();
    for child in node.children.borrow().iter() {
        if let NodeData::Text { contents } = &child.data {
            text += &contents.borrow();
        }
    }
    let mut parts = text.split('#');
    let mut block = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        block += "#";
        block += &part[digits..];
    }
    block
}

fn json(text: &str) -> Vec<String> {
    fn walk(value: &serde_json::Value, path: &str, lines: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(members) => {
                lines.push(format!("{path} {}", members.len()));
                // A key may be a value where a template makes it one; its place is told by the others.
                for value in members.values() {
                    walk(value, &format!("{path}.{{}}"), lines);
                }
            }
            serde_json::Value::Array(items) => {
                lines.push(format!("{path} {}", items.len()));
                for item in items {
                    walk(item, &format!("{path}[]"), lines);
                }
            }
            serde_json::Value::String(_) => lines.push(format!("{path} text")),
            other => lines.push(format!("{path} {other}")),
        }
    }
    let mut lines = Vec::new();
    walk(&serde_json::from_str(text).unwrap(), "", &mut lines);
    lines
}

fn xml(text: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(text).unwrap();
    let line = |node: roxmltree::Node<'_, '_>| {
        let names: Vec<_> = node.attributes().map(|it| it.name().to_owned()).collect();
        let depth = node.ancestors().count();
        format!(
            "{depth} {:?} {} {names:?}",
            node.node_type(),
            node.tag_name().name()
        )
    };
    let nodes = document.descendants().filter(|node| !node.is_text());
    nodes.map(line).collect()
}

/// Lines, and what each says before its value.
fn plain(text: &str) -> Vec<String> {
    let harmless = |c: char| c == '\n' || !c.is_control();
    assert!(text.chars().all(harmless), "{text:?}");
    text.lines().map(|_| "line".to_owned()).collect()
}
