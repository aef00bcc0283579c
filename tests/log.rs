//! The log on stderr: what its lines say, what they never say, and that nobody waits for its reader.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Client, Origin, Program, Signal, get};

/// The fields of an incident's line, beside those that every line has.
const FIELDS: [&str; 14] = [
    "request_id",
    "trace_id",
    "cause",
    "status",
    "method",
    "path",
    "route",
    "endpoint",
    "client",
    "duration_ms",
    "fingerprint",
    "summary",
    "body",
    "body_bytes",
];

const SECRETS: &str = "Authorization: Basic aHVudGVyMg==\r\nProxy-Authorization: Bearer hunter2\r\nCookie: session=hunter2\r\n\
    X-Api-Key: hunter2\r\nReferer: http://shop.example/login?password=hunter2&page=7\r\n";

/// What a terminal obeys: a control character, or one that reorders the line.
fn obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[test]
fn an_incident_is_one_line_of_json_with_the_id_that_the_visitor_has() {
    let origin = Origin::saying(
        500,
        "Content-Type: text/plain\r\n",
        "Traceback\nKeyError: 'cart'",
    );
    let program = Program::set(&origin, "");
    let id = program.get("/cart?item=7", "").id().to_owned();
    let line = program.incident(&id);
    let found: BTreeSet<&str> = line
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let always = ["timestamp", "level", "target"];
    let expected: BTreeSet<&str> = always.into_iter().chain(FIELDS).collect();
    assert_eq!(found, expected);
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["cause"], "upstream_status");
    assert_eq!(line["status"], 500);
    assert_eq!(line["method"], "GET");
    assert_eq!(line["path"], "/cart");
    assert_eq!(line["route"], "app");
    assert_eq!(line["endpoint"], origin.address().to_string());
    assert_eq!(line["client"], "127.0.0.1");
    assert_eq!(line["summary"], "KeyError: 'cart'");
    assert_eq!(line["body"], "Traceback\nKeyError: 'cart'");
    assert_eq!(line["body_bytes"], 26);
}

#[test]
fn a_body_that_comes_after_its_page_stands_in_the_line_all_the_same() {
    let served = Signal::default();
    let go_on = served.clone();
    let origin = Origin::new(move |visit, _| {
        visit.send("HTTP/1.1 500 X\r\nContent-Type: text/plain\r\nContent-Length: 16\r\n\r\n");
        go_on.wait();
        visit.send("KeyError: 'cart'");
    });
    let program = Program::set(&origin, "[intercept.capture]\nhold = \"20ms\"");
    let id = program.get("/", "").id().to_owned();
    served.give();
    let line = program.incident(&id);
    assert_eq!(line["body"], "KeyError: 'cart'");
    assert_eq!(line["summary"], "KeyError: 'cart'");
    assert_eq!(line["body_bytes"], 16);
    assert!(line["duration_ms"].as_f64().unwrap() >= 20.0, "{line}");
}

#[test]
fn a_line_stays_short_whatever_is_asked_for() {
    let origin = Origin::saying(200, "", "fine");
    let program = Program::set(&origin, "");
    let path = "a".repeat(20_000);
    let id = program
        .get(&format!("/{path}?token=hunter2"), "")
        .id()
        .to_owned();
    let line = program.line(&id);
    assert!(
        line.contains("pardon::refusal") && line.contains("/aaa"),
        "{line}"
    );
    assert!(
        line.len() < 4096 && !line.contains("hunter2"),
        "{} bytes",
        line.len()
    );
}

#[test]
fn the_body_in_the_line_is_cut_where_the_configuration_says() {
    let origin = Origin::saying(
        500,
        "Content-Type: text/plain\r\n",
        &"0123456789".repeat(1000),
    );
    let program = Program::set(&origin, "[incidents]\nlog_body = \"15B\"");
    let id = program.get("/", "").id().to_owned();
    let line = program.incident(&id);
    assert_eq!(line["body"], "012345678901234");
    assert_eq!(line["body_bytes"], 10_000);
}

#[test]
fn secrets_of_a_request_are_in_no_line() {
    let origin = Origin::saying(
        500,
        "Content-Type: text/plain\r\nSet-Cookie: a=hunter2\r\n",
        "boom",
    );
    let mut program = Program::set(&origin, "[log]\naccess = \"json\"\nlevel = \"trace\"");
    let answer = program.get("/pay?token=hunter2&item=7&CODE=hunter2", SECRETS);
    let line = program.json("pardon::access");
    assert_eq!(line["request_id"], answer.id());
    assert_eq!(
        line["uri"],
        "/pay?token=[redacted: token]&item=7&CODE=[redacted: code]"
    );
    assert_eq!(
        line["referer"],
        "http://shop.example/login?password=[redacted: password]&page=7"
    );
    program.signal("TERM");
    program.ended();
    let lines = program.lines().join("\n");
    assert!(!lines.contains("hunter2"), "{lines}");
    assert!(!lines.contains("aHVudGVyMg"), "{lines}");
}

