//! No value changes the structure of a page: what a configuration or a request brings is a text in its place, in every format.
//!
//! Values are made from pieces that end an element, an attribute, a string, a header or a script somewhere, by a generator with a
//! fixed seed. Each page is read by a parser of its format, and what is left without its values must be that of a harmless page.

mod hostile;
mod shape;

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use pardon::config::{Brand, Config, Pages as Section, Theme};
use pardon::page::{Format, Notice, Page, PageContext, Pages, Planned};

use crate::support::Folder;
use hostile::{Hostile, quoted};
use shape::Shape;

/// Visits and brands that are tried: a brand costs a trial of every template.
const VISITS: usize = 800;
const BRANDS: usize = 5;
/// One language of each direction; the property test is not about words.
const LANGUAGES: [&str; 2] = ["en", "ar"];
const FORMATS: [Format; 5] = [
    Format::Html,
    Format::Json,
    Format::Xml,
    Format::Text,
    Format::Grpc,
];
const NOTICES: [(u16, Notice); 4] = [
    (502, Notice::AppFailed),
    (502, Notice::AppUnreachable),
    (503, Notice::Busy),
    (404, Notice::Refused),
];

/// What a request brings.
#[derive(Clone, Debug)]
struct Visit {
    id: String,
    note: String,
    host: String,
    path: String,
    method: Method,
    language: HeaderValue,
}

impl Visit {
    fn harmless(method: Method) -> Self {
        Self {
            id: "7Q3K-0ZD8-MX4T-9A2C".to_owned(),
            host: "shop.example".to_owned(),
            note: "Moving".to_owned(),
            path: "/cart".to_owned(),
            method,
            language: HeaderValue::from_static("en"),
        }
    }

    fn hostile(hostile: &mut Hostile) -> Self {
        let language = hostile.text().replace(|c: char| c.is_control(), "");
        Self {
            id: hostile.text(),
            note: hostile.text(),
            host: hostile.text(),
            path: format!("/{}", hostile.text()),
            method: Method::from_bytes(hostile.token().as_bytes()).unwrap(),
            language: HeaderValue::from_bytes(language.as_bytes()).unwrap(),
        }
    }

    fn page(&self, pages: &Pages, format: Format, (status, notice): (u16, Notice)) -> Page {
        let headers: HeaderMap = [(http::header::ACCEPT_LANGUAGE, self.language.clone())]
            .into_iter()
            .collect();
        let mut wanted = pages.negotiate(&headers, None);
        wanted.format = format;
        let context = PageContext {
            status: StatusCode::from_u16(status).unwrap(),
            notice,
            request_id: &self.id,
            time: Timestamp::UNIX_EPOCH,
            host: &self.host,
            path: &self.path,
            method: &self.method,
            retry_after: Some(30),
            planned: Some(Planned {
                message: &self.note,
                until: Some(Timestamp::UNIX_EPOCH),
            }),
        };
        pages.render(&wanted, &context)
    }
}

fn harmless_brand() -> Brand {
    Brand {
        name: Some("The Shop".to_owned()),
        logo: Some("logo.svg".into()),
        color: Some("#0b5fff".to_owned()),
        support_url: Some("https://example.com/support?ref={request_id}".to_owned()),
        support_email: Some("help@example.com".to_owned()),
        status_url: Some("https://status.example.com/".to_owned()),
        home_url: Some("/".to_owned()),
    }
}

/// A brand of hostile values, each after a beginning that its key asks for, so that some are taken.
fn hostile_brand(hostile: &mut Hostile) -> Brand {
    let link = |hostile: &mut Hostile| Some(format!("{}{}", hostile.link(), hostile.word()));
    Brand {
        name: Some(hostile.text()),
        logo: Some("logo.svg".into()),
        color: Some(hostile.color()),
        support_url: link(hostile),
        support_email: Some(format!("{}@example.com", hostile.word())),
        status_url: link(hostile),
        home_url: link(hostile),
    }
}

fn sections(folder: &Folder) -> Vec<Section> {
    let of = |theme, folder| Section {
        folder,
        theme,
        languages: LANGUAGES.map(str::to_owned).to_vec(),
        ..Section::default()
    };
    let own = of(Theme::Plain, Some(folder.path().join("own")));
    let built_in = Theme::ALL.map(|theme| of(theme, None));
    built_in.into_iter().chain([own]).collect()
}

