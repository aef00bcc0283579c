use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use super::markup::{Markup, hash};
use super::*;

const ID: &str = "7Q3K-0ZD8-MX4T-9A2C";
const STATUSES: [u16; 24] = [
    500, 501, 502, 503, 504, 505, 506, 507, 508, 509, 510, 511, 599, 400, 401, 404, 408, 410, 413,
    414, 421, 429, 431, 499,
];

fn brand() -> config::Brand {
    config::Brand {
        name: Some("Example & Söhne".to_owned()),
        logo: None,
        color: Some("#0b5fff".to_owned()),
        support_url: Some("https://example.com/support?ref={request_id}".to_owned()),
        support_email: Some("help@example.com".to_owned()),
        status_url: Some("https://status.example.com".to_owned()),
        home_url: Some("/".to_owned()),
    }
}

fn built_in(brand: &config::Brand) -> Pages {
    built(Pages::build(
        &config::Pages::default(),
        brand,
        Path::new("."),
    ))
}

fn built(result: Result<Pages, Vec<PageProblem>>) -> Pages {
    result.map_err(|problems| format!("{problems:#?}")).unwrap()
}

fn context(status: u16, notice: Notice) -> PageContext<'static> {
    PageContext {
        status: StatusCode::from_u16(status).unwrap(),
        notice,
        request_id: ID,
        time: Timestamp::constant(1_767_323_045, 0),
        host: "shop.example.com",
        path: "/orders/17",
        method: &Method::GET,
        retry_after: None,
    }
}

fn wanted(format: Format) -> Wanted {
    Wanted {
        format,
        language: 0,
    }
}

fn text(page: &Page) -> &str {
    std::str::from_utf8(&page.body).unwrap()
}

/// The structure of a page without its values.
fn shape(format: Format, page: &str) -> String {
    match format {
        Format::Html => {
            let found = Markup::read(page);
            assert_eq!(found.faults, [], "{page}");
            format!("{}<{}>", tags(page), found.styles.len())
        }
        Format::Json => {
            let value: serde_json::Value = serde_json::from_str(page).unwrap();
            let names: Vec<&String> = value.as_object().unwrap().keys().collect();
            format!("{names:?}")
        }
        Format::Xml => {
            let document = roxmltree::Document::parse(page).unwrap();
            let names: Vec<_> = document
                .descendants()
                .map(|node| node.tag_name().name().to_owned())
                .collect();
            format!("{names:?}")
        }
        Format::Text | Format::Grpc => page.lines().count().to_string(),
    }
}

fn tags(page: &str) -> String {
    page.split('<')
        .map(|part| part.split([' ', '>']).next().unwrap())
        .collect::<Vec<_>>()
        .join("<")
}

#[test]
fn every_page_is_well_formed_and_complete() {
    let branded = built_in(&brand());
    let plain = built_in(&config::Brand::default());
    for pages in [&branded, &plain] {
        for (format, status, notice) in all_pages() {
            for (method, retry_after) in [(Method::GET, None), (Method::POST, Some(30))] {
                let context = PageContext {
                    method: &method,
                    retry_after,
                    ..context(status, notice)
                };
                let page = pages.render(&wanted(format), &context);
                assert_eq!(page.status, status);
                assert_eq!(&*page.template, format!("pardon/error{}", format.suffix()));
                assert_eq!(page.headers[CONTENT_LENGTH], page.body.len().to_string());
                assert_eq!(
                    page.headers.contains_key(RETRY_AFTER),
                    retry_after.is_some()
                );
                let body = text(&page);
                assert!(
                    body.contains(ID) && !body.contains("{{") && !body.contains("{%"),
                    "{body}"
                );
                assert!(body.len() < 14 * 1024);
                shape(format, body);
            }
        }
    }
}

fn all_pages() -> impl Iterator<Item = (Format, u16, Notice)> {
    Format::TEMPLATED.into_iter().flat_map(|format| {
        STATUSES.into_iter().flat_map(move |status| {
            Notice::ALL
                .into_iter()
                .map(move |notice| (format, status, notice))
        })
    })
}

