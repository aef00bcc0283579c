//! Checks of `[upstreams.NAME]`.

use super::super::{Scheme, Upstream, UpstreamTimeouts};
use super::{Checks, Path};

/// Letters of an upstream's name at most: it stands in records and metrics.
const LONGEST_NAME: usize = 64;

/// Bytes of a Unix socket's path at most: the kernel's limit, less the 0 at its end.
const LONGEST_SOCKET: usize = 107;

impl Checks<'_> {
    pub(super) fn upstreams(&mut self) {
        let upstreams = &self.config.upstreams;
        let here = Path::of("upstreams");
        if upstreams.is_empty() && !self.is_gone(&here) {
            self.wrong(
                &here,
                "no upstream",
                "say where the app listens:\n[upstreams.app]\nendpoints = [\"http://127.0.0.1:3000\"]",
            );
        }
        for (name, upstream) in upstreams {
            let here = here.at(name);
            if !is_name(name) {
                let title = format!("`{name}` cannot be the name of an upstream");
                self.wrong(&here, title, "1 to 64 letters, digits, `.`, `_` or `-`");
            }
            self.endpoints(&here, name, upstream);
            self.upstream(&here, upstream);
            self.upstream_timeouts(&here.at("timeouts"), &upstream.timeouts);
            self.upstream_tls(&here.at("tls"), upstream);
        }
    }

    fn endpoints(&mut self, upstream: &Path, name: &str, section: &Upstream) {
        let here = upstream.at("endpoints");
        if section.endpoints.is_empty() && !self.is_gone(&here) {
            let hint = "say where it listens: endpoints = [\"http://127.0.0.1:3000\"]";
            self.wrong(&here, format!("upstream `{name}` has no endpoint"), hint);
        }
        for (at, endpoint) in section.endpoints.iter().enumerate() {
            let here = here.nth(at);
            let long = endpoint.scheme == Scheme::Unix && endpoint.host.len() > LONGEST_SOCKET;
            if long {
                let title = "the path of a Unix socket is too long";
                self.wrong(&here, title, "at most 107 bytes");
            }
            let mut before = section.endpoints.iter().take(at);
            if before.any(|before| before.to_string() == endpoint.to_string()) {
                let title = format!("`{endpoint}` stands here twice");
                self.warn(&here, title, "for a larger share give it a larger weight");
            }
        }
        if let [only] = section.endpoints.as_slice()
            && only.weight > 1
        {
            let title = "a weight with nothing to weigh it against";
            self.warn(
                &here.nth(0).at("weight"),
                title,
                "there is no other endpoint",
            );
        }
        let drained = section
            .endpoints
            .iter()
            .all(|endpoint| endpoint.weight == 0);
        if drained && !section.endpoints.is_empty() && !self.is_gone(&here) {
            let title = format!("no endpoint of upstream `{name}` gets a request");
            self.wrong(&here, title, "each has a weight of 0");
        }
    }

    fn upstream(&mut self, here: &Path, upstream: &Upstream) {
        self.at_least_one(&here.at("max_connections"), upstream.max_connections as u64);
        self.at_least_one(&here.at("max_head"), upstream.max_head.0);
        self.at_least_one(&here.at("max_headers"), upstream.max_headers as u64);
        let retry = here.at("retry");
        self.at_least_one(&retry.at("attempts"), upstream.retry.attempts.into());
        self.share(&retry.at("budget"), upstream.retry.budget);
        let health = here.at("health");
        let path = upstream.health.path.as_str();
        self.bad_if(&health.at("path"), wrong_path(path));
        self.lasting(&health.at("interval"), upstream.health.interval);
    }

    pub(super) fn upstream_timeouts(&mut self, here: &Path, timeouts: &UpstreamTimeouts) {
        let lasting = [
            ("connect", timeouts.connect),
            ("head", timeouts.head),
            ("body", timeouts.body),
            ("idle", timeouts.idle),
            ("total", timeouts.total),
        ];
        for (key, period) in lasting {
            self.lasting(&here.at(key), period);
        }
    }

    fn upstream_tls(&mut self, here: &Path, upstream: &Upstream) {
        let tls = &upstream.tls;
        if let Some(ca) = &tls.ca {
            self.readable(&here.at("ca"), ca);
        }
        if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
            self.pair(
                (&here.at("certificate"), certificate),
                (&here.at("key"), key),
            );
        }
        let missing = match (&tls.certificate, &tls.key) {
            (Some(_), None) => Some(("certificate", "key")),
            (None, Some(_)) => Some(("key", "certificate")),
            _ => None,
        };
        if let Some((given, missing)) = missing
            && !self.is_gone(&here.at(missing))
        {
            let title = format!("`{given}` without `{missing}`");
            self.wrong(&here.at(given), title, "a client certificate needs both");
        }
        let name = tls.server_name.as_deref();
        let wrong = name.filter(|name| rustls::pki_types::ServerName::try_from(*name).is_err());
        self.bad_if(
            &here.at("server_name"),
            wrong.map(|name| format!("`{name}` is not a host name")),
        );
        if tls.insecure {
            self.warn(
                &here.at("insecure"),
                "any certificate is accepted",
                "whoever stands between Pardon and the app can read and change everything",
            );
        }
    }
}

/// What is wrong with the path of a health check.
fn wrong_path(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return None;
    }
    if !path.starts_with('/') {
        return Some("a path begins with `/`");
    }
    let sendable = path.is_ascii() && !path.contains('#');
    let valid = sendable && path.parse::<http::uri::PathAndQuery>().is_ok();
    (!valid)
        .then_some("a path is written as in a URL: no spaces, no `#`, other letters as `%C3%BC`")
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(allowed)
}
