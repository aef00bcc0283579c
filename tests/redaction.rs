//! Secrets do not land on disk or in logs: invariant 9, held against answers of real frameworks.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use pardon::config::{ClientAddress, Redact};
use pardon::incident::Redactor;
use pardon::incident::store::{Found, Reader};

use crate::support::recorded::{Recorded, recorded as all_recorded};
use crate::support::{Origin, Program, eventually};

/// The word that stands for a secret in the recorded answers.
const PLANTED: &str = "hunter2-SECRET-7731";

/// What is put in its place, so that nothing can know it by its form.
const WORDS: [&str; 6] = [
    "qvxzkwrtbnmp",
    "QXKVZWJ",
    "9471360258",
    "kD8.x_2vQ!z-Wm",
    "w%21Zq~x$7Kd*y",
    "zq7",
];

/// Answers in which the secret stands in no place that tells it is one, and where that is.
const UNRECOGNISABLE: [(&str, &str); 4] = [
    ("php-debug-warning", "in the name of a file"),
    ("php-xdebug-warning", "in the name of a file"),
    (
        "sinatra-debug-boom",
        "in the text of an exception: `raise \"...\"`",
    ),
    (
        "tomcat-debug-errpage",
        "in the text of an exception: `cart for ... is null`",
    ),
];

/// The answer as the record holds it, with a word in the place of the secret.
struct Kept {
    headers: String,
    body: String,
}

impl Kept {
    fn new(recorded: &Recorded, word: &str) -> Self {
        let redactor = Redactor::new(&Redact::default(), ClientAddress::Full);
        let mut headers = HeaderMap::new();
        for (name, value) in &recorded.headers {
            let name: HeaderName = name.parse().unwrap();
            let value = HeaderValue::from_str(&value.replace(PLANTED, word)).unwrap();
            headers.append(name, value);
        }
        let body = String::from_utf8_lossy(&recorded.decoded()).replace(PLANTED, word);
        let redacted = redactor.text(Bytes::from(body));
        Self {
            headers: format!("{:?}", redactor.headers(&headers)),
            body: String::from_utf8(redacted.text.to_vec()).unwrap(),
        }
    }

    fn holds(&self, word: &str) -> bool {
        self.headers.contains(word) || self.body.contains(word)
    }
}

fn with_secrets() -> Vec<Recorded> {
    let planted = |recorded: &Recorded| {
        let body = String::from_utf8_lossy(&recorded.decoded()).contains(PLANTED);
        body || recorded
            .headers
            .iter()
            .any(|(_, value)| value.contains(PLANTED))
    };
    let found: Vec<_> = all_recorded().into_iter().filter(planted).collect();
    assert!(found.len() >= 38, "{} answers with a secret", found.len());
    found
}

#[test]
fn every_secret_in_a_recognisable_place_is_gone() {
    for word in WORDS {
        let mut leaking = Vec::new();
        for recorded in with_secrets() {
            if Kept::new(&recorded, word).holds(word) {
                leaking.push(recorded.entry.name.clone());
            }
        }
        assert_eq!(
            leaking,
            UNRECOGNISABLE.map(|(name, _)| name),
            "with `{word}`"
        );
    }
}

/// The same through a running proxy: what it keeps, what it logs, what a visitor gets.
#[test]
fn no_secret_reaches_record_log_or_page() {
    // Another word each time; what fails prints it.
    let random = RandomState::new().hash_one(PLANTED);
    let word = format!("w{random:016x}").replace(|c: char| c.is_ascii_digit(), "q");
    let known = UNRECOGNISABLE.map(|(name, _)| name);
    let failing: Vec<_> = with_secrets()
        .into_iter()
        .filter(Recorded::is_intercepted)
        .filter(|recorded| !known.contains(&recorded.entry.name.as_str()))
        .collect();
    let answers: HashMap<_, _> = failing
        .iter()
        .map(|recorded| (recorded.entry.name.clone(), with_word(recorded, &word)))
        .collect();
    let origin = Origin::new(move |visit, request| {
        visit.send(&answers[request.header("x-replay").unwrap()]);
        visit.close();
    });
    let program = Program::set(&origin, "incidents.log_body = \"1MiB\"");
    let store = program.folder().path().join("pardon.db");

    for recorded in &failing {
        let name = &recorded.entry.name;
        let answer = program.connect().ask(recorded.request("text/html"));
        assert!(!answer.text().contains(&word), "{name}: {word} on the page");
        program.incident(answer.id());
        let incident = eventually("its record", || {
            match Reader::open(&store).unwrap().find(answer.id()).unwrap() {
                Found::Incidents(_, mut found) => found.pop().filter(|incident| incident.settled),
                _ => None,
            }
        });
        let record = serde_json::to_string(&incident).unwrap();
        assert!(record.contains("[redacted: "), "{name}: {record}");
        assert!(!record.contains(&word), "{name}: {word} in the record");
    }
    assert!(failing.len() >= 20, "{} failures", failing.len());
    let lines = program.lines().join("\n");
    assert!(!lines.contains(&word), "{word} in the log");
}

/// A recorded answer with a word in the place of its secret, delimited by its end.
fn with_word(recorded: &Recorded, word: &str) -> Vec<u8> {
    let framing = ["content-length", "transfer-encoding", "content-encoding"];
    let mut answer = format!("{}\r\n", recorded.line);
    for (name, value) in &recorded.headers {
        if !framing.contains(&name.as_str()) {
            let value = value.replace(PLANTED, word);
            answer.extend([name.as_str(), ": ", &value, "\r\n"]);
        }
    }
    let body = String::from_utf8_lossy(&recorded.decoded()).replace(PLANTED, word);
    (answer + "\r\n" + &body).into_bytes()
}

#[test]
fn the_trace_around_a_secret_stays_readable() {
    let word = WORDS[0];
    for recorded in with_secrets() {
        let kept = Kept::new(&recorded, word);
        let name = recorded.entry.name.as_str();
        let before = String::from_utf8_lossy(&recorded.decoded()).into_owned();
        for thing in recorded.entry.leaks.values().flatten() {
            let there = before.contains(thing) && !thing.contains(PLANTED);
            assert!(
                !there || kept.body.contains(thing),
                "{name}: {thing} is gone"
            );
        }
        let (lines, left) = (before.lines().count(), kept.body.lines().count());
        assert_eq!(left, lines, "{name}: lines");
    }
}

#[test]
fn a_page_without_a_secret_is_hardly_touched() {
    let redactor = Redactor::new(&Redact::default(), ClientAddress::Full);
    let planted: Vec<_> = with_secrets();
    let is_planted = |recorded: &Recorded| {
        planted
            .iter()
            .any(|other| other.entry.name == recorded.entry.name)
    };
    for recorded in all_recorded()
        .iter()
        .filter(|recorded| !is_planted(recorded))
    {
        let body = recorded.decoded();
        let marks = redactor.marks(&body);
        let taken: Vec<_> = marks
            .iter()
            .map(|mark| String::from_utf8_lossy(&body[mark.range.clone()]))
            .collect();
        assert!(
            taken.is_empty(),
            "{}: {taken:?}",
            recorded.entry.name.as_str()
        );
    }
}
