//! Which request goes to which app.

use std::path::Path;
use std::sync::Arc;

use super::downtime::Downtime;
use super::exchange::Exchange;
use crate::config;
use crate::incident::Redactor;
use crate::intercept::Policy;
use crate::intercept::disguise::SignatureFile;
use crate::page::{PageProblem, Pages, Place};
use crate::upstream::Timeouts;

/// A route, ready to be matched and followed.
pub struct Route {
    /// Its name in records.
    pub name: Arc<str>,
    /// Its own place in the snapshot.
    pub place: usize,
    /// Its upstream's place in the snapshot.
    pub upstream: usize,
    /// What it intercepts.
    pub policy: Policy,
    /// What its visitors see.
    pub pages: Pages,
    /// How long its app may take.
    pub timeouts: Timeouts,
    /// What is taken out of its records.
    pub redactor: Redactor,
    /// When its visitors do not reach the app.
    pub downtime: Downtime,
    pattern: Pattern,
}

/// Hosts and paths that a route is for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    host: Host,
    path: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Any,
    Exact(Box<str>),
    /// The domain that a host must be below, with its dot: `.example.com`.
    Below(Box<str>),
}

impl Route {
    /// A route as the configuration describes it, with its own place and its upstream's. `health` is where its app is
    /// asked how it is, and `folder` where relative paths start.
    ///
    /// # Errors
    ///
    /// What is wrong with its pages.
    pub fn build(
        route: &config::Route,
        (place, upstream): (usize, usize),
        (client, health): (config::ClientAddress, &str),
        folder: &Path,
    ) -> Result<Self, Vec<PageProblem>> {
        let mut policy = Policy::build(&route.intercept);
        let own = signatures(&route.intercept.disguise, folder).map_err(|problem| vec![problem])?;
        if let Some((disguise, own)) = policy.disguise.as_mut().zip(own) {
            disguise.add(own);
        }
        Ok(Self {
            name: route.name.as_str().into(),
            place,
            upstream,
            policy,
            pages: Pages::build(&route.pages, &route.brand, folder)?,
            timeouts: Timeouts::from(&route.timeouts),
            redactor: Redactor::new(&route.intercept.redact, client),
            downtime: Downtime::build(&route.maintenance, health),
            pattern: Pattern::new(&route.host, &route.path),
        })
    }

    /// The beginning of the paths that it is for; empty: all.
    pub(super) fn path(&self) -> &str {
        &self.pattern.path
    }

    pub(super) fn matches(&self, exchange: &Exchange) -> bool {
        self.pattern.is_for_all() || self.pattern.matches(exchange.host(), exchange.uri.path())
    }
}

/// What is wrong with the files of signatures that a configuration names.
#[must_use]
pub fn signature_problems(config: &config::Config) -> Vec<PageProblem> {
    let routes = config.routes.iter().map(|route| &route.intercept.disguise);
    let mut named: Vec<_> = routes.chain([&config.intercept.disguise]).collect();
    named.dedup_by_key(|disguise| &disguise.signatures);
    let wrong = named
        .into_iter()
        .filter_map(|disguise| signatures(disguise, &config.folder).err());
    wrong.collect()
}

/// A route's own signatures.
fn signatures(
    disguise: &config::Disguise,
    folder: &Path,
) -> Result<Option<SignatureFile>, PageProblem> {
    let Some(file) = &disguise.signatures else {
        return Ok(None);
    };
    let file = folder.join(file);
    let problem = |message| PageProblem {
        place: Place::File {
            file: file.clone(),
            at: None,
        },
        message,
        hint: None,
    };
    let text = std::fs::read_to_string(&file).map_err(|error| problem(error.to_string()))?;
    let read = SignatureFile::read(&text).map_err(|error| problem(error.to_string()))?;
    Ok(Some(read))
}

impl Pattern {
    fn new(host: &str, path: &str) -> Self {
        let host = host.to_ascii_lowercase();
        Self {
            host: match host.strip_prefix('*') {
                _ if host.is_empty() => Host::Any,
                Some("") => Host::Any,
                Some(domain) => Host::Below(domain.into()),
                None => Host::Exact(host.into()),
            },
            path: path.trim_end_matches('/').into(),
        }
    }

    /// Whether there is nothing that it does not match.
    fn is_for_all(&self) -> bool {
        self.host == Host::Any && self.path.is_empty()
    }

    fn matches(&self, host: &str, path: &str) -> bool {
        self.host.matches(host.trim_end_matches('.'))
            && path.strip_prefix(&*self.path).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || self.path.is_empty()
            })
    }
}

impl Host {
    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => host.eq_ignore_ascii_case(name),
            Self::Below(domain) => {
                let Some(start) = host.len().checked_sub(domain.len()) else {
                    return false;
                };
                start > 0
                    && host
                        .get(start..)
                        .is_some_and(|end| end.eq_ignore_ascii_case(domain))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_hosts_and_whole_segments() {
        for (host, path, asked, expected) in [
            ("", "/", "shop.example/", true),
            ("", "", "shop.example/a/b", true),
            ("", "/", "/*", true),
            ("shop.example", "/", "shop.example/", true),
            ("Shop.Example", "/", "shop.eXample/", true),
            ("shop.example", "/", "shop.example./", true),
            ("shop.example", "/", "www.shop.example/", false),
            ("*.example.com", "/", "shop.example.com/", true),
            ("*.example.com", "/", "a.b.example.com/", true),
            ("*.example.com", "/", "example.com/", false),
            ("*.example.com", "/", "badexample.com/", false),
            ("", "/shop", "h/shop", true),
            ("", "/shop", "h/shop/", true),
            ("", "/shop", "h/shop/cart", true),
            ("", "/shop/", "h/shop/cart", true),
            ("", "/shop", "h/shopping", false),
            ("", "/shop", "h/", false),
        ] {
            let split = asked.find('/').unwrap();
            let (asked_host, asked_path) = asked.split_at(split);
            let pattern = Pattern::new(host, path);
            assert_eq!(
                pattern.matches(asked_host, asked_path),
                expected,
                "{host} {path}: {asked}"
            );
        }
    }
}
