//! Several endpoints share the requests, one that fails is left alone, and an app that returns is found at once.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pardon::incident::Cause;
use socket2::{Domain, Socket, Type};

use crate::support::{Folder, Gateway, Origin, Signal, Visit, eventually};

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
const POST: &str = "POST /order HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 4\r\n\r\nbook";

/// A proxy with one worker before these endpoints, with these lines of the upstream's section.
fn before(endpoints: &[String], toml: &str) -> Gateway {
    let listed: Vec<_> = endpoints.iter().map(|url| entry(url)).collect();
    let listed = listed.join(", ");
    Gateway::configured(
        &Origin::answering(""),
        &format!("server.workers = 1\n[upstreams.app]\nendpoints = [{listed}]\n{toml}"),
    )
}

/// An endpoint in the file: a URL, or what begins with a brace.
fn entry(url: &str) -> String {
    if url.starts_with('{') {
        url.to_owned()
    } else {
        format!("\"{url}\"")
    }
}

fn weighing(origin: &Origin, weight: u32) -> String {
    format!("{{ url = \"{}\", weight = {weight} }}", origin.url())
}

fn served(origins: &[&Origin]) -> Vec<usize> {
    origins
        .iter()
        .map(|origin| origin.requests().len())
        .collect()
}

/// An address that refuses connections until it is told to listen, and that nobody else can take meanwhile.
struct Down {
    address: SocketAddr,
    socket: Socket,
}

impl Down {
    fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&free.into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self { address, socket }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The app comes back.
    fn listen(self) -> Origin {
        self.socket.listen(64).unwrap();
        Origin::on_listener(self.socket.into(), |visit, head| {
            let received = visit.finish(head);
            visit.send(FINE);
            Some(received)
        })
    }
}

#[test]
fn each_endpoint_has_its_turn() {
    let (first, second) = (Origin::answering(FINE), Origin::answering(FINE));
    for balance in ["round-robin", "least-requests"] {
        let toml = format!("balance = \"{balance}\"\n");
        let gateway = before(&[first.url(), second.url()], &toml);
        for _ in 0..6 {
            assert_eq!(gateway.get("/", "").text(), "fine");
        }
    }
    assert_eq!(served(&[&first, &second]), [6, 6]);
    assert_eq!(
        first.connections() + second.connections(),
        4,
        "one for each"
    );
}

#[test]
fn shares_follow_the_weights_and_a_weight_of_0_gets_none() {
    let origins = [(); 3].map(|()| Origin::answering(FINE));
    let [heavy, light, drained] = &origins;
    let endpoints = [weighing(heavy, 3), weighing(light, 1), weighing(drained, 0)];
    let gateway = before(&endpoints, "balance = \"round-robin\"\n");
    for _ in 0..8 {
        assert_eq!(gateway.get("/", "").text(), "fine");
    }
    assert_eq!(served(&[heavy, light, drained]), [6, 2, 0]);
}