#[test]
fn pretty_lines_make_no_terminal_do_anything() {
    let body = "<p>\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\r\n\u{202e}end</p>";
    let origin = Origin::saying(500, "Content-Type: text/html\r\n", body);
    let mut program = Program::set(&origin, "[log]\nformat = \"pretty\"\naccess = \"combined\"");
    let agent = "User-Agent: \u{9b}2Jagent\u{202e}\r\n";
    let answer = program.get("/\u{9b}2J\u{202e}cart%1b[2J", agent);
    assert_eq!(answer.status, 500);
    program.signal("TERM");
    program.ended();
    let lines = program.lines();
    assert!(
        lines.iter().any(|line| line.contains("| <p>\\u{1b}[2J")),
        "{lines:#?}"
    );
    assert!(
        lines.iter().any(|line| line.contains(answer.id())),
        "{lines:#?}"
    );
    for line in lines {
        assert!(!line.contains(obeyed), "{line:?}");
    }
}

#[test]
fn json_lines_make_no_terminal_do_anything() {
    let origin = Origin::saying(
        500,
        "Content-Type: text/html\r\n",
        "\u{1b}[2J\u{9b}31m\u{2028}\u{7f}",
    );
    let mut program = Program::set(&origin, "[log]\naccess = \"json\"");
    let answer = program.get("/\u{9b}2Jcart", "User-Agent: \u{9b}2J\u{2028}agent\r\n");
    let line = program.incident(answer.id());
    assert_eq!(line["body"], "\u{1b}[2J\u{9b}31m\u{2028}\u{7f}");
    program.signal("TERM");
    program.ended();
    for line in program.lines() {
        assert!(
            !line.contains(|c: char| c.is_control() || c == '\u{2028}'),
            "{line:?}"
        );
    }
}

#[test]
fn the_access_log_has_a_line_for_every_request() {
    let origin = Origin::saying(200, "", "from the app");
    let program = Program::set(&origin, "[log]\naccess = \"json\"");
    let answer = program.get("/cart?item=7", "User-Agent: curl/8\r\n");
    let line = program.json("pardon::access");
    for (field, expected) in [
        ("request_id", Value::from(answer.id())),
        ("client", "127.0.0.1".into()),
        ("method", "GET".into()),
        ("uri", "/cart?item=7".into()),
        ("version", "HTTP/1.1".into()),
        ("status", 200.into()),
        ("bytes", 12.into()),
        ("user_agent", "curl/8".into()),
        ("route", "app".into()),
        ("upstream", "app".into()),
    ] {
        assert_eq!(line[field], expected, "{field}");
    }
    assert!(line["duration_ms"].is_f64());
}

#[test]
fn the_combined_form_is_what_log_analysers_read() {
    let origin = Origin::saying(404, "", "not here");
    let program = Program::set(&origin, "[log]\naccess = \"combined\"");
    program.get("/cart", "User-Agent: curl/8\r\nReferer: http://a/\r\n");
    let line = program.line("127.0.0.1 - - [");
    let rest = line.split_once("] ").unwrap().1;
    assert_eq!(
        rest,
        "\"GET /cart HTTP/1.1\" 404 8 \"http://a/\" \"curl/8\""
    );
}

#[test]
fn passing_requests_are_in_no_log_that_was_not_asked_for() {
    let origin = Origin::saying(200, "", "from the app");
    let mut program = Program::set(&origin, "");
    let answer = program.get("/cart", "");
    program.signal("TERM");
    program.ended();
    let lines = program.lines().join("\n");
    assert!(
        !lines.contains(answer.id()) && !lines.contains("/cart"),
        "{lines}"
    );
}

#[test]
fn the_level_decides_what_is_said() {
    let origin = Origin::saying(200, "", "from the app");
    for (level, says_start) in [("info", true), ("error", false)] {
        let mut program = Program::set(&origin, &format!("[log]\nlevel = \"{level}\""));
        // At level error nothing says where it listens, so nothing can be asked; its end says whether it has begun.
        program.wait_for_signals();
        program.signal("TERM");
        assert!(program.ended().success());
        let said = program.lines().iter().any(|line| line.contains("stopped"));
        assert_eq!(said, says_start, "{level}");
    }
}

#[test]
fn nobody_waits_for_a_reader_that_does_not_read() {
    let origin = Origin::saying(500, "Content-Type: text/plain\r\n", &"x".repeat(4096));
    let mut program = Program::set(&origin, "[log]\nbuffer = \"4KiB\"");
    let mut visitor = program.connect();
    program.stop_reading();
    // Twice what a pipe holds, the buffer and the line's share of the reader beside it.
    for _ in 0..100 {
        assert_eq!(visitor.ask(get("/", "")).status, 500);
    }
    program.read_on();
    let notice = program.json("\"dropped\":");
    assert_eq!(notice["target"], "pardon::telemetry");
    assert_eq!(notice["level"], "WARN");
    drop(visitor);
    program.signal("TERM");
    program.ended();
    let count = |part: &str| {
        program
            .lines()
            .iter()
            .filter(|line| line.contains(part))
            .count()
    };
    let dropped: u64 = program
        .lines()
        .iter()
        .filter(|line| line.contains("pardon::telemetry"))
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["dropped"]
                .as_u64()
                .unwrap()
        })
        .sum();
    assert!(dropped > 0);
    assert_eq!(count("pardon::incident") as u64 + dropped, 100);
}

#[test]
fn a_reader_that_is_gone_ends_nothing() {
    let origin = Origin::saying(500, "Content-Type: text/plain\r\n", "boom");
    let mut program = Program::set(&origin, "");
    let mut visitor: Client = program.connect();
    program.close_stderr();
    for _ in 0..3 {
        assert_eq!(visitor.ask(get("/", "")).status, 500);
    }
    program.signal("TERM");
    assert_eq!(program.ended().code(), Some(0));
}
