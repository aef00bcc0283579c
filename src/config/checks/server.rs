//! Checks of `[server]`, `[admin]` and `[log]`.

use std::net::SocketAddr;

use super::super::wording::nearest_or_all;
use super::super::{AcceptId, Listen};
use super::{Checks, Path};

/// The levels of the log.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Worker threads at most.
const MOST_WORKERS: usize = 256;

impl Checks<'_> {
    pub(super) fn server(&mut self) {
        let (server, here) = (&self.config.server, Path::of("server"));
        let workers = server
            .workers
            .filter(|workers| !(1..=MOST_WORKERS).contains(workers));
        self.bad_if(
            &here.at("workers"),
            workers.map(|_| "must be from 1 to 256"),
        );
        self.at_least_one(&here.at("max_connections"), server.max_connections as u64);
        self.listeners();
        self.trust();
        self.server_timeouts();
        self.server_tls();
        let limits = here.at("limits");
        self.at_least_one(&limits.at("headers"), server.limits.headers as u64);
        self.at_least_one(&limits.at("head"), server.limits.head.0);
        self.at_least_one(&limits.at("uri"), server.limits.uri.0);
        let streams = u64::from(server.limits.h2_streams);
        self.at_least_one(&limits.at("h2_streams"), streams);
    }

    fn listeners(&mut self) {
        let (listen, here) = (&self.config.server.listen, Path::of("server").at("listen"));
        if listen.is_empty() && !self.is_gone(&here) {
            self.bad(&here, "at least one address");
        }
        for (at, one) in listen.iter().enumerate() {
            let earlier = listen.iter().take(at);
            if earlier
                .clone()
                .any(|other| one == other || overlap(address(one), address(other)))
            {
                self.wrong(&here.nth(at), format!("`{one}` is listened on twice"), "");
            }
        }
    }

    fn trust(&mut self) {
        let (server, here) = (&self.config.server, Path::of("server"));
        if !server.trusted_proxies.is_empty() || self.is_gone(&here.at("trusted_proxies")) {
            return;
        }
        if server.proxy_protocol {
            self.wrong(
                &here.at("proxy_protocol"),
                "`proxy_protocol` without `trusted_proxies`",
                "name those who may speak it in `trusted_proxies`",
            );
        }
        if server.request_id.accept == AcceptId::Trusted {
            self.warn(
                &here.at("request_id").at("accept"),
                "`accept = \"trusted\"` without `trusted_proxies`",
                "no ID is ever taken over: name whose are in `trusted_proxies`",
            );
        }
    }

    fn server_timeouts(&mut self) {
        let (timeouts, here) = (
            &self.config.server.timeouts,
            Path::of("server").at("timeouts"),
        );
        let lasting = [
            ("handshake", timeouts.handshake),
            ("head", timeouts.head),
            ("body", timeouts.body),
            ("idle", timeouts.idle),
            ("write", timeouts.write),
        ];
        for (key, period) in lasting {
            self.lasting(&here.at(key), period);
        }
    }

    fn server_tls(&mut self) {
        let (tls, here) = (&self.config.server.tls, Path::of("server").at("tls"));
        let known = ["1.2", "1.3"].contains(&tls.min_version.as_str());
        self.bad_if(
            &here.at("min_version"),
            (!known).then_some("it may be \"1.2\" or \"1.3\""),
        );
        self.certificates();
    }

    pub(super) fn admin(&mut self) {
        let (admin, here) = (&self.config.admin, Path::of("admin"));
        let without_token = admin.token_file.is_none() && !self.is_gone(&here.at("token_file"));
        for (at, own) in admin.listen.iter().enumerate() {
            let path = here.at("listen").nth(at);
            if without_token && !own.ip().is_loopback() {
                self.wrong(
                    &path,
                    format!("`{own}` can be reached from outside and asks for no token"),
                    "listen on 127.0.0.1, or set `token_file`",
                );
            }
            let mut public = self.config.server.listen.iter().filter_map(address);
            if public.any(|public| overlap(Some(*own), Some(public))) {
                let title = format!("`{own}` is an address of `server.listen` too");
                self.wrong(&path, title, "the admin listener needs one of its own");
            }
            if admin
                .listen
                .iter()
                .take(at)
                .any(|other| overlap(Some(*own), Some(*other)))
            {
                self.wrong(&path, format!("`{own}` is listened on twice"), "");
            }
        }
        if let Some(path) = &admin.token_file {
            self.token(&here.at("token_file"), path);
        }
        let level = self.config.log.level.as_str();
        let known = LEVELS.contains(&level);
        let hint = (!known).then(|| nearest_or_all(level, &LEVELS, "it may be"));
        self.bad_if(&Path::of("log").at("level"), hint);
    }
}

fn address(listen: &Listen) -> Option<SocketAddr> {
    match listen {
        Listen::Tcp(address) | Listen::Tls(address) => Some(*address),
        Listen::Unix(_) => None,
    }
}

/// Whether two addresses cannot be bound at the same time. An unspecified one takes its port on every address of its family,
/// and `[::]` also that of IPv4.
fn overlap(one: Option<SocketAddr>, other: Option<SocketAddr>) -> bool {
    let (Some(one), Some(other)) = (one, other) else {
        return false;
    };
    let takes = |wide: SocketAddr, narrow: SocketAddr| {
        wide.ip().is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4())
    };
    let same = one.ip() == other.ip() || takes(one, other) || takes(other, one);
    one.port() == other.port() && one.port() != 0 && same
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_overlap_as_the_kernel_sees_it() {
        let table = [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ];
        for (one, other, expected) in table {
            let (one, other) = (one.parse().ok(), other.parse().ok());
            assert_eq!(overlap(one, other), expected, "{one:?} {other:?}");
            assert_eq!(overlap(other, one), expected, "{other:?} {one:?}");
        }
    }
}
