//! Who sees the app's original answers instead of pages.
//!
//! A peer that `intercept.reveal` names, by the address of its connection (or by the one that the PROXY protocol announces), never by
//! what a request says: a trusted proxy that passes on somebody else's request is not revealed anything for it. And whoever
//! holds a token of `pardon bypass`, in a cookie or a header field; a link sets the cookie. A token that is not good for
//! the route is as if it were not there.

use std::borrow::Cow;

use http::header::{CACHE_CONTROL, COOKIE, FORWARDED, LOCATION, REFERRER_POLICY, SET_COOKIE};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};

use super::Proxy;
use super::body::Body;
use super::exchange::Exchange;
use super::route::Route;
use super::vouched::{X_FORWARDED_FOR, X_FORWARDED_PROTO};
use crate::bypass::{self, Key, Pass, PassId};
use crate::telemetry::names;

/// The tokens of one request that are looked at.
const MOST: usize = 4;

const X_PARDON_BYPASS: HeaderName = HeaderName::from_static(bypass::HEADER);

/// Somebody who may see an app's original answers, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Viewer {
    /// `intercept.reveal` names the peer.
    Peer,
    /// It holds a token of this number.
    Bypass(PassId),
}

impl Proxy {
    /// Why this visitor may see the original answers of the route's app; none for most.
    pub(super) fn viewer(&self, exchange: &Exchange, route: &Route) -> Option<Viewer> {
        let peer = exchange.peer.address().ip();
        if route.policy.reveals(peer) && !speaks_for_others(exchange) {
            return Some(Viewer::Peer);
        }
        self.bypass(exchange, route).map(Viewer::Bypass)
    }

    /// The number of the token that a request carries, where that is good for the route.
    pub(super) fn bypass(&self, exchange: &Exchange, route: &Route) -> Option<PassId> {
        let key = self.settings.bypass.as_ref()?;
        let mut tokens = tokens(exchange).take(MOST);
        tokens.find_map(|token| Some(pass(key, token, exchange, route)?.id))
    }

    /// The answer to an opened link, which sets the cookie and leads to the same address without the token; none to
    /// everything else.
    pub(super) fn link(&self, exchange: &Exchange, route: &Route) -> Option<Response<Body>> {
        let key = self.settings.bypass.as_ref()?;
        let query = exchange.uri.query()?;
        let token = query.split('&').find_map(token_of)?;
        if !matches!(exchange.method, Method::GET | Method::HEAD) {
            return None;
        }
        let pass = pass(key, token, exchange, route)?;
        let cookie = cookie(exchange, route, token, &pass);
        let target = target(exchange.uri.path(), query);
        let (cookie, target) = HeaderValue::try_from(cookie)
            .ok()
            .zip(HeaderValue::try_from(target).ok())?;
        self.log_bypass(exchange, route, pass.id, "a bypass link is opened");
        let mut response = Response::new(Body::Page(None));
        *response.status_mut() = StatusCode::SEE_OTHER;
        let headers = response.headers_mut();
        headers.insert(LOCATION, target);
        headers.insert(SET_COOKIE, cookie);
        let private = HeaderValue::from_static("private, no-store");
        headers.insert(CACHE_CONTROL, private);
        let none = HeaderValue::from_static("no-referrer");
        headers.insert(REFERRER_POLICY, none);
        let id = self.settings.request_id.header.clone();
        headers.insert(id, exchange.id_value.clone());
        exchange.close_after(headers);
        self.note_answer(exchange, route, StatusCode::SEE_OTHER, 0);
        Some(response)
    }

    /// Logs that an original answer is shown.
    pub(super) fn log_shown(&self, exchange: &Exchange, route: &Route, viewer: Viewer) {
        const SHOWN: &str = "the app's original answer is shown";
        match viewer {
            Viewer::Bypass(id) => self.log_bypass(exchange, route, id, SHOWN),
            Viewer::Peer => tracing::debug!(
                target: names::BYPASS,
                message = SHOWN,
                { names::REQUEST_ID } = exchange.id.as_str(),
                { names::ROUTE } = &*route.name,
                { names::REASON } = "`intercept.reveal` names the peer",
            ),
        }
    }

    /// Logs a use of a token.
    pub(super) fn log_bypass(&self, exchange: &Exchange, route: &Route, id: PassId, use_: &str) {
        let client = route.redactor.client(exchange.client(&self.settings));
        tracing::info!(
            target: names::BYPASS,
            message = use_,
            { names::REQUEST_ID } = exchange.id.as_str(),
            { names::TOKEN } = %id,
            { names::ROUTE } = &*route.name,
            { names::CLIENT } = client.map(tracing::field::display),
        );
    }
}

/// A cookie field without the cookie that carries a token; none where no other is left.
pub(super) fn without_token(field: &[u8]) -> Option<Cow<'_, [u8]>> {
    let carries = |cookie: &&[u8]| {
        let named = cookie.trim_ascii().strip_prefix(bypass::NAME.as_bytes());
        named.is_some_and(|rest| rest.trim_ascii_start().starts_with(b"="))
    };
    let cookies = || field.split(|byte| *byte == b';');
    if !cookies().any(|cookie| carries(&cookie)) {
        return Some(Cow::Borrowed(field));
    }
    let others: Vec<&[u8]> = cookies()
        .filter(|cookie| !carries(cookie))
        .map(<[u8]>::trim_ascii)
        .collect();
    let left = others.join(&b"; "[..]);
    (!left.is_empty()).then_some(Cow::Owned(left))
}

