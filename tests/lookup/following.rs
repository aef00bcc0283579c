//! `pardon incidents --follow`: what another process commits, as it does.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, ExitStatus, Stdio};

use super::{Scene, fail, failing};
use crate::support::{Folder, Program, eventually};

/// A process that follows a store; it is killed with this value.
struct Follower {
    child: Child,
    out: Option<BufReader<ChildStdout>>,
}

impl Follower {
    fn of(folder: &Folder, store: &str, arguments: &[&str]) -> Self {
        let follow = ["incidents", "--follow", "--store", store];
        let mut command = folder.command(&[&follow, arguments].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = child.stdout.take().map(BufReader::new);
        Self { child, out }
    }

    /// The next line; waits for it.
    fn line(&mut self) -> String {
        let mut line = String::new();
        let out = self.out.as_mut().unwrap();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "a line");
        line
    }

    fn ended(&mut self) -> ExitStatus {
        eventually("the follower to end", || self.child.try_wait().unwrap())
    }

    fn interrupt(&self) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn an_incident_of_another_process_is_seen_as_it_comes() {
    let gateway = Scene::before(failing());
    let before = [
        fail(&gateway, "/1"),
        fail(&gateway, "/2"),
        fail(&gateway, "/3"),
    ];
    let (folder, store) = (Folder::new(), gateway.store_path().to_str().unwrap());
    let mut follower = Follower::of(&folder, store, &["--limit", "2"]);
    assert!(follower.line().starts_with("TIME "));
    for id in &before[1..] {
        assert!(
            follower.line().contains(id),
            "the last two, the newest last"
        );
    }
    for path in ["/new", "/newer"] {
        let id = fail(&gateway, path);
        let line = follower.line();
        assert!(line.contains(&id) && line.contains(path), "{line}");
    }
    follower.interrupt();
    assert_eq!(follower.ended().code(), Some(0));
}

#[test]
fn what_is_followed_is_filtered_and_may_be_json() {
    let origin = crate::support::Origin::new(|visit, request| {
        let status = &request.line()[5..8];
        visit.send(format!(
            "HTTP/1.1 {status} Oops\r\nContent-Length: 0\r\n\r\n"
        ));
    });
    let gateway = Scene::before(origin);
    fail(&gateway, "/500/old");
    let (folder, store) = (Folder::new(), gateway.store_path().to_str().unwrap());
    let mut follower = Follower::of(&folder, store, &["--json", "--status", "503"]);
    fail(&gateway, "/500/new");
    let id = fail(&gateway, "/503/new");
    let one: serde_json::Value = serde_json::from_str(&follower.line()).unwrap();
    assert_eq!(one["id"], id.as_str());
}

#[test]
fn it_ends_with_its_reader_even_when_nothing_comes() {
    let gateway = Scene::before(failing());
    let (folder, store) = (Folder::new(), gateway.store_path().to_str().unwrap());
    let mut follower = Follower::of(&folder, store, &[]);
    assert!(follower.line().starts_with("TIME "));
    drop(follower.out.take());
    assert_eq!(follower.ended().code(), Some(0));
}

#[test]
fn a_store_that_is_not_there_yet_or_is_replaced_is_waited_for() {
    let origin = failing();
    let (folder, arguments) = Program::file(&origin, "");
    let store = folder.path().join("pardon.db");
    let own = Folder::new();
    let mut follower = Follower::of(&own, store.to_str().unwrap(), &["--json"]);
    let mut command = folder.command(&arguments);
    let mut program = Program::run(folder, &mut command);
    let id = program.get("/", "").id().to_owned();
    assert!(follower.line().contains(&id));

    program.signal("TERM");
    program.ended();
    for ending in ["", "-wal", "-shm"] {
        // The last two go with an orderly end.
        let from = format!("pardon.db{ending}");
        let to = format!("pardon.db.aside{ending}");
        drop(fs::rename(
            program.folder().path().join(from),
            program.folder().path().join(to),
        ));
    }
    let mut command = program.folder().command(&arguments);
    let again = Program::run(Folder::new(), &mut command);
    let id = again.get("/", "").id().to_owned();
    assert!(follower.line().contains(&id));
}
