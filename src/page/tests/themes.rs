//! The built-in designs, what frames and scripts get, and what a page offers to do.

use std::fs;

use http::HeaderName;

use super::super::markup::Markup;
use super::super::*;
use super::{ID, brand, built, context, shape, text, wanted};
use crate::config::Theme;

fn pages(change: impl FnOnce(&mut config::Pages), brand: &config::Brand) -> Pages {
    let mut section = config::Pages::default();
    change(&mut section);
    built(Pages::build(&section, brand, Path::new(".")))
}

fn themed(theme: Theme) -> Pages {
    pages(|pages| pages.theme = theme, &brand())
}

fn html(pages: &Pages, context: &PageContext<'_>) -> String {
    text(&pages.render(&wanted(Format::Html), context)).to_owned()
}

fn for_headers(pages: &Pages, given: &[(&'static str, &'static str)]) -> Page {
    let mut headers: HeaderMap = given
        .iter()
        .map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        })
        .collect();
    headers.insert("accept", HeaderValue::from_static("text/html, */*;q=0.1"));
    let wanted = pages.negotiate(&headers, None);
    pages.render(&wanted, &context(502, Notice::AppFailed))
}

#[test]
fn every_theme_makes_sound_pages_of_its_own() {
    let mut seen = Vec::new();
    for theme in Theme::ALL {
        let pages = themed(theme);
        for language in pages.languages().map(str::to_owned).collect::<Vec<_>>() {
            let wanted = pages.wanted(Format::Html, Some(&language)).unwrap();
            let page = pages.render(&wanted, &context(504, Notice::AppTooSlow));
            assert_eq!(*page.template, format!("pardon/{}.html.tera", theme.name()));
            let found = Markup::read(text(&page));
            assert_eq!(found.faults, []);
            for expected in [ID, "<main>", "<h1>", "</html>", "user-select:all"] {
                assert!(
                    text(&page).contains(expected),
                    "{} {expected}",
                    theme.name()
                );
            }
            seen.push(found.styles);
        }
        // An own template that is the theme's makes the same page.
        assert!(theme::source(theme).contains("{% include \"pardon/head.html.tera\" %}"));
    }
    seen.dedup();
    assert_eq!(seen.len(), Theme::ALL.len());
}

