//! The gallery's small server: its page, its files, the pages on it, and who waits for the next edition.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use tokio::sync::watch;
use tokio::time::timeout;

use super::edition::Edition;
use super::gallery::Selection;
use crate::page::{Format, Page};
use crate::server::{Handler, Incoming, Peer, Unreadable};

/// How long a question for the next edition waits; the gallery asks again.
const WAIT: Duration = Duration::from_secs(20);
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
/// The gallery's own pages: its files, and frames of what it shows.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'; \
                      form-action 'self'; base-uri 'none'";

/// Answers for the gallery.
pub(super) struct Gallery {
    shown: watch::Receiver<Arc<Edition>>,
}

impl Gallery {
    pub(super) fn new(shown: watch::Receiver<Arc<Edition>>) -> Self {
        Self { shown }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !is_for_this_machine(request) {
            return plain(
                StatusCode::MISDIRECTED_REQUEST,
                "the preview is at a loopback address\n",
            );
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "GET and HEAD are answered\n",
            );
        }
        let edition = Arc::clone(&self.shown.borrow());
        let selection = Selection::read(request.uri().query().unwrap_or_default());
        match request.uri().path() {
            "/" => front(&selection, &edition),
            "/page" => one(&selection, &edition),
            "/changed" => self.next(request.uri().query()).await,
            "/gallery.css" => file(
                "text/css; charset=utf-8",
                include_str!("../../../templates/preview/gallery.css"),
            ),
            "/gallery.js" => file(
                "text/javascript; charset=utf-8",
                include_str!("../../../templates/preview/gallery.js"),
            ),
            _ => plain(StatusCode::NOT_FOUND, "there is nothing here\n"),
        }
    }

    /// The number of the edition, as soon as it is not the one that was asked with.
    async fn next(&self, seen: Option<&str>) -> Response<Full<Bytes>> {
        let seen = seen.and_then(|seen| seen.parse::<u64>().ok());
        let mut shown = self.shown.clone();
        let other = shown.wait_for(|edition| Some(edition.number) != seen);
        // Where it takes too long, or the preview ends, the answer is the number that is known.
        let waited = timeout(WAIT, other).await;
        drop(waited);
        let number = self.shown.borrow().number;
        reply(StatusCode::OK, TEXT, number.to_string())
    }
}

impl Handler for Gallery {
    type Body = Full<Bytes>;

    async fn handle(
        self: Rc<Self>,
        request: Request<Incoming>,
        _: Rc<Peer>,
    ) -> Response<Self::Body> {
        self.answer(&request).await
    }

    fn refuse(
        self: Rc<Self>,
        _: Request<()>,
        why: Unreadable,
        _: Rc<Peer>,
    ) -> Response<Self::Body> {
        plain(why.status(), why.reason())
    }

    async fn settle(self: Rc<Self>) {}

    fn hurry(&self) {}
}

/// Whether a browser was told the loopback address: a name of somebody else's that leads here would let their pages read it.
fn is_for_this_machine<B>(request: &Request<B>) -> bool {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let Some(host) = host.and_then(|host| host.parse::<http::uri::Authority>().ok()) else {
        return false;
    };
    let name = host.host().trim_matches(['[', ']']);
    name == "localhost"
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

fn front(selection: &Selection, edition: &Edition) -> Response<Full<Bytes>> {
    match selection.gallery(edition) {
        Ok(page) => framed(reply(StatusCode::OK, HTML, page)),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// A page as it is, or what is wrong with its template.
fn one(selection: &Selection, edition: &Edition) -> Response<Full<Bytes>> {
    let Some(page) = selection.page(edition) else {
        let problems = edition.problems.clone();
        return plain(
            StatusCode::NOT_FOUND,
            problems.unwrap_or_else(|| "no such page\n".to_owned()),
        );
    };
    match &edition.problems {
        Some(problems) if concerns(problems, &page) => plain(StatusCode::OK, problems.clone()),
        _ => response(page),
    }
}

/// Whether a problem is one of the template that made the page: then the page is of before.
fn concerns(problems: &str, page: &Page) -> bool {
    problems.contains(&format!("/{}", page.template))
}

/// Shown by its browser, which would save JSON; 200, so that no browser puts a page of its own in its place.
fn response(page: Page) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(page.body));
    *response.headers_mut() = page.headers;
    if page.format != Format::Html {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
    }
    response.headers_mut().remove("refresh");
    response
}

fn file(kind: &'static str, content: &'static str) -> Response<Full<Bytes>> {
    reply(StatusCode::OK, kind, content)
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    reply(status, TEXT, text)
}

fn framed(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for (host, answered) in [
            ("localhost:9182", true),
            ("127.0.0.1:9182", true),
            ("127.0.0.2", true),
            ("[::1]:9182", true),
            ("evil.example:9182", false),
            ("localhost.evil.example", false),
            ("", false),
        ] {
            let request = Request::builder().header(HOST, host).body(()).unwrap();
            assert_eq!(is_for_this_machine(&request), answered, "{host}");
        }
    }
}
