//! What a template may cost: its output, its loops, its ranges.
//!
//! Templates are the operator's, yet a slip in one must not take a worker down. The number of turns of a loop is capped by
//! what there is to loop over (a range, or a visitor's value, and both are short), their nesting here, and the output by [`Limited`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use tera::{Kwargs, State, Tera, TeraResult, Value};

use super::plan::Plan;

/// The longest page.
pub(super) const MAX_OUTPUT: usize = 256 * 1024;
/// How deep loops may nest, those of included templates counted in.
pub(super) const MAX_NESTING: usize = 3;
const MAX_RANGE: i64 = 100;

/// A page under way, which takes no more than [`MAX_OUTPUT`].
pub(super) struct Limited(Vec<u8>);

impl Limited {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Replaces what a template could use to print unescaped values or to count without end.
pub(super) fn install(tera: &mut Tera) {
    tera.register_filter("safe", |value: Value, _: Kwargs, _: &State<'_>| value);
    tera.register_filter("urlencode", |text: &str, _: Kwargs, _: &State<'_>| {
        super::brand::percent_encoded(text)
    });
    tera.register_function("range", range);
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the engine hands the arguments over"
)]
fn range(arguments: Kwargs, _: &State<'_>) -> TeraResult<Vec<i64>> {
    let start = arguments.get::<i64>("start")?.unwrap_or(0);
    let end = arguments.must_get::<i64>("end")?;
    let step = arguments.get::<i64>("step_by")?.unwrap_or(1);
    let (Ok(step), true) = (usize::try_from(step), step > 0) else {
        return Err(tera::Error::message(
            "`range` counts upwards: `step_by` is 1 or more",
        ));
    };
    if end.saturating_sub(start) > MAX_RANGE {
        return Err(tera::Error::message(format!(
            "`range` counts at most to {MAX_RANGE} here"
        )));
    }
    Ok((start..end).step_by(step).collect())
}

/// A slip that [`nesting_problem`] finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Nesting {
    /// Loops nest too deep, counted through what is included.
    TooDeep,
    /// A component is defined; its calls could nest without a loop in sight.
    Component,
}

/// The first template of a set that breaks the rules of nesting.
pub(super) fn nesting_problem<'a>(sources: &BTreeMap<&'a str, &str>) -> Option<(&'a str, Nesting)> {
    let scans = scans(sources);
    sources.keys().find_map(|name| {
        let scan = scans.get(name)?;
        if scan.defines_component {
            return Some((*name, Nesting::Component));
        }
        let depth = depth(name, &scans, &mut BTreeSet::new());
        (depth > MAX_NESTING).then_some((*name, Nesting::TooDeep))
    })
}

/// The templates of a set that do nothing but print values, ask whether they are there, and include others of the kind.
pub(super) fn plain_templates<'a>(sources: &BTreeMap<&'a str, &str>) -> BTreeSet<&'a str> {
    let scans = scans(sources);
    let mut plain: BTreeSet<&str> = sources
        .iter()
        .filter(|(name, source)| {
            Plan::suits(source) && scans.get(*name).is_some_and(|scan| scan.is_plain)
        })
        .map(|(name, _)| *name)
        .collect();
    loop {
        let before = plain.len();
        let known = plain.clone();
        plain.retain(|name| {
            let references = scans.get(name).map(|scan| scan.references.as_slice());
            references.is_some_and(|all| all.iter().all(|(other, _)| known.contains(&**other)))
        });
        if plain.len() == before {
            return plain;
        }
    }
}

fn scans<'a>(sources: &BTreeMap<&'a str, &str>) -> BTreeMap<&'a str, Scan> {
    sources
        .iter()
        .map(|(name, source)| (*name, Scan::of(source)))
        .collect()
}

/// The deepest nesting in a template, with what it includes and what it extends.
fn depth<'a>(
    name: &'a str,
    scans: &'a BTreeMap<&str, Scan>,
    above: &mut BTreeSet<&'a str>,
) -> usize {
    let Some(scan) = scans.get(name) else {
        return 0;
    };
    if !above.insert(name) {
        return 0; // A circle, which tera refuses by itself.
    }
    let below = scan
        .references
        .iter()
        .map(|(other, at)| at + depth(other, scans, above))
        .max();
    above.remove(name);
    scan.depth.max(below.unwrap_or(0))
}

/// What a template does, as far as its nesting depends on it.
struct Scan {
    depth: usize,
    /// Templates that it includes or extends, and how many loops may lie around them.
    references: Vec<(String, usize)>,
    defines_component: bool,
    is_plain: bool,
}

