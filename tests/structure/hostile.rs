//! Values that break out of something, made by a generator with a fixed seed.

/// What ends something somewhere, or looks like markup of ours.
const PIECES: &[&str] = &[
    "<",
    ">",
    "\"",
    "'",
    "`",
    "&",
    "=",
    "/",
    "\\",
    ";",
    "{",
    "}",
    "%",
    "#",
    "?",
    " ",
    "(",
    ")",
    ",",
    ":",
    "@",
    "|",
    "!",
    "<!--",
    "-->",
    "--!>",
    "<![CDATA[",
    "]]>",
    "<?xml?>",
    "<!DOCTYPE x [<!ENTITY e \"v\">]>",
    "&e;",
    "&#0;",
    "&#x22;",
    "&quot",
    "</style>",
    "</script>",
    "</title>",
    "</textarea>",
    "</a>",
    "</body></html>",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\" onmouseover=\"x",
    "' autofocus onfocus='x",
    "<svg/onload=x>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0>",
    "javascript:alert(1)",
    "data:text/html,x",
    "//evil.example",
    "https://user@evil.example",
    "{{ 7*7 }}",
    "{% if x %}",
    "{% raw %}",
    "{#",
    "${NAME}",
    "{request_id}",
    "\",\"status\":200,\"",
    "\\\",\"a\":\"",
    "\\u0022",
    "\\",
    "\r\n",
    "\r\nSet-Cookie: a=b\r\n\r\n",
    "\n",
    "\r",
    "\t",
    "\0",
    "\u{1}",
    "\u{8}",
    "\u{b}",
    "\u{c}",
    "\u{1b}[2J",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{ad}",
    "\u{200b}",
    "\u{200f}",
    "\u{2028}",
    "\u{2029}",
    "\u{202e}",
    "\u{2066}",
    "\u{feff}",
    "\u{fffe}",
    "\u{ffff}",
    "\u{fdd0}",
    "\u{fffd}",
    "\u{e0f0}",
    "\u{e0f0}\u{e100}",
    "\u{e100}",
    "\u{10ffff}",
    "é",
    "漢字",
    "👩‍🔧",
    "مرحبا",
    "a",
    "word",
    "%0d%0a",
    "%3Cscript%3E",
    "url(//evil.example)",
    "};*{}",
    "expression(1)",
    "@import",
    "?subject=x&body=y",
    "&bcc=a@evil.example",
    "?bcc=a%40evil.example",
];
const LINKS: &[&str] = &[
    "https://example.com/",
    "http://example.com/?a=",
    "/",
    "mailto:a@example.com?subject=",
    "tel:",
    "//",
    "",
    "https:",
    "JAVASCRIPT:",
];

/// Makes hostile values: the same ones each time (xorshift).
pub struct Hostile(u64);

impl Hostile {
    pub fn seeded(seed: u64) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ seed)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// One to eight pieces, now and then very many. Never empty: whether a value is there may change a page.
    pub fn text(&mut self) -> String {
        let count = if self.below(40) == 0 {
            900
        } else {
            1 + self.below(8)
        };
        (0..count).map(|_| self.one(PIECES)).collect()
    }

    /// A text that a link or an address may have: without spaces and controls, and mostly without what else is refused.
    pub fn word(&mut self) -> String {
        let text = self.text();
        let mut word = text.replace(|c: char| c.is_whitespace() || c.is_control(), "");
        if self.below(4) > 0 {
            word = word.replace(['\\', '<', '>', '"', '\'', '?', '&', ',', ';', ':'], "-");
        }
        word.insert(0, 'a');
        word
    }

    /// How a link may begin.
    pub fn link(&mut self) -> &'static str {
        self.one(LINKS)
    }

    /// A colour, or what begins like one.
    pub fn color(&mut self) -> String {
        let hex = format!("#{:06x}", self.below(0x100_0000));
        match self.below(3) {
            0 => hex + self.one(PIECES),
            1 => self.text(),
            _ => hex,
        }
    }

    /// A method: RFC 9110's tokens allow more than letters.
    pub fn token(&mut self) -> String {
        let allowed = "AZaz09!#$%&'*+-.^_`|~";
        let characters: Vec<char> = allowed.chars().collect();
        let length = 1 + self.below(40);
        (0..length).map(|_| self.one(&characters)).collect()
    }

    /// A line of a catalogue with another text in it.
    pub fn reworded(&mut self, line: &str) -> String {
        match line.split_once(" = \"") {
            Some((key, text))
                if text.ends_with('"')
                    && !key.contains('{')
                    && !matches!(key, "language" | "direction" | "work" | "pattern") =>
            {
                format!("{key} = {}", quoted(&self.text()))
            }
            _ => line.to_owned(),
        }
    }
}

/// A text as TOML has it: JSON's escapes, and DEL escaped too.
pub fn quoted(text: &str) -> String {
    serde_json::to_string(text)
        .unwrap()
        .replace('\u{7f}', "\\u007f")
}
