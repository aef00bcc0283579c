//! One trace from the client to the app, and its ID where the incident is.

use crate::support::{Gateway, Origin, Program};

const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn failing() -> Origin {
    Origin::saying(500, "Content-Type: text/plain\r\n", "boom")
}

/// The ID in a `traceparent` of ours.
fn begun(traceparent: &str) -> &str {
    let parts: Vec<_> = traceparent.split('-').collect();
    let [version, id, parent, flags] = parts[..] else {
        panic!("{traceparent}");
    };
    let hex = |text: &str| text.bytes().all(|it| b"0123456789abcdef".contains(&it));
    assert_eq!((version, flags), ("00", "01"), "{traceparent}");
    assert_eq!((id.len(), parent.len()), (32, 16), "{traceparent}");
    assert!(hex(id) && hex(parent), "{traceparent}");
    id
}

#[test]
fn a_trace_is_begun_and_its_id_is_in_the_record_and_the_log() {
    let origin = failing();
    let program = Program::set(&origin, "[log]\naccess = \"json\"");
    let mut ids = Vec::new();
    for _ in 0..2 {
        let answer = program.get("/", "");
        let requests = origin.requests();
        let id = begun(requests.last().unwrap().header("traceparent").unwrap()).to_owned();

        let shown = program.folder().pardon(&["show", answer.id(), "--json"]);

        let shown: serde_json::Value = serde_json::from_str(&shown.out).unwrap();
        assert_eq!(shown["trace_id"], id);
        assert_eq!(program.incident(answer.id())["trace_id"], id);
        let access = format!(
            "\"target\":\"pardon::access\",\"request_id\":\"{}\"",
            answer.id()
        );
        assert_eq!(program.json(&access)["trace_id"], id);
        ids.push(id);
    }
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_clients_trace_is_taken_over_and_passed_on_as_it_is() {
    let origin = failing();
    let gateway = Gateway::before(&origin);
    for flags in ["00", "01"] {
        let sent = format!("00-{ID}-00f067aa0ba902b7-{flags}");

        let answer = gateway.get(
            "/",
            &format!("Traceparent: {sent}\r\nTracestate: shop=1\r\n"),
        );

        let requests = origin.requests();
        let request = requests.last().unwrap();
        assert_eq!(request.headers("traceparent"), [sent.as_str()]);
        assert_eq!(request.header("tracestate"), Some("shop=1"));
        let kept = gateway.incident(answer.id());
        assert_eq!(kept.trace_id.as_deref(), Some(ID));
    }
}

#[test]
fn what_is_no_trace_is_replaced_by_one() {
    let origin = failing();
    let gateway = Gateway::before(&origin);
    for fields in [
        "Tracestate: shop=1\r\n".to_owned(),
        format!("Traceparent: {ID}\r\nTracestate: shop=1\r\n"),
        format!("Traceparent: ff-{ID}-00f067aa0ba902b7-01\r\nTracestate: shop=1\r\n"),
        format!("Traceparent: 00-{ID}-00f067aa0ba902b7-01\r\n").repeat(2),
        "Traceparent: <script>\r\n".to_owned(),
        "Traceparent: \u{fc}\r\n".to_owned(),
    ] {
        let answer = gateway.get("/", &fields);

        let requests = origin.requests();
        let request = requests.last().unwrap();
        let sent = request.headers("traceparent");
        assert_eq!(sent.len(), 1, "{fields}");
        let id = begun(sent[0]);
        assert_ne!(id, ID);
        assert_eq!(request.header("tracestate"), None, "{fields}");
        assert_eq!(gateway.incident(answer.id()).trace_id.as_deref(), Some(id));
    }
}

#[test]
fn an_operator_may_have_none_begun() {
    let origin = failing();
    let gateway = Gateway::set(&origin, "[server]\ntraceparent = \"pass\"");

    let answer = gateway.get("/", "Tracestate: shop=1\r\n");

    let request = origin.request();
    assert_eq!(request.header("traceparent"), None);
    assert_eq!(request.header("tracestate"), Some("shop=1"));
    assert_eq!(gateway.incident(answer.id()).trace_id, None);
    let sent = format!("00-{ID}-00f067aa0ba902b7-01");
    let traced = gateway.get("/", &format!("Traceparent: {sent}\r\n"));
    assert_eq!(gateway.incident(traced.id()).trace_id.as_deref(), Some(ID));
}

#[test]
fn a_refused_request_has_a_trace_too() {
    let origin = failing();
    let program = Program::set(&origin, "");
    let sent = format!("Traceparent: 00-{ID}-00f067aa0ba902b7-01\r\nExpect: miracles\r\n");
    let answer = program.get("/", &sent);
    assert_eq!(answer.status, 417);
    assert_eq!(program.json("pardon::refusal")["trace_id"], ID);
}
