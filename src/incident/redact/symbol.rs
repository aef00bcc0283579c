//! Text as a reader sees it: a page holds the same quote as `"`, `&quot;`, `\"` or `\u0022`, and tags for colour between any two characters.
//!
//! Nothing here looks further than a tag or an entity may be long, so that whoever asks at every byte still takes time in proportion.

/// A tag that is longer is not a tag.
const TAG: usize = 320;
/// More backslashes than that before a quote are not an escape.
const BACKSLASHES: usize = 8;

/// Tags that stand within a line of text.
const INLINE: [&[u8]; 18] = [
    b"a", b"abbr", b"b", b"big", b"bdi", b"code", b"em", b"font", b"i", b"kbd", b"mark", b"s",
    b"samp", b"small", b"span", b"strong", b"u", b"wbr",
];
/// Tags that make the cells of a table or list of names and values.
const CELLS: [&[u8]; 4] = [b"td", b"th", b"dt", b"dd"];

/// One character and where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Symbol {
    /// The character; a byte of a longer one stands for itself.
    pub byte: u8,
    /// Where the next one begins.
    pub end: usize,
    /// Whether it is written as an entity or escape.
    pub coded: bool,
}

impl Symbol {
    /// What stands at a place.
    pub(super) fn at(text: &[u8], at: usize) -> Option<Self> {
        count_step();
        let rest = text.get(at..)?;
        match rest {
            [b'&', ..] => {
                Some(entity(rest).map_or(Self::plain(b'&', at), |found| Self::coded(found, at)))
            }
            [b'\\', b'u', b'0', b'0', high, low, ..] => {
                let byte = hex(*high).zip(hex(*low)).map(|(high, low)| high * 16 + low);
                Some(byte.map_or(Self::plain(b'\\', at), |byte| Self::coded((byte, 6), at)))
            }
            [b'\\', b'/', ..] => Some(Self::coded((b'/', 2), at)),
            [0xc2, 0xa0, ..] => Some(Self::coded((b' ', 2), at)),
            [byte, ..] => Some(Self::plain(*byte, at)),
            [] => None,
        }
    }

    fn plain(byte: u8, at: usize) -> Self {
        Self {
            byte,
            end: at + 1,
            coded: false,
        }
    }

    fn coded((byte, length): (u8, usize), at: usize) -> Self {
        Self {
            byte,
            end: at + length,
            coded: true,
        }
    }
}

/// The character of an entity at the beginning of the text, and its length. One that was escaped twice (`&amp;quot;`) counts too.
fn entity(text: &[u8]) -> Option<(u8, usize)> {
    let mut name = text.get(1..)?;
    while let Some(rest) = name
        .strip_prefix(b"amp;")
        .filter(|rest| entity_name(rest).is_some())
    {
        name = rest;
    }
    let (byte, length) = entity_name(name)?;
    Some((byte, text.len() - name.len() + length))
}

fn entity_name(name: &[u8]) -> Option<(u8, usize)> {
    const NAMED: [(&[u8], u8); 7] = [
        (b"quot;", b'"'),
        (b"apos;", b'\''),
        (b"amp;", b'&'),
        (b"lt;", b'<'),
        (b"gt;", b'>'),
        (b"nbsp;", b' '),
        (b"sol;", b'/'),
    ];
    if let Some(rest) = name.strip_prefix(b"#") {
        return numeric(rest).map(|(byte, length)| (byte, length + 1));
    }
    let (written, byte) = NAMED
        .iter()
        .find(|(written, _)| name.starts_with(written))?;
    Some((*byte, written.len()))
}

/// `39;` or `x27;`, leading zeros and all.
fn numeric(text: &[u8]) -> Option<(u8, usize)> {
    let (digits, base, before) = match text {
        [b'x' | b'X', rest @ ..] => (rest, 16, 1),
        _ => (text, 10, 0),
    };
    let mut value = 0_u32;
    for (place, byte) in digits.iter().take(8).enumerate() {
        if *byte == b';' {
            let byte = if value == 160 {
                Some(b' ')
            } else {
                u8::try_from(value).ok()
            };
            return byte
                .filter(u8::is_ascii)
                .filter(|_| place > 0)
                .map(|byte| (byte, before + place + 1));
        }
        value = value * base + char::from(*byte).to_digit(base)?;
    }
    None
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// A quotation mark, in the way that it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quote {
    mark: u8,
    coded: bool,
    depth: usize,
    /// Where what is quoted begins.
    pub end: usize,
}

