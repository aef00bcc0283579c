//! Lists and groups.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde_json::Value;

use super::{Scene, fail, failing, json, pardon};
use crate::support::{Folder, Origin, on_terminal};

/// An app that fails with the status that the path begins with.
fn of_any_status() -> Origin {
    Origin::new(|visit, request| {
        let status = &request.line()[5..8];
        visit.send(format!(
            "HTTP/1.1 {status} Oops\r\nContent-Length: 4\r\n\r\noops"
        ));
    })
}

/// A gateway with two routes, and four incidents.
fn busy() -> Scene {
    let settings = "[[routes]]\nname = \"shop\"\npath = \"/503\"\nupstream = \"app\"\n\
                    [[routes]]\nname = \"rest\"\nupstream = \"app\"\n";
    let gateway = Scene::set(of_any_status(), settings);
    for path in ["/500/a", "/502/b", "/503/c", "/500/d"] {
        gateway.get(path, "");
    }
    gateway
}

#[test]
fn incidents_are_filtered() {
    const ALL: &[&str] = &["/500/d", "/503/c", "/502/b", "/500/a"];
    let gateway = busy();
    let cases: [(&[&str], &[&str]); 14] = [
        (&[], ALL),
        (&["--status", "500"], &["/500/d", "/500/a"]),
        (&["--status", "502-504"], &["/503/c", "/502/b"]),
        (&["--status", "502,503"], &["/503/c", "/502/b"]),
        (&["--status", "5xx", "--status", "404"], ALL),
        (&["--status", "4xx"], &[]),
        (&["--route", "shop"], &["/503/c"]),
        (&["--route", "sho_"], &[]),
        (&["--route", "' OR 1=1 --"], &[]),
        (&["--cause", "upstream_status"], ALL),
        (&["--cause", "dns_failed"], &[]),
        (&["--since", "1h"], ALL),
        (
            &["--since", "2000-01-01T00:00:00Z", "--limit", "2"],
            &ALL[..2],
        ),
        (&["--since", "2100-01-01T00:00:00Z"], &[]),
    ];
    for (arguments, expected) in cases {
        let said = pardon(&gateway, &[&["incidents", "--json"], arguments].concat());
        assert_eq!(said.code, Some(0));
        let each = said.out.lines();
        let listed: Vec<Value> = each
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let urls: Vec<_> = listed
            .iter()
            .map(|one| one["url"].as_str().unwrap())
            .collect();
        assert_eq!(urls, expected, "{arguments:?}");
    }
}

#[test]
fn a_line_of_json_has_the_fields_of_a_list() {
    let gateway = Scene::before(failing());
    let id = fail(&gateway, "/cart");
    let [listed] = json(&pardon(&gateway, &["incidents", "--json"]))
        .try_into()
        .unwrap();
    let whole = serde_json::to_value(gateway.incident(&id)).unwrap();
    for name in [
        "seq",
        "id",
        "time",
        "cause",
        "route",
        "summary",
        "fingerprint",
        "reference",
    ] {
        assert_eq!(listed[name], whole[name], "{name}");
    }
    assert_eq!(listed["status"], 500);
    for name in ["method", "url", "client"] {
        assert_eq!(listed[name], whole["request"][name], "{name}");
    }
    assert_eq!(listed.as_object().unwrap().len(), 12);
}

