//! The operator's listener: metrics as Prometheus wants them, the store for programs, and nothing for those who may not ask.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use pardon::telemetry::metrics::{Kind, METRICS};
use serde_json::Value;

use crate::support::{Answer, Client, Folder, Origin, Program, eventually, get};

const TOKEN: &str = "tulip-harbour-42-tulip-harbour-42";

/// Two routes; IDs of this machine are believed.
const ROUTES: &str = "incidents.commit_wait = \"10s\"\n[server]\ntrusted_proxies = [\"127.0.0.0/8\"]\nrequest_id.accept = \"trusted\"\n\
    [[routes]]\nname = \"shop\"\nhost = \"shop.example\"\n\
    [[routes]]\nname = \"blog\"\nhost = \"blog.example\"\npath = \"/blog\"\n";

/// An app that answers `/500` with 500 and a page of its own, `/reset` not at all, and all else with 200.
fn app() -> Origin {
    Origin::new(|visit, request| {
        let path = request.head.split(' ').nth(1).unwrap();
        match path {
            "/reset" => visit.reset(),
            "/500" => visit.send(
                "HTTP/1.1 500 Oh\r\nContent-Type: text/html\r\nContent-Length: 24\r\n\r\n<script>alert(1)</script",
            ),
            _ => visit.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        }
    })
}

/// Asks the operator's listener by its own name, with these header lines.
fn ask(program: &Program, path: &str, headers: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    Client::connect(program.admin_address()).ask(request)
}

fn metrics(program: &Program) -> String {
    let answer = ask(program, "/metrics", "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(answer.header("content-type"), Some(media_type));
    answer.text().to_owned()
}

/// A sample's value.
fn value(metrics: &str, sample: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(sample));
    let line = line.unwrap_or_else(|| panic!("{sample} in\n{metrics}"));
    line.trim().parse().unwrap()
}

