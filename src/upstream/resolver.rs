//! Where a name's addresses come from: in comes a host's name, out go its addresses and for how long they may be used.
//!
//! As for other programs of the machine the hosts file comes first, then the name servers of `resolv.conf` with its search
//! list and its `ndots`; both files are read anew each time, since containers change them. Where there are no name
//! servers to ask, and for `printer.local`, which DNS must not be asked for (RFC 6762, 3), it is the C library's turn:
//! that one knows what else the machine resolves names by, but not for how long.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::parse_resolv_conf;
use hickory_resolver::{Resolver as Lookup, TokioResolver};
use tokio::time::timeout;

/// How long addresses are used at least, whatever their TTL.
const SHORTEST: Duration = Duration::from_secs(1);

/// How long at most: a change that was not planned is not to be waited for all day.
const LONGEST: Duration = Duration::from_mins(5);

/// How long, where nobody says it.
pub(super) const UNSAID: Duration = Duration::from_secs(5);

/// For all questions that a name comes to, with its search list.
const PATIENCE: Duration = Duration::from_secs(10);

/// Name servers that are asked at once: as many as the C library knows. The first that answers is believed.
const AT_ONCE: usize = 3;

/// What a name came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) list: Vec<IpAddr>,
    /// For how long they may be used.
    pub(super) life: Duration,
}

/// The way to a name's addresses.
pub(super) enum Way {
    /// They are at hand.
    Known(Addresses),
    Ask(Box<Question>),
    /// [`by_library`], which holds its thread up.
    Library,
}

/// A name, and whom it is asked from.
pub(super) struct Question {
    name: Name,
    servers: TokioResolver,
}

/// The files that say how names resolve.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    pub(super) hosts: PathBuf,
    pub(super) servers: PathBuf,
    /// Where the name servers listen: `resolv.conf` has no word for that.
    pub(super) port: u16,
}

impl Default for Resolver {
    fn default() -> Self {
        Self {
            hosts: "/etc/hosts".into(),
            servers: "/etc/resolv.conf".into(),
            port: 53,
        }
    }
}

impl Resolver {
    /// How this name is resolved.
    pub(super) fn way(&self, host: &str) -> Way {
        let plain = host.strip_suffix('.').unwrap_or(host);
        let listed = fs::read_to_string(&self.hosts).unwrap_or_default();
        let list = match in_hosts(&listed, plain) {
            list if list.is_empty() && is_loopback(plain) => {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            }
            list => list,
        };
        if !list.is_empty() {
            return Way::Known(Addresses { list, life: UNSAID });
        }
        let question = (!is_link_local(plain)).then(|| self.question(host));
        question.flatten().map_or(Way::Library, Way::Ask)
    }

    /// None where there is nobody to ask.
    fn question(&self, host: &str) -> Option<Box<Question>> {
        let written = fs::read(&self.servers).ok()?;
        let (config, options) = parse_resolv_conf(written).ok()?;
        let name = Name::from_str_relaxed(host).ok()?;
        let provider = TokioRuntimeProvider::default();
        let mut builder = Lookup::builder_with_config(self.asked(config), provider);
        *builder.options_mut() = for_us(options);
        let servers = builder.build().ok()?;
        Some(Box::new(Question { name, servers }))
    }

    /// The file's servers at our port. The machine's own domain is searched only where the file names no other, as the C
    /// library has it.
    fn asked(&self, config: ResolverConfig) -> ResolverConfig {
        let (domain, search, mut servers) = config.into_parts();
        for connection in servers.iter_mut().flat_map(|it| &mut it.connections) {
            connection.port = self.port;
        }
        let domain = domain.filter(|_| search.is_empty());
        ResolverConfig::from_parts(domain, search, servers)
    }
}

/// The file's options, and ours.
fn for_us(mut options: ResolverOpts) -> ResolverOpts {
    // What was answered is remembered with the name.
    options.cache_size = 0;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Never;
    options.num_concurrent_reqs = AT_ONCE;
    options
}

impl Question {
    /// Asks for all its addresses of both kinds, within [`PATIENCE`].
    ///
    /// # Errors
    ///
    /// Why there are none, in words.
    pub(super) async fn ask(self) -> Result<Addresses, String> {
        let asked = timeout(PATIENCE, self.servers.lookup_ip(self.name)).await;
        let found = asked
            .unwrap_or(Err(NetError::Timeout))
            .map_err(|error| said(&error))?;
        let life = found
            .valid_until()
            .saturating_duration_since(Instant::now());
        Ok(Addresses {
            list: distinct(found.iter()),
            life: life.clamp(SHORTEST, LONGEST),
        })
    }
}

/// Asks the C library, which holds the thread up, for half a minute where nobody answers.
///
/// # Errors
///
/// What it says.
pub(super) fn by_library(host: &str) -> Result<Addresses, String> {
    // The port is of no matter.
    let found = (host, 0).to_socket_addrs();
    let found = found.map_err(|error| error.to_string())?;
    Ok(Addresses {
        list: distinct(found.map(|address| address.ip())),
        life: UNSAID,
    })
}

fn distinct(found: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut list = Vec::new();
    for address in found {
        if !list.contains(&address) {
            list.push(address);
        }
    }
    list
}

/// The addresses that a hosts file has for a name.
fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words
            .any(|name| name.eq_ignore_ascii_case(host))
            .then_some(address)
    };
    distinct(text.lines().filter_map(address))
}

/// Whether the name is this machine whatever anyone says (RFC 6761, 6.3).
fn is_loopback(host: &str) -> bool {
    let last = host.rsplit('.').next();
    last.is_some_and(|last| last.eq_ignore_ascii_case("localhost"))
}

