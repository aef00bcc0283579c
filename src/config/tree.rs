//! The file as a tree of spanned values: variables filled in, sections laid over each other, items taken out by their place.
//!
//! A section laid over a route keeps the places of the keys that it was copied from. So one mistake in `[intercept]` has one
//! place however many routes inherit it, and taking out what stands at a place takes it out everywhere.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::error::{Problem, Source};

/// A value of the tree and its place.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// Reads a variable of the environment.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The sections that a route may lay over the file's own.
const ROUTE_SECTIONS: [&str; 4] = ["intercept", "brand", "pages", "maintenance"];

/// Replaces `${NAME}` and `${NAME:-default}` in every string value; `$${` stands for `${`.
/// A value that could not be filled in is left as it is and reported with its place, so that it can be taken out.
pub(super) fn expand(
    root: &mut DeTable<'_>,
    source: &Source,
    environment: Environment<'_>,
) -> Vec<(Range<usize>, Problem)> {
    let mut problems = Vec::new();
    for_each_string(root, &mut |text, span| {
        if !text.contains("${") {
            return;
        }
        match expanded(text, environment) {
            Ok(whole) => *text = Cow::Owned(whole),
            Err(wrong) => problems.push((span.clone(), wrong.at(span, source))),
        }
    });
    problems
}

fn for_each_string<'i>(
    table: &mut DeTable<'i>,
    visit: &mut impl FnMut(&mut Cow<'i, str>, Range<usize>),
) {
    for (_, value) in table.iter_mut() {
        visit_value(value, visit);
    }
}

fn visit_value<'i>(value: &mut Value<'i>, visit: &mut impl FnMut(&mut Cow<'i, str>, Range<usize>)) {
    let span = value.span();
    match value.get_mut() {
        DeValue::String(text) => visit(text, span),
        DeValue::Array(array) => array.iter_mut().for_each(|value| visit_value(value, visit)),
        DeValue::Table(table) => for_each_string(table, visit),
        _ => {}
    }
}

/// A variable that could not be filled in.
#[derive(Debug, PartialEq)]
enum Unfilled {
    /// It is not set and has no default.
    Unset(String),
    /// It has no closing brace, or a name that no variable can have.
    Malformed,
}

impl Unfilled {
    fn at(self, span: Range<usize>, source: &Source) -> Problem {
        match self {
            Self::Unset(name) => {
                let written = format!("${{{name}}}");
                let inside = source.slice(&span).find(&written);
                let place = inside.map_or(span.clone(), |offset| {
                    let start = span.start + offset;
                    start..start + written.len()
                });
                let hint = format!("set it, or give a default: `${{{name}:-...}}`");
                Problem::new(
                    Some(place),
                    format!("the variable `{name}` is not set"),
                    hint,
                )
            }
            Self::Malformed => Problem::new(
                Some(span),
                "a variable that cannot be read",
                "write `${NAME}` or `${NAME:-default}`; `$${` for the characters themselves",
            ),
        }
    }
}

fn expanded(text: &str, environment: Environment<'_>) -> Result<String, Unfilled> {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            whole.push_str(before);
            whole.push_str("${");
            rest = after;
            continue;
        }
        let (inside, after) = after.split_once('}').ok_or(Unfilled::Malformed)?;
        whole.push_str(before);
        whole.push_str(&filled(inside, environment)?);
        rest = after;
    }
    whole.push_str(rest);
    Ok(whole)
}

/// The value of `NAME` or `NAME:-default`; as in a shell, the default also counts for an empty variable.
fn filled(inside: &str, environment: Environment<'_>) -> Result<String, Unfilled> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(allowed) {
        return Err(Unfilled::Malformed);
    }
    let value = environment(name);
    match default {
        Some(default) => Ok(value
            .filter(|value| !value.is_empty())
            .unwrap_or_else(|| default.to_owned())),
        None => value.ok_or_else(|| Unfilled::Unset(name.to_owned())),
    }
}