impl Scan {
    fn of(source: &str) -> Self {
        let mut scan = Self {
            depth: 0,
            references: Vec::new(),
            defines_component: false,
            is_plain: true,
        };
        let mut open = 0_usize;
        for tag in tags(source) {
            scan.take(&tag, &mut open);
        }
        // The blocks of a template may stand in any loop of the one that it extends.
        let deepest = scan.depth;
        for (_, at) in scan
            .references
            .iter_mut()
            .filter(|(_, at)| *at == usize::MAX)
        {
            *at = deepest;
        }
        scan
    }

    fn take(&mut self, tag: &Tag<'_>, open: &mut usize) {
        let unquoted = unquoted(tag.inside);
        let mut words = words(&unquoted);
        let verb = if tag.is_statement {
            words.next().unwrap_or_default()
        } else {
            ""
        };
        let named = quoted(tag.inside).unwrap_or_default().to_owned();
        match verb {
            "for" => *open += 1,
            "endfor" => *open = open.saturating_sub(1),
            "include" => self.references.push((named, *open)),
            "extends" => self.references.push((named, usize::MAX)),
            "component" => self.defines_component = true,
            _ => {}
        }
        let comprehensions = words.filter(|word| *word == "for").count();
        self.depth = self.depth.max(*open + comprehensions);
        self.is_plain &= tag.is_plain(verb);
    }
}

/// A piece of a template between marks.
struct Tag<'a> {
    /// `{% %}`, not `{{ }}`
    is_statement: bool,
    inside: &'a str,
}

impl Tag<'_> {
    /// Whether the tag only prints a value, or asks whether values are there.
    fn is_plain(&self, verb: &str) -> bool {
        let code = self.inside.trim_matches(['-', ' ', '\n', '\t', '\r']);
        let names = |text: &str| {
            text.chars()
                .all(|c| c.is_ascii_alphanumeric() || "_.".contains(c))
        };
        match verb {
            "" => !self.is_statement && names(code) && code != "__tera_context",
            "if" | "elif" => {
                let mut words = code.split_ascii_whitespace();
                words.all(|word| names(word) && !matches!(word, "is" | "in"))
            }
            "else" | "endif" | "include" => true,
            _ => false,
        }
    }
}

/// The statements and expressions of a template, without comments and raw blocks.
fn tags(source: &str) -> impl Iterator<Item = Tag<'_>> {
    let mut rest = source;
    std::iter::from_fn(move || {
        loop {
            let (start, close) = next_tag(rest)?;
            let after = rest.get(start + 2..)?;
            let end = end_of_tag(after, close);
            let inside = after.get(..end)?;
            rest = after.get(end + 2..).unwrap_or_default();
            let is_statement = close == "%}";
            if is_statement && words(inside).eq(["raw"]) {
                rest = rest.split_once("endraw").map_or("", |(_, after)| after);
            } else if close != "#}" {
                return Some(Tag {
                    is_statement,
                    inside,
                });
            }
        }
    })
}

fn next_tag(source: &str) -> Option<(usize, &'static str)> {
    [("{%", "%}"), ("{{", "}}"), ("{#", "#}")]
        .into_iter()
        .filter_map(|(open, close)| Some((source.find(open)?, close)))
        .min_by_key(|(start, _)| *start)
}

