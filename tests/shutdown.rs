//! The process's end, and what it lives through: signals, a lack of file descriptors.

use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Client, End, Folder, Origin, Program, Signal, eventually, get};

/// Holds an app's answers back until a test lets them go.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
    }
}

/// An app that answers `/now` at once and everything else once the gate is open.
fn gated(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::new(move |visit, request| {
        if !request.line().starts_with("GET /now ") {
            gate.wait();
        }
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
    })
}

/// An app that never answers.
fn silent() -> Origin {
    Origin::new(|visit, _| visit.wait_for_close())
}

/// A visitor whose request has reached the app.
fn waiting(program: &Program, origin: &Origin) -> Client {
    let before = origin.requests().len();
    let mut visitor = program.connect();
    visitor.send(get("/", ""));
    origin.wait_for_requests(before + 1);
    visitor
}

#[test]
fn what_is_in_flight_is_finished() {
    for signal in ["TERM", "INT"] {
        let gate = Gate::default();
        let origin = gated(&gate);
        let mut program = Program::set(&origin, "");
        let mut visitor = waiting(&program, &origin);
        program.signal(signal);
        program.line("stopping");
        gate.open();
        let answer = visitor.answer();
        assert_eq!(
            (answer.status, answer.text(), answer.end),
            (200, "done", End::Whole)
        );
        assert_eq!(program.ended().code(), Some(0), "{signal}");
        assert!(program.lines().last().unwrap().contains("stopped"));
    }
}

#[test]
fn idle_connections_close_at_once_and_no_new_ones_are_taken() {
    let gate = Gate::default();
    let origin = gated(&gate);
    let mut program = Program::set(&origin, "");
    let mut used = program.connect();
    assert_eq!(used.ask(get("/now", "")).status, 200);
    let mut fresh = program.connect();
    let mut halting = program.connect();
    halting.send("GET /half HTTP/1.1\r\nHost: shop");
    let mut visitor = waiting(&program, &origin);
    program.signal("TERM");
    assert!(used.is_closed());
    assert!(fresh.is_closed());
    assert!(halting.is_closed());
    let address = program.address();
    eventually("connections to be refused", || {
        TcpStream::connect(address).err()
    });
    assert!(program.is_running());
    gate.open();
    assert_eq!(visitor.answer().status, 200);
    assert_eq!(program.ended().code(), Some(0));
}

#[test]
fn what_takes_longer_than_the_drain_is_cut() {
    let origin = silent();
    let mut program = Program::set(&origin, "[server]\ndrain = \"200ms\"");
    let mut visitor = waiting(&program, &origin);
    let begun = Instant::now();
    program.signal("TERM");
    assert_eq!(program.ended().code(), Some(0));
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(200), "{took:?}");
    assert!(took < Duration::from_millis(1200), "{took:?}");
    assert!(visitor.is_closed());
    let line = program.json("cut off: the time to finish");
    assert_eq!(
        (&line["method"], &line["path"]),
        (&json!("GET"), &json!("/"))
    );
}

#[test]
fn a_delay_goes_on_serving_though_it_is_not_ready() {
    let origin = Origin::saying(200, "", "still here");
    let settings = "[server]\nshutdown_delay = \"1h\"\ndrain = \"1h\"";
    let mut program = Program::set(&origin, settings);
    let mut kept = program.connect();
    assert_eq!(kept.ask(get("/", "")).status, 200);
    program.signal("TERM");
    program.line("accepting for");
    let ready = program.ask_admin("/readyz");
    assert_eq!((ready.status, ready.text()), (503, "draining\n"));
    assert_eq!(kept.ask(get("/", "")).text(), "still here");
    assert_eq!(program.get("/", "").text(), "still here");
    program.signal("TERM");
    program.line("the rest of the delay is skipped");
    assert!(kept.is_closed());
    assert_eq!(program.ended().code(), Some(0));
    assert_eq!(program.count("told so twice"), 0);
}

#[test]
fn a_delay_ends_by_itself() {
    let origin = Origin::saying(200, "", "");
    let mut program = Program::set(&origin, "[server]\nshutdown_delay = \"200ms\"");
    program.address();
    program.wait_for_signals();
    let begun = Instant::now();
    program.signal("TERM");
    assert_eq!(program.ended().code(), Some(0));
    let took = begun.elapsed();
    let bounds = Duration::from_millis(200)..Duration::from_millis(1200);
    assert!(bounds.contains(&took), "{took:?}");
}

#[test]
fn a_taken_port_is_said_in_one_line() {
    let origin = Origin::saying(200, "", "");
    let program = Program::set(&origin, "");
    let taken = program.address().to_string();
    let folder = Folder::new();
    let said = folder.pardon(&["run", "--upstream", &origin.url(), "--listen", &taken]);
    assert_eq!(said.code, Some(1));
    let lines: Vec<_> = said.err.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 1, "{}", said.err);
    assert!(lines[0].contains(&taken) && lines[0].contains("another process listens there"));
}

#[test]
fn a_second_signal_ends_at_once() {
    for second in ["TERM", "INT"] {
        let origin = silent();
        let mut program = Program::set(&origin, "[server]\ndrain = \"1h\"");
        let mut visitor = waiting(&program, &origin);
        program.signal("TERM");
        program.line("stopping: ");
        program.signal(second);
        assert_eq!(program.ended().code(), Some(0));
        program.line("stopping at once");
        assert!(visitor.is_closed());
    }
}

