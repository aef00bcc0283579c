//! Templates of one's own: which one serves, and which are refused.

use std::fs;
use std::path::PathBuf;

use super::super::markup::hash;
use super::super::*;
use super::{ID, brand, built, context, text, wanted};

/// A folder that goes with its test.
struct Templates(PathBuf);

impl Templates {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("pardon-pages-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        for (file, source) in files {
            let file = path.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, source).unwrap();
        }
        Self(path)
    }

    fn build(&self) -> Result<Pages, Vec<PageProblem>> {
        let section = config::Pages {
            folder: Some("".into()),
            ..config::Pages::default()
        };
        Pages::build(&section, &brand(), &self.0)
    }

    fn problems(&self) -> Vec<String> {
        let problems = self.build().err().unwrap_or_default();
        let prefix = format!("{}/", self.0.display());
        problems
            .iter()
            .map(|problem| problem.to_string().replace(&prefix, ""))
            .collect()
    }
}

impl Drop for Templates {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn own_templates_come_before_the_built_in_one() {
    let folder = Templates::new(
        "order",
        &[
            (
                "502.html.tera",
                "<p>own 502 {{ request_id }}{% include \"parts/foot.html.tera\" %}",
            ),
            (
                "5xx.html.tera",
                "<style>a{}</style><p>own 5xx {{ request_id }}",
            ),
            ("error.html.tera", "<p>own error {{ request_id }}"),
            ("error.txt.tera", "own text {{ request_id }} {{ path }}"),
            ("parts/foot.html.tera", "<hr>{{ path | safe }}"),
            ("..data/502.html.tera", "{{ a copy of Kubernetes"),
            ("README.md", "{{ no template"),
        ],
    );
    let pages = built(folder.build());
    for (format, status, template, start) in [
        (Format::Html, 502, "502.html.tera", "<p>own 502 7Q3K"),
        (
            Format::Html,
            503,
            "5xx.html.tera",
            "<style>a{}</style><p>own 5xx",
        ),
        (Format::Html, 404, "error.html.tera", "<p>own error"),
        (Format::Json, 502, "pardon/error.json.tera", "{"),
        (Format::Text, 502, "error.txt.tera", "own text"),
    ] {
        let page = pages.render(&wanted(format), &context(status, Notice::AppFailed));
        assert_eq!(&*page.template, template);
        assert!(text(&page).starts_with(start), "{}", text(&page));
    }
    let hostile = PageContext {
        path: "/<b>",
        ..context(502, Notice::AppFailed)
    };
    let page = pages.render(&wanted(Format::Html), &hostile);
    assert!(text(&page).ends_with("<hr>/&lt;b&gt;"), "{}", text(&page));
    let page = pages.render(&wanted(Format::Html), &context(503, Notice::AppFailed));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.ends_with(&format!("style-src '{}'", hash("a{}"))),
        "{policy}"
    );
}

/// A name, a file, its source, and what is said about it.
type Case = (&'static str, &'static str, &'static str, &'static str);

const BROKEN: [Case; 10] = [
    (
        "syntax",
        "502.html.tera",
        "<p>{{ request_id }}\n  {% if %}",
        "502.html.tera:2:9: ",
    ),
    (
        "unknown",
        "502.html.tera",
        "{{ request_id }}\n{{ pth }}",
        "502.html.tera:2:4: variable `pth` is not defined",
    ),
    (
        "filter",
        "502.html.tera",
        "{{ request_id }} {{ path | shout }}",
        "502.html.tera:1:28: unknown filter `shout`",
    ),
    (
        "include",
        "502.html.tera",
        "{{ request_id }}{% include \"../x.html.tera\" %}",
        "502.html.tera:1:28: unknown template `../x.html.tera`",
    ),
    (
        "extends",
        "502.html.tera",
        "{% extends \"/etc/passwd\" %}",
        "502.html.tera: extends `/etc/passwd`, which is not there",
    ),
    (
        "circle",
        "502.html.tera",
        "{{ request_id }}{% include \"502.html.tera\" %}",
        "circular",
    ),
    (
        "status",
        "50x.html.tera",
        "{{ request_id }}",
        "50x.html.tera: a template for no status that has pages",
    ),
    (
        "format",
        "502.htm.tera",
        "{{ request_id }}",
        "502.htm.tera: a template of no known format",
    ),
    (
        "reserved",
        "pardon/error.html.tera",
        "{{ request_id }}",
        "the folder `pardon` is taken",
    ),
    (
        "component",
        "x.html.tera",
        "{% component A() %}a{% endcomponent A %}",
        "x.html.tera: components are not available here",
    ),
];