/// An answer is counted when it is let go, which its visitor does not wait for; a scrape may come between its counts, so all of them
/// are waited for.
fn all_counted(program: &Program, requests: u64) -> String {
    eventually("all requests to be counted", || {
        let now = metrics(program);
        let timed = value(&now, "pardon_request_duration_seconds_count");
        let of_classes = now
            .lines()
            .filter(|line| line.starts_with("pardon_requests_total{"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        (timed == requests && of_classes.sum::<u64>() == requests).then_some(now)
    })
}

/// Passing answers, pages in several formats, failures without an answer, refusals.
fn mixed_traffic(program: &Program) {
    for _ in 0..3 {
        assert_eq!(program.get("/", "").status, 200);
    }
    assert_eq!(program.get("/500", "Accept: text/html\r\n").status, 500);
    assert_eq!(
        program.get("/500", "Accept: application/json\r\n").status,
        500
    );
    assert_eq!(program.get("/reset", "Accept: text/html\r\n").status, 502);
    let lost = "GET / HTTP/1.1\r\nHost: elsewhere.example\r\nAccept: text/html\r\n\r\n";
    assert_eq!(program.connect().ask(lost).status, 404);
    let blog = "GET /blog/1 HTTP/1.1\r\nHost: blog.example\r\n\r\n";
    assert_eq!(program.connect().ask(blog).status, 200);
}

fn problem(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    let media_type = answer.header("content-type");
    assert_eq!(media_type, Some("application/problem+json"));
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    for key in ["title", "hint"] {
        assert!(!problem[key].as_str().unwrap().is_empty(), "{problem}");
    }
    problem
}

#[test]
fn metrics_count_what_has_happened() {
    let origin = app();
    let program = Program::set(&origin, ROUTES);
    let before = metrics(&program);
    assert!(
        value(
            &before,
            "pardon_upstream_failures_total{upstream=\"app\",cause=\"head_timeout\"}"
        ) == 0
    );
    mixed_traffic(&program);

    let after = all_counted(&program, 8);

    for (sample, expected) in [
        ("pardon_requests_total{route=\"shop\",class=\"2xx\"}", 3),
        ("pardon_requests_total{route=\"shop\",class=\"5xx\"}", 3),
        ("pardon_requests_total{route=\"blog\",class=\"2xx\"}", 1),
        ("pardon_requests_total{route=\"\",class=\"4xx\"}", 1),
        ("pardon_request_duration_seconds_count", 8),
        ("pardon_request_duration_seconds_bucket{le=\"+Inf\"}", 8),
        ("pardon_pages_total{status=\"500\",format=\"html\"}", 1),
        ("pardon_pages_total{status=\"500\",format=\"json\"}", 1),
        ("pardon_pages_total{status=\"502\",format=\"html\"}", 1),
        ("pardon_pages_total{status=\"404\",format=\"html\"}", 1),
        (
            "pardon_upstream_failures_total{upstream=\"app\",cause=\"upstream_status\"}",
            2,
        ),
        (
            "pardon_upstream_failures_total{upstream=\"app\",cause=\"closed_early\"}",
            1,
        ),
        ("pardon_incidents_total{cause=\"upstream_status\"}", 2),
        ("pardon_incidents_total{cause=\"closed_early\"}", 1),
        ("pardon_incidents_unconfirmed_total", 0),
        ("pardon_incident_losses_total{part=\"body\"}", 0),
        ("pardon_refusals_total", 1),
        ("pardon_upstream_waiting_requests{upstream=\"app\"}", 0),
        ("pardon_log_lines_dropped_total", 0),
        ("pardon_ready", 1),
        ("pardon_build_info{version=\"0.1.0\"}", 1),
    ] {
        assert_eq!(value(&after, sample), expected, "{sample}");
    }
    assert!(value(&after, "pardon_upstream_retries_total{upstream=\"app\"}") >= 1);
    assert!(value(&after, "pardon_incident_commit_seconds_count") >= 1);
    assert!(value(&after, "pardon_store_bytes") > 8192);
    assert!(value(&after, "process_resident_memory_bytes") > 1_000_000);
    assert!(value(&after, "process_open_fds") > 5);
    let started = after
        .lines()
        .find_map(|it| it.strip_prefix("process_start_time_seconds "));
    assert!(started.unwrap().parse::<f64>().unwrap() > 1.7e9);
    let idle = after
        .lines()
        .find(|it| it.contains("state=\"idle\""))
        .unwrap();
    assert!(
        idle.starts_with("pardon_upstream_connections{upstream=\"app\",endpoint=\"127.0.0.1:"),
        "{idle}"
    );
}

#[test]
fn a_connection_that_is_open_is_counted() {
    let origin = app();
    let program = Program::set(&origin, "");
    let mut visitor = program.connect();
    assert_eq!(visitor.ask(get("/", "")).status, 200);
    assert_eq!(
        value(&metrics(&program), "pardon_connections{state=\"open\"}"),
        1
    );
}

/// Every name and label that a scrape has is in the table of the code, which `docs/METRICS.md` is held against, and the other way round.
#[test]
fn a_scrape_has_the_documented_metrics_and_no_other() {
    let origin = app();
    let program = Program::set(&origin, ROUTES);
    mixed_traffic(&program);
    let text = metrics(&program);
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            found.insert(format!("TYPE {kind}"));
        } else if !line.starts_with('#') {
            found.insert(sample(line));
        }
    }
    let mut expected = BTreeSet::new();
    for metric in METRICS {
        let (name, kind) = (metric.name, metric.kind.name());
        expected.insert(format!("TYPE {name} {kind}"));
        match metric.kind {
            Kind::Histogram => {
                expected.insert(format!("{name}_bucket le"));
                expected.insert(format!("{name}_sum"));
                expected.insert(format!("{name}_count"));
            }
            Kind::Counter | Kind::Gauge => {
                let labels = metric.labels.join(" ");
                expected.insert(format!("{name} {labels}").trim().to_owned());
            }
        }
    }
    assert_eq!(found, expected);
}

