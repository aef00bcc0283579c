//! The text of an HTML page, as a person would read it: one pass over its tokens, no tree, at most so many bytes. Nothing is fetched,
//! nothing is run; what a page hides by style is shown.

use html5gum::{DefaultEmitter, Token, Tokenizer};

/// Elements whose content is no text.
const HIDDEN: [&[u8]; 6] = [
    b"script",
    b"style",
    b"template",
    b"title",
    b"svg",
    b"iframe",
];
/// Elements that stand apart from what is around them.
const PARAGRAPHS: [&[u8]; 13] = [
    b"p", b"h1", b"h2", b"h3", b"h4", b"h5", b"h6", b"pre", b"table", b"ul", b"ol", b"dl", b"hr",
];
/// Elements that do not end a line.
const INLINE: [&[u8]; 31] = [
    b"a", b"abbr", b"acronym", b"b", b"bdi", b"bdo", b"big", b"button", b"cite", b"code", b"del",
    b"em", b"font", b"i", b"img", b"input", b"ins", b"kbd", b"label", b"mark", b"q", b"s", b"samp",
    b"small", b"span", b"strong", b"sub", b"sup", b"tt", b"u", b"var",
];

/// The page's text, of at most about `most` bytes.
pub(super) fn text(page: &str, most: usize) -> String {
    let mut emitter = DefaultEmitter::<()>::default();
    emitter.naively_switch_states(true);
    let mut reader = Reader::default();
    for token in Tokenizer::new_with_emitter(page, emitter) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => reader.enter(&tag.name),
            Token::EndTag(tag) => reader.leave(&tag.name),
            Token::String(text) => reader.read(&String::from_utf8_lossy(&text.value)),
            _ => {}
        }
        if reader.text.len() >= most {
            break;
        }
    }
    reader.text
}

/// What stands between two words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Space,
    Cell,
    Line,
    Paragraph,
}

#[derive(Default)]
struct Reader {
    text: String,
    /// What comes before the next word.
    gap: Gap,
    /// Whether the next word is the first of a list's item.
    item: bool,
    /// How many `pre` are open.
    verbatim: u32,
    /// The element whose content is left out.
    hidden: Option<Vec<u8>>,
}

impl Reader {
    fn enter(&mut self, name: &[u8]) {
        if self.hidden.is_some() {
            return;
        }
        self.part(name);
        match name {
            b"pre" => self.verbatim += 1,
            b"li" => self.item = true,
            name if HIDDEN.contains(&name) => self.hidden = Some(name.to_vec()),
            _ => {}
        }
    }

    fn leave(&mut self, name: &[u8]) {
        match &self.hidden {
            Some(hidden) if hidden == name => self.hidden = None,
            Some(_) => return,
            None => {}
        }
        self.part(name);
        if name == b"pre" {
            self.verbatim = self.verbatim.saturating_sub(1);
        }
    }

    /// Parts what stands before a tag from what stands behind it.
    fn part(&mut self, name: &[u8]) {
        let gap = match name {
            b"td" | b"th" => Gap::Cell,
            name if PARAGRAPHS.contains(&name) => Gap::Paragraph,
            name if INLINE.contains(&name) || HIDDEN.contains(&name) => Gap::None,
            _ => Gap::Line,
        };
        self.gap = self.gap.max(gap);
    }

    fn read(&mut self, text: &str) {
        if self.hidden.is_some() {
            return;
        }
        if self.verbatim > 0 {
            return self.read_verbatim(text);
        }
        for letter in text.chars() {
            if letter.is_whitespace() {
                self.gap = self.gap.max(Gap::Space);
            } else {
                self.close_gap();
                self.text.push(letter);
            }
        }
    }

    fn read_verbatim(&mut self, text: &str) {
        // The line feed right behind the tag is not part of the text.
        let text = match self.gap {
            Gap::Paragraph => text.strip_prefix('\n').unwrap_or(text),
            _ => text,
        };
        if !text.is_empty() {
            self.close_gap();
            self.text.push_str(text);
        }
    }

    fn close_gap(&mut self) {
        let gap = std::mem::take(&mut self.gap);
        if gap >= Gap::Line {
            // Preformatted text may bring its own.
            let kept = self.text.trim_end_matches('\n').len();
            self.text.truncate(kept);
        }
        if !self.text.is_empty() {
            self.text.push_str(match gap {
                Gap::None => "",
                Gap::Space => " ",
                Gap::Cell => " | ",
                Gap::Line => "\n",
                Gap::Paragraph => "\n\n",
            });
        }
        if std::mem::take(&mut self.item) {
            self.text.push_str("- ");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_as_a_person_reads_them() {
        for (page, expected) in [
            (
                "<title>no</title><h1>Server  Error</h1>\n<p>in <b>one</b> line</p>",
                "Server Error\n\nin one line",
            ),
            ("a<br>b<div>c</div>d", "a\nb\nc\nd"),
            ("<ul><li>one<li> two</ul>after", "- one\n- two\n\nafter"),
            (
                "<table><tr><th>Name</th><th>Value</th></tr>\n<tr><td>a</td> <td>b</td></tr></table>",
                "Name | Value\na | b",
            ),
            (
                "<pre>\n  File \"a.py\"\n    x &lt; y\n</pre>end",
                "  File \"a.py\"\n    x < y\n\nend",
            ),
            ("&amp;amp; &Auml;&#x263a;&nbsp;&lt;b&gt;", "&amp; Ä☺ <b>"),
            (
                "<script>if (a < b) alert('</div>')</script>x<style>p { }</style>y<!-- z -->",
                "xy",
            ),
            ("<p hidden style='display:none'>shown", "shown"),
            ("<svg><text>no</text></svg><noscript>yes</noscript>", "yes"),
            ("<pre><pre>a\n</pre></pre></pre> b  c", "a\n\nb c"),
        ] {
            assert_eq!(text(page, 1000), expected, "{page}");
        }
    }

    #[test]
    fn a_page_made_to_attack_its_reader_is_read_once() {
        for attack in [
            "<div>",
            "<pre>",
            "<a b='",
            "<!--",
            "<table><tr><td>x",
            "&amp",
            "</",
            "<script>",
            "<li",
        ] {
            let page = attack.repeat(200_000 / attack.len());
            assert!(text(&page, 65_536).len() < 270_000, "{attack}");
        }
    }
}
