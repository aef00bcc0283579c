//! slowhttptest against the program: it sheds them all, and whoever keeps the pace is served meanwhile.

use std::process::{Child, Command, Stdio};

use crate::support::{Client, Origin, Program, eventually};

/// Short enough to be waited for.
const SHORT: &str = "[server.timeouts]\nhead = \"3s\"\nbody = \"3s\"\nwrite = \"3s\"\n";

const ORDINARY: &str = "GET /ordinary HTTP/1.1\r\nHost: shop.example\r\n\r\n";

/// More than the sockets on the way hold.
const LARGE: usize = 16 * 1024 * 1024;

/// How many of them come at once.
const MANY: u64 = 100;

/// An app with something small and something large.
fn app() -> Origin {
    let large = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
    let large = [large.into_bytes(), vec![b'x'; LARGE]].concat();
    Origin::new(move |visit, request| {
        if request.line().contains("/ordinary") {
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
        } else {
            visit.send(&large);
        }
    })
}

/// The visitors' connections that are open now.
fn open(program: &Program) -> u64 {
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let metrics = Client::connect(program.admin_address()).ask(request);
    let mut lines = metrics.text().lines();
    let gauge = lines.find_map(|line| line.strip_prefix("pardon_connections{state=\"open\"} "));
    gauge.unwrap().parse().unwrap()
}

/// Ends with this value, whatever the test finds.
struct Attack(Child);

impl Drop for Attack {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Has so many come, and looks at the program's own end of them: the attacker's kernel may hold what it has not read
/// yet, so that the attacker itself does not see for long that it was shed.
fn shed(mode: &[&str]) {
    let origin = app();
    let program = Program::set(&origin, SHORT);
    let address = program.address();
    let (url, many) = (format!("http://{address}/attacked"), MANY.to_string());
    let common = ["-c", &many, "-r", &many, "-l", "60", "-p", "5", "-u", &url];
    let attack = Command::new("slowhttptest")
        .args(mode)
        .args(common)
        .stdout(Stdio::null())
        .spawn();
    let _attack = Attack(attack.unwrap());
    let mut served = 0;
    let mut ordinary = || {
        assert_eq!(Client::connect(address).ask(ORDINARY).text(), "fine");
        served += 1;
    };
    eventually("most of them to be there", || {
        ordinary();
        (open(&program) >= MANY * 9 / 10).then_some(())
    });
    // One that asks whether the service is there, and our own.
    eventually("all of them to be shed", || {
        ordinary();
        (open(&program) <= 3).then_some(())
    });
    assert!(served > 10, "{mode:?}: {served}");
}

#[test]
fn slow_heads_are_shed() {
    shed(&["-H", "-i", "5"]);
}

#[test]
fn slow_bodies_are_shed() {
    shed(&["-B", "-i", "5", "-s", "8192"]);
}

#[test]
fn slow_readers_are_shed() {
    shed(&["-X", "-n", "1", "-z", "5", "-w", "1", "-y", "64"]);
}