#[test]
fn a_busy_endpoint_gets_no_more_while_another_is_free() {
    let go_on = Signal::default();
    let held = go_on.clone();
    let script = move |visit: &mut Visit, path: &str| {
        if path.contains("/slow") {
            held.wait();
        }
        visit.send(FINE);
    };
    let script = Arc::new(script);
    let origin = || {
        let script = Arc::clone(&script);
        Origin::new(move |visit, received| script(visit, received.line()))
    };
    let (first, second) = (origin(), origin());
    let gateway = before(&[first.url(), second.url()], "");
    let mut slow = gateway.connect();
    slow.send("GET /slow HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    let all = || first.requests().len() + second.requests().len();
    eventually("the slow request", || (all() == 1).then_some(()));
    for _ in 0..10 {
        assert_eq!(gateway.get("/", "").text(), "fine");
    }
    let mut shares = served(&[&first, &second]);
    shares.sort_unstable();
    assert_eq!(shares, [1, 10]);
    go_on.give();
    assert_eq!(slow.answer().text(), "fine");
}

#[test]
fn nobody_notices_an_endpoint_that_is_down() {
    for balance in ["round-robin", "least-requests", "random-two"] {
        let (down, up) = (Down::new(), Origin::answering(FINE));
        let toml = format!("balance = \"{balance}\"\n");
        let gateway = before(&[down.url(), up.url()], &toml);
        for _ in 0..20 {
            assert_eq!(gateway.get("/", "").status, 200);
            assert_eq!(gateway.ask(POST).status, 200);
        }
        assert_eq!(up.requests().len(), 40);
    }
}

#[test]
fn an_endpoint_that_fails_again_and_again_is_left_alone() {
    let closing = Origin::on_head(|visit, _| {
        visit.close();
        None
    });
    let up = Origin::answering(FINE);
    let gateway = before(&[closing.url(), up.url()], "balance = \"round-robin\"\n");
    for _ in 0..60 {
        assert_eq!(gateway.get("/", "").status, 200);
    }
    // And a few that asked whether it is back, where this took that long.
    let asked = closing.connections();
    assert!((5..10).contains(&asked), "{asked} times of 60");
}

#[test]
fn a_503_is_a_failure_of_the_endpoint_and_a_500_is_none() {
    for (status, shares) in [(503, 5..9), (500, 20..21)] {
        let (failing, up) = (Origin::saying(status, "", "no"), Origin::answering(FINE));
        let gateway = before(&[failing.url(), up.url()], "balance = \"round-robin\"\n");
        for _ in 0..40 {
            gateway.get("/", "");
        }
        let asked = failing.requests().len();
        assert!(shares.contains(&asked), "{status}: {asked} times of 40");
    }
}

#[test]
fn the_record_names_the_endpoint_that_failed() {
    let (failing, up) = (Origin::saying(500, "", "no"), Origin::answering(FINE));
    let gateway = before(&[failing.url(), up.url()], "balance = \"round-robin\"\n");
    let answers = [gateway.get("/", ""), gateway.get("/", "")];
    let failed = answers.iter().find(|answer| answer.status == 500).unwrap();
    let incident = gateway.incident(failed.id());
    let upstream = incident.upstream.unwrap();
    assert_eq!(*upstream.endpoint, failing.address().to_string());
    assert_eq!(&*upstream.name, "app");
}

#[test]
fn an_app_that_returns_is_found_within_a_second() {
    for endpoints in [1, 3] {
        let mut down: Vec<_> = (0..endpoints).map(|_| Down::new()).collect();
        let urls: Vec<_> = down.iter().map(Down::url).collect();
        let gateway = before(&urls, "retry.attempts = 1\n");
        for _ in 0..100 {
            assert_eq!(gateway.get("/", "").status, 502);
        }
        let origin = down.remove(0).listen();
        let back = Instant::now();
        eventually("a good answer", || {
            (gateway.get("/", "").status == 200).then_some(())
        });
        let took = back.elapsed();
        assert!(
            took < Duration::from_secs(1),
            "{endpoints} endpoints: {took:?}"
        );
        assert!(!origin.requests().is_empty());
    }
}

#[test]
fn retries_are_bounded_by_a_budget_and_the_record_says_so() {
    let closing = Origin::on_head(|visit, head| {
        let received = visit.finish(head);
        visit.close();
        Some(received)
    });
    let gateway = before(&[closing.url()], "");
    let first = gateway.get("/", "");
    let incident = gateway.incident(first.id()).upstream.unwrap();
    assert_eq!(incident.attempts, 2, "a lone request is sent again");
    let mut last = first;
    // Of 98 a fifth and ten more are 29: the 98th is not among them.
    for _ in 1..98 {
        last = gateway.get("/", "");
    }
    let sent = closing.requests().len();
    assert!(
        (98 + 10..=98 + 29).contains(&sent),
        "98 requests were sent {sent} times"
    );
    let last = gateway.incident(last.id());
    let said = last.upstream.as_ref().unwrap().error.clone().unwrap();
    assert!(said.ends_with("the retry budget is spent"), "{said}");
    assert!(!last.summary.contains("budget"), "{}", last.summary);
}

#[test]
fn a_budget_of_0_sends_nothing_again() {
    let (down, up) = (Down::new(), Origin::answering(FINE));
    let toml = "balance = \"round-robin\"\nretry.budget = 0.0\n";
    let gateway = before(&[down.url(), up.url()], toml);
    let mut statuses = [gateway.get("/", "").status, gateway.get("/", "").status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 502]);
}

