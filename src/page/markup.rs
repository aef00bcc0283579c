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
        self.look_at_refresh(tag);
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
        let text = lossy(value);
        if name == b"style" {
            self.faults.push(Fault::StyleAttribute);
        } else if name.starts_with(b"on") {
            self.faults.push(Fault::Handler(lossy(name)));
        } else if name == b"href" && scheme_is(&text, "javascript") {
            self.faults.push(Fault::Handler("href".to_owned()));
        } else if let Some(url) = outside(tag, name, &text) {
            self.faults.push(Fault::Outside(url.to_owned()));
        }
    }

    /// A page may ask to be loaded again, and may not lead elsewhere by itself.
    fn look_at_refresh(&mut self, tag: &StartTag<()>) {
        let value = |wanted: &[u8]| {
            let found = tag.attributes.iter().find(|(name, _)| &name[..] == wanted);
            found.map(|(_, value)| lossy(&value.value))
        };
        let refreshes = value(b"http-equiv").is_some_and(|it| it.eq_ignore_ascii_case("refresh"));
        let content = value(b"content").filter(|_| tag.name.as_slice() == b"meta" && refreshes);
        let seconds = |content: &str| content.trim().bytes().all(|byte| byte.is_ascii_digit());
        if let Some(content) = content.filter(|content| !seconds(content)) {
            self.faults.push(Fault::Outside(content));
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
        let fetched = self.styles.iter().filter_map(|style| fetched(style));
        self.faults
            .extend(fetched.map(Fault::Outside).collect::<Vec<_>>());
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

/// What an attribute would have fetched, if it is not written into the page.
fn outside<'a>(tag: &[u8], name: &[u8], value: &'a str) -> Option<&'a str> {
    let inlined = |url: &str| url.starts_with("data:") || url.starts_with('#');
    let fetches = match name {
        b"src" | b"poster" | b"background" | b"data" | b"srcdoc" | b"ping" | b"manifest"
        | b"formaction" | b"action" | b"lowsrc" | b"archive" | b"codebase" => true,
        b"href" | b"xlink:href" => !matches!(tag, b"a" | b"area"),
        _ => false,
    };
    match name {
        b"srcset" | b"imagesrcset" => value
            .split_ascii_whitespace()
            .find(|word| !inlined(word) && !is_descriptor(word)),
        _ => (fetches && !inlined(value)).then_some(value),
    }
}

/// Whether a word of a `srcset` says for which size a picture is, such as `2x,`.
fn is_descriptor(word: &str) -> bool {
    let number = word.trim_end_matches(',').trim_end_matches(['w', 'x', 'h']);
    number.parse::<f64>().is_ok() || word == ","
}

fn scheme_is(url: &str, scheme: &str) -> bool {
    // Browsers leave these out before they look for the colon.
    let url: String = url.chars().filter(|c| *c > ' ').collect();
    let found = url.split_once(':');
    found.is_some_and(|(found, _)| found.eq_ignore_ascii_case(scheme))
}

/// What a style would have fetched. An escape within a name is taken for an attempt to hide one.
fn fetched(style: &str) -> Option<String> {
    let style = style.to_ascii_lowercase();
    if style.contains("@import") {
        return Some("@import".to_owned());
    }
    let hidden = |(at, _): (usize, _)| {
        let after = style.get(at + 1..).unwrap_or_default();
        after.starts_with(|c: char| c.is_ascii_hexdigit()) && !is_quoted(&style, at)
    };
    if style.match_indices('\\').any(hidden) {
        return Some("an escape in a style".to_owned());
    }
    ["url(", "image-set(", "src("].iter().find_map(|function| {
        let arguments = style.split(function).skip(1);
        arguments.map(argument).find(|url| {
            !["data:", "#", "url("]
                .iter()
                .any(|start| url.starts_with(start))
        })
    })
}

/// Whether a place in a style lies within a string, where an escape is a letter of a text.
fn is_quoted(style: &str, at: usize) -> bool {
    let before = style.get(..at).unwrap_or_default();
    let line = before
        .rsplit(['{', ';', '}', '\n'])
        .next()
        .unwrap_or_default();
    line.matches('"').count() % 2 == 1 || line.matches('\'').count() % 2 == 1
}

fn argument(rest: &str) -> String {
    let rest = rest.trim_start_matches(['"', '\'', ' ']);
    let end = rest.find(['"', '\'', ')']).unwrap_or(rest.len());
    rest.get(..end).unwrap_or(rest).to_owned()
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

    fn outside(url: &str) -> Fault {
        Fault::Outside(url.to_owned())
    }

    #[test]
    fn faults_are_found() {
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
            ("<form>", vec![Fault::Form]),
            ("<form action=/x>", vec![outside("/x"), Fault::Form]),
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
    fn nothing_is_fetched_in_any_way_that_there_is() {
        let cases = [
            ("<iframe srcdoc='<b>'></iframe>", vec![outside("<b>")]),
            ("<object data=/a.swf>", vec![outside("/a.swf")]),
            ("<video poster=a.png>", vec![outside("a.png")]),
            ("<svg><image href=a.png></svg>", vec![outside("a.png")]),
            ("<svg><use href=#a></svg>", vec![]),
            (
                "<svg><feImage xlink:href=//x/a.png></svg>",
                vec![outside("//x/a.png")],
            ),
            ("<a href=/x ping=/y>", vec![outside("/y")]),
            ("<html manifest=a.appcache>", vec![outside("a.appcache")]),
            ("<img srcset='data:,a 1x, data:,b 2.5x'>", vec![]),
            (
                "<img srcset='data:,a 1x, b.png 2x'>",
                vec![outside("b.png")],
            ),
            (
                "<link rel=preload imagesrcset='b.png 2x'>",
                vec![outside("b.png")],
            ),
            ("<meta http-equiv=Refresh content=30>", vec![]),
            (
                "<meta http-equiv=Refresh content='0; url=//x'>",
                vec![outside("0; url=//x")],
            ),
            (
                "<a href=' java\nscript:alert(1)'>",
                vec![Fault::Handler("href".to_owned())],
            ),
            ("<style>a{b:URL(/a.png)}</style>", vec![outside("/a.png")]),
            (
                "<style>a{b:image-set('a.png' 1x)}</style>",
                vec![outside("a.png")],
            ),
            ("<style>a{b:image-set(url(data:,) 1x)}</style>", vec![]),
            (
                "<style>@font-face{src:url('data:,') , url(/f.woff)}</style>",
                vec![outside("/f.woff")],
            ),
            (
                "<style>a{b:\\75rl(/a.png)}</style>",
                vec![outside("an escape in a style")],
            ),
            ("<style>a::before{content:\"\\2190\"}</style>", vec![]),
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