/// A sample's name and those of its labels.
fn sample(line: &str) -> String {
    let (name, rest) = line.split_once(['{', ' ']).unwrap();
    let labels = rest.rsplit_once('}').map_or("", |(labels, _)| labels);
    let names = labels.split(',').filter_map(|it| it.split_once('='));
    names.fold(name.to_owned(), |all, (name, _)| format!("{all} {name}"))
}

#[test]
fn no_path_host_or_id_is_in_a_label() {
    let origin = app();
    let program = Program::set(&origin, ROUTES);
    for n in 0..5 {
        let request = format!(
            "GET /path-{n} HTTP/1.1\r\nHost: host-{n}.example\r\nX-Request-Id: id-{n}\r\n\r\n"
        );
        program.connect().ask(request);
        program.get(&format!("/path-{n}/500"), "");
    }
    let text = metrics(&program);
    for foreign in ["path-", "host-", "id-", "example"] {
        assert!(!text.contains(foreign), "{foreign} in\n{text}");
    }
}

#[test]
fn promtool_has_nothing_to_say() {
    let origin = app();
    let program = Program::set(&origin, ROUTES);
    mixed_traffic(&program);
    let text = metrics(&program);
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped());
    let spawned = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("this test needs promtool: apt-get install --no-install-recommends prometheus")
        }
        Err(error) => panic!("{error}"),
    };
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said), "");
    assert!(output.status.success());
}

#[test]
fn incidents_are_listed_as_the_command_lists_them() {
    let origin = app();
    let program = Program::set(&origin, ROUTES);
    mixed_traffic(&program);

    let answer = ask(&program, "/api/incidents", "");

    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("x-pardon-more"), None);
    let listed = answer.json();
    let said = program.folder().pardon(&["incidents", "--json"]);
    let by_command: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(listed, Value::from(by_command));
    for (query, count) in [
        ("status=500", 2),
        ("status=502-504", 1),
        ("status=500,502", 3),
        ("route=shop&since=1h", 3),
        ("route=blog", 0),
        ("cause=closed_early", 1),
        ("cause=refused", 1),
        ("since=2020-01-01T00:00:00Z", 3),
        ("limit=3", 3),
    ] {
        let answer = ask(&program, &format!("/api/incidents?{query}"), "");
        let listed = answer.json();
        assert_eq!(listed.as_array().unwrap().len(), count, "{query}: {listed}");
        assert_eq!(answer.header("x-pardon-more"), None, "{query}");
    }
    let cut = ask(&program, "/api/incidents?limit=1", "");
    assert_eq!(cut.json().as_array().unwrap().len(), 1);
    assert_eq!(cut.header("x-pardon-more"), Some("true"));
    let groups = ask(&program, "/api/incidents?group=true", "").json();
    assert_eq!(groups.as_array().unwrap().len(), 2, "{groups}");
    assert_eq!(groups[0]["count"], 2);
}

#[test]
fn a_question_that_is_not_understood_is_answered_with_what_to_do() {
    let origin = app();
    let program = Program::set(&origin, "");
    for (query, parameter) in [
        ("colour=red", "colour"),
        ("since=yesterday", "since"),
        ("limit=100000", "limit"),
        ("status=%3Cscript%3E", "status"),
        ("cause=hunger", "cause"),
    ] {
        let answer = ask(&program, &format!("/api/incidents?{query}"), "");
        assert_eq!(problem(&answer, 400)["parameter"], parameter, "{query}");
    }
}

#[test]
fn an_incident_is_found_however_its_id_is_written() {
    let origin = app();
    let program = Program::set(&origin, "");
    let failed = program.get("/500", "Accept: text/html\r\n");
    let id = failed.id();
    let said = program.folder().pardon(&["show", id, "--json"]);
    let by_command: Value = serde_json::from_str(&said.out).unwrap();
    for typed in [
        id.to_owned(),
        id.to_lowercase().replace('-', ""),
        id.replace('-', "%20"),
        id[..12].to_owned(),
    ] {
        let answer = ask(&program, &format!("/api/incidents/{typed}"), "");
        assert_eq!(answer.json(), by_command, "{typed}");
    }
    assert_eq!(by_command["body"]["text"], "<script>alert(1)</script");
}