#[test]
fn no_value_changes_the_structure_of_a_page() {
    let long_path = format!("/{}", "<'\"&\\\u{202e}".repeat(1200));
    let values = [
        "<script>alert(1)</script>",
        "\" onclick=\"x\" '",
        "]]><x/><![CDATA[",
        "-->",
        "</style></title></textarea>",
        "a\0b\u{1}\u{7f}\u{85}",
        "\u{2028}\u{2029}\u{feff}\u{fffe}",
        "\u{202e}gnp.exe\u{2066}",
        "{{ 7*7 }}{% if %}{# x",
        "\\\",\"status\":200,\"x\":\"",
        "a\r\nReference: other\r\n",
        "&lt;&#0;&amp",
        "javascript:alert(1)",
        &long_path,
    ];
    let fine = PageContext {
        host: "h",
        path: "/p",
        ..context(502, Notice::AppFailed)
    };
    for brand in [brand(), config::Brand::default()] {
        let pages = built_in(&brand);
        for format in Format::TEMPLATED {
            let expected = shape(format, text(&pages.render(&wanted(format), &fine)));
            for value in values {
                let hostile = PageContext {
                    request_id: value,
                    host: value,
                    path: value,
                    ..fine
                };
                let page = pages.render(&wanted(format), &hostile);
                let body = text(&page);
                assert_eq!(
                    shape(format, body),
                    expected,
                    "{format:?} {value:?}\n{body}"
                );
                assert!(!body.contains("49") || value.contains("49"), "{body}");
                assert!(
                    !body.contains(['\0', '\u{202e}', '\u{2028}', '\r']),
                    "{value:?}"
                );
                let shown = PageContext {
                    host: value,
                    path: value,
                    ..fine
                };
                assert!(pages.render(&wanted(format), &shown).body.len() < 14 * 1024);
            }
        }
    }
}

#[test]
fn every_page_forbids_what_it_should() {
    let pages = built_in(&brand());
    let head = |format| {
        pages
            .render(&wanted(format), &context(502, Notice::AppFailed))
            .headers
    };
    for (format, kind) in [
        (Format::Html, "text/html; charset=utf-8"),
        (Format::Json, "application/problem+json"),
        (Format::Xml, "application/problem+xml"),
        (Format::Text, "text/plain; charset=utf-8"),
    ] {
        let headers = head(format);
        assert_eq!(headers["content-type"], kind);
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["content-language"], "en");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["x-robots-tag"], "noindex");
        assert_eq!(
            headers.contains_key("content-security-policy"),
            format == Format::Html
        );
    }
    let page = pages.render(&wanted(Format::Html), &context(502, Notice::AppFailed));
    let (_, rest) = text(&page).split_once("<style>").unwrap();
    let (style, _) = rest.split_once("</style>").unwrap();
    assert_eq!(
        page.headers["content-security-policy"],
        format!(
            "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src '{}'",
            hash(style)
        )
    );
}

#[test]
fn problem_json_says_what_rfc_9457_asks_for() {
    let pages = built_in(&brand());
    let context = PageContext {
        retry_after: Some(30),
        ..context(503, Notice::Busy)
    };
    let page = pages.render(&wanted(Format::Json), &context);
    let problem: serde_json::Value = serde_json::from_slice(&page.body).unwrap();
    for (name, expected) in [
        ("type", "about:blank"),
        ("title", "Service Unavailable"),
        (
            "detail",
            "More people are using the service than it can serve at once.",
        ),
        ("instance", "urn:pardon:7Q3K-0ZD8-MX4T-9A2C"),
        ("request_id", ID),
        (
            "support_url",
            "https://example.com/support?ref=7Q3K-0ZD8-MX4T-9A2C",
        ),
        ("layer", "gateway"),
        ("time", "2026-01-02T03:04:05Z"),
    ] {
        assert_eq!(problem[name], expected, "{name}");
    }
    assert_eq!(problem["status"], 503);
    assert_eq!(problem["retry_after"], 30);
    assert_eq!(page.headers[RETRY_AFTER], "30");
}