#[test]
fn one_connection_for_several_endpoints_serves_all_workers() {
    let origins = [Origin::answering(FINE), Origin::answering(FINE)];
    for balance in ["round-robin", "least-requests"] {
        let [first, second] = &origins;
        let gateway = Gateway::configured(
            first,
            &format!(
                "server.workers = 4\n[upstreams.app]\nendpoints = [\"{}\", \"{}\"]\nbalance = \"{balance}\"\nmax_connections = 1\n",
                first.url(),
                second.url()
            ),
        );
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        assert_eq!(gateway.get("/", "").text(), "fine", "{balance}");
                    }
                });
            }
        });
    }
    let shares = served(&[&origins[0], &origins[1]]);
    assert_eq!(shares.iter().sum::<usize>(), 160);
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
}

/// What an app with a health page was asked, and whether it says that it is well.
#[derive(Default)]
struct Health {
    ill: AtomicBool,
    checks: AtomicUsize,
}

/// An app with a page at `/health` that answers 500 while it is ill; the rest of it is fine.
fn with_health() -> (Origin, Arc<Health>) {
    let health = Arc::new(Health::default());
    let told = Arc::clone(&health);
    let origin = Origin::new(move |visit, received| {
        if !received.line().starts_with("GET /health?deep=1 ") {
            return visit.send(FINE);
        }
        let agent = received.header("user-agent").unwrap();
        assert!(agent.starts_with("Pardon-Health-Check/"), "{agent}");
        told.checks.fetch_add(1, Ordering::SeqCst);
        visit.send(if told.ill.load(Ordering::SeqCst) {
            "HTTP/1.1 500 Ill\r\nContent-Length: 0\r\n\r\n"
        } else {
            FINE
        });
    });
    (origin, health)
}

fn visits(origin: &Origin) -> usize {
    let requests = origin.requests();
    let visits = requests
        .iter()
        .filter(|one| one.line().starts_with("GET / "));
    visits.count()
}

#[test]
fn a_sick_endpoint_gets_no_requests_until_it_is_well() {
    let ((first, health), (second, _)) = (with_health(), with_health());
    let toml =
        "balance = \"round-robin\"\nhealth = { path = \"/health?deep=1\", interval = \"20ms\" }\n";
    let gateway = before(&[first.url(), second.url()], toml);
    let gets = |wanted: bool| {
        eventually("the checks to be heard", || {
            let (before, all) = (visits(&first), visits(&first) + visits(&second));
            (0..4).for_each(|_| assert_eq!(gateway.get("/", "").status, 200));
            assert_eq!(visits(&first) + visits(&second), all + 4);
            ((visits(&first) > before) == wanted).then_some(())
        });
    };
    gets(true);
    health.ill.store(true, Ordering::SeqCst);
    gets(false);
    health.ill.store(false, Ordering::SeqCst);
    gets(true);
    assert!(gateway.incidents().is_empty(), "a check is no incident");
}

#[test]
fn with_no_healthy_endpoint_the_failure_is_no_endpoint() {
    let (origin, health) = with_health();
    let toml = "health = { path = \"/health?deep=1\", interval = \"20ms\" }\n";
    let gateway = before(&[origin.url()], toml);
    health.ill.store(true, Ordering::SeqCst);
    let refused = eventually("the checks to be heard", || {
        Some(gateway.get("/", "")).filter(|answer| answer.status == 503)
    });
    let incident = gateway.incident(refused.id());
    assert_eq!(incident.cause, Cause::NoEndpoint);
    let said = incident.upstream.unwrap().error.unwrap();
    assert!(
        said.contains("GET /health?deep=1 was answered with 500"),
        "{said}"
    );
    let before = visits(&origin);
    assert_eq!(gateway.get("/", "").status, 503);
    assert_eq!(visits(&origin), before, "it is not asked");
    health.ill.store(false, Ordering::SeqCst);
    let well = Instant::now();
    eventually("a good answer", || {
        (gateway.get("/", "").status == 200).then_some(())
    });
    assert!(well.elapsed() < Duration::from_secs(1));
}