/// Whether the peer is a trusted proxy with a request of somebody else's.
fn speaks_for_others(exchange: &Exchange) -> bool {
    let names = [X_FORWARDED_FOR, FORWARDED];
    exchange.trusted && names.iter().any(|name| exchange.headers.contains_key(name))
}

/// What a request carries that may be tokens.
fn tokens(exchange: &Exchange) -> impl Iterator<Item = &str> {
    let fields = |name| exchange.headers.get_all(name).iter();
    let text = |value| HeaderValue::to_str(value).ok();
    let cookies = fields(COOKIE).filter_map(text);
    let cookies = cookies.flat_map(|field| field.split(';'));
    let cookies = cookies.filter_map(|cookie| token_of(cookie.trim()));
    let named = fields(X_PARDON_BYPASS).filter_map(text).map(str::trim);
    named.chain(cookies)
}

/// The token in a cookie or a parameter: `pardon-bypass=TOKEN`.
fn token_of(pair: &str) -> Option<&str> {
    pair.strip_prefix(bypass::NAME)?.strip_prefix('=')
}

/// What a token permits on this route.
fn pass(key: &Key, token: &str, exchange: &Exchange, route: &Route) -> Option<Pass> {
    let unfit = match key.verify(token, exchange.time) {
        Ok(pass) if pass.is_for(&route.name) => return Some(pass),
        Ok(_) => "it is for another route",
        Err(unfit) => unfit.reason(),
    };
    tracing::debug!(
        target: names::BYPASS,
        message = "a token is not heeded",
        { names::REQUEST_ID } = exchange.id.as_str(),
        { names::ROUTE } = &*route.name,
        { names::REASON } = unfit,
    );
    None
}

/// The cookie that holds a token as long as that is good, where it is.
fn cookie(exchange: &Exchange, route: &Route, token: &str, pass: &Pass) -> String {
    let path = match route.path() {
        path if pass.is_for("") || !is_cookie_safe(path) => "/",
        path => path,
    };
    let secure = if is_secure(exchange) { "; Secure" } else { "" };
    let left = pass.left(exchange.time);
    let name = bypass::NAME;
    format!("{name}={token}; Path={path}; Max-Age={left}; HttpOnly; SameSite=Lax{secure}")
}

fn is_cookie_safe(path: &str) -> bool {
    path.starts_with('/')
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b';')
}

/// Whether the visitor speaks TLS, with this process or with a trusted proxy before it.
fn is_secure(exchange: &Exchange) -> bool {
    let forwarded = || exchange.header(&X_FORWARDED_PROTO) == Some("https");
    exchange.peer.is_secure() || (exchange.trusted && forwarded())
}

/// The same address without its token. It begins with a single slash, so that no browser takes its path for a host.
fn target(path: &str, query: &str) -> String {
    let mut target = match path.as_bytes() {
        [b'/', b'/' | b'\\', ..] => format!("/.{path}"),
        [b'/', ..] => path.to_owned(),
        _ => "/".to_owned(),
    };
    let mut mark = '?';
    for pair in query.split('&').filter(|pair| token_of(pair).is_none()) {
        target.push(mark);
        target.push_str(pair);
        mark = '&';
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opened_link_leads_to_the_same_place_and_nowhere_else() {
        for (path, query, expected) in [
            ("/", "pardon-bypass=x", "/"),
            ("/a/b", "q=1&pardon-bypass=x&r=2", "/a/b?q=1&r=2"),
            ("/a", "pardon-bypass=x&pardon-bypass=y", "/a"),
            (
                "/a",
                "pardon-bypass=x&pardon-bypasses=y",
                "/a?pardon-bypasses=y",
            ),
            ("//evil.example/a", "pardon-bypass=x", "/.//evil.example/a"),
            ("/\\evil.example", "pardon-bypass=x", "/./\\evil.example"),
            ("*", "pardon-bypass=x", "/"),
        ] {
            assert_eq!(target(path, query), expected, "{path}?{query}");
        }
    }

    #[test]
    fn a_cookie_field_loses_the_token_and_nothing_else() {
        for (field, left) in [
            ("a=1; b=2", Some("a=1; b=2")),
            ("pardon-bypass=x", None),
            ("a=1; pardon-bypass=x; b=2", Some("a=1; b=2")),
            ("pardon-bypass=x;a=1", Some("a=1")),
            ("pardon-bypass =x; a=1", Some("a=1")),
            ("a=pardon-bypass=x", Some("a=pardon-bypass=x")),
            ("pardon-bypasses=x", Some("pardon-bypasses=x")),
        ] {
            let found = without_token(field.as_bytes());
            assert_eq!(found.as_deref(), left.map(str::as_bytes), "{field}");
        }
    }
}