#[test]
fn grpc_is_answered_with_trailers_only() {
    let pages = built_in(&brand());
    let page = pages.render(&wanted(Format::Grpc), &context(502, Notice::AppUnreachable));
    assert_eq!(page.status, 200);
    assert!(page.body.is_empty());
    assert_eq!(page.headers["content-type"], "application/grpc");
    assert_eq!(page.headers["grpc-status"], "14");
    assert_eq!(
        page.headers["grpc-message"],
        "We could not connect to the service behind this page. (7Q3K-0ZD8-MX4T-9A2C)"
    );
    let odd = PageContext {
        request_id: "ü%\n",
        ..context(500, Notice::Internal)
    };
    let page = pages.render(&wanted(Format::Grpc), &odd);
    assert_eq!(
        page.headers["grpc-message"],
        "A problem on our side stopped your request. (%C3%BC%25%0A)"
    );
}

#[test]
fn the_page_names_the_host_where_no_brand_is_given() {
    let pages = built_in(&config::Brand::default());
    let page = pages.render(&wanted(Format::Html), &context(500, Notice::AppFailed));
    assert!(text(&page).contains("<span dir=\"auto\">shop.example.com</span>"));
    assert!(text(&page).contains("tell the people who run this site"));
    let nowhere = PageContext {
        host: "",
        request_id: "",
        ..context(500, Notice::AppFailed)
    };
    let page = pages.render(&wanted(Format::Html), &nowhere);
    assert!(!text(&page).contains("<header>") && !text(&page).contains("<output"));
}

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