#[test]
fn what_a_browser_gets_is_no_page() {
    let origin = app();
    let program = Program::set(&origin, "");
    let id = program.get("/500", "").id().to_owned();
    for path in [
        "/livez",
        "/readyz",
        "/metrics",
        "/api/incidents",
        &format!("/api/incidents/{id}"),
        "/api/incidents/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/api/incidents?%3Cscript%3E=1",
    ] {
        let answer = ask(&program, path, "Accept: text/html\r\n");
        let media_type = answer.header("content-type").unwrap();
        assert!(!media_type.contains("html"), "{path}: {media_type}");
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
}

#[test]
fn all_incidents_of_an_id_that_was_repeated_are_listed() {
    let origin = app();
    let program = Program::set(&origin, ROUTES);
    for _ in 0..2 {
        program.get("/500", "X-Request-Id: again-and-again\r\n");
    }
    let found = ask(&program, "/api/incidents/again-and-again", "").json();
    let ids: Vec<_> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["id"])
        .collect();
    assert_eq!(ids, ["again-and-again", "again-and-again"]);
    assert!(found[0]["seq"].as_i64() > found[1]["seq"].as_i64());
}

#[test]
fn what_is_not_there_may_have_been_meant() {
    let origin = app();
    let program = Program::set(&origin, ROUTES);
    for n in 0..2 {
        program.get("/500", &format!("X-Request-Id: checkout-{n}\r\n"));
    }
    let own = program.get("/500", "").id().to_owned();
    let nothing = problem(&ask(&program, "/api/incidents/nobody", ""), 404);
    assert!(nothing.get("incidents").is_none(), "{nothing}");
    let beginning = problem(&ask(&program, "/api/incidents/checkout-", ""), 404);
    assert_eq!(beginning["incidents"].as_array().unwrap().len(), 2);
    let last = if own.ends_with('0') { "1" } else { "0" };
    let mistyped = format!("{}{last}", &own[..own.len() - 1]);
    let mistyped = problem(
        &ask(&program, &format!("/api/incidents/{mistyped}"), ""),
        404,
    );
    assert_eq!(mistyped["incidents"][0]["id"], own);
}

#[test]
fn only_what_is_there_answers_and_only_to_its_methods() {
    let origin = app();
    let program = Program::set(&origin, "");
    for path in [
        "/",
        "/metrics/",
        "/api",
        "/api/incidents/",
        "/api/incidents/a/b",
    ] {
        problem(&ask(&program, path, ""), 404);
    }
    for path in ["/livez", "/metrics", "/api/incidents", "/api/incidents/a"] {
        for method in ["POST", "DELETE", "OPTIONS"] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let answer = Client::connect(program.admin_address()).ask(request);
            problem(&answer, 405);
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        }
    }
    let head = "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer = Client::connect(program.admin_address()).ask(head);
    assert_eq!((answer.status, answer.body.len()), (200, 0));
}

/// A page of the web that has its own name lead to loopback gets nothing.
#[test]
fn without_a_token_a_foreign_host_name_gets_nothing() {
    let origin = app();
    let program = Program::set(&origin, "");
    program.get("/500", "");
    for path in ["/metrics", "/api/incidents", "/api/incidents/a"] {
        let answer = program.ask_admin(path);
        assert!(
            !problem(&answer, 403)
                .to_string()
                .contains("upstream_status"),
            "{path}"
        );
    }
    for path in ["/livez", "/readyz"] {
        assert_eq!(program.ask_admin(path).status, 200);
    }
    assert_eq!(value(&metrics(&program), "pardon_admin_denied_total"), 3);
}

