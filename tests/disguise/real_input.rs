//! Recall and false alarms on answers of real software, by framework, however they are cut and coded.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use pardon::config;
use pardon::intercept::disguise::{Disguise, Watch};

use crate::support::recorded::{Kind, Recorded, recorded};

/// A look into an answer with these fields.
fn watch(status: u16, fields: &[(String, String)]) -> Option<Watch> {
    let disguise = Disguise::build(&config::Disguise::default()).unwrap();
    let each = fields.iter().map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        (name, HeaderValue::from_str(value).unwrap())
    });
    let headers: HeaderMap = each.collect();
    let status = StatusCode::from_u16(status).unwrap();
    disguise.watch(&Method::GET, status, &headers, || true)
}

/// What is found in an answer by pieces of this size.
fn found(status: u16, fields: &[(String, String)], body: &[u8], size: usize) -> Vec<String> {
    let mut watch = watch(status, fields).expect("an answer that is looked into");
    for piece in body.chunks(size) {
        watch.feed(piece, false);
    }
    watch.feed(b"", true);
    let signs = watch.signs().iter();
    let signs: Vec<_> = signs
        .map(|sign| format!("{}@{}", sign.signature, sign.offset))
        .collect();
    // Signs that do not suffice are none.
    if watch.is_found() { signs } else { Vec::new() }
}

/// The same answer without its coding.
fn plain(recorded: &Recorded) -> (Vec<(String, String)>, Vec<u8>) {
    let mut fields = recorded.headers.clone();
    fields.retain(|(name, _)| name != "content-encoding");
    (fields, recorded.decoded())
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "the table is what a reader of the test wants"
)]
fn disguised_answers_are_found_and_others_are_not() {
    let mut table: BTreeMap<String, (usize, usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for recorded in recorded() {
        let entry = &recorded.entry;
        if entry.status >= 500 || entry.kind == Kind::Truncated {
            continue;
        }
        let framework = entry.name.split('-').next().unwrap().to_owned();
        let row = table.entry(framework).or_default();
        let (fields, body) = plain(&recorded);
        let signs = found(entry.status, &fields, &body, usize::MAX);
        let disguised = entry.kind == Kind::Disguised;
        row.0 += usize::from(disguised);
        row.1 += usize::from(disguised && !signs.is_empty());
        row.2 += usize::from(!disguised && !signs.is_empty());
        if disguised == signs.is_empty() {
            wrong.push(format!("{}: {signs:?}", entry.name));
        }
    }
    for (framework, (all, found, alarms)) in &table {
        println!("{framework:<12} {found} of {all} found, {alarms} false alarms");
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    let all: usize = table.values().map(|row| row.0).sum();
    assert!(all >= 20, "the answers were not there");
}

#[test]
fn failures_that_call_themselves_failures_are_recognized_too() {
    let mut missed = Vec::new();
    for recorded in recorded() {
        let entry = &recorded.entry;
        let (fields, body) = plain(&recorded);
        let looked_into = entry.kind == Kind::Error && watch(404, &fields).is_some();
        if looked_into && found(404, &fields, &body, usize::MAX).is_empty() {
            missed.push(entry.name.clone());
        }
    }
    // It says a URL with a password, in JSON, and nothing more.
    assert_eq!(missed, ["fastify-debug-boom"]);
}

#[test]
fn the_outcome_is_the_same_for_any_pieces_and_codings() {
    for recorded in recorded() {
        let entry = &recorded.entry;
        if entry.status >= 500 || entry.kind == Kind::Truncated {
            continue;
        }
        let (mut fields, body) = plain(&recorded);
        let whole = found(entry.status, &fields, &body, usize::MAX);
        let sizes: &[usize] = if body.len() < 4000 {
            &[1, 2, 3, 7, 64, 1000]
        } else {
            &[97, 4096]
        };
        for size in sizes {
            let pieces = found(entry.status, &fields, &body, *size);
            assert_eq!(pieces, whole, "{} by {size}", entry.name);
        }
        fields.push(("content-encoding".to_owned(), "gzip".to_owned()));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&body).unwrap();
        let coded = encoder.finish().unwrap();
        for size in [1, 1000, usize::MAX] {
            assert_eq!(
                found(entry.status, &fields, &coded, size),
                whole,
                "{} by {size}, coded",
                entry.name
            );
        }
    }
}

#[test]
fn pages_that_talk_about_failures_pass() {
    let folder = Path::new("tests/disguise/lookalikes");
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() > 80);
    let mut taken = Vec::new();
    for name in names {
        let text = fs::read(folder.join(&name)).unwrap();
        let kind = match name.rsplit_once('.').unwrap().1 {
            "json" => "application/json",
            "html" => "text/html; charset=utf-8",
            _ => "text/plain",
        };
        let fields = [("content-type".to_owned(), kind.to_owned())];
        for size in [1, 50, usize::MAX] {
            let signs = found(200, &fields, &text, size);
            if !signs.is_empty() {
                taken.push(format!("{name} by {size}: {signs:?}"));
            }
        }
    }
    assert!(taken.is_empty(), "\n{}\n", taken.join("\n"));
}