#[test]
fn every_page_fits_the_first_flight_with_the_largest_logo() {
    let folder = std::env::temp_dir().join(format!("pardon-logo-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let build = |bytes: usize, theme: Theme| {
        fs::write(folder.join("logo.svg"), format!("{:bytes$}", "<svg/>")).unwrap();
        let brand = config::Brand {
            logo: Some("logo.svg".into()),
            ..brand()
        };
        let section = config::Pages {
            theme,
            ..config::Pages::default()
        };
        Pages::build(&section, &brand, &folder)
    };
    let refused = build(3585, Theme::Plain).err().unwrap();
    assert_eq!(refused.len(), 1);
    let all = Theme::ALL.map(|theme| built(build(3584, theme)));
    fs::remove_dir_all(&folder).unwrap();
    for pages in all {
        let context = PageContext {
            retry_after: Some(60),
            ..context(503, Notice::AppUnreachable)
        };
        for language in pages.languages().map(str::to_owned).collect::<Vec<_>>() {
            let wanted = pages.wanted(Format::Html, Some(&language)).unwrap();
            let page = pages.render(&wanted, &context);
            assert!(text(&page).contains("<img src=\"data:image/svg+xml;base64,"));
            let (name, length) = (&page.template, page.body.len());
            assert!(length < 14 * 1024, "{name} in {language}: {length}");
        }
    }
}

#[test]
fn a_frame_gets_the_compact_page_and_a_script_a_fragment() {
    let pages = themed(Theme::Calm);
    let frame = for_headers(&pages, &[("sec-fetch-dest", "iframe")]);
    assert_eq!(&*frame.template, "pardon/compact.html.tera");
    assert!(text(&frame).starts_with("<!doctype html>"));
    assert!(
        frame.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("style-src")
    );
    for scripted in [
        [("sec-fetch-dest", "empty")],
        [("hx-request", "true")],
        [("x-requested-with", "XMLHttpRequest")],
    ] {
        let page = for_headers(&pages, &scripted);
        assert_eq!(&*page.template, "pardon/fragment.html.tera");
        let body = text(&page);
        assert!(
            body.starts_with("<section class=\"pardon\" lang=\"en\" dir=\"ltr\""),
            "{body}"
        );
        assert!(body.contains(ID) && !body.contains("<style") && !body.contains("<script"));
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    }
    let turbo = for_headers(&pages, &[("turbo-frame", "cart")]);
    assert!(text(&turbo).starts_with("<turbo-frame id=\"cart\">\n<section"));
    assert!(text(&turbo).trim_end().ends_with("</turbo-frame>"));
}

#[test]
fn trying_again_is_offered_where_it_may_help_and_does_no_harm() {
    let (auto, off) = (
        themed(Theme::Plain),
        pages(|pages| pages.refresh = config::Refresh::Off, &brand()),
    );
    let post = Method::POST;
    for (status, method, retry_after, link, waits) in [
        (502, &Method::GET, None, true, Some(8)),
        (503, &Method::GET, Some(30), true, Some(30)),
        (503, &Method::GET, Some(2), true, Some(8)),
        (504, &Method::GET, Some(3600), true, None),
        (500, &Method::GET, None, false, None),
        (404, &Method::GET, None, false, None),
        (502, &post, None, false, None),
    ] {
        let context = PageContext {
            method,
            retry_after,
            ..context(status, Notice::AppFailed)
        };
        for (pages, waits) in [(&auto, waits), (&off, None)] {
            let page = html(pages, &context);
            assert_eq!(
                page.contains("<a href=\"\">Try again</a>"),
                link,
                "{status} {method}"
            );
            let data = waits.map(|seconds| format!("data-after=\"{seconds}\""));
            let is_there = data.map_or(!page.contains("data-after"), |data| page.contains(&data));
            assert!(is_there, "{status} {method}: {page}");
        }
    }
}

#[test]
fn links_to_support_tell_what_happened() {
    let brand = config::Brand {
        support_url: Some("/help?r={request_id}&t={time}&p={path}&l={language}".to_owned()),
        ..brand()
    };
    let pages = pages(|_| {}, &brand);
    let odd = PageContext {
        path: "/a&b=\"<ü>",
        ..context(500, Notice::AppFailed)
    };
    let page = html(&pages, &odd);
    let url = format!(
        "/help?r={ID}&amp;t=2026-01-02T03%3A04%3A05Z&amp;p=%2Fa%26b%3D%22%3C%C3%BC%3E&amp;l=en"
    );
    assert!(page.contains(&format!("href=\"{url}\"")), "{page}");
    let mail = format!(
        "mailto:help@example.com?subject=Reference%20{ID}&amp;body=%0D%0A%0D%0AReference%3A%20{ID}%0D%0A\
         Time%3A%202026-01-02T03%3A04%3A05Z%0D%0AAddress%3A%20shop.example.com%2Fa%26b%3D%22%3C%C3%BC%3E%0D%0A\
         Error%3A%20500%0D%0ALanguage%3A%20en"
    );
    assert!(page.contains(&mail), "{page}");
}

#[test]
fn a_mail_about_no_reference_names_none() {
    let pages = pages(|_| {}, &brand());
    let planned = PageContext {
        request_id: "",
        ..context(503, Notice::Maintenance)
    };
    let page = html(&pages, &planned);
    let mail = "mailto:help@example.com?subject=503%20shop.example.com&amp;body=%0D%0A%0D%0A\
                Address%3A%20shop.example.com%2Forders%2F17%0D%0AError%3A%20503%0D%0ALanguage%3A%20en\"";
    assert!(page.contains(mail), "{page}");
    let anywhere = PageContext {
        host: "",
        path: "",
        ..planned
    };
    let page = html(&pages, &anywhere);
    let mail = "mailto:help@example.com?subject=503&amp;body=%0D%0A%0D%0AError%3A%20503%0D%0ALanguage%3A%20en\"";
    assert!(page.contains(mail), "{page}");
}

#[test]
fn the_reference_is_drawn_where_it_is_asked_for() {
    let pages = pages(|pages| pages.qr = true, &brand());
    let page = html(&pages, &context(502, Notice::AppFailed));
    assert!(page.contains("aria-label=\"Your reference as a QR code\"><path d=\"M4 4h7v1h-7z"));
    assert_eq!(Markup::read(&page).faults, []);
    let nothing = PageContext {
        request_id: "",
        ..context(502, Notice::AppFailed)
    };
    assert!(!html(&pages, &nothing).contains("QR code"));
    let json = pages.render(&wanted(Format::Json), &context(502, Notice::AppFailed));
    shape(Format::Json, text(&json));
}

#[test]
fn times_are_said_as_the_language_does() {
    let pages = themed(Theme::Plain);
    for (language, seconds, wait, moment) in [
        ("en", 1, "1 second", "2 January 2026, 03:04:05 UTC"),
        ("en", 90, "90 seconds", ""),
        ("en", 91, "2 minutes", ""),
        ("de", 3600, "60 Minuten", "2. Januar 2026, 03:04:05 UTC"),
        ("pl", 120, "2 minuty", "2 stycznia 2026, 03:04:05 UTC"),
        ("pl", 300, "5 minut", ""),
        ("ru", 21, "21 секунду", "2 января 2026 г., 03:04:05 UTC"),
        ("ar", 120, "دقيقتين", "2 يناير 2026، 03:04:05 UTC"),
        ("ar", 660, "11 دقيقة", ""),
        ("ja", 7200, "2時間", "2026年1月2日 03:04:05 UTC"),
    ] {
        let context = PageContext {
            retry_after: Some(seconds),
            ..context(503, Notice::Busy)
        };
        for format in [Format::Html, Format::Text] {
            let wanted = pages.wanted(format, Some(language)).unwrap();
            let page = pages.render(&wanted, &context);
            assert!(text(&page).contains(wait), "{language}: {}", text(&page));
            let has_moment = format == Format::Text || text(&page).contains(moment);
            assert!(has_moment, "{language}: {}", text(&page));
        }
    }
}
