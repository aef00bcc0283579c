//! Checks of `[[routes]]`: each leads somewhere, has a name of its own, and can be reached.

use super::super::Route;
use super::super::wording::nearest_or_all;
use super::{Checks, Path};

impl Checks<'_> {
    pub(super) fn routes(&mut self) {
        let routes = self.written_routes();
        for (at, route) in routes.iter().enumerate() {
            let here = Path::of("routes").nth(at);
            let earlier = routes.get(..at).unwrap_or_default();
            self.target(&here, route);
            self.bad_if(&here.at("host"), wrong_host(&route.host));
            self.bad_if(&here.at("path"), wrong_path(&route.path));
            self.upstream_timeouts(&here.at("timeouts"), &route.timeouts);
            self.name(&here, route, earlier);
            let mut known = earlier
                .iter()
                .enumerate()
                .filter(|(at, _)| self.is_known(*at));
            let covering = known.find(|(_, first)| covers(first, route));
            if let Some((_, first)) = covering.filter(|_| self.is_known(at)) {
                let title = format!("route `{}` is never reached", route.name);
                let hint = format!("route `{}` before it matches all that it does", first.name);
                self.wrong(&here, title, hint);
            }
        }
        self.unused();
    }

    /// Whether it is known what a route is for.
    fn is_known(&self, at: usize) -> bool {
        let here = Path::of("routes").nth(at);
        !self.is_gone(&here.at("host")) && !self.is_gone(&here.at("path"))
    }

    fn target(&mut self, here: &Path, route: &Route) {
        let path = here.at("upstream");
        let upstreams = &self.config.upstreams;
        let unknown = !upstreams.contains_key(&route.upstream);
        let silent = self.is_gone(&path)
            || self.is_gone(&Path::of("upstreams").at(&route.upstream))
            || upstreams.is_empty();
        if !unknown || silent {
            return;
        }
        let known: Vec<_> = upstreams.keys().map(String::as_str).collect();
        if route.upstream.is_empty() {
            let hint = format!("name one of `{}` with `upstream`", known.join("`, `"));
            self.wrong(here, "a route without an upstream", hint);
        } else {
            let hint = nearest_or_all(&route.upstream, &known, "there are");
            self.wrong(
                &path,
                format!("unknown upstream `{}`", route.upstream),
                hint,
            );
        }
    }

    fn name(&mut self, here: &Path, route: &Route, earlier: &[Route]) {
        let path = here.at("name");
        let control = route.name.chars().any(char::is_control);
        self.bad_if(&path, control.then_some("a name has no control characters"));
        let doubled = earlier.iter().any(|other| other.name == route.name);
        if doubled && !route.name.is_empty() && !self.is_gone(&path) {
            let title = format!("a second route named `{}`", route.name);
            self.wrong(&path, title, "give each a `name` of its own");
        }
    }

    fn unused(&mut self) {
        let routes = &self.config.routes;
        for name in self.config.upstreams.keys() {
            let used = routes.iter().any(|route| route.upstream == *name);
            if !used && !routes.is_empty() {
                let here = Path::of("upstreams").at(name);
                self.warn(&here, format!("upstream `{name}` is used by no route"), "");
            }
        }
        if routes.is_empty()
            && self.config.upstreams.len() > 1
            && !self.is_gone(&Path::of("routes"))
        {
            let hint = "say with [[routes]] which request goes to which";
            self.wrong(
                &Path::of("upstreams"),
                "several upstreams and no routes",
                hint,
            );
        }
    }
}

/// What is wrong with a route's host.
fn wrong_host(host: &str) -> Option<String> {
    let name = host.strip_prefix("*.").unwrap_or(host);
    if host.is_empty() || host.starts_with('[') {
        return None;
    }
    if host.contains("://") || host.contains('/') {
        return Some("a host alone: no scheme, no path".to_owned());
    }
    if name.contains(':') {
        return Some("a host alone: no port".to_owned());
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let wrong = name.is_empty() || !name.bytes().all(allowed);
    wrong.then(|| {
        format!("`{host}` is not a host such as \"shop.example.com\" or \"*.example.com\"")
    })
}

fn wrong_path(path: &str) -> Option<&'static str> {
    match path {
        _ if !path.starts_with('/') => Some("a path begins with `/`"),
        _ if path.contains(['?', '#', ' ']) => Some("a path alone: no query, no fragment"),
        _ if path.contains('*') => Some("a path is the beginning of what it matches: no `*`"),
        _ => None,
    }
}

/// Whether the first route matches everything that the second does.
fn covers(first: &Route, second: &Route) -> bool {
    covers_host(&first.host, &second.host) && covers_path(&first.path, &second.path)
}

fn covers_host(first: &str, second: &str) -> bool {
    let below = |first: &str| {
        let under = second.strip_suffix(first.strip_prefix('*').unwrap_or("*"));
        // One name deeper in any case; how far a wildcard reaches beyond that is not for here to say.
        under.is_some_and(|name| !name.is_empty() && !name.contains(['.', '*']))
    };
    first.is_empty() || first == second || below(first)
}

fn covers_path(first: &str, second: &str) -> bool {
    let first = first.trim_end_matches('/');
    let rest = second.strip_prefix(first);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_route_covers_a_later_one() {
        let table = [
            (("", "/"), ("a.example.com", "/x"), true),
            (("", "/shop"), ("", "/shop/cart"), true),
            (("", "/shop"), ("", "/shop"), true),
            (("", "/shop/"), ("", "/shop"), true),
            (("", "/shop"), ("", "/shopping"), false),
            (("", "/shop/cart"), ("", "/shop"), false),
            (("a.com", "/"), ("b.com", "/"), false),
            (("a.com", "/"), ("", "/"), false),
            (("*.a.com", "/"), ("x.a.com", "/"), true),
            (("*.a.com", "/"), ("*.a.com", "/x"), true),
            (("*.a.com", "/"), ("a.com", "/"), false),
            (("*.a.com", "/"), ("xa.com", "/"), false),
        ];
        let route = |(host, path): (&str, &str)| Route {
            host: host.to_owned(),
            path: path.to_owned(),
            ..Route::default()
        };
        for (first, second, expected) in table {
            assert_eq!(
                covers(&route(first), &route(second)),
                expected,
                "{first:?} {second:?}"
            );
        }
    }

    #[test]
    fn hosts_and_paths() {
        for host in [
            "",
            "shop.example.com",
            "*.example.com",
            "localhost",
            "[::1]",
            "10.0.0.1",
        ] {
            assert_eq!(wrong_host(host), None, "{host}");
        }
        for host in ["http://a", "a/b", "a:80", "*", "*.", "a.*.b", "a b"] {
            assert!(wrong_host(host).is_some(), "{host}");
        }
        for (path, wrong) in [
            ("/", false),
            ("/a/b", false),
            ("a", true),
            ("", true),
            ("/a?b", true),
            ("/a*", true),
        ] {
            assert_eq!(wrong_path(path).is_some(), wrong, "{path}");
        }
    }
}