#[test]
fn a_hangup_is_no_reason_to_end() {
    let origin = Origin::saying(200, "", "still here");
    let folder = Folder::new();
    let mut command = folder.command(&[
        "run",
        "--upstream",
        &origin.url(),
        "--listen",
        "127.0.0.1:0",
    ]);
    let mut program = Program::run(folder, &mut command);
    program.address();
    program.signal("HUP");
    let said = program.json("SIGHUP");
    assert_eq!(said["level"], "WARN");
    let said = said["message"].as_str().unwrap();
    assert!(said.contains("flags only: there is no file"), "{said}");
    assert_eq!(program.get("/", "").text(), "still here");
    assert!(program.is_running());
}

#[test]
fn a_capture_under_way_is_finished_and_logged() {
    let gate = Gate::default();
    let rest = gate.clone();
    let origin = Origin::new(move |visit, _| {
        visit.send("HTTP/1.1 500 X\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nfirst");
        rest.wait();
        visit.send("-last");
    });
    let mut program = Program::set(
        &origin,
        "[intercept.capture]\nhold = \"20s\"\ndeadline = \"20s\"",
    );
    let mut visitor = waiting(&program, &origin);
    program.signal("TERM");
    program.line("stopping");
    gate.open();
    let answer = visitor.answer();
    assert_eq!((answer.status, answer.end), (500, End::Whole));
    assert_eq!(program.ended().code(), Some(0));
    assert_eq!(program.incident(answer.id())["body"], "first-last");
}

#[test]
fn a_capture_that_outlasts_the_drain_is_cut_and_logged() {
    let origin = Origin::new(|visit, _| {
        visit.send("HTTP/1.1 500 X\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nfirst");
        visit.wait_for_close();
    });
    let settings =
        "[server]\ndrain = \"200ms\"\n[intercept.capture]\nhold = \"20s\"\ndeadline = \"20s\"";
    let mut program = Program::set(&origin, settings);
    let _visitor = waiting(&program, &origin);
    let begun = Instant::now();
    program.signal("TERM");
    assert_eq!(program.ended().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_millis(1200));
    assert_eq!(program.json("pardon::incident")["body"], "first");
}

#[test]
fn a_second_signal_loses_no_incident() {
    let origin = Origin::new(|visit, _| {
        visit.send("HTTP/1.1 500 X\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nfirst");
        visit.wait_for_close();
    });
    let settings =
        "[server]\ndrain = \"1h\"\n[intercept.capture]\nhold = \"20s\"\ndeadline = \"20s\"";
    let mut program = Program::set(&origin, settings);
    let _visitor = waiting(&program, &origin);
    program.signal("TERM");
    program.line("stopping: ");
    program.signal("TERM");
    assert_eq!(program.ended().code(), Some(0));
    let cause = &program.json("pardon::incident")["cause"];
    assert_eq!(cause, "upstream_status");
}

#[test]
fn a_lack_of_file_descriptors_is_lived_through() {
    let origin = Origin::saying(200, "", "from the app");
    let (folder, arguments) = Program::file(&origin, "");
    let mut command = folder.command_after("ulimit -n 40", &arguments);
    let mut program = Program::run(folder, &mut command);
    let address = program.address();
    let (begun, busy) = (Instant::now(), program.cpu_time());
    let mut crowd: Vec<_> = (0..60).map(|_| Client::connect(address)).collect();
    let mut newest = Client::connect(address);
    assert_eq!(newest.answer().status, 503, "told at once");
    // Whoever has come before is served.
    let first = crowd[0].ask(get("/", ""));
    assert_eq!(first.text(), "from the app");
    let enough = Duration::from_millis(500);
    eventually("it to last", || (begun.elapsed() > enough).then_some(()));
    assert!(
        !program
            .lines()
            .iter()
            .any(|it| it.contains("cannot accept"))
    );
    let (took, used) = (begun.elapsed(), program.cpu_time().saturating_sub(busy));
    drop(crowd);
    eventually("requests to be answered again", || {
        (program.get("/", "").text() == "from the app").then_some(())
    });
    assert!(used < took / 2, "{used:?} of CPU in {took:?}");
    assert!(program.is_running());
}

#[test]
fn as_many_file_descriptors_are_taken_as_there_may_be() {
    let origin = Origin::saying(200, "", "fine");
    let (folder, arguments) = Program::file(&origin, "");
    let mut command = folder.command_after("ulimit -Sn 256; ulimit -Hn 4096", &arguments);
    let program = Program::run(folder, &mut command);
    program.line(
        "may have 4096 files open: of `server.max_connections` (20000) there is room for 2976",
    );
    program.address();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", program.number())).unwrap();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let columns: Vec<_> = files.unwrap().split_whitespace().collect();
    assert_eq!(columns[3..5], ["4096", "4096"]);
}

/// To a client of HTTP/1.0 the connection's end is the answer's: one that is cut must not look whole.
#[test]
fn an_answer_without_a_length_that_the_drain_cuts_is_reset() {
    let go_on = Signal::default();
    let waits = go_on.clone();
    let origin = Origin::new(move |visit, _| {
        visit.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n");
        waits.wait();
    });
    let mut program = Program::set(&origin, "[server]\ndrain = \"100ms\"\n");
    let mut visitor = program.connect();
    visitor.send("GET / HTTP/1.0\r\nHost: shop.example\r\n\r\n");
    let mut answer = visitor.try_read(1);
    while !answer.ends_with(b"begun") {
        answer.extend(visitor.try_read(1));
    }
    program.signal("TERM");
    assert!(program.ended().success());
    assert_eq!(visitor.end(), End::Reset);
    program.line("cut off: the time to finish");
    go_on.give();
}
