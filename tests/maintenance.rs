//! In planned downtime visitors get a page that says so, no incident is made, and those who must still reach the app do.

use jiff::{Timestamp, ToSpan};
use serde_json::Value;

use crate::support::http2::{Http2, request};
use crate::support::{Answer, Gateway, Origin, Program, eventually};

fn fine() -> Origin {
    Origin::saying(200, "", "the app")
}

fn planned(toml: &str) -> String {
    format!("[maintenance]\non = true\n{toml}\n")
}

fn assert_planned(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1);
    // The log knows the ID, and nothing else does: no page shows it.
    let id = answer.id();
    assert!(!answer.text().contains(id));
}

#[test]
fn visitors_get_a_page_and_no_incident_is_made() {
    let origin = fine();
    let gateway = Gateway::set(
        &origin,
        &planned("message = \"Moving <b>house</b> & \\\"home\\\"\""),
    );
    let html = gateway.get("/cart", "Accept: text/html\r\n");
    assert_planned(&html);
    assert_eq!(html.header("retry-after"), Some("300"));
    assert!(html.text().contains("Under maintenance"));
    assert!(
        html.text()
            .contains("Moving &lt;b&gt;house&lt;/b&gt; &amp; "),
        "{}",
        html.text()
    );
    assert!(html.text().contains("(maintenance)"));
    let json = gateway.get("/cart", "Accept: application/json\r\n");
    assert_planned(&json);
    assert_eq!(json.json()["note"], "Moving <b>house</b> & \"home\"");
    assert_eq!(json.json()["layer"], "maintenance");
    let xml = gateway.get("/cart", "Accept: application/xml\r\n");
    assert_planned(&xml);
    let parsed = roxmltree::Document::parse(xml.text()).unwrap();
    let note = parsed
        .descendants()
        .find(|node| node.has_tag_name(("urn:ietf:rfc:7807", "note")));
    assert_eq!(note.unwrap().text(), Some("Moving <b>house</b> & \"home\""));
    let text = gateway.get("/cart", "Accept: text/plain\r\nAccept-Language: de\r\n");
    assert_planned(&text);
    assert!(
        text.text().starts_with("Wartungsarbeiten\n"),
        "{}",
        text.text()
    );
    assert!(!text.text().contains("\n\n\n"), "{}", text.text());
    assert!(origin.requests().is_empty());
    assert!(gateway.incidents().is_empty());
    assert!(gateway.find(html.id()).is_empty());
}

#[test]
fn every_kind_of_request_is_answered_properly() {
    let origin = fine();
    let gateway = Gateway::set(&origin, &planned(""));
    let mut client = gateway.connect();
    let head = client.ask("HEAD / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!((head.status, head.body.len()), (503, 0));
    let post =
        client.ask("POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\n\r\nhello");
    assert_planned(&post);
    assert!(
        post.text().contains("safe to send it again"),
        "{}",
        post.text()
    );
    let next = gateway.get("/", "");
    assert_planned(&next);
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    assert_planned(&gateway.get("/socket", upgrade));
    let mut visitor = Http2::connect(gateway.address());
    let reply = visitor.get("/");
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("300"))
    );
    let call = request(
        "POST",
        "/shop.Cart/Add",
        &[("content-type", "application/grpc"), ("te", "trailers")],
    );
    let reply = visitor.ask(call, b"\0\0\0\0\0");
    assert_eq!(
        (reply.status, reply.header("grpc-status")),
        (200, Some("14"))
    );
    assert!(reply.header("grpc-message").unwrap().contains("worked on"));
    assert!(origin.requests().is_empty());
}

#[test]
fn its_end_is_shown_and_comes_by_itself() {
    let origin = fine();
    let until = (Timestamp::now() + 1.hour())
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let gateway = Gateway::set(&origin, &planned(&format!("until = \"{until}\"")));
    let answer = gateway.get("/", "Accept: text/html\r\n");
    assert_planned(&answer);
    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&seconds), "{seconds}");
    assert!(answer.text().contains(&format!("datetime=\"{until}\"")));
    let over = Gateway::set(&origin, &planned("until = \"2026-01-01T00:00:00Z\""));
    assert_eq!(over.get("/", "").text(), "the app");
}