/// Answers of small apps of our own, in debug and production modes of many frameworks, without their framing.
#[test]
fn answers_of_other_frameworks_are_told_apart() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir("tests/disguise/answers").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = fs::read(&path).unwrap();
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8_lossy(&bytes[..end]);
        let (line, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let fields: Vec<_> = fields
            .split("\r\n")
            .filter_map(|field| field.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        count += 1;
        for size in [1, 700, usize::MAX] {
            let signs = found(status, &fields, &bytes[end + 4..], size);
            if signs.is_empty() == name.starts_with("found-") {
                wrong.push(format!("{name} by {size}: {signs:?}"));
            }
        }
    }
    assert!(count > 60);
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn what_shows_nothing_to_look_at_is_not_looked_into() {
    let html = ("content-type", "text/html");
    for (status, fields) in [
        (200, vec![("content-type", "image/png")]),
        (200, vec![("content-type", "text/event-stream")]),
        (200, vec![("content-type", "application/grpc")]),
        (
            200,
            vec![
                html,
                ("content-disposition", "attachment; filename=\"a.html\""),
            ],
        ),
        (206, vec![html, ("content-range", "bytes 0-1/2")]),
        (204, vec![html]),
        (304, vec![html]),
        (500, vec![html]),
        (200, vec![html, ("content-encoding", "compress")]),
    ] {
        let fields = fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert!(
            watch(status, &fields.clone().collect::<Vec<_>>()).is_none(),
            "{status} {fields:?}"
        );
    }
}

#[test]
fn utf_16_and_wrong_charsets_are_read() {
    let page = "<h1>Cart</h1><br />\n<b>Fatal error</b>:  Uncaught Error: no in <b>/srv/x.php</b> on line <b>4</b><br />";
    let little: Vec<u8> = page.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = page.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let marked = [b"\xff\xfe".to_vec(), little.clone()].concat();
    for (kind, body) in [
        ("text/html; charset=utf-16", &little),
        ("text/html; charset=UTF-16BE", &big),
        ("text/html", &marked),
        ("text/html; charset=shift_jis", &page.as_bytes().to_vec()),
    ] {
        let fields = [("content-type".to_owned(), kind.to_owned())];
        for size in [1, 3, usize::MAX] {
            assert!(
                !found(200, &fields, body, size).is_empty(),
                "{kind} by {size}"
            );
        }
    }
}

#[test]
fn what_is_long_or_strange_takes_bounded_memory() {
    let fields = [("content-type".to_owned(), "text/html".to_owned())];
    let pieces: [(&str, Vec<u8>); 6] = [
        ("one word", vec![b'a'; 1 << 16]),
        ("cues", b"Traceback (most recent call last):\n".repeat(2000)),
        (
            "halves of a page",
            b"<br />\n<b>Fatal error</b>:  Uncaught ".repeat(2000),
        ),
        ("open elements", b"<pre><code><textarea>".repeat(3000)),
        ("frames", b"    at pay (/srv/cart.js:10:3)\n".repeat(2000)),
        ("zeros", vec![0; 1 << 16]),
    ];
    for (name, piece) in pieces {
        let mut watch = watch(200, &fields).unwrap();
        for _ in 0..64 {
            watch.feed(&piece, false);
            assert!(
                watch.held() < 512 << 10,
                "{name}: {} bytes held",
                watch.held()
            );
        }
        watch.feed(b"", true);
    }
}
