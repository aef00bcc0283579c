//! An incident as a page for a person: the first lines say it all, then come the request, the app's answer and its body.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::body;
use crate::cli::screen::Screen;
use crate::cli::{moment, store, visible};
use crate::incident::store::Reader;
use crate::incident::{Cause, Evidence, HeaderField, Incident, StoreError, UpstreamRecord};

/// How wide the names of facts are.
const NAMES: usize = 12;
/// How far back alike failures are counted.
const LATELY: SignedDuration = SignedDuration::from_hours(24);

/// The page.
pub(super) fn of(
    incident: &Incident,
    reader: &Reader,
    screen: Screen,
    now: Timestamp,
) -> Result<String, StoreError> {
    let mut page = Page {
        text: String::new(),
        screen,
    };
    page.title(incident);
    page.happening(incident, now);
    page.outcome(incident);
    page.traces(incident, reader, now)?;
    page.request(incident);
    if let Some(upstream) = &incident.upstream {
        page.answer(upstream, &incident.summary);
    }
    page.text.push_str(&body::told(incident, screen));
    Ok(page.text)
}

/// A page under way. Every foreign text comes onto it through [`visible`].
struct Page {
    text: String,
    screen: Screen,
}

impl Page {
    fn title(&mut self, incident: &Incident) {
        let id = self.screen.bold(incident.id.as_str());
        let summary = self.screen.red(&visible::line(&incident.summary));
        self.line(&format!("{id}\n{summary}\n"));
    }

    /// What happened: when, what was asked, by whom, why it failed.
    fn happening(&mut self, incident: &Incident, now: Timestamp) {
        let request = &incident.request;
        self.fact("when", &moment::with_age(incident.time, now));
        let host = request.headers.iter().find(|field| field.name == "host");
        let host = host.map_or_else(String::new, |host| format!(" at {}", host.value));
        self.fact(
            "asked",
            &format!("{} {}{host}", request.method, request.url),
        );
        let client = request.client.map(|client| client.to_string());
        self.fact("visitor", client.as_deref().unwrap_or("not kept"));
        let cause = incident.cause;
        self.fact("cause", &format!("{} ({cause})", sentence(incident)));
        if !incident.route.is_empty() {
            self.fact("route", &incident.route);
        }
        if let Some(upstream) = &incident.upstream {
            self.fact("endpoint", &endpoint(upstream));
        }
    }

    /// What the visitor got, and how long it took.
    fn outcome(&mut self, incident: &Incident) {
        let page = match &incident.served {
            None if incident.cause == Cause::Disguised => "none: the answer passed".to_owned(),
            None => "none: the answer had begun, and was broken off".to_owned(),
            Some(served) => format!(
                "{} as {} in {}, by {}",
                served.status, served.format, served.language, served.template
            ),
        };
        self.fact("page", &page);
        if !incident.duration.is_zero() {
            self.fact("took", &took(incident.duration));
        }
    }

    /// What leads further.
    fn traces(
        &mut self,
        incident: &Incident,
        reader: &Reader,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for evidence in &incident.evidence {
            let Evidence {
                signature,
                framework,
                weight,
                offset,
            } = evidence;
            let says = format!("{signature} ({framework}), weight {weight}, at byte {offset}");
            self.fact("evidence", &says);
        }
        if let Some(reference) = &incident.reference {
            self.fact("reference", &format!("{reference} (the app's own)"));
        }
        if let Some(trace) = &incident.trace_id {
            self.fact("trace", trace);
        }
        let fingerprint = incident.fingerprint;
        if incident.cause == Cause::Refused {
            self.fact("alike", &fingerprint.to_string());
        } else {
            let since = now.checked_sub(LATELY).unwrap_or(Timestamp::MIN);
            let count = store::grouped(reader.alike(fingerprint, since)?);
            let alike = format!("{fingerprint}, {count} in the last 24 hours");
            self.fact("alike", &alike);
        }
        self.fact("instance", &incident.instance);
        Ok(())
    }

    fn request(&mut self, incident: &Incident) {
        let version = incident.request.version;
        self.heading(&format!("The request, {version:?}"));
        self.fields(&incident.request.headers);
    }

    fn answer(&mut self, upstream: &UpstreamRecord, summary: &str) {
        match upstream.status {
            Some(status) => self.heading(&format!("The app's answer, {status}")),
            None => self.heading("The app's answer: none"),
        }
        self.fields(&upstream.headers);
        // Where there was no answer, the summary has said it already.
        if let Some(error) = upstream.error.as_ref().filter(|error| *error != summary) {
            let error = self.screen.red(&visible::line(error));
            self.line(&format!("  {error}"));
        }
    }

    fn heading(&mut self, text: &str) {
        let text = self.screen.bold(text);
        self.line(&format!("\n{text}\n"));
    }

    fn fields(&mut self, fields: &[HeaderField]) {
        for field in fields {
            let name = self.screen.dim(&format!("{}:", field.name));
            let value = visible::line(&field.value);
            self.line(&format!("  {name} {value}"));
        }
    }

    fn fact(&mut self, name: &str, value: &str) {
        let name = self.screen.dim(&visible::padded(name, NAMES));
        self.line(&format!("  {name}{}", visible::line(value)));
    }

    fn line(&mut self, text: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{text}");
    }
}

/// The cause in words.
fn sentence(incident: &Incident) -> String {
    let status = incident.upstream.as_ref().and_then(|up| up.status);
    match (incident.cause, status) {
        (Cause::UpstreamStatus, Some(status)) => format!("the app answered with {status}"),
        (cause, _) => cause.sentence().to_owned(),
    }
}

fn endpoint(upstream: &UpstreamRecord) -> String {
    let mut text = format!("{} of {}", upstream.endpoint, upstream.name);
    if upstream.attempts > 1 {
        let _ = write!(text, ", asked {} times", upstream.attempts);
    }
    if let Some(millis) = upstream.head_ms {
        let _ = write!(text, ", answered after {millis:.1} ms");
    }
    text
}

fn took(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds @ 1.0.. => format!("{seconds:.1} s"),
        seconds => format!("{:.1} ms", seconds * 1000.0),
    }
}
