//! Answers of real frameworks, byte for byte: a failure is replaced and kept, everything else passes unchanged.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use pardon::config::{self, ClientAddress};
use pardon::incident::{self, Cause, Incident, Redactor};

use crate::support::recorded::{Framing, Kind, Recorded, recorded, sorted};
use crate::support::{Answer, End, Gateway, Origin};

const HTML: &str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
const JSON: &str = "application/json";

/// All answers, with an app that gives them.
fn replay() -> (Vec<Arc<Recorded>>, Origin) {
    let recorded: Vec<_> = recorded().into_iter().map(Arc::new).collect();
    let known: HashMap<_, _> = recorded
        .iter()
        .map(|answer| (answer.entry.name.clone(), Arc::clone(answer)))
        .collect();
    let origin = Origin::new(move |visit, request| {
        let recorded = &known[request.header("x-replay").unwrap()];
        visit.send(&recorded.bytes);
        match recorded.entry.connection_end.as_str() {
            "fin" => visit.close(),
            "rst" => visit.reset(),
            _ => visit.wait_for_close(),
        }
    });
    (recorded, origin)
}

/// The body as it should be kept, and how many secrets are taken out.
fn kept(answer: &Recorded) -> (Bytes, u32) {
    let redactor = Redactor::new(&config::Redact::default(), ClientAddress::Full);
    let kind = answer.entry.content_type.as_deref();
    let redacted = redactor.text(incident::to_utf8(answer.decoded().into(), kind));
    (redacted.text, redacted.marks)
}

/// Invariants 1, 3, 4 and 9.
#[test]
fn every_recorded_failure_is_replaced_and_kept() {
    let (recorded, origin) = replay();
    let gateway = Gateway::before(&origin);
    let failures: Vec<_> = recorded
        .iter()
        .filter(|answer| answer.is_intercepted())
        .collect();
    assert!(failures.len() >= 40, "{} failures", failures.len());
    for failure in failures {
        for (accept, media_type) in [
            (HTML, "text/html; charset=utf-8"),
            (JSON, "application/problem+json"),
        ] {
            let answer = gateway.ask(failure.request(accept));

            let name = &failure.entry.name;
            assert_eq!(answer.status, failure.entry.status, "{name}");
            assert_eq!(answer.header("content-type"), Some(media_type), "{name}");
            assert!(answer.text().contains(answer.id()), "{name}");
            failure.assert_not_in(&answer);
            let incident = gateway.incident(answer.id());
            assert_eq!(incident.cause, Cause::UpstreamStatus, "{name}");
            let body = incident.body.as_ref().unwrap();
            let (text, marks) = kept(failure);
            assert_eq!(body.redactions, marks, "{name}");
            assert!(
                body.content == text,
                "{name}: the body is kept exactly, but for its secrets"
            );
            assert_eq!(body.complete, failure.entry.complete, "{name}");
            assert!(body.decoded, "{name}");
        }
    }
}

/// Invariant 5.
#[test]
fn every_other_recorded_answer_passes_byte_for_byte() {
    let (recorded, origin) = replay();
    let gateway = Gateway::before(&origin);
    // What ends with the connection cannot be told from what breaks off.
    let is_whole = |answer: &&Arc<Recorded>| answer.entry.complete && !answer.is_intercepted();
    let passing: Vec<_> = recorded.iter().filter(is_whole).collect();
    assert!(passing.len() >= 25, "{} answers", passing.len());
    for recorded in passing {
        let answer = gateway.ask(recorded.request(HTML));

        let name = &recorded.entry.name;
        assert_eq!(answer.end, End::Whole, "{name}");
        assert!(
            answer.body == recorded.body,
            "{name}: the body is the app's"
        );
        assert_eq!(reason(&answer.line), reason(&recorded.line), "{name}");
        assert_eq!(
            gateway_headers(&answer, recorded),
            recorded.passing_headers(),
            "{name}"
        );
    }
    let disguised = |incident: &Incident| incident.cause == Cause::Disguised;
    assert!(
        gateway.incidents().iter().all(disguised),
        "nothing has failed openly"
    );
}

#[test]
fn what_breaks_off_is_seen_to_break_off_and_recorded() {
    let (recorded, origin) = replay();
    let gateway = Gateway::before(&origin);
    let cut = |answer: &&Arc<Recorded>| {
        answer.entry.kind == Kind::Truncated && !answer.entry.complete && !answer.is_intercepted()
    };
    let broken: Vec<_> = recorded.iter().filter(cut).collect();
    assert!(broken.len() >= 4, "{} answers", broken.len());
    for recorded in broken {
        let answer = gateway.ask(recorded.request(HTML));

        let name = &recorded.entry.name;
        assert!(
            [End::Cut, End::Reset].contains(&answer.end),
            "{name}: {:?}",
            answer.end
        );
        assert!(recorded.body.starts_with(&answer.body), "{name}");
        let incident = gateway.incident_when(answer.id(), |_| true);
        assert_eq!(incident.cause, Cause::BrokenOff, "{name}");
        assert_eq!(incident.status(), Some(recorded.entry.status), "{name}");
    }
}

/// An answer's headers without what the gateway adds: the request ID, and a date and a chunked framing where the app
/// had none.
fn gateway_headers(answer: &Answer, recorded: &Recorded) -> Vec<(String, String)> {
    let had = |name: &str| recorded.headers.iter().any(|(found, _)| found == name);
    let fields = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    sorted(fields.filter(|(name, _)| match name.as_str() {
        "x-request-id" => false,
        "transfer-encoding" => recorded.entry.framing == Framing::ContentLength,
        "date" => had(name),
        _ => true,
    }))
}

/// A status line without its version.
fn reason(line: &str) -> &str {
    line.split_once(' ').unwrap().1
}
