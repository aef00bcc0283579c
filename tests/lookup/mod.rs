//! Support looks an ID up, from another process, while the proxy runs: `show`, `incidents`, `forget`.

mod bad_input;
mod following;
mod forgetting;
mod listing;
mod stores;

use std::ops::Deref;

use serde_json::Value;

use crate::support::{Folder, Gateway, Origin, Said, on_terminal};

/// A gateway and the app behind it, which ends with it.
struct Scene {
    gateway: Gateway,
    _origin: Origin,
}

impl Scene {
    fn before(origin: Origin) -> Self {
        Self::set(origin, "")
    }

    /// With these lines of configuration.
    fn set(origin: Origin, toml: &str) -> Self {
        Self {
            gateway: Gateway::set(&origin, toml),
            _origin: origin,
        }
    }
}

impl Deref for Scene {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        &self.gateway
    }
}

/// Runs a command in a process of its own on a gateway's store.
fn pardon(gateway: &Gateway, arguments: &[&str]) -> Said {
    let store = gateway.store_path().to_str().unwrap();
    Folder::new().pardon(&[arguments, &["--store", store]].concat())
}

/// The objects that a command prints, one a line.
fn json(said: &Said) -> Vec<Value> {
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let lines = said.out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// An app that fails with a page of its own, and a reference.
fn failing() -> Origin {
    Origin::saying(
        500,
        "Content-Type: text/html\r\nX-Exception-Id: ref-42\r\nSet-Cookie: s=1\r\n",
        "<title>no</title><h1>ValueError: boom</h1><ul><li>first<li>second</ul>",
    )
}

/// A failure's ID.
fn fail(gateway: &Gateway, path: &str) -> String {
    gateway.get(path, "").id().to_owned()
}

#[test]
fn a_reference_in_the_body_finds_its_incident() {
    let origin = Origin::saying(500, "", "Sorry. Error reference: <b>ab-12345</b>\n");
    let settings = "intercept.reference_pattern = 'reference: <b>([a-z0-9-]+)</b>'\n";
    let gateway = Scene::set(origin, settings);
    let id = fail(&gateway, "/");
    let said = pardon(&gateway, &["show", "--json", "ab-12345"]);
    assert_eq!(json(&said)[0]["id"], id);
    assert_eq!(json(&said)[0]["reference"], "ab-12345");
}

#[test]
fn show_says_what_happened_in_its_first_lines() {
    let gateway = Scene::before(failing());
    let headers = "X-Mine: yes\r\nAuthorization: hunter2\r\n\
                   Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    let answer = gateway.get("/cart?token=hunter2&id=7", headers);
    let said = pardon(&gateway, &["show", answer.id()]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(
        said.out
            .starts_with(&format!("{}\nValueError: boom\n", answer.id())),
        "{}",
        said.out
    );
    for part in [
        " UTC, ",
        "  asked       GET /cart?token=[redacted: token]&id=7 at shop.example\n",
        "  visitor     127.0.0.1\n",
        "  cause       the app answered with 500 (upstream_status)\n",
        "  route       app\n",
        " of app, answered after ",
        "  page        500 as html in en, by ",
        "  took        ",
        "  reference   ref-42 (the app's own)\n",
        "  trace       4bf92f3577b34da6a3ce929d0e0e4736\n",
        ", 1 in the last 24 hours\n",
        "\nThe request, HTTP/1.1\n\n  host: shop.example\n",
        "  x-mine: yes\n",
        "\nThe app's answer, 500\n\n",
        "  set-cookie: [redacted: set-cookie]\n",
        "\nThe body: text/html, 70 bytes, complete\n\nValueError: boom\n\n- first\n- second\n\nIts source\n\n<title>no</title>",
    ] {
        assert!(said.out.contains(part), "{part:?} in {}", said.out);
    }
    assert!(!said.out.contains("hunter2"));
    assert!(!said.out.contains('\x1b'), "no color in a pipe");
}

#[test]
fn an_id_is_found_however_it_is_typed() {
    let gateway = Scene::before(failing());
    let id = fail(&gateway, "/");
    let typed = [
        id.clone(),
        id.to_lowercase(),
        id.replace('-', ""),
        format!("  {} ", id.replace('-', " ")),
        id.replace('0', "O").replace('1', "l"),
    ];
    for typed in typed {
        let said = pardon(&gateway, &["show", &typed]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{typed}");
        assert!(said.out.starts_with(&id), "{typed}: {}", said.out);
    }
    for (typed, says) in [
        (&id[..9], "Found by the beginning of its ID."),
        ("ref-42", "Found by the app's own reference."),
    ] {
        let said = pardon(&gateway, &["show", typed]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{typed}");
        assert!(said.out.starts_with(says), "{typed}: {}", said.out);
        assert!(said.out.contains(&id), "{typed}: {}", said.out);
    }
}

#[test]
fn a_typing_error_is_named_and_the_nearest_ids_are_offered() {
    let gateway = Scene::before(failing());
    let id = fail(&gateway, "/cart");
    let last = if id.ends_with('7') { "8" } else { "7" };
    let wrong = format!("{}{last}", &id[..id.len() - 1]);
    let said = pardon(&gateway, &["show", &wrong]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    let begins = format!(
        "error: `{wrong}` has a typing error: its check character does not agree.\nDid you mean:\n\n"
    );
    assert!(said.err.starts_with(&begins), "{}", said.err);
    assert_eq!(said.err.lines().count(), 4, "{}", said.err);
    for part in [id.as_str(), "  500  ", "GET /cart", "ValueError: boom"] {
        assert!(said.err.contains(part), "{part} in {}", said.err);
    }

    pardon(&gateway, &["forget", &id]);
    let said = pardon(&gateway, &["show", &wrong]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert!(
        said.err.contains("Nothing that is one slip away"),
        "{}",
        said.err
    );
}

#[test]
fn a_beginning_of_several_lists_them() {
    let gateway = Scene::before(failing());
    let ids = [fail(&gateway, "/"), fail(&gateway, "/")];
    let said = pardon(&gateway, &["show", &ids[0][..4]]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    let begins = format!("error: 2 incidents begin with `{}`", &ids[0][..4]);
    assert!(said.err.starts_with(&begins), "{}", said.err);
    assert!(ids.iter().all(|id| said.err.contains(id)), "{}", said.err);
}

#[test]
fn what_is_not_there_is_explained() {
    let gateway = Scene::before(failing());
    fail(&gateway, "/");
    let said = pardon(&gateway, &["show", "nope"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    for part in [
        "error: nothing in the store has the ID or the reference `nope`\n",
        "max_age",
        "400, 408, 414 or 431",
    ] {
        assert!(said.err.contains(part), "{part} in {}", said.err);
    }
    assert!(!said.err.contains("given up"), "{}", said.err);
}

#[test]
fn an_id_of_a_route_that_keeps_nothing_is_explained() {
    let upstream = "[upstreams.app]\nendpoints = [\"http://127.0.0.1:9\"]\n";
    let unrecorded = "`record = false`";
    let (global, route) = ("[intercept]\nrecord = false", "intercept.record = false");
    for (toml, mentioned) in [
        (format!("{global}\n{upstream}"), true),
        (format!("{upstream}[[routes]]\n{route}\n"), true),
        (upstream.to_owned(), false),
    ] {
        let (gateway, folder) = (Scene::before(failing()), Folder::new());
        folder.write("pardon.toml", &toml);
        let store = gateway.store_path().to_str().unwrap();
        let config = ["--store", store, "--config", "pardon.toml"];
        let said = folder.pardon(&[&["show", "nope"], &config[..]].concat());
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{toml}");
        assert_eq!(said.err.contains(unrecorded), mentioned, "{}", said.err);
    }
}

#[test]
fn foreign_ids_that_repeat_are_all_shown_the_newest_first() {
    let settings =
        "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n[server.request_id]\naccept = \"trusted\"\n";
    let gateway = Scene::set(failing(), settings);
    for path in ["/first", "/second", "/third"] {
        gateway.get(path, "X-Request-Id: twice.and_again\r\n");
    }
    let said = pardon(&gateway, &["show", "twice.and_again"]);
    assert_eq!(said.code, Some(0));
    assert!(
        said.out.starts_with("1 of 3, the newest first\n"),
        "{}",
        said.out
    );
    let places = [
        "GET /third",
        "2 of 3",
        "GET /second",
        "3 of 3",
        "GET /first",
    ]
    .map(|part| said.out.find(part).expect(part));
    assert!(places.is_sorted(), "{}", said.out);
    let found = json(&pardon(&gateway, &["show", "twice.and_again", "--json"]));
    let urls: Vec<_> = found
        .iter()
        .map(|one| one["request"]["url"].clone())
        .collect();
    assert_eq!(urls, ["/third", "/second", "/first"]);
    for _ in 0..9 {
        gateway.get("/more", "X-Request-Id: twice.and_again\r\n");
    }
    let said = pardon(&gateway, &["show", "twice.and_again"]);
    assert_eq!(said.out.matches(" of 12, the newest first\n").count(), 10);
    assert!(
        said.out
            .ends_with("\n[2 more; --json prints each in one line]\n")
    );
}

#[test]
fn show_gives_the_record_as_json() {
    let gateway = Scene::before(failing());
    let id = fail(&gateway, "/cart");
    let [found] = json(&pardon(&gateway, &["show", &id, "--json"]))
        .try_into()
        .unwrap();
    assert_eq!(found, serde_json::to_value(gateway.incident(&id)).unwrap());
}

#[test]
fn refusals_are_found_too() {
    let settings = "[[routes]]\nhost = \"shop.example\"\nupstream = \"app\"\n";
    let gateway = Scene::set(failing(), settings);
    let answer = gateway.ask("GET /nowhere HTTP/1.1\r\nHost: other.example\r\n\r\n");
    assert_eq!(answer.status, 404);
    gateway.incident(answer.id());
    let said = pardon(&gateway, &["show", answer.id()]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    for part in ["no route\n", "(refused)", "404 as ", "The body: none"] {
        assert!(said.out.contains(part), "{part} in {}", said.out);
    }
    let listed = json(&pardon(
        &gateway,
        &["incidents", "--cause", "refused", "--json"],
    ));
    assert_eq!(listed[0]["id"], answer.id());
    assert!(json(&pardon(&gateway, &["incidents", "--json"])).is_empty());
    let wrong = pardon(&gateway, &["incidents", "--cause", "refused", "--group"]);
    assert_eq!((wrong.code, wrong.out.as_str()), (Some(2), ""));
}

#[test]
fn a_person_at_a_terminal_sees_color_unless_it_is_refused() {
    let gateway = Scene::before(failing());
    let id = fail(&gateway, "/");
    let folder = Folder::new();
    let store = gateway.store_path().to_str().unwrap();
    let mut command = folder.command(&["show", &id, "--store", store]);
    command.env_remove("NO_COLOR");
    let (printed, code) = on_terminal(&mut command, 80);
    assert_eq!(code, Some(0));
    assert!(
        printed.starts_with(&format!("\x1b[1m{id}\x1b[0m\n")),
        "{printed}"
    );
    let (printed, _) = on_terminal(command.env("NO_COLOR", "1"), 80);
    assert!(printed.starts_with(&format!("{id}\n")), "{printed}");
}
