//! Real apps behind: what a browser would see of them, and what the log keeps.

use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::{Folder, Program, eventually};

const SECRET: &str = "tulip-harbour-42";

/// An app of somebody else's; it is killed with this value.
struct App {
    child: Child,
    address: SocketAddr,
}

impl App {
    /// The shop on Python's own server.
    fn python() -> Self {
        let mut command = Command::new("python3");
        let mut child = start(
            command.arg(script("shop.py")).stdout(Stdio::piped()),
            "python3",
        );
        let mut port = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut port).unwrap();
        let port = port.trim().parse().expect("the app prints its port");
        Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        }
    }

    /// The shop on PHP's own server, which serves one connection at a time.
    fn php() -> Self {
        // It cannot be told to take a free port and say which: one that was free may be taken meanwhile.
        (0..10)
            .find_map(|_| Self::php_on(free_port()))
            .expect("a free port for php")
    }

    fn php_on(address: SocketAddr) -> Option<Self> {
        let mut command = Command::new("php");
        command
            .args(["-n", "-S", &address.to_string()])
            .arg(script("shop.php"));
        let child = start(
            command.stdout(Stdio::null()).stderr(Stdio::null()),
            "php-cli",
        );
        let mut app = Self { child, address };
        let listens = eventually("php to listen or to end", || {
            let ended = app.child.try_wait().unwrap().map(|_| false);
            ended.or_else(|| TcpStream::connect(address).ok().map(|_| true))
        });
        listens.then_some(app)
    }

    /// The proxy before it, over one connection at a time.
    fn behind_pardon(&self) -> Program {
        let folder = Folder::new();
        let file = format!(
            "[upstreams.app]\nendpoints = [\"http://{}\"]\nmax_connections = 1\n[admin]\nlisten = []\n",
            self.address
        );
        folder.write("pardon.toml", file);
        let mut command = folder.command(&["run", "--listen", "127.0.0.1:0"]);
        Program::run(folder, &mut command)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn start(command: &mut Command, package: &str) -> Child {
    match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("this test starts an app: apt-get install --no-install-recommends {package}")
        }
        Err(error) => panic!("{error}"),
    }
}

fn script(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "apps", name]
        .iter()
        .collect()
}

fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Orders something, which fails, and looks around before and after.
fn visit(app: &App, trace: &str) {
    let program = app.behind_pardon();
    for _ in 0..2 {
        let fine = program.get("/", "Accept: text/html\r\n");
        assert_eq!((fine.status, fine.text()), (200, "Welcome to the shop.\n"));

        let failed = program.get("/order", "Accept: text/html\r\n");
        assert_eq!(failed.status, 500);
        assert!(failed.text().contains(failed.id()));
        let seen = format!("{} {:?} {}", failed.line, failed.headers, failed.text());
        for leak in [SECRET, "payment gateway", trace] {
            assert!(!seen.contains(leak), "{leak} in {seen}");
        }

        let kept = program.incident(failed.id());
        let body = kept["body"].as_str().unwrap();
        for original in [SECRET, "payment gateway", trace] {
            assert!(body.contains(original), "{original} in {body}");
        }
        let summary = kept["summary"].as_str().unwrap();
        assert!(summary.contains("payment gateway refused"), "{summary}");
    }
}

#[test]
fn a_python_app_fails_behind_a_calm_page() {
    visit(&App::python(), "Traceback (most recent call last)");
}

#[test]
fn a_php_app_fails_behind_a_calm_page() {
    visit(&App::php(), "Uncaught RuntimeException");
}