impl Quote {
    /// The quotation mark at a place, backslashes before it included.
    pub(super) fn at(text: &[u8], at: usize) -> Option<Self> {
        let rest = text.get(at..)?;
        let depth = rest
            .iter()
            .take(BACKSLASHES)
            .take_while(|byte| **byte == b'\\')
            .count();
        let plain = Symbol::at(text, at + depth).filter(|symbol| is_quote(symbol.byte));
        let (symbol, depth) = match plain {
            Some(symbol) => (symbol, depth),
            // The last backslash may be that of `\u0022`.
            None => (Symbol::at(text, at + depth.checked_sub(1)?)?, depth - 1),
        };
        is_quote(symbol.byte).then_some(Self {
            mark: symbol.byte,
            coded: symbol.coded,
            depth,
            end: symbol.end,
        })
    }

    /// Where what is quoted ends, and where the text goes on. A quote that stays open ends with its line.
    pub(super) fn close(self, text: &[u8]) -> (usize, usize) {
        let mut at = self.end;
        while let Some(byte) = text.get(at) {
            count_step();
            at = match byte {
                b'\n' | b'\r' => return (at, at),
                b'\\' | b'"' | b'\'' | b'`' | b'&' => match Self::at(text, at) {
                    Some(quote) if self.is_closed_by(quote) => {
                        return (at + self.kept_backslashes(quote), quote.end);
                    }
                    Some(quote) => quote.end,
                    None => at + 1,
                },
                _ => at + 1,
            };
        }
        (at, at)
    }

    fn is_closed_by(self, other: Self) -> bool {
        let alike = other.coded == self.coded || !other.coded;
        let level = if self.depth == 0 {
            other.depth.is_multiple_of(2)
        } else {
            other.depth <= self.depth
        };
        self.mark == other.mark && alike && level
    }

    /// Backslashes before the closing quote that belong to what is quoted.
    fn kept_backslashes(self, other: Self) -> usize {
        other.depth.saturating_sub(self.depth)
    }
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

/// What a tag does to a line of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// Colour and the like.
    Inline,
    /// The cell of a table begins or ends.
    Cell,
    /// The row of a table begins or ends.
    Row,
    /// Another line begins.
    Other,
}

impl Tag {
    fn wall(self) -> Option<Wall> {
        match self {
            Self::Cell => Some(Wall::Cell),
            Self::Row => Some(Wall::Row),
            Self::Inline | Self::Other => None,
        }
    }
}

/// The tag at a place, and its end.
pub(super) fn tag(text: &[u8], at: usize) -> Option<(Tag, usize)> {
    let rest = text.get(at..)?.strip_prefix(b"<")?;
    let name = rest.strip_prefix(b"/").unwrap_or(rest);
    if !name.first()?.is_ascii_alphabetic() {
        return None;
    }
    let window = rest.get(..TAG).unwrap_or(rest);
    let end = memchr::memchr2(b'>', b'<', window)?;
    let closed = window.get(end) == Some(&b'>');
    let length = name
        .iter()
        .take(8)
        .take_while(|byte| byte.is_ascii_alphanumeric())
        .count();
    let name = name.get(..length)?;
    let one_of = |names: &[&[u8]]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let kind = match name {
        _ if one_of(&INLINE) => Tag::Inline,
        _ if one_of(&CELLS) => Tag::Cell,
        _ if one_of(&[b"tr"]) => Tag::Row,
        _ => Tag::Other,
    };
    closed.then_some((kind, at + end + 2))
}

/// What lies between a name and its value, or on either side of the sign between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gap {
    /// Where it ends.
    pub end: usize,
    /// Blanks.
    pub blank: bool,
    /// The end of a line.
    pub line: bool,
    /// Whether another cell of a table begins in it, or another row.
    pub wall: Option<Wall>,
}

