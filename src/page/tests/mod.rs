//! Pages of the built-in templates, in every format, for every status and notice.

mod own_templates;
mod themes;

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
        planned: None,
    }
}

fn wanted(format: Format) -> Wanted {
    Wanted {
        format,
        language: 0,
        extent: Extent::Page,
        turbo_frame: None,
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
                assert_eq!(*page.template, theme::page(format, config::Theme::Plain));
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
fn a_page_laid_out_in_advance_is_the_page_that_the_template_makes() {
    let hostile = "/<b>\"'&\\\u{202e}\u{e0f0}\u{e100}";
    for brand in [brand(), config::Brand::default()] {
        let pages = built_in(&brand);
        for (format, status, notice) in all_pages() {
            for (path, retry_after) in [
                ("/", None),
                (hostile, Some(30)),
                (hostile, Some(0)),
                ("", None),
            ] {
                let context = PageContext {
                    path,
                    host: hostile,
                    retry_after,
                    ..context(status, notice)
                };
                let values = Values::new(&context, &pages.look, &pages.english);
                let book = pages
                    .books
                    .iter()
                    .find(|book| book.format == format)
                    .unwrap();
                let expected = book
                    .try_render(book.built_in.sheet(Extent::Page), &values.context())
                    .unwrap();
                let page = pages.render(&wanted(format), &context);
                assert_eq!(text(&page), str::from_utf8(&expected).unwrap());
            }
        }
    }
    let pages = built_in(&brand());
    for book in &pages.books {
        let templates = theme::templates(book.format);
        let plain = sandbox::plain_templates(&templates.iter().copied().collect());
        assert_eq!(plain.len(), templates.len());
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
    let (style, rest) = rest.split_once("</style>").unwrap();
    let (_, rest) = rest.split_once("<script>").unwrap();
    let (script, _) = rest.split_once("</script>").unwrap();
    assert_eq!(
        page.headers["content-security-policy"],
        format!(
            "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src '{}'; script-src '{}'",
            hash(style),
            hash(script)
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

#[test]
fn pages_are_shared_by_workers() {
    fn shared<T: Send + Sync>() {}
    shared::<Pages>();
}