/// Lays the file's sections under those of each route, and an upstream's timeouts under those of its routes.
pub(super) fn lay_sections(root: &mut DeTable<'_>) {
    let base = root.clone();
    let Some(DeValue::Array(routes)) = root.get_mut("routes").map(Spanned::get_mut) else {
        return;
    };
    for route in routes.iter_mut() {
        let DeValue::Table(route) = route.get_mut() else {
            continue;
        };
        for name in ROUTE_SECTIONS {
            lay_under(route, &base, name);
        }
        if let Some(upstream) = upstream_of(route, &base) {
            lay_under(route, &upstream, "timeouts");
        }
    }
}

/// The upstream that a route names, or the only one.
fn upstream_of<'i>(route: &DeTable<'i>, root: &DeTable<'i>) -> Option<DeTable<'i>> {
    let upstreams = root.get("upstreams")?.get_ref().as_table()?;
    let upstream = match route.get("upstream") {
        Some(name) => upstreams.get(name.get_ref().as_str()?),
        None if upstreams.len() == 1 => upstreams.values().next(),
        None => None,
    };
    upstream?.get_ref().as_table().cloned()
}

fn lay_under<'i>(over: &mut DeTable<'i>, under: &DeTable<'i>, name: &str) {
    let Some((key, below)) = under.get_key_value(name) else {
        return;
    };
    match (over.get_mut(name).map(Spanned::get_mut), below.get_ref()) {
        (None, _) => {
            over.insert(key.clone(), below.clone());
        }
        (Some(DeValue::Table(over)), DeValue::Table(below)) => {
            for key in below.keys() {
                lay_under(over, below, key.get_ref());
            }
        }
        // A list or a scalar replaces what lies under it.
        _ => {}
    }
}

/// The places of all values, and so of all that [`take_out`] can take out.
pub(super) fn places(root: &DeTable<'_>) -> Vec<Range<usize>> {
    root.values().flat_map(places_of).collect()
}

fn places_of(value: &Value<'_>) -> Vec<Range<usize>> {
    let mut found = match value.get_ref() {
        DeValue::Table(table) => places(table),
        DeValue::Array(array) => array.iter().flat_map(places_of).collect(),
        _ => Vec::new(),
    };
    found.push(value.span());
    found
}

/// Takes out every item whose key or value stands at this place. Gives the path of the first.
pub(super) fn take_out(root: &mut DeTable<'_>, place: &Range<usize>) -> Option<Vec<String>> {
    let doomed: Vec<String> = root
        .iter()
        .filter(|(key, value)| key.span() == *place || value.span() == *place)
        .map(|(key, _)| key.get_ref().to_string())
        .collect();
    let mut first = None;
    for name in doomed {
        root.remove(name.as_str());
        first = first.or(Some(vec![name]));
    }
    for (key, value) in root.iter_mut() {
        let inside = take_out_of(value, place);
        first = first.or(inside.map(|mut path| {
            path.insert(0, key.get_ref().to_string());
            path
        }));
    }
    first
}

fn take_out_of(value: &mut Value<'_>, place: &Range<usize>) -> Option<Vec<String>> {
    match value.get_mut() {
        DeValue::Table(table) => take_out(table, place),
        DeValue::Array(array) => take_out_of_array(array, place),
        _ => None,
    }
}

fn take_out_of_array(array: &mut DeArray<'_>, place: &Range<usize>) -> Option<Vec<String>> {
    let at = array.iter().position(|value| value.span() == *place);
    if let Some(at) = at {
        let kept = array.iter().filter(|value| value.span() != *place);
        *array = kept.cloned().collect();
        return Some(vec![at.to_string()]);
    }
    let mut first = None;
    for (at, value) in array.iter_mut().enumerate() {
        let inside = take_out_of(value, place);
        first = first.or(inside.map(|mut path| {
            path.insert(0, at.to_string());
            path
        }));
    }
    first
}