#[test]
fn health_checks_are_never_one_too_many_for_an_app_of_one_connection() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let checks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&checks);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            serve_until_closed(BufReader::new(stream), |line| {
                counted.fetch_add(usize::from(line.contains("/health")), Ordering::SeqCst);
            });
        }
    });
    let toml = "max_connections = 1\nhealth = { path = \"/health\", interval = \"5ms\" }\n";
    let gateway = before(&[url], toml);
    eventually("many checks between the requests", || {
        assert_eq!(gateway.get("/", "").text(), "fine");
        (checks.load(Ordering::SeqCst) > 20).then_some(())
    });
}

/// Answers all requests of a connection; `hear` is told their first lines.
fn serve_until_closed<S: std::io::Read + Write>(mut stream: BufReader<S>, hear: impl Fn(&str)) {
    let mut line = String::new();
    while stream.read_line(&mut line).is_ok_and(|size| size > 0) {
        if line == "\r\n" {
            drop(stream.get_mut().write_all(FINE.as_bytes()));
        } else {
            hear(&line);
        }
        line.clear();
    }
}

/// An app behind a Unix socket that tells `hear` the lines of its requests.
fn on_socket(path: &Path, hear: impl Fn(&str) + Send + Sync + 'static) {
    let listener = UnixListener::bind(path).unwrap();
    let hear = Arc::new(hear);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let hear = Arc::clone(&hear);
            thread::spawn(move || serve_until_closed(BufReader::new(stream), |line| hear(line)));
        }
    });
}

#[test]
fn an_app_behind_a_unix_socket_is_reached() {
    let folder = Folder::new();
    let path = folder.path().join("app.sock");
    let hosts = Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = Arc::clone(&hosts);
    on_socket(&path, move |line| {
        if line.starts_with("host: ") {
            heard.lock().unwrap().push(line.trim().to_owned());
        }
    });
    let url = format!("unix:{}", path.display());
    for host in ["keep", "endpoint"] {
        let gateway = before(std::slice::from_ref(&url), &format!("host = \"{host}\"\n"));
        for _ in 0..3 {
            assert_eq!(gateway.get("/", "").text(), "fine");
        }
    }
    let hosts = hosts.lock().unwrap();
    assert_eq!(hosts[2..4], ["host: shop.example", "host: localhost"]);
}

#[test]
fn a_socket_that_is_not_there_is_a_failed_connection_and_found_when_it_comes() {
    let folder = Folder::new();
    let path = folder.path().join("app.sock");
    let url = format!("unix:{}", path.display());
    let gateway = before(std::slice::from_ref(&url), "");
    let failed = gateway.get("/", "");
    assert_eq!(failed.status, 502);
    let incident = gateway.incident(failed.id());
    assert_eq!(incident.cause, Cause::ConnectFailed);
    assert_eq!(*incident.upstream.unwrap().endpoint, url);
    on_socket(&path, |_| {});
    assert_eq!(gateway.get("/", "").status, 200);
}

#[test]
fn localhost_works_where_the_app_listens_on_one_of_its_addresses() {
    let origin = Origin::answering(FINE);
    let port = origin.address().port();
    let toml = "retry.attempts = 1\nhealth.eject_after = 0\n";
    let gateway = before(&[format!("http://localhost:{port}")], toml);
    for _ in 0..10 {
        assert_eq!(gateway.ask(POST).status, 200);
    }
    assert!(origin.connections() <= 2, "{}", origin.connections());
}