fn own_templates(folder: &Folder) {
    for (name, source) in [
        (
            "own/502.html.tera",
            "<title>{{ title }}</title><style>:root{ {{- brand.css -}} }</style><img src=\"{{ brand.logo }}\" alt=\"{{ brand.name }}\">\
             <a href='{{ support_url }}' title='{{ path }}'>{{ host }}</a><a href=\"{{ support_mailto }}\">{{ method }}</a>\
             <a href=\"/?from={{ path | urlencode }}&amp;id={{ request_id | urlencode }}\">{{ request_id }}</a>\
             <textarea>{{ path }}</textarea><!-- {{ host }} -->{{ path | upper }}{{ host | truncate(length=9) }}",
        ),
        (
            "own/502.json.tera",
            "{\"id\":\"{{ request_id }}\",\"where\":[\"{{ host }}\",\"{{ path | upper }}\"],\"{{ brand.name }}\":{{ status }}}",
        ),
        (
            "own/502.xml.tera",
            "<a b=\"{{ path }}\" c='{{ host }}'>{{ request_id }}<d>{{ brand.name }}</d>{{ support_url }}</a>",
        ),
        (
            "own/502.txt.tera",
            "{{ request_id }} {{ host }}{{ path }}\n{{ brand.name }}\n{{ method }}\n",
        ),
    ] {
        folder.write(name, source);
    }
}

fn fine(section: &Section, brand: &Brand, folder: &Folder) -> Pages {
    let built = Pages::build(section, brand, folder.path());
    built.map_err(|problems| format!("{problems:#?}")).unwrap()
}

fn built(section: &Section, brand: &Brand, folder: &Folder) -> Option<Pages> {
    Pages::build(section, brand, folder.path()).ok()
}

/// Every way that a page can be, of a harmless brand and request: what all others must look like.
fn expected(pages: &Pages, method: &Method) -> BTreeMap<String, Shape> {
    let mut shapes = BTreeMap::new();
    for format in FORMATS {
        for notice in NOTICES {
            let page = Visit::harmless(method.clone()).page(pages, format, notice);
            shapes.insert(format!("{format:?} {notice:?}"), Shape::of(&page));
        }
    }
    shapes
}

#[test]
fn no_value_of_a_request_changes_the_structure_of_a_page() {
    let folder = Folder::new();
    folder.write("logo.svg", "<svg/>");
    own_templates(&folder);
    let mut hostile = Hostile::seeded(1);
    for section in sections(&folder) {
        let pages = fine(&section, &harmless_brand(), &folder);
        // What no one knows may have changed something, as a POST.
        let expected = expected(&pages, &Method::POST);
        for _ in 0..VISITS {
            let visit = Visit::hostile(&mut hostile);
            let (format, notice) = (hostile.one(&FORMATS), hostile.one(&NOTICES));
            let page = visit.page(&pages, format, notice);
            let shape = Shape::of(&page);
            let expected = &expected[&format!("{format:?} {notice:?}")];
            assert_eq!(&shape, expected, "{visit:?}\n{page:?}");
        }
    }
}

/// A value that would is refused; one that is taken does not.
#[test]
fn no_value_of_a_brand_changes_the_structure_of_a_page() {
    let folder = Folder::new();
    own_templates(&folder);
    let mut hostile = Hostile::seeded(2);
    let mut taken = 0;
    for section in sections(&folder) {
        folder.write("logo.svg", "<svg/>");
        let pages = fine(&section, &harmless_brand(), &folder);
        let expected = expected(&pages, &Method::GET);
        for _ in 0..BRANDS {
            folder.write("logo.svg", format!("<svg>{}", hostile.text()));
            let whole = hostile_brand(&mut hostile);
            for brand in one_by_one(&whole) {
                let Some(pages) = built(&section, &brand, &folder) else {
                    continue;
                };
                taken += 1;
                for format in FORMATS {
                    let notice = hostile.one(&NOTICES);
                    let page = Visit::harmless(Method::GET).page(&pages, format, notice);
                    let expected = &expected[&format!("{format:?} {notice:?}")];
                    assert_eq!(&Shape::of(&page), expected, "{brand:?}\n{page:?}");
                }
            }
        }
    }
    assert!(taken > 12 * BRANDS, "only {taken} brands were taken");
}

