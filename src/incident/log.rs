//! The log line of an incident: the one place where an operator without any tool sees the original answer.

use std::borrow::Cow;

use tracing::Level;

use super::Incident;
use crate::telemetry::{self, milliseconds, names};

/// Writes the line of an incident: level error, the fields of [`names::INCIDENT_FIELDS`]. Of the body come at most `log_body` bytes, as
/// text; a field without a value is absent. Of one that was not stored in time the whole record comes too, as JSON.
pub fn log(incident: &Incident, log_body: usize, confirmed: bool) {
    // A record always has a JSON.
    let record = (!confirmed).then(|| serde_json::to_string(incident).unwrap_or_default());
    let body = incident.body.as_ref();
    let upstream = incident.upstream.as_ref();
    let client = incident.request.client.map(tracing::field::display);
    let duration = milliseconds(incident.duration);
    tracing::event!(
        target: names::INCIDENT,
        Level::ERROR,
        { names::REQUEST_ID } = incident.id.as_str(),
        { names::TRACE_ID } = incident.trace_id.as_deref(),
        { names::CAUSE } = incident.cause.as_str(),
        { names::STATUS } = incident.status(),
        { names::METHOD } = incident.request.method.as_str(),
        { names::PATH } = telemetry::path(&incident.request.url),
        { names::ROUTE } = &*incident.route,
        { names::ENDPOINT } = upstream.map(|upstream| &*upstream.endpoint),
        { names::CLIENT } = client,
        { names::DURATION_MS } = duration,
        { names::FINGERPRINT } = %incident.fingerprint,
        { names::SUMMARY } = incident.summary.as_str(),
        { names::BODY } = body.map(|body| text(&body.content, log_body)).as_deref(),
        { names::BODY_BYTES } = body.map(|body| body.bytes),
        { names::RECORD } = record.as_deref(),
    );
}

/// The first bytes of a body as text; a character that the cut would halve is left out.
fn text(content: &[u8], limit: usize) -> Cow<'_, str> {
    let cut = content.get(..limit).unwrap_or(content);
    match std::str::from_utf8(cut) {
        Ok(text) => Cow::Borrowed(text),
        Err(error) if error.error_len().is_none() && cut.len() == limit => {
            String::from_utf8_lossy(cut.get(..error.valid_up_to()).unwrap_or(cut))
        }
        Err(_) => String::from_utf8_lossy(cut),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::incident::record::tests::{body, sample};
    use crate::telemetry::tests::{logged_json, logged_pretty};

    /// The keys of a line of flat JSON in the order in which they stand.
    fn keys(line: &str) -> Vec<String> {
        let value: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        let mut keys: Vec<String> = value.keys().cloned().collect();
        keys.sort_by_key(|key| line.find(&format!("\"{key}\":")));
        keys
    }

    #[test]
    fn the_line_has_exactly_the_documented_fields() {
        let traced = Incident {
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
            ..sample("id-1")
        };
        let line = logged_json(|| log(&traced, 2048, true));
        let always = ["timestamp", "level", "target"];
        let expected: Vec<&str> = always.into_iter().chain(names::INCIDENT_FIELDS).collect();
        assert_eq!(keys(&line), expected);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["level"], "ERROR");
        assert_eq!(value["target"], "pardon::incident");
        assert_eq!(value["request_id"], "id-1");
        assert_eq!(value["cause"], "upstream_status");
        assert_eq!(value["status"], 500);
        assert_eq!(value["path"], "/cart");
        assert_eq!(value["client"], "192.0.2.7");
        assert_eq!(value["duration_ms"], 23.456);
        assert_eq!(value["body"], "RuntimeError: boom");
        assert_eq!(value["body_bytes"], 18);
    }

    #[test]
    fn a_failure_of_our_own_has_no_body() {
        let own = Incident {
            body: None,
            upstream: None,
            ..sample("id-1")
        };
        let line = logged_json(|| log(&own, 2048, true));
        let value: Value = serde_json::from_str(&line).unwrap();
        for absent in ["trace_id", "body", "body_bytes", "endpoint"] {
            assert!(value.get(absent).is_none(), "{absent}");
        }
        assert_eq!(value["status"], 500);
    }

    #[test]
    fn the_body_is_cut_between_characters() {
        for (content, limit, expected) in [
            (&b"abcdef"[..], 3, "abc"),
            (b"abc", 3, "abc"),
            (b"abc", 9, "abc"),
            ("aöü".as_bytes(), 4, "aö"),
            ("aöü".as_bytes(), 5, "aöü"),
            ("🦀🦀".as_bytes(), 7, "🦀"),
            (b"a\xffb\xfe", 3, "a\u{fffd}b"),
            (b"a\xffb\xc3", 4, "a\u{fffd}b\u{fffd}"),
            (b"abc", 0, ""),
        ] {
            assert_eq!(text(content, limit), expected, "{content:?} {limit}");
        }
    }

    #[test]
    fn no_body_moves_a_terminals_cursor() {
        let hostile = Incident {
            body: Some(body(
                "<b>\u{1b}]0;x\u{7}\u{9b}2J\r\n\u{202e}end\u{7f}".as_bytes(),
            )),
            ..sample("id-1")
        };
        for line in [
            logged_json(|| log(&hostile, 2048, true)),
            logged_pretty(|| log(&hostile, 2048, true)),
        ] {
            let control = |letter: &char| letter.is_control() && *letter != '\n';
            assert_eq!(line.chars().find(control), None, "{line:?}");
        }
    }
}