#[test]
fn the_list_has_a_line_for_each_and_says_what_is_not_on_it() {
    let gateway = busy();
    let said = pardon(&gateway, &["incidents"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let lines: Vec<_> = said.out.lines().collect();
    assert_eq!(lines.len(), 5, "{}", said.out);
    assert!(lines[0].starts_with("TIME  "));
    let column = lines[0].find("SUMMARY").unwrap();
    assert!(
        lines[1..].iter().all(|line| line[column..] == *"oops"),
        "{}",
        said.out
    );
    assert!(
        lines[2].contains("  503     upstream_status  shop          GET /503/c "),
        "{}",
        said.out
    );

    let said = pardon(&gateway, &["incidents", "--limit", "3"]);
    assert!(
        said.out
            .contains("\nThe newest 3; there are more: --limit N"),
        "{}",
        said.out
    );
    let said = pardon(&gateway, &["incidents", "--status", "404"]);
    assert!(
        said.out.contains("None. The newest of all incidents came "),
        "{}",
        said.out
    );
    assert_eq!(said.code, Some(0));
}

#[test]
fn a_list_fits_its_terminal() {
    let gateway = busy();
    let long = format!("/500/{}", "漢".repeat(200));
    gateway.get(&long, "");
    let store = gateway.store_path().to_str().unwrap();
    for columns in [80, 100, 132] {
        for group in [&[][..], &["--group"]] {
            let folder = Folder::new();
            let mut command = folder.command(&[&["incidents", "--store", store], group].concat());
            let (printed, code) = on_terminal(command.env("NO_COLOR", "1"), columns);
            assert_eq!(code, Some(0));
            let rows: Vec<_> = printed
                .lines()
                .take_while(|line| !line.is_empty())
                .collect();
            assert!(rows.len() > 2, "{printed}");
            let widest = rows.iter().map(|line| line.chars().count()).max().unwrap();
            assert!(
                widest <= usize::from(columns),
                "{widest} of {columns}: {printed}"
            );
        }
    }
}

#[test]
fn what_had_to_be_given_up_is_said() {
    let gateway = busy();
    let store = Connection::open(gateway.store_path()).unwrap();
    let lost = "INSERT INTO losses SELECT (unixepoch('now') - unixepoch('2020-01-01')) / 3600, column1, column2
                FROM (VALUES ('body', 1700), ('row', 1), ('unconfirmed', 3))";
    store.execute(lost, []).unwrap();
    let told = "given up for lack of memory: 1,700 bodies, 1 incident; sent before the incident was stored: 3 pages.\n";
    for (arguments, begins) in [
        (&["incidents"][..], "Since the store was made, "),
        (&["incidents", "--since", "1h"], "In this time, "),
        (&["incidents", "--group"], "Since the store was made, "),
    ] {
        let said = pardon(&gateway, arguments);
        assert!(
            said.out.ends_with(&format!("\n{begins}{told}")),
            "{}",
            said.out
        );
    }
    let said = pardon(&gateway, &["incidents", "--json"]);
    assert!(said.err.ends_with(told), "{}", said.err);
    assert_eq!(said.out.lines().count(), 4);
    let said = pardon(&gateway, &["incidents", "--since", "2100-01-01T00:00:00Z"]);
    assert!(!said.out.contains("given up"), "{}", said.out);
    let said = pardon(&gateway, &["show", "nope"]);
    assert!(said.err.contains("1 incident was given up"), "{}", said.err);
}

#[test]
fn a_body_that_memory_had_no_room_for_is_said_to_be_cut() {
    let body = "x".repeat(200_000);
    let origin = Origin::saying(500, "Content-Type: text/plain\r\n", &body);
    let gateway = Scene::set(origin, "[incidents]\nmemory = \"64KiB\"\n");
    let id = fail(&gateway, "/");
    let said = pardon(&gateway, &["show", &id]);
    let told = "\nThe body: text/plain, 200,000 bytes, ";
    let (_, told) = said.out.split_once(told).unwrap();
    let line = told.lines().next().unwrap();
    assert!(line.ends_with(" kept, cut"), "{line}");
}

#[test]
fn what_is_alike_is_counted() {
    let gateway = busy();
    let said = pardon(&gateway, &["incidents", "--group"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let lines: Vec<_> = said.out.lines().collect();
    assert!(
        lines[0].starts_with("  COUNT  COURSE  FIRST  LAST  STATUS  ROUTE "),
        "{}",
        said.out
    );
    assert!(lines[1].starts_with("      2  "), "{}", said.out);
    assert!(
        lines[1].contains('█') && lines[1].contains("  500     rest  "),
        "{}",
        said.out
    );
    assert!(lines[1].ends_with("  oops"), "{}", said.out);
    assert!(
        said.out
            .ends_with("\nEach mark of a course is 1 hour; the last one ends with this hour.\n")
    );

    let groups = json_lines(
        &pardon(
            &gateway,
            &["incidents", "--group", "--json", "--status", "500"],
        )
        .out,
    );
    let [group] = groups.try_into().unwrap();
    assert_eq!(
        (&group["count"], &group["status"], &group["route"]),
        (&2.into(), &500.into(), &"rest".into())
    );
    assert_eq!(group["newest"]["summary"], "oops");
    assert_eq!(group["hours"][0][1], 2);
    assert!(
        group["hours"][0][0].as_str().unwrap().ends_with(":00:00Z"),
        "{group}"
    );
    let names: BTreeSet<_> = group
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "fingerprint",
        "route",
        "status",
        "cause",
        "count",
        "first",
        "last",
        "hours",
        "newest",
    ];
    assert_eq!(names, BTreeSet::from(expected));
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
