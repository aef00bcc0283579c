//! Checks of `[upstreams.NAME]`.

use super::super::{Scheme, Upstream, UpstreamTimeouts};
use super::{Checks, Path};

/// Letters of an upstream's name at most: it stands in records and metrics.
const LONGEST_NAME: usize = 64;

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
        if section.endpoints.len() > 1 {
            self.wrong(
                &here.nth(1),
                "several endpoints per upstream are not supported yet",
                "leave one",
            );
        }
        for (at, endpoint) in section.endpoints.iter().enumerate() {
            if endpoint.scheme == Scheme::Unix {
                self.wrong(
                    &here.nth(at),
                    "`unix:` endpoints are not supported yet",
                    "let the app listen on an address such as \"http://127.0.0.1:3000\"",
                );
            }
            if endpoint.weight == 0 {
                self.bad(&here.nth(at).at("weight"), "must be at least 1");
            }
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
        let path = &upstream.health.path;
        let relative = !path.is_empty() && !path.starts_with('/');
        self.bad_if(
            &health.at("path"),
            relative.then_some("a path begins with `/`"),
        );
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

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(allowed)
}
