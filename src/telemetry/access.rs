//! The access log: one line a request, in the Combined Log Format or as JSON.

use std::fmt::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

use http::Version;
use jiff::Timestamp;
use tracing::Level;

use super::line::{Form, Line};
use super::{escape, names};
use crate::config::AccessFormat;
use crate::request_id::RequestId;

/// One request as the access log tells it. Values of secret query keys are taken out before.
#[derive(Clone, Debug)]
pub struct AccessLine<'a> {
    /// The request's ID.
    pub request_id: &'a RequestId,
    /// The trace that it belongs to.
    pub trace_id: Option<&'a str>,
    /// When the request came.
    pub time: Timestamp,
    /// The visitor's address, as far as it is kept.
    pub client: Option<IpAddr>,
    /// The request's method.
    pub method: &'a str,
    /// The path and query that were asked for, redacted.
    pub target: &'a str,
    /// The request's HTTP version.
    pub version: Version,
    /// The status that the visitor got.
    pub status: u16,
    /// How many bytes of body the visitor was sent.
    pub bytes: u64,
    /// From the request's head to the answer's last byte.
    pub duration: Duration,
    /// The `Referer` field, redacted.
    pub referer: Option<&'a str>,
    /// The `User-Agent` field.
    pub user_agent: Option<&'a str>,
    /// The name of the route.
    pub route: &'a str,
    /// The name of the upstream.
    pub upstream: &'a str,
}

impl AccessLine<'_> {
    /// The line with its line feed; `None` when none is asked for.
    pub(super) fn write(&self, format: AccessFormat) -> Option<String> {
        let mut out = String::with_capacity(320);
        let written = match format {
            AccessFormat::Off => return None,
            AccessFormat::Combined => self.combined(&mut out),
            AccessFormat::Json => self.json(&mut out),
        };
        written.ok().map(|()| out)
    }

    fn combined(&self, out: &mut String) -> fmt::Result {
        match self.client {
            Some(client) => write!(out, "{client}")?,
            None => out.write_char('-')?,
        }
        let time = self.time.strftime("%d/%b/%Y:%H:%M:%S +0000");
        write!(out, " - - [{time}] \"")?;
        escape::combined(out, self.method)?;
        out.write_char(' ')?;
        escape::combined(out, self.target)?;
        write!(
            out,
            " {:?}\" {} {} \"",
            self.version, self.status, self.bytes
        )?;
        escape::combined(out, self.referer.unwrap_or_default())?;
        out.write_str("\" \"")?;
        escape::combined(out, self.user_agent.unwrap_or_default())?;
        out.write_str("\"\n")
    }

    fn json(&self, out: &mut String) -> fmt::Result {
        let mut line = Line::begin(out, Form::Json, Level::INFO, names::ACCESS)?;
        line.text(names::REQUEST_ID, self.request_id.as_str());
        line.text(names::TRACE_ID, self.trace_id.unwrap_or_default());
        if let Some(client) = self.client {
            line.plain(names::CLIENT, format_args!("\"{client}\""));
        }
        line.text(names::METHOD, self.method);
        line.text(names::TARGET, self.target);
        line.plain(names::VERSION, format_args!("\"{:?}\"", self.version));
        line.plain(names::STATUS, self.status);
        line.plain(names::BYTES, self.bytes);
        line.plain(names::DURATION_MS, super::milliseconds(self.duration));
        line.text(names::REFERER, self.referer.unwrap_or_default());
        line.text(names::USER_AGENT, self.user_agent.unwrap_or_default());
        line.text(names::ROUTE, self.route);
        line.text(names::UPSTREAM, self.upstream);
        line.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &RequestId) -> AccessLine<'_> {
        AccessLine {
            request_id: id,
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
            time: "2024-02-03T04:05:06.789Z".parse().unwrap(),
            client: Some([192, 0, 2, 7].into()),
            method: "GET",
            target: "/a?token=[redacted: token]&q=\"",
            version: Version::HTTP_11,
            status: 502,
            bytes: 1234,
            duration: Duration::from_micros(12_345),
            referer: None,
            user_agent: Some("curl/8\u{1b}[2J\" 200"),
            route: "shop",
            upstream: "app",
        }
    }

    #[test]
    fn combined_is_what_log_analysers_read() {
        let id = RequestId::accept("id-1").unwrap();
        let expected = "192.0.2.7 - - [03/Feb/2024:04:05:06 +0000] \
            \"GET /a?token=[redacted: token]&q=\\x22 HTTP/1.1\" 502 1234 \"-\" \"curl/8\\x1B[2J\\x22 200\"\n";
        assert_eq!(line(&id).write(AccessFormat::Combined).unwrap(), expected);
        let mut hidden = line(&id);
        hidden.client = None;
        let text = hidden.write(AccessFormat::Combined).unwrap();
        assert!(text.starts_with("- - - ["), "{text}");
        assert_eq!(hidden.write(AccessFormat::Off), None);
    }

    #[test]
    fn json_is_one_object_a_line() {
        let id = RequestId::accept("id-1").unwrap();
        let text = line(&id).write(AccessFormat::Json).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["target"], "pardon::access");
        assert_eq!(value["client"], "192.0.2.7");
        assert_eq!(value["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(value["uri"], "/a?token=[redacted: token]&q=\"");
        assert_eq!(value["status"], 502);
        assert_eq!(value["duration_ms"], 12.345);
        assert_eq!(value["user_agent"], "curl/8\u{1b}[2J\" 200");
    }
}
