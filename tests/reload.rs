//! A running process takes over a new configuration: all of it or none, and nothing in flight notices.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::json;

use crate::support::tls::{Authority, Visitor};
use crate::support::{Answer, Client, Folder, Origin, Program, Signal, eventually, get};

/// A process whose file is changed while it runs.
struct Running {
    program: Program,
    origin: Origin,
}

impl Running {
    /// Before an app, with these lines in its file beside the app and the operator's listener.
    fn set(origin: Origin, toml: &str) -> Self {
        Self::with(origin, toml, &[])
    }

    fn with(origin: Origin, toml: &str, flags: &[&str]) -> Self {
        let folder = Folder::new();
        folder.write("pardon.toml", text(&origin, toml));
        let mut arguments = vec!["run", "--config", "pardon.toml"];
        arguments.extend(flags);
        let mut command = folder.command(&arguments);
        let program = Program::run(folder, &mut command);
        program.address();
        Self { program, origin }
    }

    fn write(&self, toml: &str) {
        let text = text(&self.origin, toml);
        self.program.folder().write("pardon.toml", text);
    }

    /// Changes the file and waits until it is in force.
    fn change(&self, toml: &str) {
        let before = self.program.count("\"reloaded (SIGHUP)");
        self.write(toml);
        self.program.signal("HUP");
        eventually("the reload", || {
            (self.program.count("\"reloaded (SIGHUP)") > before).then_some(())
        });
    }
}

/// A whole file; `$ORIGIN` stands for the app.
fn text(origin: &Origin, toml: &str) -> String {
    let toml = toml.replace("$ORIGIN", &origin.url());
    let app = if toml.contains("[upstreams.") {
        String::new()
    } else {
        format!("[upstreams.app]\nendpoints = [\"{}\"]\n", origin.url())
    };
    let listen = if toml.contains("[server]") {
        ""
    } else {
        "[server]\nlisten = [\"127.0.0.1:0\"]\n"
    };
    format!("{toml}\n{listen}{app}[admin]\nlisten = [\"127.0.0.1:0\"]\n")
}

#[test]
fn a_change_counts_for_what_begins_after_it() {
    let (begun, go_on) = (Signal::default(), Signal::default());
    let (told, waits) = (begun.clone(), go_on.clone());
    let origin = Origin::new(move |visit, request| {
        if request.line().contains("/slow") {
            told.give();
            waits.wait();
        }
        visit.send("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
    });
    let running = Running::set(origin, "[brand]\nname = \"Old Shop\"");
    let mut slow = running.program.connect();
    slow.send(get("/slow", "Accept: text/html\r\n"));
    begun.wait();
    running.change("[brand]\nname = \"New Shop\"");
    assert!(
        running
            .program
            .line("reloaded (SIGHUP)")
            .contains("brand.name")
    );
    let page = running.program.get("/", "Accept: text/html\r\n");
    assert!(page.text().contains("New Shop"), "{}", page.text());
    go_on.give();
    let page = slow.answer();
    assert!(page.text().contains("Old Shop"), "{}", page.text());
}

#[test]
fn a_broken_file_is_refused_and_said_so() {
    let running = Running::set(Origin::saying(200, "", "fine"), "");
    let program = &running.program;
    running.write("[pages]\nfolder = \"nowhere\"\n[brand]\nnam = \"Shop\"");
    program.signal("HUP");
    let said = program.json("not reloaded (SIGHUP)");
    let said = said["message"].as_str().unwrap();
    assert!(said.contains("unknown key `nam`"), "{said}");
    assert!(said.contains("pardon.toml:4:1"), "{said}");
    let refused = ask_reload(program);
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert_eq!(
        refused.header("content-type"),
        Some("application/problem+json")
    );
    let problem = refused.json();
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("unknown key `nam`") && detail.contains("pardon.toml:4:1"),
        "{detail}"
    );
    assert!(
        detail.contains("nowhere"),
        "and what the rest of it names: {detail}"
    );
    assert_eq!(program.get("/", "").text(), "fine");
}

/// `POST /api/reload`
fn ask_reload(program: &Program) -> Answer {
    let request = "POST /api/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    Client::connect(program.admin_address()).ask(request)
}