/// The item at a path: its key, if it has one, and its value. Elements of lists are named by their number.
pub(super) fn find<'a, 'i>(
    root: &'a DeTable<'i>,
    path: &[impl AsRef<str>],
) -> Option<Found<'a, 'i>> {
    let (first, rest) = path.split_first()?;
    let (key, value) = root.get_key_value(first.as_ref())?;
    let mut found = Found {
        key: Some(key.span()),
        value,
    };
    for step in rest {
        found = match found.value.get_ref() {
            DeValue::Table(table) => {
                let (key, value) = table.get_key_value(step.as_ref())?;
                Found {
                    key: Some(key.span()),
                    value,
                }
            }
            DeValue::Array(array) => {
                let value = array.get(step.as_ref().parse::<usize>().ok()?)?;
                Found { key: None, value }
            }
            _ => return None,
        };
    }
    Some(found)
}

/// An item of the tree.
pub(super) struct Found<'a, 'i> {
    key: Option<Range<usize>>,
    /// Its value.
    pub value: &'a Value<'i>,
}

impl Found<'_, '_> {
    /// Where its name stands, or for an element of a list the element.
    pub(super) fn key_place(&self) -> Range<usize> {
        self.key.clone().unwrap_or_else(|| self.value.span())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> DeTable<'_> {
        DeTable::parse(text).unwrap().into_inner()
    }

    #[test]
    fn variables_are_filled_in() {
        let environment = |name: &str| match name {
            "HOST" => Some("app".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let table = [
            ("plain $ {} $HOST", Ok("plain $ {} $HOST")),
            ("http://${HOST}:80", Ok("http://app:80")),
            ("${HOST}${HOST}", Ok("appapp")),
            ("${PORT:-3000}", Ok("3000")),
            ("${EMPTY:-3000}", Ok("3000")),
            ("${EMPTY}", Ok("")),
            ("${PORT:-}", Ok("")),
            ("$${HOST}", Ok("${HOST}")),
            ("${PORT}", Err(Unfilled::Unset("PORT".to_owned()))),
            ("${HOST", Err(Unfilled::Malformed)),
            ("${}", Err(Unfilled::Malformed)),
            ("${A B}", Err(Unfilled::Malformed)),
        ];
        for (text, expected) in table {
            assert_eq!(
                expanded(text, &environment),
                expected.map(str::to_owned),
                "{text}"
            );
        }
    }

    #[test]
    fn a_routes_sections_lie_over_the_files_own() {
        let mut root = parsed(
            "[intercept]\nstatuses = [\"5xx\"]\npass_header = \"x\"\n[intercept.capture]\nhold = \"1s\"\ndrain = \"1B\"\n\
             [upstreams.app.timeouts]\nhead = \"3s\"\n\
             [[routes]]\nupstream = \"app\"\n[routes.intercept]\nstatuses = [\"500\"]\ncapture.hold = \"2s\"\n[[routes]]\n",
        );
        lay_sections(&mut root);
        let read = |path: &[&str]| {
            find(&root, path)
                .unwrap()
                .value
                .get_ref()
                .as_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(read(&["routes", "0", "intercept", "statuses", "0"]), "500");
        assert_eq!(read(&["routes", "0", "intercept", "pass_header"]), "x");
        assert_eq!(read(&["routes", "0", "intercept", "capture", "hold"]), "2s");
        assert_eq!(
            read(&["routes", "0", "intercept", "capture", "drain"]),
            "1B"
        );
        assert_eq!(read(&["routes", "0", "timeouts", "head"]), "3s");
        assert_eq!(read(&["routes", "1", "timeouts", "head"]), "3s");
        assert_eq!(read(&["routes", "1", "intercept", "statuses", "0"]), "5xx");
    }

    #[test]
    fn what_stands_at_a_place_goes_everywhere() {
        let text = "[brand]\nname = 5\n[[routes]]\n[[routes]]\n";
        let mut root = parsed(text);
        lay_sections(&mut root);
        let path = take_out(&mut root, &(15..16));
        assert_eq!(path, Some(vec!["brand".to_owned(), "name".to_owned()]));
        assert!(find(&root, &["brand", "name"]).is_none());
        assert!(find(&root, &["routes", "1", "brand"]).is_some());
        assert!(find(&root, &["routes", "1", "brand", "name"]).is_none());
        assert_eq!(take_out(&mut root, &(15..16)), None);
    }
}