/// `printer.local`, but not `app.default.svc.cluster.local`, which Kubernetes answers for.
fn is_link_local(host: &str) -> bool {
    let name = host.split_once('.');
    name.is_some_and(|(_, rest)| rest.eq_ignore_ascii_case("local"))
}

fn said(error: &NetError) -> String {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => "no such name".to_owned(),
            _ => "the name has no address".to_owned(),
        },
        NetError::Timeout => "no name server answers".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::name_server::{NameServer, Reply};
    use super::*;

    async fn ask(server: &NameServer, host: &str) -> Result<Addresses, String> {
        match server.resolver().way(host) {
            Way::Known(addresses) => Ok(addresses),
            Way::Ask(question) => question.ask().await,
            Way::Library => Err("left to the library".to_owned()),
        }
    }

    fn list(addresses: &[&str]) -> Vec<IpAddr> {
        addresses.iter().map(|it| it.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn all_addresses_of_both_kinds_are_found_with_their_life() {
        for (ttl, life) in [(0, 1), (60, 60), (86_400, 300)] {
            let all = list(&["10.0.0.1", "10.0.0.2", "fd00::1"]);
            let told = all.clone();
            let server = NameServer::new(move |_| Reply::Records(told.clone(), ttl));
            let found = ask(&server, "my_app.test").await.unwrap();
            assert_eq!(found.list, all);
            // A little of it has passed.
            let passed = Duration::from_secs(life).saturating_sub(found.life);
            assert!(passed < Duration::from_millis(900), "{found:?}");
            let mut asked = server.asked();
            asked.sort();
            assert_eq!(asked, ["my_app.test A", "my_app.test AAAA"]);
        }
    }

    #[tokio::test]
    async fn the_search_list_is_gone_through_as_the_dots_say() {
        let server = NameServer::new(|name| match name {
            "app.shop.svc.cluster.local" | "db.shop.svc.cluster.local" | "www.example.com" => {
                Reply::Records(list(&["10.0.0.1"]), 5)
            }
            _ => Reply::NoSuchName,
        });
        let search = "search svc.cluster.local cluster.local\n";
        server.write(
            "resolv.conf",
            &format!("nameserver 127.0.0.1\n{search}options ndots:5\n"),
        );
        for (host, asked) in [
            ("app.shop", &["app.shop.svc.cluster.local"][..]),
            (
                "db.shop.svc",
                &["db.shop.svc.svc.cluster.local", "db.shop.svc.cluster.local"],
            ),
            (
                "www.example.com",
                &[
                    "www.example.com.svc.cluster.local",
                    "www.example.com.cluster.local",
                    "www.example.com",
                ],
            ),
            ("www.example.com.", &["www.example.com"]),
        ] {
            let before = server.asked().len();
            assert_eq!(ask(&server, host).await.unwrap().list, list(&["10.0.0.1"]));
            let asked_now = server.asked();
            let questions = asked_now.iter().skip(before);
            let mut names: Vec<_> = questions.filter_map(|it| it.split(' ').next()).collect();
            names.dedup();
            assert_eq!(names, asked, "{host}");
        }
    }

    #[tokio::test]
    async fn what_is_cut_off_is_asked_for_by_tcp() {
        let all: Vec<IpAddr> = (1..=200).map(|last| [10, 0, 0, last].into()).collect();
        let told = all.clone();
        let server = NameServer::new(move |_| Reply::Cut(told.clone(), 5));
        assert_eq!(ask(&server, "app.test").await.unwrap().list, all);
        assert!(server.asked().contains(&"app.test A tcp".to_owned()));
    }

    #[tokio::test]
    async fn what_is_wrong_is_said() {
        for (reply, why) in [
            (Reply::NoSuchName, "no such name"),
            (Reply::Records(Vec::new(), 5), "the name has no address"),
            (Reply::Refused, "DNS error: error response: Query Refused"),
            (Reply::Silence, "no name server answers"),
        ] {
            let server = NameServer::new(move |_| reply.clone());
            let options = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";
            server.write("resolv.conf", options);
            assert_eq!(ask(&server, "app.test").await.unwrap_err(), why);
        }
    }

    #[tokio::test]
    async fn nobody_is_asked_for_what_the_hosts_file_says_or_for_this_machine() {
        let server = NameServer::new(|_| Reply::NoSuchName);
        server.write(
            "hosts",
            "# app 1.1.1.1\n10.0.0.1 other App # db\n10.0.0.2\tapp\nfd00::1 app app\nnonsense app\n",
        );
        for (host, found) in [
            ("app", &["10.0.0.1", "10.0.0.2", "fd00::1"][..]),
            ("other.", &["10.0.0.1"]),
            ("localhost", &["127.0.0.1", "::1"]),
            ("app.LOCALHOST", &["127.0.0.1", "::1"]),
        ] {
            assert_eq!(
                ask(&server, host).await.unwrap().list,
                list(found),
                "{host}"
            );
        }
        assert!(server.asked().is_empty());
        assert_eq!(ask(&server, "db").await.unwrap_err(), "no such name");
    }

    #[tokio::test]
    async fn the_library_is_asked_where_there_is_no_name_server_and_for_names_of_the_link() {
        let server = NameServer::new(|_| Reply::NoSuchName);
        let is_librarys = |host| matches!(server.resolver().way(host), Way::Library);
        assert!(is_librarys("printer.local") && !is_librarys("app.shop.svc.cluster.local"));
        server.write("resolv.conf", "search example.com\n");
        assert!(is_librarys("app.test"));
        let nowhere = Resolver {
            servers: "/nowhere".into(),
            ..server.resolver()
        };
        assert!(matches!(nowhere.way("app.test"), Way::Library));
        assert!(server.asked().is_empty());
    }
}