const UNFIT: [Case; 13] = [
    (
        "no-id",
        "502.html.tera",
        "<p>sorry",
        "502.html.tera: its page does not show the reference",
    ),
    (
        "text",
        "error.txt.tera",
        "sorry",
        "error.txt.tera: its page does not show the reference",
    ),
    (
        "unquoted",
        "502.html.tera",
        "{{ request_id }}<a href={{ path }}>",
        "a value could change the structure",
    ),
    (
        "in-script",
        "502.html.tera",
        "{{ request_id }}<script>var p='{{ path }}'</script>",
        "styles or scripts differ",
    ),
    (
        "in-style",
        "502.html.tera",
        "{{ request_id }}<style>p::after{content:'{{ request_id }}'}</style>",
        "styles or scripts differ",
    ),
    (
        "style-attr",
        "502.html.tera",
        "<p style='color:red'>{{ request_id }}",
        "502.html.tera:1:3: has a `style` attribute",
    ),
    (
        "handler",
        "502.html.tera",
        "<p onclick='x()'>{{ request_id }}",
        "502.html.tera:1:4: has an `onclick` attribute",
    ),
    (
        "outside",
        "502.html.tera",
        "<img src=https://cdn.example/x.png>{{ request_id }}",
        "502.html.tera:1:10: would fetch `https://cdn.example/x.png`",
    ),
    (
        "form",
        "502.html.tera",
        "<form>{{ request_id }}</form>",
        "502.html.tera:1:1: has a form",
    ),
    (
        "json",
        "error.json.tera",
        "{\"id\": \"{{ request_id }}\", \"retry\": {{ retry_after }}}",
        "error.json.tera: its page is not JSON",
    ),
    (
        "json-raw",
        "error.json.tera",
        "{\"id\": \"{{ request_id }}\", \"n\": {{ path }}}",
        "its page is not JSON",
    ),
    (
        "xml",
        "error.xml.tera",
        "<a>{{ request_id }}<b></a>",
        "error.xml.tera: its page is not well-formed XML",
    ),
    (
        "unescaped",
        "502.html.tera",
        "{{ request_id }}{% set lt %}<{% endset %}{{ path | replace(from=\"&lt;\", to=lt) }}<hr>",
        "a value could change the structure",
    ),
];

const COSTLY: [Case; 3] = [
    (
        "huge",
        "502.txt.tera",
        "{{ request_id }}{% for a in range(end=100) %}{% for b in range(end=100) %}123456789 123456789 1234567890{% endfor %}{% endfor %}",
        "502.txt.tera: makes a page of more than 256 KiB",
    ),
    (
        "deep",
        "502.txt.tera",
        "{{ request_id }}{% for a in path %}{% for b in path %}{% for c in path %}{% for d in path %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
        "502.txt.tera: loops nest more than 3 deep",
    ),
    (
        "range",
        "502.txt.tera",
        "{{ request_id }}{{ range(end=1000000) }}",
        "`range` counts at most to 100",
    ),
];

#[test]
fn a_template_that_would_fail_is_refused_with_its_place() {
    for (name, file, source, expected) in BROKEN.iter().chain(&UNFIT).chain(&COSTLY) {
        let problems = Templates::new(name, &[(file, source)]).problems();
        let said = problems.join("\n");
        assert!(
            said.to_lowercase().contains(&expected.to_lowercase()),
            "{name}: {said}"
        );
        assert_eq!(problems.len(), 1, "{name}: {said}");
    }
}

#[test]
fn a_problem_of_a_part_is_found_in_the_part() {
    let folder = Templates::new(
        "part",
        &[
            (
                "502.html.tera",
                "<p>{{ request_id }}{% include \"parts/foot.html.tera\" %}",
            ),
            ("parts/foot.html.tera", "<hr>\n  <img src='/x.png'>"),
        ],
    );
    let said = folder.problems().join("\n");
    assert!(
        said.starts_with("parts/foot.html.tera:2:13: would fetch `/x.png`"),
        "{said}"
    );
}

#[test]
fn a_page_that_is_longer_than_it_should_be_is_warned_of() {
    let long = format!("{{{{ request_id }}}}\n{}", "x".repeat(14 * 1024));
    let folder = Templates::new(
        "long",
        &[
            ("502.txt.tera", &long),
            ("503.txt.tera", "{{ request_id }}"),
        ],
    );
    let pages = built(folder.build());
    let [warning] = pages.warnings() else {
        panic!("{:?}", pages.warnings());
    };
    let said = warning.to_string();
    assert!(
        said.contains("502.txt.tera: makes pages of up to 14356 bytes, more than 14336"),
        "{said}"
    );
}

#[test]
fn all_problems_are_found_at_once() {
    let folder = Templates::new(
        "several",
        &[
            ("502.html.tera", "{% if %}"),
            ("503.html.tera", "{{ }}"),
            ("error.json.tera", "{\"id\": \"{{ request_id }}\""),
            ("50x.txt.tera", ""),
        ],
    );
    let problems = folder.problems();
    assert_eq!(problems.len(), 4, "{problems:#?}");
}

#[test]
fn a_loop_that_only_a_long_path_makes_slow_is_found() {
    let nested = format!(
        "{{{{ request_id }}}}{}{}",
        "{% for a in path %}".repeat(3),
        "{% endfor %}".repeat(3)
    );
    let said = Templates::new("slow", &[("502.txt.tera", &nested)])
        .problems()
        .join("\n");
    assert!(
        said.contains("takes too long") || said.contains("come to no end"),
        "{said}"
    );
}

#[test]
fn a_template_that_fails_later_gives_way_to_the_built_in_one() {
    let source =
        "{{ request_id }}{% if path == \"/boom\" %}{{ throw(message=\"boom\") }}{% endif %}";
    let pages = built(Templates::new("later", &[("502.txt.tera", source)]).build());
    let boom = PageContext {
        path: "/boom",
        ..context(502, Notice::AppFailed)
    };
    let page = pages.render(&wanted(Format::Text), &boom);
    assert_eq!(&*page.template, "pardon/error.txt.tera");
    assert!(text(&page).contains(ID));
    assert_eq!(
        text(&last_resort(&pages.english, &boom)),
        format!("Something went wrong. Please try again later.\n\nReference: {ID}\n")
    );
}