/// A proxy whose admin listener is on every address and has a token's file.
fn with_token(origin: &Origin) -> Program {
    let folder = Folder::new();
    folder.write("admin.token", format!("{TOKEN}\n"));
    let url = origin.url();
    folder.write(
        "pardon.toml",
        format!("[upstreams.app]\nendpoints = [\"{url}\"]\n[admin]\nlisten = [\"127.0.0.1:0\"]\ntoken_file = \"admin.token\"\n"),
    );
    let mut command =
        folder.command(&["run", "--config", "pardon.toml", "--listen", "127.0.0.1:0"]);
    Program::run(folder, &mut command)
}

#[test]
fn a_token_is_asked_for_by_all_but_life_and_readiness() {
    let origin = app();
    let program = with_token(&origin);
    for path in ["/livez", "/readyz"] {
        assert_eq!(program.ask_admin(path).status, 200, "{path}");
    }
    for path in ["/metrics", "/api/incidents", "/api/incidents/a"] {
        let short = &TOKEN[..TOKEN.len() - 1];
        for headers in [
            String::new(),
            format!("Authorization: Bearer {short}\r\n"),
            format!("Authorization: Bearer {TOKEN}x\r\n"),
            format!("Authorization: Basic {TOKEN}\r\n"),
            format!("X-Token: {TOKEN}\r\n"),
        ] {
            let answer = ask(&program, path, &headers);
            problem(&answer, 401);
            let scheme = answer.header("www-authenticate").unwrap();
            assert!(scheme.starts_with("Bearer"), "{path}: {headers}");
        }
        let query = ask(&program, &format!("{path}?token={TOKEN}"), "");
        assert_eq!(query.status, 401);
    }
    // With the token the host name does not matter.
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let client = || Client::connect(program.admin_address());
    assert_eq!(client().ask(get("/metrics", &bearer)).status, 200);
    assert_eq!(
        client().ask(get("/api/incidents", &bearer)).json(),
        Value::Array(Vec::new())
    );
    assert!(!program.lines().join("\n").contains(TOKEN));
}

/// What `pardon check` says of a token's file with this content.
fn checked(content: Option<&str>, mode: u32) -> (Option<i32>, String) {
    let folder = Folder::new();
    if let Some(content) = content {
        folder.write("admin.token", content);
        let file = folder.path().join("admin.token");
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }
    folder.write(
        "pardon.toml",
        "[upstreams.app]\nendpoints = [\"http://127.0.0.1:9\"]\n[admin]\nlisten = [\"0.0.0.0:9180\"]\ntoken_file = \"admin.token\"\n",
    );
    let said = folder.pardon(&["check"]);
    (said.code, said.err)
}

#[test]
fn a_tokens_file_is_checked_before_it_matters() {
    assert_eq!(checked(Some(TOKEN), 0o640), (Some(0), String::new()));
    let (code, said) = checked(Some(TOKEN), 0o644);
    assert_eq!(code, Some(0));
    assert!(
        said.contains("every user of this machine may read"),
        "{said}"
    );
    for (content, says) in [
        (None, "there is no"),
        (Some(""), "it is empty"),
        (Some(" \n"), "it is empty"),
        (Some("secret\n"), "shorter than 16 characters"),
        (Some("two words of a phrase"), "visible ASCII"),
        (Some("tulip-harbour-42\ntulip-harbour-42"), "visible ASCII"),
    ] {
        let (code, said) = checked(content, 0o600);
        assert_eq!(code, Some(1), "{content:?}");
        assert!(
            said.contains(says) && said.contains("pardon.toml:5"),
            "{content:?}: {said}"
        );
    }
}

#[test]
fn a_proxy_does_not_start_with_a_token_that_is_none() {
    let folder = Folder::new();
    folder.write("admin.token", "short");
    folder.write(
        "pardon.toml",
        "[upstreams.app]\nendpoints = [\"http://127.0.0.1:9\"]\n[admin]\nlisten = [\"127.0.0.1:0\"]\ntoken_file = \"admin.token\"\n",
    );
    let said = folder.pardon(&["run", "--listen", "127.0.0.1:0"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("holds no token"), "{}", said.err);
}
