//! What an HTML page holds: in comes a rendered page, out come its own styles and scripts and what a browser would refuse in it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};
use sha2::{Digest, Sha256};

/// The name of an element, an attribute or a key that only a value from a test-render can have brought in.
pub(super) const PROBE: &str = "pardon-probe";

/// What was found in a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Markup {
    /// The text of each style element.
    pub(super) styles: Vec<String>,
    /// The text of each script element.
    pub(super) scripts: Vec<String>,
    /// What cannot work or must not be, in the order of the page.
    pub(super) faults: Vec<Fault>,
}

/// Something that a page must not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A value changed the structure.
    Injected,
    /// A `style` attribute, which no hash can allow.
    StyleAttribute,
    /// An `onclick` or the like, which no hash can allow.
    Handler(String),
    /// Something that would be fetched.
    Outside(String),
    /// A form: the page is no place to send anything from.
    Form,
}

impl Markup {
    /// Reads a page as a browser would cut it into tags.
    pub(super) fn read(page: &str) -> Self {
        let mut emitter = DefaultEmitter::<()>::default();
        emitter.naively_switch_states(true);
        let mut markup = Self::default();
        let mut inside = Inside::Other;
        for token in Tokenizer::new_with_emitter(page, emitter) {
            let Ok(token) = token;
            match token {
                Token::StartTag(tag) => inside = markup.enter(&tag),
                Token::EndTag(tag) => {
                    markup.look_for_probe(&tag.name);
                    inside = Inside::Other;
                }
                Token::String(text) => markup.read_text(inside, &text.value),
                _ => {}
            }
        }
        markup.look_into_styles();
        markup
    }

    fn enter(&mut self, tag: &StartTag<()>) -> Inside {
        self.look_for_probe(&tag.name);
        for (name, value) in &tag.attributes {
            self.look_for_probe(name);
            self.look_at_attribute(&tag.name, name, &value.value);
        }
        match tag.name.as_slice() {
            b"style" => {
                self.styles.push(String::new());
                Inside::Style
            }
            b"script" => {
                self.scripts.push(String::new());
                Inside::Script
            }
            b"form" | b"base" => {
                self.faults.push(Fault::Form);
                Inside::Other
            }
            _ => Inside::Other,
        }
    }

    fn look_for_probe(&mut self, name: &[u8]) {
        if name == PROBE.as_bytes() {
            self.faults.push(Fault::Injected);
        }
    }

    fn look_at_attribute(&mut self, tag: &[u8], name: &[u8], value: &[u8]) {
        let fetches = matches!(
            name,
            b"src" | b"srcset" | b"poster" | b"background" | b"data"
        ) || (tag == b"link" && name == b"href")
            || (matches!(tag, b"image" | b"use") && matches!(name, b"href" | b"xlink:href"));
        let inlined = value.starts_with(b"data:") || value.starts_with(b"#");
        if name == b"style" {
            self.faults.push(Fault::StyleAttribute);
        } else if name.starts_with(b"on") {
            self.faults.push(Fault::Handler(lossy(name)));
        } else if fetches && !inlined {
            self.faults.push(Fault::Outside(lossy(value)));
        }
    }

    fn read_text(&mut self, inside: Inside, text: &[u8]) {
        let blocks = match inside {
            Inside::Style => &mut self.styles,
            Inside::Script => &mut self.scripts,
            Inside::Other => return,
        };
        if let Some(block) = blocks.last_mut() {
            block.push_str(&lossy(text));
        }
    }

    fn look_into_styles(&mut self) {
        for style in &self.styles {
            let fetched = style
                .split("url(")
                .skip(1)
                .map(|rest| rest.trim_start_matches(['"', '\'', ' ']))
                .find(|rest| !rest.starts_with("data:") && !rest.starts_with('#'));
            if style.contains("@import") {
                self.faults.push(Fault::Outside("@import".to_owned()));
            } else if let Some(url) = fetched {
                let end = url.find(['"', '\'', ')']).unwrap_or(url.len());
                self.faults
                    .push(Fault::Outside(url.get(..end).unwrap_or(url).to_owned()));
            }
        }
    }

    /// The `Content-Security-Policy` that allows this page what it has, and nothing else.
    pub(super) fn policy(&self) -> String {
        let mut policy =
            "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:".to_owned();
        for (directive, blocks) in [("style-src", &self.styles), ("script-src", &self.scripts)] {
            if !blocks.is_empty() {
                policy.push_str("; ");
                policy.push_str(directive);
            }
            for block in blocks {
                policy.push_str(" '");
                policy.push_str(&hash(block));
                policy.push('\'');
            }
        }
        policy
    }
}

#[derive(Clone, Copy)]
enum Inside {
    Style,
    Script,
    Other,
}

/// The source expression of CSP for an inline block, without its quotes.
pub(super) fn hash(block: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(block)))
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_found() {
        let outside = |url: &str| Fault::Outside(url.to_owned());
        let cases = [
            (
                "<p>fine <a href=/x>link</a><img src='data:image/png;base64,AA'>",
                vec![],
            ),
            ("<p style='color:red'>", vec![Fault::StyleAttribute]),
            ("<p ONCLICK=x>", vec![Fault::Handler("onclick".to_owned())]),
            (
                "<img src=https://cdn.example/a.png>",
                vec![outside("https://cdn.example/a.png")],
            ),
            ("<link rel=stylesheet href=/a.css>", vec![outside("/a.css")]),
            ("<script src=/a.js></script>", vec![outside("/a.js")]),
            ("<style>@import '/a.css'</style>", vec![outside("@import")]),
            (
                "<style>a{background:url( \"/a.png\")}</style>",
                vec![outside("/a.png")],
            ),
            (
                "<style>a{background:url(data:image/gif;base64,R0)}</style>",
                vec![],
            ),
            ("<form action=/x>", vec![Fault::Form]),
            ("<pardon-probe>", vec![Fault::Injected]),
            ("<a href=x pardon-probe=1>", vec![Fault::Injected]),
            (
                "<title><pardon-probe></title><textarea><pardon-probe></textarea>",
                vec![],
            ),
            ("<!-- <pardon-probe> -->", vec![]),
        ];
        for (page, expected) in cases {
            assert_eq!(Markup::read(page).faults, expected, "{page}");
        }
    }

    #[test]
    fn the_policy_names_each_block() {
        let page = "<style>a{}</style><script>1</script><style>b{}</style>";
        assert_eq!(
            Markup::read(page).policy(),
            format!(
                "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src '{}' '{}'; script-src '{}'",
                hash("a{}"),
                hash("b{}"),
                hash("1")
            )
        );
        assert_eq!(
            hash(""),
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
    }
}
