//! The start page: every failure with a link, what the app does, what a visitor sees, and the command to type.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::act::Act;
use super::answer::Answer;
use super::failures::{Failure, Group, failures};
use super::request::Request;

/// Bytes of a host that the page repeats.
const MAX_HOST: usize = 255;

/// The page for a request; `address` is the app's own, to show what happens without Pardon.
pub(super) fn render(request: &Request, address: SocketAddr) -> Answer {
    let app = format!("http://{address}");
    let base = base(&request.host).unwrap_or_else(|| app.clone());
    let beside = (!request.id.is_empty()).then_some(app.as_str());
    let mut list = String::new();
    for group in Group::ALL {
        let _ = write!(list, "<h2>{}</h2>\n<ul>\n", escape(group.title()));
        for failure in failures().iter().filter(|row| row.group == group) {
            list.push_str(&item(failure, &base, beside));
        }
        list.push_str("</ul>\n");
    }
    let page = include_str!("texts/start.html")
        .replace("<!--notice-->", &notice(beside))
        .replace("<!--failures-->", &list)
        .replace("<!--base-->", &base);
    Answer::html("200 OK", page)
}

/// The address that the visitor used. `None` unless it is a plain host and port that can stand in a page and in a command as it is.
fn base(host: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    let fine = !host.is_empty() && host.len() <= MAX_HOST && host.bytes().all(plain);
    fine.then(|| format!("http://{host}"))
}

fn notice(beside: Option<&str>) -> String {
    let Some(app) = beside else {
        return "You are looking at the app itself, without Pardon: everything below arrives as it is."
            .to_owned();
    };
    format!(
        "This page came through Pardon, unchanged. Beside each failure is the way around it, \
         to the app itself at <a href=\"{app}/\">{app}</a>."
    )
}

fn item(failure: &Failure, base: &str, beside: Option<&str>) -> String {
    let around = beside.map(|app| way_around(failure, app));
    format!(
        "<li><div class=\"row\">{}{}</div>\n\
         <dl><dt>The app</dt><dd>{}</dd><dt>A visitor</dt><dd>{}</dd></dl>\n\
         <pre>{}</pre></li>\n",
        link(failure),
        around.unwrap_or_default(),
        escape(failure.app),
        escape(failure.visitor),
        escape(&failure.curl(base)),
    )
}

/// A link to the app itself, where it can be followed and leads to the same failure.
fn way_around(failure: &Failure, app: &str) -> String {
    if failure.method == "POST" || matches!(failure.act, Act::Elsewhere) {
        return String::new();
    }
    let path = failure.path;
    format!("<a class=\"bare\" href=\"{app}{path}\">without Pardon</a>")
}

/// A link, or a form that looks like one.
fn link(failure: &Failure) -> String {
    let (path, title) = (failure.path, escape(failure.title));
    if failure.method == "POST" {
        return format!(
            "<h3><form method=\"post\" action=\"{path}\"><input type=\"hidden\" name=\"article\" value=\"teapot\">\
             <button class=\"link\">{title}</button></form></h3>"
        );
    }
    format!("<h3><a href=\"{path}\">{title}</a></h3>")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{Request, base, failures, render};

    fn page(host: &str, id: &str) -> String {
        let mut request = Request::default();
        host.clone_into(&mut request.host);
        id.clone_into(&mut request.id);
        let answer = render(&request, ([127, 0, 0, 1], 4000).into());
        String::from_utf8(answer.body).unwrap()
    }

    #[test]
    fn every_failure_is_linked_with_its_command() {
        let page = page("shop.test:8080", "7Q3K");

        for failure in failures() {
            assert!(
                page.contains(&format!("=\"{}\"", failure.path)),
                "{}",
                failure.path
            );
            assert!(
                page.contains(&failure.curl("http://shop.test:8080")),
                "{}",
                failure.path
            );
        }
    }

    #[test]
    fn no_secret_stands_on_the_page() {
        let page = page("shop.test", "");

        for secret in failures().iter().filter_map(|row| row.secret) {
            assert!(!page.contains(secret), "{secret}");
        }
    }

    #[test]
    fn the_way_around_pardon_is_shown_only_behind_pardon() {
        assert!(page("shop.test", "7Q3K").contains("http://127.0.0.1:4000/error/html"));
        assert!(!page("shop.test", "").contains("without Pardon</a>"));
    }

    #[test]
    fn a_host_that_could_be_markup_or_shell_is_not_repeated() {
        for host in ["", "a b", "<b>", "$(id)", "a'b", "a\"b", &"a".repeat(256)] {
            assert_eq!(base(host), None, "{host}");
        }
        assert_eq!(base("[::1]:80").as_deref(), Some("http://[::1]:80"));
    }
}