/// What parts the cells of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wall {
    /// The wall between two cells.
    Cell,
    /// The wall between two rows.
    Row,
}

impl Gap {
    /// Blanks and tags from a place on; not more than a few.
    pub(super) fn at(text: &[u8], at: usize) -> Self {
        const LONGEST: usize = 640;
        let mut gap = Self {
            end: at,
            ..Self::default()
        };
        while gap.end < at + LONGEST && gap.grow(text) {}
        gap
    }

    fn grow(&mut self, text: &[u8]) -> bool {
        if let Some((kind, end)) = tag(text, self.end) {
            self.wall = self.wall.max(kind.wall());
            self.end = end;
            return true;
        }
        let Some(symbol) =
            Symbol::at(text, self.end).filter(|symbol| symbol.byte.is_ascii_whitespace())
        else {
            return false;
        };
        self.line |= symbol.byte == b'\n';
        self.blank = true;
        self.end = symbol.end;
        true
    }
}

/// Counts a step of the work, for tests: how much of it there is must follow from the length of the text alone.
#[cfg(not(test))]
pub(super) fn count_step() {}

#[cfg(test)]
pub(super) use counted::count_step;

#[cfg(test)]
pub(super) mod counted {
    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<usize> = const { Cell::new(0) };
    }

    pub(in super::super) fn count_step() {
        STEPS.set(STEPS.get() + 1);
    }

    /// The steps since the last call.
    pub(in super::super) fn steps() -> usize {
        STEPS.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_may_be_written_in_many_ways() {
        for (text, byte, end) in [
            ("a", b'a', 1),
            ("&quot;x", b'"', 6),
            ("&#39;", b'\'', 5),
            ("&#x27;", b'\'', 6),
            ("&#x2F;", b'/', 6),
            ("&#0039;", b'\'', 7),
            ("&amp;", b'&', 5),
            ("&amp;quot;", b'"', 10),
            ("&amp;amp;#39;", b'\'', 13),
            ("&", b'&', 1),
            ("&copy;", b'&', 1),
            ("&#;", b'&', 1),
            ("&#9999;", b'&', 1),
            ("&nbsp;", b' ', 6),
            ("&#160;", b' ', 6),
            ("\u{a0}", b' ', 2),
            ("\\u0022", b'"', 6),
            ("\\/", b'/', 2),
            ("\\n", b'\\', 1),
        ] {
            let symbol = Symbol::at(text.as_bytes(), 0).unwrap();
            assert_eq!((symbol.byte, symbol.end), (byte, end), "{text}");
        }
    }

    #[test]
    fn a_quote_is_closed_by_its_like() {
        for (text, content) in [
            (r#""a'b"c"#, "a'b"),
            (r#""a\"b"c"#, r#"a\"b"#),
            (r#""a\\"c"#, r"a\\"),
            (r#"\"a\"c"#, "a"),
            (r#"\"a\\\"b\"c"#, r#"a\\\"b"#),
            (r#"\"a"c"#, "a"),
            ("&quot;a&#39;b&quot;c", "a&#39;b"),
            ("&#39;a'c", "a"),
            ("'a&#39;c'", "a&#39;c"),
            ("\\u0022a\\u0022c", "a"),
            ("'open", "open"),
            ("'open\nline'", "open"),
        ] {
            let quote = Quote::at(text.as_bytes(), 0).unwrap();
            let (end, _) = quote.close(text.as_bytes());
            assert_eq!(&text[quote.end..end], content, "{text}");
        }
    }

    #[test]
    fn gaps_are_blanks_and_tags() {
        for (text, end, cell) in [
            ("x", 0, false),
            (" \t&nbsp;x", 8, false),
            ("</span><b>x", 10, false),
            ("</td>\n<td class=\"code\"><pre>x", 28, true),
            ("<x", 0, false),
            ("< b>", 0, false),
            ("<a <b>", 0, false),
        ] {
            let gap = Gap::at(text.as_bytes(), 0);
            let cells = gap.wall == Some(Wall::Cell);
            assert_eq!((gap.end, cells), (end, cell), "{text}");
        }
    }
}