#[test]
fn those_who_are_allowed_and_health_checks_reach_the_app() {
    let origin = fine();
    let gateway = Gateway::configured(
        &origin,
        "[maintenance]\non = true\nallow = [\"192.0.2.0/24\"]\npass_paths = [\"/ping\"]\n[server]\ntrusted_proxies = [\"127.0.0.1\"]\n\
         [upstreams.app]\nendpoints = [\"$ORIGIN\"]\nhealth.path = \"/healthz\"\n",
    );
    for (path, fields, passes) in [
        ("/", "", false),
        ("/", "X-Forwarded-For: 192.0.2.7\r\n", true),
        ("/", "X-Forwarded-For: 192.0.2.7, 198.51.100.1\r\n", false),
        ("/healthz", "", true),
        ("/healthz?from=lb", "", true),
        ("/healthz/more", "", false),
        ("/ping", "", true),
    ] {
        let status = gateway.get(path, fields).status;
        assert_eq!(status == 200, passes, "{path} {fields}");
    }
    let mut client = gateway.connect();
    let post =
        client.ask("POST /healthz HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(post.status, 503);
    let untrusted = Gateway::set(&origin, &planned("allow = [\"192.0.2.0/24\"]"));
    assert_eq!(
        untrusted.get("/", "X-Forwarded-For: 192.0.2.7\r\n").status,
        503
    );
}

#[test]
fn a_single_route_is_in_maintenance() {
    let origin = fine();
    let gateway = Gateway::set(
        &origin,
        "[[routes]]\nname = \"shop\"\npath = \"/shop\"\n[routes.maintenance]\non = true\n[[routes]]\nname = \"rest\"",
    );
    assert_planned(&gateway.get("/shop/cart", ""));
    assert_eq!(gateway.get("/shopping", "").text(), "the app");
}

/// A running process with two routes.
fn running(origin: &Origin) -> Program {
    let program = Program::set(
        origin,
        "[[routes]]\nname = \"shop\"\npath = \"/shop\"\n[[routes]]\nname = \"rest\"\n",
    );
    program.address();
    program
}

fn wait_for(program: &Program, path: &str, status: u16) -> Answer {
    eventually("the order to be in force", || {
        Some(program.get(path, "")).filter(|answer| answer.status == status)
    })
}

#[test]
fn the_command_works_on_the_running_process_and_outlives_it() {
    let origin = fine();
    let program = running(&origin);
    let order = |arguments: &[&str]| {
        program
            .folder()
            .pardon(&[&["maintenance"], arguments].concat())
    };
    assert_eq!(order(&[]).out, "off\n");
    let on = order(&[
        "on",
        "--until",
        "2h",
        "--message",
        "New shelves",
        "--route",
        "shop",
    ]);
    assert_eq!(on.code, Some(0), "{}", on.err);
    assert!(
        on.out.starts_with("route `shop`: on until 20"),
        "{}",
        on.out
    );
    assert!(on.err.contains("the running process"), "{}", on.err);
    let planned = wait_for(&program, "/shop", 503);
    assert!(planned.text().contains("New shelves"));
    assert_eq!(program.get("/", "").status, 200);
    let logged: Value = program.json("not passed on: maintenance");
    assert_eq!(
        (&logged["target"], &logged["route"]),
        (&"pardon::maintenance".into(), &"shop".into())
    );
    assert_eq!(program.get("/shop", "").status, 503);
    assert!(program.ask_admin("/readyz").status == 200);
    assert_eq!(order(&["on"]).code, Some(0));
    wait_for(&program, "/", 503);
    let status = order(&["status"]).out;
    assert!(
        status.starts_with("every route: on until told to end\nroute `shop`: on until"),
        "{status}"
    );
    // One route's order ends, and that for all goes on.
    assert_eq!(order(&["off", "--route", "shop"]).code, Some(1));
    program.signal("KILL");
    let folder = program.folder();
    let mut again = folder.command(&["run", "--config", "pardon.toml", "--listen", "127.0.0.1:0"]);
    let again = Program::run(crate::support::Folder::new(), &mut again);
    assert_eq!(again.get("/", "").status, 503);
    let off = order(&["off"]);
    assert_eq!((off.code, off.out.as_str()), (Some(0), "off\n"));
    wait_for(&again, "/", 200);
    assert!(!folder.path().join("pardon.db.maintenance").exists());
}

#[test]
fn an_order_can_be_given_while_no_process_runs() {
    let origin = fine();
    let (folder, arguments) = Program::file(&origin, "");
    let said = folder.pardon(&["maintenance", "on", "--message", "<Moving>"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(
        said.err.contains("no process runs with the store"),
        "{}",
        said.err
    );
    assert_eq!(said.out, "every route: on until told to end: <Moving>\n");
    let mut command = folder.command(&arguments);
    let program = Program::run(folder, &mut command);
    assert_eq!(program.get("/", "").status, 503);
}

#[test]
fn a_broken_file_changes_nothing() {
    let origin = fine();
    let program = running(&origin);
    assert_eq!(
        program.folder().pardon(&["maintenance", "on"]).code,
        Some(0)
    );
    wait_for(&program, "/", 503);
    program
        .folder()
        .write("pardon.db.maintenance", "{\"all\": 7");
    program.line("the orders for maintenance cannot be read");
    assert_eq!(program.get("/", "").status, 503);
    let said = program.folder().pardon(&["maintenance", "off"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("remove it to begin anew"), "{}", said.err);
}

#[test]
fn what_cannot_be_is_refused() {
    let origin = fine();
    let (folder, _) = Program::file(&origin, "");
    let long = "x".repeat(501);
    for (arguments, code, says) in [
        (
            &["on", "--until", "2020-01-01T00:00:00Z"][..],
            1,
            "is past: it is ",
        ),
        (&["on", "--until", "soon"], 1, "`soon` is no time"),
        (&["on", "--route", "nope"], 1, "there is no route `nope`"),
        (&["on", "--message", &long], 1, "longer than 500 characters"),
        (
            &["off", "--until", "2h"],
            2,
            "belong to `pardon maintenance on`",
        ),
        (&["maybe"], 2, "invalid value"),
    ] {
        let said = folder.pardon(&[&["maintenance"], arguments].concat());
        assert_eq!(said.code, Some(code), "{arguments:?}: {}", said.err);
        assert!(said.err.contains(says), "{arguments:?}: {}", said.err);
    }
    assert!(!folder.path().join("pardon.db.maintenance").exists());
}

#[test]
fn the_command_says_that_the_configuration_keeps_it_on() {
    let origin = fine();
    let (folder, _) = Program::file(&origin, "[maintenance]\non = true\n");
    let said = folder.pardon(&["maintenance", "off"]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("on by the configuration"), "{}", said.out);
}