/// All of a hostile brand, and each of its values in a harmless one: a brand is refused as a whole.
fn one_by_one(hostile: &Brand) -> Vec<Brand> {
    let fine = harmless_brand;
    let hostile = || hostile.clone();
    vec![
        hostile(),
        Brand {
            name: hostile().name,
            ..fine()
        },
        Brand {
            color: hostile().color,
            ..fine()
        },
        Brand {
            support_url: hostile().support_url,
            ..fine()
        },
        Brand {
            support_email: hostile().support_email,
            ..fine()
        },
        Brand {
            status_url: hostile().status_url,
            ..fine()
        },
        Brand {
            home_url: hostile().home_url,
            ..fine()
        },
    ]
}

/// Words and a language of one's own are a configuration's values too.
#[test]
fn no_word_of_a_catalogue_changes_the_structure_of_a_page() {
    let folder = Folder::new();
    folder.write("logo.svg", "<svg/>");
    let english = include_str!("../../templates/locales/en.toml");
    let section = Section {
        folder: Some(folder.path().join("words")),
        languages: vec!["en".to_owned()],
        ..Section::default()
    };
    folder.write("words/locales/en.toml", english);
    let mut hostile = Hostile::seeded(3);
    let expected = expected(&fine(&section, &harmless_brand(), &folder), &Method::GET);
    for _ in 0..BRANDS {
        let words: String = english
            .lines()
            .map(|line| hostile.reworded(line) + "\n")
            .collect();
        folder.write("words/locales/en.toml", &words);
        let pages = fine(&section, &harmless_brand(), &folder);
        for format in FORMATS {
            let notice = hostile.one(&NOTICES);
            let page = Visit::harmless(Method::GET).page(&pages, format, notice);
            let expected = &expected[&format!("{format:?} {notice:?}")];
            assert_eq!(&Shape::of(&page), expected, "{words}\n{page:?}");
        }
    }
}

#[test]
fn a_language_is_a_tag_and_nothing_else() {
    let folder = Folder::new();
    let english = include_str!("../../templates/locales/en.toml");
    let section = Section {
        folder: Some(folder.path().join("words")),
        ..Section::default()
    };
    for tag in [
        "en\\\" onclick=\\\"x",
        "../../en",
        "",
        "en us",
        "-",
        "en\\r\\nX-A: b",
    ] {
        let words = english.replace("language = \"en\"", &format!("language = \"{tag}\""));
        folder.write("words/locales/own.toml", words);
        assert!(
            built(&section, &Brand::default(), &folder).is_none(),
            "{tag}"
        );
    }
}

/// The whole configuration, from its text on.
#[test]
fn a_hostile_configuration_is_refused_or_makes_the_same_pages() {
    let folder = Folder::new();
    let mut hostile = Hostile::seeded(4);
    let default = fine(&Section::default(), &harmless_name(), &folder);
    let expected = expected(&default, &Method::GET);
    for _ in 0..BRANDS {
        let name = hostile.text();
        let value = quoted(&name);
        folder.write(
            "pardon.toml",
            format!(
                "[upstreams.app]\nendpoints = [\"http://127.0.0.1:1\"]\n[brand]\nname = {value}\n"
            ),
        );
        let Ok(loaded) = pardon::config::load(&folder.path().join("pardon.toml")) else {
            continue;
        };
        let Config { pages, brand, .. } = &loaded.config;
        let pages = fine(pages, brand, &folder);
        for format in FORMATS {
            let page = Visit::harmless(Method::GET).page(&pages, format, NOTICES[0]);
            let expected = &expected[&format!("{format:?} {:?}", NOTICES[0])];
            assert_eq!(&Shape::of(&page), expected, "{name:?}\n{page:?}");
        }
    }
}

fn harmless_name() -> Brand {
    Brand {
        name: Some("The Shop".to_owned()),
        ..Brand::default()
    }
}
