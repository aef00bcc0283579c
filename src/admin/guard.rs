//! Who may ask: with a token whoever has it, without one this machine alone.
//!
//! Without a token the host name counts too: a page of the web whose name is made to lead to loopback ("DNS rebinding") asks in the name of
//! its own host, and gets nothing.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::reply::{Problem, Reply};
use crate::config::Token;
use crate::server::Peer;
use crate::telemetry::COUNTERS;

/// Decides who may ask for more than life and readiness.
#[derive(Debug)]
pub(super) struct Guard {
    /// The token's digest, which is as long as that of whatever is compared with it.
    token: Option<[u8; 32]>,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denial {
    NoToken,
    WrongToken,
    /// It comes from another machine.
    Outside,
    /// It asks for a host that is not this machine's loopback.
    ForeignHost,
    /// It changes something, and a page of the web may have sent it.
    Page,
}

impl Guard {
    pub(super) fn new(token: Option<&Token>) -> Self {
        Self {
            token: token.map(|token| digest(token.as_bytes())),
        }
    }

    /// Lets a request in, or says why not.
    pub(super) fn admit(&self, head: &Parts, peer: &Peer) -> Result<(), Denial> {
        let judged = self.judge(head, peer.address().ip());
        judged.inspect_err(|_| COUNTERS.admin_denied.add_one())
    }

    fn judge(&self, head: &Parts, peer: IpAddr) -> Result<(), Denial> {
        match &self.token {
            Some(token) => match bearer(&head.headers) {
                None => Err(Denial::NoToken),
                Some(given) if bool::from(digest(given).ct_eq(token)) => Ok(()),
                Some(_) => Err(Denial::WrongToken),
            },
            None if !peer.is_loopback() => Err(Denial::Outside),
            None if !host(head).is_some_and(is_loopback) => Err(Denial::ForeignHost),
            // Browsers send it with whatever is not GET or HEAD.
            None if head.headers.contains_key(ORIGIN) => Err(Denial::Page),
            None => Ok(()),
        }
    }
}

impl Denial {
    pub(super) fn reply(self) -> Reply {
        let (status, title, hint) = match self {
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "no token",
                "send the token of `admin.token_file`: Authorization: Bearer TOKEN",
            ),
            Self::WrongToken => (
                StatusCode::UNAUTHORIZED,
                "this is not the token",
                "send what stands in `admin.token_file`; the file is read when Pardon starts",
            ),
            Self::Outside => (
                StatusCode::FORBIDDEN,
                "without a token this is for the machine itself",
                "set `admin.token_file`",
            ),
            Self::ForeignHost => (
                StatusCode::FORBIDDEN,
                "without a token this is asked for by a loopback name or address",
                "ask for localhost or 127.0.0.1, or set `admin.token_file`",
            ),
            Self::Page => (
                StatusCode::FORBIDDEN,
                "without a token this is not for pages of the web",
                "ask without `Origin`, or set `admin.token_file`",
            ),
        };
        let mut reply = Problem::new(status, title, hint).reply();
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"pardon\"");
            reply.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        reply
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// What an `Authorization: Bearer` field holds (RFC 6750, 2.1); the scheme's name in any case.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

/// The host asked for: the target's where it has one, else that of the only `Host`.
fn host(head: &Parts) -> Option<&str> {
    if let Some(authority) = head.uri.authority() {
        return Some(authority.host());
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    let authority: http::uri::Authority = host.parse().ok()?;
    // User information would be read in two ways.
    let only = hosts.next().is_none() && !host.contains('@');
    only.then(|| host.get(..authority.host().len())).flatten()
}

/// Whether a host is this machine by the name or the address that every machine has for itself.
fn is_loopback(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let bare = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(&name).parse::<IpAddr>();
    match address {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn head(fields: &[(&'static str, &'static str)]) -> Parts {
        let mut request = Request::builder().uri("/metrics");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn without_a_token_only_the_machine_itself_may_ask_by_its_own_name() {
        let guard = Guard::new(None);
        for host in [
            "localhost",
            "LOCALHOST:9180",
            "pardon.localhost",
            "localhost.",
            "127.0.0.1:9180",
            "127.8.8.8",
            "[::1]",
            "[::1]:9180",
            "[::ffff:127.0.0.1]:80",
        ] {
            assert_eq!(
                guard.judge(&head(&[("host", host)]), HERE),
                Ok(()),
                "{host}"
            );
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "notlocalhost",
            "192.0.2.1",
            "0.0.0.0",
            "[::]",
            "user@localhost",
            "localhost@evil.example",
            "",
            "::1",
        ] {
            let judged = guard.judge(&head(&[("host", host)]), HERE);
            assert_eq!(judged, Err(Denial::ForeignHost), "{host}");
        }
        let two = head(&[("host", "localhost"), ("host", "evil.example")]);
        assert_eq!(guard.judge(&two, HERE), Err(Denial::ForeignHost));
        assert_eq!(guard.judge(&head(&[]), HERE), Err(Denial::ForeignHost));
        let page = head(&[("host", "localhost"), ("origin", "https://evil.example")]);
        assert_eq!(guard.judge(&page, HERE), Err(Denial::Page));
        let outside = [192, 0, 2, 7].into();
        let judged = guard.judge(&head(&[("host", "localhost")]), outside);
        assert_eq!(judged, Err(Denial::Outside));
    }

    #[test]
    fn with_a_token_that_counts_and_nothing_else() {
        let guard = Guard {
            token: Some(digest(b"tulip-harbour-42")),
        };
        let judge = |fields: &[_]| guard.judge(&head(fields), [192, 0, 2, 7].into());
        for fine in ["Bearer tulip-harbour-42", "bearer  tulip-harbour-42"] {
            assert_eq!(judge(&[("authorization", fine)]), Ok(()), "{fine}");
        }
        for wrong in [
            "Bearer tulip-harbour-4",
            "Bearer tulip-harbour-422",
            "Bearer TULIP-harbour-42",
            "Bearer ",
        ] {
            let judged = judge(&[("authorization", wrong)]);
            assert_eq!(judged, Err(Denial::WrongToken), "{wrong}");
        }
        for none in ["", "tulip-harbour-42", "Basic tulip-harbour-42"] {
            assert_eq!(
                judge(&[("authorization", none)]),
                Err(Denial::NoToken),
                "{none}"
            );
        }
        assert_eq!(judge(&[("host", "localhost")]), Err(Denial::NoToken));
    }
}
