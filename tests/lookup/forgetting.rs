//! `pardon forget`: nothing of what is forgotten is left in the store's files.

use std::fs;

use super::{Scene, fail, failing, pardon};
use crate::support::{Folder, Origin, Program};

/// Whether this stands anywhere in the files of a program's store.
fn holds(program: &Program, text: &str) -> bool {
    let files = ["pardon.db", "pardon.db-wal"];
    let read = |name| fs::read(program.folder().path().join(name)).unwrap();
    let bytes = files.map(read).concat();
    memchr::memmem::find(&bytes, text.as_bytes()).is_some()
}

/// An app whose every failure can be told from the others by the path.
fn telling() -> Origin {
    Origin::new(|visit, request| {
        let name = request.line()[5..].split(' ').next().unwrap().to_owned();
        let body = format!("unlike-any-other-{name}");
        let length = body.len();
        visit.send(format!(
            "HTTP/1.1 500 Oops\r\nX-App: of-{name}\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
    })
}

/// What a failure of that app leaves in the store.
fn traces(name: &str, id: &str) -> [String; 4] {
    [
        id.to_owned(),
        format!("/{name}"),
        format!("mine-of-{name}"),
        format!("unlike-any-other-{name}"),
    ]
}

#[test]
fn nothing_of_a_forgotten_incident_is_left_while_the_proxy_runs() {
    let origin = telling();
    let program = Program::set(&origin, "");
    let ids = ["gone", "kept"].map(|name| {
        let headers = format!("X-Mine: mine-of-{name}\r\n");
        program.get(&format!("/{name}"), &headers).id().to_owned()
    });
    for trace in traces("gone", &ids[0]) {
        assert!(holds(&program, &trace), "{trace}");
    }

    let typed = ids[0].to_lowercase().replace('-', "");
    let said = program.folder().pardon(&["forget", &typed]);

    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(said.out.starts_with("forgotten: 1 incident\n"));
    assert!(said.out.contains("The log on stderr"), "{}", said.out);
    for trace in traces("gone", &ids[0]) {
        assert!(!holds(&program, &trace), "{trace}");
    }
    for trace in traces("kept", &ids[1]) {
        assert!(holds(&program, &trace), "{trace}");
    }
    let said = program.folder().pardon(&["forget", &ids[0]]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert!(said.err.contains("has exactly the ID"), "{}", said.err);
    let later = program.get("/later", "").id().to_owned();
    for (id, code) in [(&ids[0], 1), (&ids[1], 0), (&later, 0)] {
        let said = program.folder().pardon(&["show", id]);
        assert_eq!(said.code, Some(code), "{id}");
    }
}

#[test]
fn the_beginning_of_an_id_forgets_nothing() {
    let gateway = Scene::before(failing());
    let id = fail(&gateway, "/");
    for typed in [
        &id[..9],
        &id[..id.len() - 1],
        "ref-42",
        "%",
        "____-____-____-____",
    ] {
        let said = pardon(&gateway, &["forget", typed]);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{typed}");
    }
    assert_eq!(gateway.incidents().len(), 1);
}

#[test]
fn a_visitor_is_forgotten_by_the_address() {
    let gateway = Scene::before(failing());
    for client in ["192.0.2.7", "192.0.2.70"] {
        gateway.get("/", &format!("X-Forwarded-For: {client}, 10.0.0.1\r\n"));
    }
    let said = pardon(&gateway, &["forget", "--client", "192.0.2.7"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(
        said.out.starts_with("forgotten: 1 incident\n"),
        "{}",
        said.out
    );
    assert_eq!(gateway.incidents().len(), 1);
    let said = pardon(&gateway, &["forget", "--client", "127.0.0.1"]);
    assert!(
        said.out.starts_with("forgotten: 1 incident\n"),
        "{}",
        said.out
    );
    let said = pardon(&gateway, &["forget", "--client", "127.0.0.1"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert_eq!(said.err, "error: nothing is stored of 127.0.0.1\n");
}

#[test]
fn what_is_not_kept_of_addresses_is_said() {
    for (client, says) in [
        ("masked", "name the network's first address"),
        ("none", "no address is recorded"),
    ] {
        let settings = format!("[incidents]\nclient = \"{client}\"\n");
        let origin = failing();
        let program = Program::set(&origin, &settings);
        program.get("/", "");
        let said = program
            .folder()
            .pardon(&["forget", "--client", "127.0.0.1"]);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
        assert!(said.err.contains(says), "{}", said.err);
    }
}

#[test]
fn files_that_were_set_aside_are_named() {
    let gateway = Scene::before(failing());
    let id = fail(&gateway, "/");
    let path = gateway.store_path().to_str().unwrap();
    let aside = format!("{path}.damaged-20240203T040506Z");
    fs::write(&aside, "").unwrap();
    let said = pardon(&gateway, &["forget", &id]);
    assert_eq!(said.code, Some(0));
    assert!(said.out.contains(&format!("  {aside}\n")), "{}", said.out);
}

#[test]
fn whom_to_forget_has_to_be_said() {
    let folder = Folder::new();
    for wrong in [
        &["forget"][..],
        &["forget", "0S9Y", "--client", "127.0.0.1"],
        &["forget", "--client", "localhost"],
    ] {
        assert_eq!(folder.pardon(wrong).code, Some(2), "{wrong:?}");
    }
}
