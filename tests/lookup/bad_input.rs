//! What an app, a visitor or whoever asks may have written: none of it reaches a terminal, all of it is kept.

use std::io::{BufRead, BufReader, Write};

use super::{Scene, json, pardon};
use crate::support::{Folder, Gateway, Origin, on_terminal};

/// An app that fails with these header lines and these bytes.
fn saying(headers: &str, body: &[u8]) -> Origin {
    let length = body.len();
    let head = format!("HTTP/1.1 500 Oops\r\nContent-Length: {length}\r\n{headers}\r\n");
    Origin::answering([head.as_bytes(), body].concat())
}

/// Fails where a text holds anything that a terminal would obey.
#[track_caller]
fn assert_harmless(text: &str) {
    let obeyed = |letter: &char| {
        let plain = matches!(letter, '\n' | '\t');
        !plain
            && (letter.is_control()
                || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    };
    let found = text.chars().find(obeyed);
    assert_eq!(found, None, "{text:?}");
}

/// What the body itself holds, byte for byte.
fn raw_body(gateway: &Gateway, id: &str) -> Vec<u8> {
    let store = gateway.store_path().to_str().unwrap();
    let folder = Folder::new();
    let mut command = folder.command(&["show", id, "--body", "--store", store]);
    let output = command.output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
    output.stdout
}

/// A media type, a body, and a part of what is shown.
const BODIES: [(&str, &[u8], &str); 10] = [
    (
        "text/plain",
        b"a NUL \0 in a line of text",
        "a NUL \\x00 in a line",
    ),
    (
        "text/plain",
        b"cl\x1b[2J\x1b]0;title\x07\x9b31m\r\nfor\rgery\x08",
        "cl\\x1b[2J\\x1b]0;title\\x07\\x9b31m\nfor\\x0dgery\\x08",
    ),
    (
        "text/plain",
        "C1 \u{9b}2J bidi \u{202e}txt.exe".as_bytes(),
        "C1 \\u{9b}2J bidi \\u{202e}txt.exe",
    ),
    (
        "text/plain; charset=utf-8",
        b"no UTF-8: caf\xe9 cr\xe8me",
        "no UTF-8: caf\\xe9 cr\\xe8me",
    ),
    (
        "text/html",
        b"<p>&#27;[31mred &#x202e; <b onclick=alert(1)>x</b><script>\x1b[2J</script>",
        "red \\u{202e} x\n",
    ),
    (
        "text/html",
        b"<pre><pre></table></td></body></html>\x1b]8;;http://x\x07<!--\x1b[1m",
        "\\x1b]8;;http://x\\x07\n",
    ),
    (
        "application/json",
        b"{\"a\": \"\\u001b[2J \xc2\x9b\", \"b\": [1]}",
        "{\n  \"a\": \"\\u001b[2J \\u{9b}\",\n  \"b\": [\n    1\n  ]\n}\n",
    ),
    (
        "application/json",
        b"{\"broken\": \x1b",
        "{\"broken\": \\x1b\n",
    ),
    (
        "image/png",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\0\0\0\x01\0",
        "00000000  89 50 4e 47 0d 0a 1a 0a 00 00 00 0d 49 48 44 52  |.PNG........IHDR|\n",
    ),
    (
        "text/html; charset=shift_jis",
        b"<p>\x83G\x83\x89\x81[ \x1b[1m 500</p>",
        "The body: ",
    ),
];

#[test]
fn no_body_reaches_a_terminal_and_every_byte_is_kept() {
    let utf_16: Vec<u8> = "Störung\u{202e}"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let utf_16 = ("text/plain; charset=utf-16", &utf_16[..], "The body: ");
    for (content_type, body, shown) in BODIES.into_iter().chain([utf_16]) {
        let gateway = Scene::before(saying(&format!("Content-Type: {content_type}\r\n"), body));
        let id = gateway.get("/", "").id().to_owned();
        let said = pardon(&gateway, &["show", &id]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
        assert_harmless(&said.out);
        assert!(said.out.contains(shown), "{shown:?} in {}", said.out);
        let as_json = pardon(&gateway, &["show", &id, "--json"]);
        assert_harmless(&as_json.out);
        assert_harmless(&pardon(&gateway, &["incidents"]).out);
        assert_harmless(&pardon(&gateway, &["incidents", "--group"]).out);
        if !content_type.contains("charset=utf-16") && !content_type.contains("shift_jis") {
            assert_eq!(raw_body(&gateway, &id), body);
        }
        assert_eq!(json(&as_json)[0]["body"]["bytes"], body.len());
    }
}

#[test]
fn a_megabyte_in_one_line_is_cut_and_kept() {
    let body = "x".repeat(1 << 20);
    let settings = "[intercept.capture]\nmax_body = \"2MiB\"\ndrain = \"4MiB\"\n";
    let gateway = Scene::set(
        saying("Content-Type: text/plain\r\n", body.as_bytes()),
        settings,
    );
    let id = gateway.get("/", "").id().to_owned();
    gateway.incident(&id);
    let said = pardon(&gateway, &["show", &id]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(said.out.len() < 80 * 1024, "{} bytes", said.out.len());
    assert!(
        said.out
            .ends_with("x\n\n[983,040 more bytes; --body prints all]\n")
    );
    assert!(pardon(&gateway, &["incidents"]).out.len() < 2048);
    assert_eq!(raw_body(&gateway, &id).len(), 1 << 20);
}

#[test]
fn a_page_made_to_attack_its_viewer_is_shown_in_time() {
    for attack in [
        "<div>",
        "<pre>",
        "<!--",
        "<a b=\"",
        "<table><tr><td>",
        "<svg><template>",
        "[",
        "{\"a\":",
    ] {
        let body = attack.repeat(200_000 / attack.len());
        let gateway = Scene::before(saying("Content-Type: text/html\r\n", body.as_bytes()));
        let id = gateway.get("/", "").id().to_owned();
        let said = pardon(&gateway, &["show", &id]);
        assert_eq!(said.code, Some(0), "{attack}");
        assert!(said.out.len() < 400 * 1024, "{attack}: {}", said.out.len());
    }
}

#[test]
fn headers_that_are_not_utf_8_are_shown_and_kept() {
    let origin = Origin::raw(|stream, _| {
        let mut reader = BufReader::new(&stream);
        while !reader.fill_buf().unwrap().is_empty() {
            let taken = reader.buffer().len();
            reader.consume(taken);
            let answer = b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\nX-App: caf\xe9 \xff\r\nX-Bidi: a\xe2\x80\xaeb\r\n\r\noops";
            (&stream).write_all(answer).unwrap();
        }
    });
    let gateway = Scene::before(origin);
    let answer = gateway.ask(
        b"GET /?q=%1b%5b2J HTTP/1.1\r\nHost: shop.example\r\nX-Mine: na\xefve \xc2\x9b\r\n\r\n",
    );
    let said = pardon(&gateway, &["show", answer.id()]);
    assert_eq!(said.code, Some(0));
    assert_harmless(&said.out);
    for part in [
        "  x-mine: na\\xefve \\u{9b}\n",
        "  x-app: caf\\xe9 \\xff\n",
        "  x-bidi: a\\u{202e}b\n",
    ] {
        assert!(said.out.contains(part), "{part} in {}", said.out);
    }
    assert_harmless(&pardon(&gateway, &["show", answer.id(), "--json"]).out);
}

#[test]
fn whatever_is_typed_means_itself_and_is_echoed_harmlessly() {
    let gateway = Scene::before(saying("", b"oops"));
    gateway.get("/", "");
    for typed in [
        "' OR 1=1 --",
        "\"; DROP TABLE incidents; --",
        "%",
        "____",
        "*",
        "****-****",
        "\\",
        "",
        "\x1b[2J\x1b]0;x\x07",
        "\u{202e}0S9Y",
        "../../etc/passwd",
        "--",
        &"A".repeat(100_000),
    ] {
        for command in ["show", "forget"] {
            let store = gateway.store_path().to_str().unwrap();
            let said = Folder::new().pardon(&[command, "--store", store, "--", typed]);
            assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{typed:?}");
            assert!(said.err.starts_with("error: "), "{}", said.err);
            assert!(said.err.len() < 1000, "{}", said.err);
            assert_harmless(&said.err);
        }
    }
    assert_eq!(gateway.incidents().len(), 1);
}

#[test]
fn a_body_that_a_terminal_would_obey_is_not_sent_to_one() {
    for (body, sent) in [
        (&b"cl\x1b[2J"[..], false),
        (b"\x89PNG\0", false),
        (b"oops\r\n", true),
    ] {
        let gateway = Scene::before(saying("Content-Type: text/plain\r\n", body));
        let id = gateway.get("/", "").id().to_owned();
        let store = gateway.store_path().to_str().unwrap();
        let folder = Folder::new();
        let mut command = folder.command(&["show", &id, "--body", "--store", store]);
        command.stderr(std::process::Stdio::null());
        let (printed, code) = on_terminal(&mut command, 80);
        assert_eq!(code, Some(i32::from(!sent)), "{printed:?}");
        assert_eq!(printed.contains("oops"), sent);
        assert_harmless(&printed.replace('\r', ""));
    }
}

#[test]
fn an_answer_without_a_body_says_so() {
    for origin in [saying("", b""), Origin::new(|visit, _| visit.close())] {
        let gateway = Scene::before(origin);
        let id = gateway.get("/", "").id().to_owned();
        let said = pardon(&gateway, &["show", &id]);
        assert!(said.out.contains("\nThe body: "), "{}", said.out);
    }
    let gateway = Scene::before(Origin::new(|visit, _| visit.close()));
    let id = gateway.get("/", "").id().to_owned();
    let said = pardon(&gateway, &["show", &id, "--body"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert!(said.err.contains("no body is kept"), "{}", said.err);
}