#[test]
fn the_operator_asks_for_a_reload_and_hears_what_has_changed() {
    let running = Running::set(Origin::saying(200, "", "fine"), "");
    let program = &running.program;
    running.write("[server]\nlisten = [\"127.0.0.1:0\"]\nmax_connections = 9\nworkers = 1\n[log]\nlevel = \"debug\"");
    let said = ask_reload(program);
    assert_eq!(said.status, 200, "{}", said.text());
    let said = said.json();
    assert_eq!(said["changed"], json!(["server.max_connections"]));
    let later = json!(["server.workers", "log.level"]);
    assert_eq!(said["at_next_start"], later);
    let line = program.line("takes effect at the next start");
    assert!(line.contains("server.workers, log.level"), "{line}");
    let asked = |request: &str| Client::connect(program.admin_address()).ask(request);
    let got = asked("GET /api/reload HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!((got.status, got.header("allow")), (405, Some("POST")));
    let page = asked(
        "POST /api/reload HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(page.status, 403);
}

/// The addresses that were said to be listened on so far.
fn listening(program: &Program) -> Vec<SocketAddr> {
    let lines = program.lines();
    let said = lines.iter().filter(|line| line.contains("\"listening\""));
    let address = |line: &String| {
        let (_, rest) = line.split_once("127.0.0.1:").unwrap();
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap();
        SocketAddr::from(([127, 0, 0, 1], rest[..end].parse().unwrap()))
    };
    said.map(address).collect()
}

#[test]
fn listeners_come_and_go() {
    let (begun, go_on) = (Signal::default(), Signal::default());
    let (told, waits) = (begun.clone(), go_on.clone());
    let origin = Origin::new(move |visit, request| {
        if request.line().contains("/slow") {
            told.give();
            waits.wait();
        }
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    });
    let two =
        "[server]\nlisten = [\"127.0.0.1:0\", \"127.0.0.2:0\"]\n".replace("127.0.0.2:0", "[::1]:0");
    let one = "[server]\nlisten = [\"[::1]:0\"]\n";
    let running = Running::set(origin, "");
    let program = &running.program;
    let first = program.address();
    let mut idle = Client::connect(first);
    assert_eq!(idle.ask(get("/", "")).status, 200);
    running.change(&two);
    assert_eq!(idle.ask(get("/", "")).status, 200, "the connection stays");
    let second = program.line("[::1]:");
    let port = second.split_once("[::1]:").unwrap().1;
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    let second = SocketAddr::new("::1".parse().unwrap(), port.parse().unwrap());
    assert_eq!(Client::connect(second).ask(get("/", "")).text(), "fine");
    let mut slow = Client::connect(first);
    slow.send(get("/slow", ""));
    begun.wait();
    running.change(one);
    program.line("not listening any more");
    assert!(idle.is_closed(), "an idle connection is told to close");
    assert!(TcpStream::connect(first).is_err());
    go_on.give();
    let answer = slow.answer();
    assert_eq!(answer.text(), "fine");
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(slow.is_closed());
    assert_eq!(Client::connect(second).ask(get("/", "")).text(), "fine");
}

#[test]
fn an_address_that_is_taken_changes_nothing() {
    let running = Running::set(Origin::saying(500, "", ""), "[brand]\nname = \"Old\"");
    let program = &running.program;
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    running.write(&format!(
        "[server]\nlisten = [\"{taken}\", \"127.0.0.1:0\"]\n[brand]\nname = \"New\""
    ));
    let refused = ask_reload(program);
    drop(holder);
    assert_eq!(refused.status, 422);
    let detail = refused.json()["detail"].to_string();
    assert!(detail.contains("another process listens there"), "{detail}");
    let page = program.get("/", "Accept: text/html\r\n");
    assert!(page.text().contains("Old"));
    assert_eq!(listening(program).len(), 1);
}

#[test]
fn certificates_come_and_go() {
    let origin = Origin::saying(200, "", "fine");
    let authority = Authority::new();
    let folder = Folder::new();
    for (name, host) in [("shop", "shop.example"), ("blog", "blog.example")] {
        authority.certify(&[host]).write(&folder, name);
    }
    let toml = |names: &[&str]| {
        let pairs: Vec<_> = names
            .iter()
            .map(|name| format!("{{ chain = \"{name}.pem\", key = \"{name}.key\" }}"))
            .collect();
        let pairs = pairs.join(", ");
        format!(
            "[server]\nlisten = [\"tls://127.0.0.1:0\"]\n[server.tls]\ncertificates = [{pairs}]\n"
        )
    };
    folder.write("pardon.toml", text(&origin, &toml(&["shop"])));
    let mut command = folder.command(&["run", "--config", "pardon.toml"]);
    let program = Program::run(folder, &mut command);
    let address = program.address();
    let running = Running { program, origin };
    // Each is another one: who has been there before resumes its session, and is shown no certificate.
    let visit = |name| Visitor::trusting(&authority).try_connect(address, name);
    let mut kept = Client::within(visit("shop.example").unwrap());
    assert_eq!(kept.ask(get("/", "")).status, 200);
    assert!(visit("blog.example").is_err());
    running.change(&toml(&["shop", "blog"]));
    visit("blog.example").unwrap();
    running.change(&toml(&["blog"]));
    assert!(visit("shop.example").is_err());
    visit("blog.example").unwrap();
    running.write(&toml(&["nowhere"]));
    running.program.signal("HUP");
    running.program.line("not reloaded (SIGHUP)");
    visit("blog.example").unwrap();
    assert_eq!(listening(&running.program), [address]);
}

#[test]
fn a_listener_changes_to_tls_where_it_is() {
    let authority = Authority::new();
    let running = Running::set(Origin::saying(200, "", "fine"), "");
    let address = running.program.address();
    let mut plain = running.program.connect();
    assert_eq!(plain.ask(get("/", "")).status, 200);
    let issued = authority.certify(&["shop.example"]);
    issued.write(running.program.folder(), "site");
    running.change(
        "[server]\nlisten = [\"tls://127.0.0.1:0\"]\n[server.tls]\n\
         certificates = [{ chain = \"site.pem\", key = \"site.key\" }]\n",
    );
    let visitor = Visitor::trusting(&authority);
    let answer = visitor.ask(address, "shop.example", get("/", ""));
    assert_eq!(answer.text(), "fine");
    assert_eq!(plain.ask(get("/", "")).status, 200, "and goes on");
}

#[test]
fn an_app_that_stays_keeps_its_connections() {
    let origin = Origin::saying(200, "", "fine");
    let running = Running::set(origin, "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1");
    let mut visitor = running.program.connect();
    for number in 0..20 {
        assert_eq!(visitor.ask(get("/", "")).status, 200);
        running.change(&format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n[server.timeouts]\nidle = \"{}s\"\n\
             [brand]\nname = \"Shop {number}\"\n[upstreams.app]\nendpoints = [\"$ORIGIN\"]\ntimeouts.head = \"{}s\"\n",
            100 + number,
            20 + number
        ));
    }
    assert_eq!(visitor.ask(get("/", "")).status, 200);
    assert_eq!(running.origin.connections(), 1);
}

#[test]
fn an_app_that_changes_is_gone_with_its_connections() {
    let new = Origin::saying(200, "", "new");
    let running = Running::set(Origin::saying(200, "", "old"), "");
    let mut visitor = running.program.connect();
    assert_eq!(visitor.ask(get("/", "")).text(), "old");
    let url = new.url();
    running.change(&format!("[upstreams.app]\nendpoints = [\"{url}\"]\n"));
    eventually("the old app's connections to close", || {
        (running.origin.open() == 0).then_some(())
    });
    assert_eq!(visitor.ask(get("/", "")).text(), "new");
}

fn metrics(program: &Program) -> String {
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer = Client::connect(program.admin_address()).ask(request);
    answer.text().to_owned()
}

const ONE_CONNECTION: &str = "[upstreams.app]\nendpoints = [\"$ORIGIN\"]\nmax_connections = 1\n";

/// A proxy whose one connection to the app is in use by the visitor, until the signal is given.
fn fully_used() -> (Running, Client, Signal) {
    let (begun, go_on) = (Signal::default(), Signal::default());
    let (told, waits) = (begun.clone(), go_on.clone());
    let origin = Origin::new(move |visit, request| {
        if request.line().contains("/slow") {
            told.give();
            waits.wait();
        }
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    });
    let running = Running::set(origin, ONE_CONNECTION);
    let mut slow = running.program.connect();
    slow.send(get("/slow", ""));
    begun.wait();
    (running, slow, go_on)
}

/// Sends a request that waits for a connection, as the last of so many.
fn in_the_queue(running: &Running, number: usize) -> Client {
    let mut visitor = running.program.connect();
    visitor.send(get("/", ""));
    let line = format!("pardon_upstream_waiting_requests{{upstream=\"app\"}} {number}");
    eventually("it to wait for its turn", || {
        metrics(&running.program).contains(&line).then_some(())
    });
    visitor
}

/// The page's settings change, then the app's own.
#[test]
fn a_limit_on_connections_holds_over_a_reload() {
    for change in ["[brand]\nname = \"Shop\"", "queue = 7"] {
        let (running, mut slow, go_on) = fully_used();
        running.change(&format!("{ONE_CONNECTION}{change}\n"));
        let mut waiting = in_the_queue(&running, 1);
        assert_eq!(running.origin.connections(), 1, "{change}");
        go_on.give();
        assert_eq!((slow.answer().status, waiting.answer().status), (200, 200));
    }
}

/// One waits under the former settings, one under the new ones: the one connection serves both.
#[test]
fn those_that_wait_under_former_settings_get_their_turn() {
    let (running, mut slow, go_on) = fully_used();
    let mut visitors = Vec::new();
    for number in [1, 2] {
        visitors.push(in_the_queue(&running, number));
        running.change(&format!("{ONE_CONNECTION}queue = {}\n", 10 + number));
    }
    go_on.give();
    assert_eq!(slow.answer().status, 200);
    for mut visitor in visitors {
        assert_eq!(visitor.answer().status, 200);
    }
}

#[test]
fn counters_go_on() {
    let running = Running::set(Origin::saying(503, "", ""), "");
    let program = &running.program;
    for number in 0..3 {
        assert_eq!(program.get("/", "").status, 503);
        running.change(&format!("[brand]\nname = \"Shop {number}\""));
    }
    running.change("[[routes]]\nname = \"other\"");
    assert_eq!(program.get("/", "").status, 503);
    let metrics = metrics(program);
    for line in [
        "pardon_requests_total{route=\"app\",class=\"5xx\"} 3",
        "pardon_requests_total{route=\"other\",class=\"5xx\"} 1",
        "pardon_upstream_failures_total{upstream=\"app\",cause=\"upstream_status\"} 4",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[test]
fn reloads_leave_nothing_behind() {
    let origin = Origin::saying(200, "", "fine");
    let running = Running::set(origin, "");
    let program = &running.program;
    let listen = ["\"127.0.0.1:0\"", "\"127.0.0.1:0\", \"[::1]:0\""];
    let change = |number: usize| {
        let listen = listen[number % 2];
        running.change(&format!(
            "[server]\nlisten = [{listen}]\n[upstreams.app]\nendpoints = [\"$ORIGIN\"]\nqueue = {number}\n"
        ));
        assert_eq!(program.get("/", "").text(), "fine");
    };
    let count = |what: &str| {
        fs::read_dir(format!("/proc/{}/{what}", program.number()))
            .unwrap()
            .count()
    };
    (0..2).for_each(change);
    change(4);
    let threads = count("task");
    let files = count("fd");
    (5..35).for_each(change);
    assert_eq!(count("task"), threads);
    eventually("descriptors to be as they were", || {
        (count("fd") <= files + 1).then_some(())
    });
}

#[test]
fn a_changed_file_is_seen_however_it_is_saved() {
    let origin = Origin::saying(500, "", "");
    let running = Running::with(origin, "[brand]\nname = \"First\"", &["--watch"]);
    let program = &running.program;
    let mut reloads = 0;
    let mut says = |name: &str| {
        reloads += 1;
        eventually("the change to be seen", || {
            let seen = program.count("\"reloaded (a file has changed)");
            (seen >= reloads).then_some(())
        });
        let page = program.get("/", "Accept: text/html\r\n");
        assert!(page.text().contains(name), "{name}: {}", page.text());
    };
    running.write("[brand]\nname = \"Second\"");
    says("Second");
    let folder = program.folder();
    folder.write(
        "new.toml",
        text(
            &running.origin,
            "[brand]\nname = \"Third\"\n[pages]\nfolder = \"own\"",
        ),
    );
    folder.write(
        "own/error.html.tera",
        "<p>{{ brand.name }}, Fourth {{ request_id }}</p>",
    );
    fs::rename(
        folder.path().join("new.toml"),
        folder.path().join("pardon.toml"),
    )
    .unwrap();
    says("Third, Fourth");
    folder.write(
        "own/error.html.tera",
        "<p>{{ brand.name }}, Fifth {{ request_id }}</p>",
    );
    says("Third, Fifth");
    folder.write("own/error.html.tera", "<p>{{ brand.nam");
    program.line("not reloaded (a file has changed)");
    let page = program.get("/", "Accept: text/html\r\n");
    assert!(page.text().contains("Third, Fifth"));
}

#[test]
fn a_stop_during_reloads_is_a_stop() {
    let running = Running::set(Origin::saying(200, "", "fine"), "");
    let mut program = running.program;
    program.get("/", "");
    for _ in 0..5 {
        program.signal("HUP");
    }
    program.signal("TERM");
    assert_eq!(program.ended().code(), Some(0));
}
