//! The built-in templates by name: a design for whole pages each, the parts that they share, and what serves frames and scripts.

use crate::config::Theme;

use super::Format;
use super::folder::BUILT_IN;

macro_rules! html {
    ($($name:literal),* $(,)?) => {
        [$((
            concat!("pardon/", $name, ".html.tera"),
            include_str!(concat!("../../templates/html/", $name, ".html.tera")),
        )),*]
    };
}

/// Every built-in template of HTML.
const HTML: [(&str, &str); 14] = html![
    "plain",
    "calm",
    "compact",
    "dense",
    "retro",
    "fragment",
    "head",
    "style",
    "brand",
    "words",
    "reference",
    "actions",
    "facts",
    "script",
];

/// The built-in templates of a format, by the names that they have beside own ones.
pub(super) fn templates(format: Format) -> &'static [(&'static str, &'static str)] {
    match format {
        Format::Html => &HTML,
        Format::Json => &[(
            "pardon/error.json.tera",
            include_str!("../../templates/error.json.tera"),
        )],
        Format::Xml => &[(
            "pardon/error.xml.tera",
            include_str!("../../templates/error.xml.tera"),
        )],
        Format::Text | Format::Grpc => &[(
            "pardon/error.txt.tera",
            include_str!("../../templates/error.txt.tera"),
        )],
    }
}

/// The template of whole pages in a format.
pub(super) fn page(format: Format, theme: Theme) -> String {
    match format {
        Format::Html => html(theme.name()),
        other => format!("{BUILT_IN}error{}", other.suffix()),
    }
}

/// The template of HTML with this name.
pub(super) fn html(name: &str) -> String {
    format!("{BUILT_IN}{name}{}", Format::Html.suffix())
}

/// The template of a theme, to begin an own one with: as `error.html.tera` it makes the same pages. Its parts are always at hand.
#[must_use]
pub fn source(theme: Theme) -> &'static str {
    let name = html(theme.name());
    let found = HTML.iter().find(|(other, _)| *other == name);
    found.map_or("", |(_, source)| source)
}