/// Where a tag ends: at its closing mark outside of quotes, which a comment does not know.
fn end_of_tag(inside: &str, close: &str) -> usize {
    let mut quote = None;
    for (at, character) in inside.char_indices() {
        let rest = inside.get(at..).unwrap_or_default();
        match (quote, character) {
            (None, _) if rest.starts_with(close) => return at,
            (None, '"' | '\'' | '`') if close != "#}" => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
    }
    inside.len()
}

fn words(tag: &str) -> impl Iterator<Item = &str> + Clone {
    tag.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// The code of a tag without its strings.
fn unquoted(tag: &str) -> String {
    let mut quote = None;
    tag.chars()
        .filter(|&character| match quote {
            None if matches!(character, '"' | '\'' | '`') => {
                quote = Some(character);
                false
            }
            None => true,
            Some(open) => {
                if open == character {
                    quote = None;
                }
                false
            }
        })
        .collect()
}

fn quoted(tag: &str) -> Option<&str> {
    let (_, rest) = tag.split_once(['"', '\'', '`'])?;
    let (name, _) = rest.split_once(['"', '\'', '`'])?;
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_counted_through_comments_quotes_and_includes() {
        let three =
            "{% for a in x %}{% for b in x %}{% for c in x %}{% endfor %}{% endfor %}{% endfor %}";
        let four = format!("{{% for z in x %}}{three}{{%- endfor -%}}");
        let in_row = "{% for a in x %}{% endfor %}".repeat(9);
        let quoted = "{% for a in x %}{{ \"%} {% for %}\" }}{# {% for %} #}{% endfor %}".to_owned();
        let raw = format!("{{% raw %}}{four}{{% endraw %}}");
        let comprehended =
            "{% for a in [i for i in [j for j in x]] %}{{ [k for k in x] }}{% endfor %}";
        let deep = "{% for a in x %}{% for b in x %}{{ [k for k in [l for l in x]] }}{% endfor %}{% endfor %}";
        let cases = [
            (three.to_owned(), 3),
            (four, 4),
            (in_row, 1),
            (quoted, 1),
            (raw, 0),
            (comprehended.to_owned(), 3),
            (deep.to_owned(), 4),
        ];
        for (source, expected) in cases {
            assert_eq!(Scan::of(&source).depth, expected, "{source}");
        }
    }

    #[test]
    fn what_is_included_or_extended_counts() {
        let two = "{% for a in x %}{% for b in x %}{% endfor %}{% endfor %}";
        let inside = "{% for a in x %}{% include \"two\" %}{% endfor %}";
        let twice = "{% for a in x %}{% include \"inside\" %}{% endfor %}";
        let child = "{% extends \"two\" %}{% block a %}{% for a in x %}{% for b in x %}{% endfor %}{% endfor %}{% endblock %}";
        let fine = BTreeMap::from([("two", two), ("inside", inside)]);
        assert_eq!(nesting_problem(&fine), None);
        let deep = BTreeMap::from([("two", two), ("inside", inside), ("twice", twice)]);
        assert_eq!(nesting_problem(&deep), Some(("twice", Nesting::TooDeep)));
        let extended = BTreeMap::from([("two", two), ("child", child)]);
        assert_eq!(
            nesting_problem(&extended),
            Some(("child", Nesting::TooDeep))
        );
        let component = BTreeMap::from([("c", "{% component A() %}{% endcomponent A %}")]);
        assert_eq!(nesting_problem(&component), Some(("c", Nesting::Component)));
    }

    #[test]
    fn plain_templates_are_known() {
        let cases = [
            (
                "<p>{{ path }}{{- brand.name -}}{% if host and not path %}a{% elif x or y %}b{% else %}{% endif %}",
                true,
            ),
            ("{# {{ path | upper }} #}", true),
            ("{% raw %}{{ path | upper }}{% endraw %}", true),
            ("{{ path | upper }}", false),
            ("{{ path == host }}", false),
            ("{{ path[0] }}", false),
            ("{{ \"a\" }}", false),
            ("{% if status == 502 %}{% endif %}", false),
            ("{% if path is defined %}{% endif %}", false),
            ("{% if path in host %}{% endif %}", false),
            ("{% if path | length %}{% endif %}", false),
            ("{% for c in path %}{% endfor %}", false),
            ("{% set a = path %}", false),
            ("{% include \"other\" %}", true),
            ("{% include \"fancy\" %}", false),
            ("{% extends \"other\" %}", false),
            ("\u{e0f0}", false),
        ];
        for (source, expected) in cases {
            let set = BTreeMap::from([
                ("it", source),
                ("other", "{{ a }}"),
                ("fancy", "{{ a | upper }}"),
            ]);
            assert_eq!(plain_templates(&set).contains("it"), expected, "{source}");
        }
    }

    #[test]
    fn ranges_and_output_end() {
        let mut tera = Tera::default();
        install(&mut tera);
        let context = tera::Context::new();
        let rendered = |source: &str| tera.render_str(source, &context, false).ok();
        assert_eq!(
            rendered("{% for i in range(end=3) %}{{ i }}{% endfor %}").as_deref(),
            Some("012")
        );
        for refused in [
            "{{ range(end=101) }}",
            "{{ range(end=5, step_by=0) }}",
            "{{ range(start=-9000000000000000000, end=9000000000000000000) }}",
        ] {
            assert_eq!(rendered(refused), None, "{refused}");
        }
        let mut page = Limited::with_capacity(0);
        assert!(page.write_all(&vec![b'x'; MAX_OUTPUT]).is_ok());
        assert!(page.write_all(b"x").is_err());
    }
}