#[test]
fn a_template_that_would_fail_is_refused_with_its_place() {
    let id = "{{ request_id }}";
    let cases: [(&str, &str, String, &str); 25] = [
        (
            "syntax",
            "502.html.tera",
            format!("<p>{id}\n  {{% if %}}"),
            "502.html.tera:2:9: ",
        ),
        (
            "unknown",
            "502.html.tera",
            format!("{id}\n{{{{ pth }}}}"),
            "502.html.tera:2:4: variable `pth` is not defined",
        ),
        (
            "filter",
            "502.html.tera",
            format!("{id} {{{{ path | shout }}}}"),
            "502.html.tera:1:28: unknown filter `shout`",
        ),
        (
            "include",
            "502.html.tera",
            format!("{id}{{% include \"../x.html.tera\" %}}"),
            "unknown template `../x.html.tera`",
        ),
        (
            "extends",
            "502.html.tera",
            "{% extends \"/etc/passwd\" %}".to_owned(),
            "502.html.tera: extends `/etc/passwd`, which is not there",
        ),
        (
            "circle",
            "502.html.tera",
            format!("{id}{{% include \"502.html.tera\" %}}"),
            "circular",
        ),
        (
            "no-id",
            "502.html.tera",
            "<p>sorry".to_owned(),
            "502.html.tera: its page does not show the reference",
        ),
        (
            "unquoted",
            "502.html.tera",
            format!("{id}<a href={{{{ path }}}}>"),
            "a value could change the structure",
        ),
        (
            "in-script",
            "502.html.tera",
            format!("{id}<script>var p='{{{{ path }}}}'</script>"),
            "styles or scripts differ",
        ),
        (
            "in-style",
            "502.html.tera",
            format!("{id}<style>p::after{{content:'{{{{ request_id }}}}'}}</style>"),
            "styles or scripts differ",
        ),
        (
            "style-attr",
            "502.html.tera",
            format!("<p style='color:red'>{id}"),
            "has a `style` attribute",
        ),
        (
            "handler",
            "502.html.tera",
            format!("<p onclick='x()'>{id}"),
            "has an `onclick` attribute",
        ),
        (
            "outside",
            "502.html.tera",
            format!("<img src=https://cdn.example/x.png>{id}"),
            "would fetch `https://cdn.example/x.png`",
        ),
        (
            "form",
            "502.html.tera",
            format!("<form>{id}</form>"),
            "has a form",
        ),
        (
            "json",
            "error.json.tera",
            "{\"id\": \"{{ request_id }}\", \"retry\": {{ retry_after }}}".to_owned(),
            "error.json.tera: its page is not JSON",
        ),
        (
            "json-raw",
            "error.json.tera",
            "{\"id\": \"{{ request_id }}\", \"n\": {{ path }}}".to_owned(),
            "its page is not JSON",
        ),
        (
            "xml",
            "error.xml.tera",
            "<a>{{ request_id }}<b></a>".to_owned(),
            "error.xml.tera: its page is not well-formed XML",
        ),
        (
            "text",
            "error.txt.tera",
            "sorry".to_owned(),
            "error.txt.tera: its page does not show the reference",
        ),
        (
            "huge",
            "502.txt.tera",
            format!(
                "{id}{{% for a in range(end=100) %}}{{% for b in range(end=100) %}}{}{{% endfor %}}{{% endfor %}}",
                "x".repeat(30)
            ),
            "502.txt.tera: makes a page of more than 256 KiB",
        ),
        (
            "deep",
            "502.txt.tera",
            format!(
                "{id}{}{}",
                "{% for a in range(end=9) %}".repeat(4),
                "{% endfor %}".repeat(4)
            ),
            "502.txt.tera: loops nest more than 3 deep",
        ),
        (
            "range",
            "502.txt.tera",
            format!("{id}{{{{ range(end=1000000) }}}}"),
            "`range` counts at most to 100",
        ),
        (
            "status",
            "50x.html.tera",
            id.to_owned(),
            "50x.html.tera: a template for no status that has pages",
        ),
        (
            "format",
            "502.htm.tera",
            id.to_owned(),
            "502.htm.tera: a template of no known format",
        ),
        (
            "reserved",
            "pardon/error.html.tera",
            id.to_owned(),
            "the folder `pardon` is taken",
        ),
        (
            "component",
            "x.html.tera",
            "{% component A() %}a{% endcomponent A %}".to_owned(),
            "x.html.tera: components are not available here",
        ),
    ];
    for (name, file, source, expected) in cases {
        let problems = Templates::new(name, &[(file, &source)]).problems();
        let said = problems.join("\n");
        assert!(
            said.to_lowercase().contains(&expected.to_lowercase()),
            "{name}: {said}"
        );
        assert_eq!(problems.len(), 1, "{name}: {said}");
    }
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
    assert_eq!(
        problems.len(),
        1,
        "unreadable files come first: {problems:#?}"
    );
    let _ = fs::remove_file(folder.0.join("50x.txt.tera"));
    assert_eq!(folder.problems().len(), 3, "{:#?}", folder.problems());
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

/// Prints times and sizes: `cargo test --release --lib page -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn measure() {
    let branded = built_in(&brand());
    let plain = built_in(&config::Brand::default());
    let mut headers = HeaderMap::new();
    headers.insert(
        "accept",
        HeaderValue::from_static("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    );
    for (name, pages) in [("branded", &branded), ("plain", &plain)] {
        for format in Format::TEMPLATED {
            let context = context(502, Notice::AppFailed);
            let length = pages.render(&wanted(format), &context).body.len();
            let took = per_run(|| drop(pages.render(&wanted(format), &context)));
            let values = per_run(|| drop(pages.values(&pages.english, &context)));
            eprintln!("{name} {format:?}: {length} bytes, {took} ns, of which values {values} ns");
        }
    }
    let negotiated = per_run(|| _ = branded.negotiate(&headers, None));
    headers.insert(
        "accept",
        HeaderValue::from_static("application/json;q=0.9, text/plain, */*;q=0.1"),
    );
    let counted = per_run(|| _ = branded.negotiate(&headers, None));
    eprintln!("negotiate: browser {negotiated} ns, counted {counted} ns");
}

fn per_run(mut run: impl FnMut()) -> u128 {
    const RUNS: u32 = 200_000;
    for _ in 0..RUNS / 10 {
        run();
    }
    let begun = Instant::now();
    for _ in 0..RUNS {
        run();
    }
    begun.elapsed().as_nanos() / u128::from(RUNS)
}
