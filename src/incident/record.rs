//! The record of a failure, and the one JSON object that it is shown as everywhere.
//!
//! Nothing in here has been seen by a visitor, and nothing in here that is secret has been left in: headers, URLs and the client's
//! address come out of [`super::Redactor`].

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderName, Version};
use jiff::Timestamp;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::describe::describe_own;
use super::{Cause, Fingerprint};
use crate::request_id::RequestId;

/// One failure. Its JSON has these fields in this order; what is absent is `null`.
#[derive(Clone, Debug, Serialize)]
pub struct Incident {
    /// Its place in time and its key, as it was read from the store: 0 in the process that records it, and in its log.
    pub seq: i64,
    /// The request's ID: not unique where IDs of trusted proxies are kept.
    pub id: RequestId,
    /// When the request came; RFC 3339 with milliseconds.
    #[serde(serialize_with = "to_the_millisecond")]
    pub time: Timestamp,
    /// The process that made the record.
    #[serde(serialize_with = "shared_text")]
    pub instance: Arc<str>,
    /// Why the request failed.
    pub cause: Cause,
    /// The name of the route.
    #[serde(serialize_with = "shared_text")]
    pub route: Arc<str>,
    /// The failure in one line that a person recognises; see [`super::describe()`].
    pub summary: String,
    /// Equal for equal failures.
    pub fingerprint: Fingerprint,
    /// What was asked.
    pub request: RequestRecord,
    /// What was answered; absent when no upstream was asked.
    pub upstream: Option<UpstreamRecord>,
    /// The original body, as far as it was captured.
    pub body: Option<BodyRecord>,
    /// What the visitor got instead; absent when no page was served.
    pub served: Option<Served>,
    /// The app's own reference.
    pub reference: Option<String>,
    /// The trace that the request belongs to.
    pub trace_id: Option<String>,
    /// What an answer was found by that did not call itself a failure; where there is none it is not in the JSON.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// Whether its capture has ended; not part of the JSON.
    #[serde(skip)]
    pub settled: bool,
    /// How long the exchange took; for the log, not part of the JSON.
    #[serde(skip)]
    pub duration: Duration,
}

/// What was asked.
#[derive(Clone, Debug, Serialize)]
pub struct RequestRecord {
    /// The method.
    pub method: String,
    /// Path and query as they were asked for, secret values taken out.
    pub url: String,
    /// The HTTP version, as `HTTP/1.1`.
    #[serde(serialize_with = "version_name")]
    pub version: Version,
    /// The visitor's address, as far as `incidents.client` keeps it.
    pub client: Option<IpAddr>,
    /// The header fields, secret values taken out.
    pub headers: Vec<HeaderField>,
}

/// What was answered.
#[derive(Clone, Debug, Serialize)]
pub struct UpstreamRecord {
    /// The upstream's name.
    #[serde(serialize_with = "shared_text")]
    pub name: Arc<str>,
    /// The endpoint that was asked last.
    #[serde(serialize_with = "shared_text")]
    pub endpoint: Arc<str>,
    /// The status of its answer, if there was one.
    pub status: Option<u16>,
    /// The header fields of its answer, secret values taken out.
    pub headers: Vec<HeaderField>,
    /// How often the request was sent or tried.
    pub attempts: u32,
    /// From the request's sending to the answer's head, in milliseconds.
    pub head_ms: Option<f64>,
    /// What went wrong: with the exchange when there was no answer, else with the answer's body.
    pub error: Option<String>,
}

/// The original body. Its JSON holds `text` when the content is UTF-8, else `base64`.
#[derive(Clone, Debug)]
pub struct BodyRecord {
    /// What is kept: decoded if it could be.
    pub content: Bytes,
    /// The answer's media type.
    pub content_type: Option<String>,
    /// The answer's content coding.
    pub content_encoding: Option<String>,
    /// How many bytes have come from the upstream.
    pub bytes: u64,
    /// How many bytes are kept, after decoding.
    pub kept: u64,
    /// Whether the content is all that the upstream meant to send.
    pub complete: bool,
    /// Whether the content is free of content codings.
    pub decoded: bool,
    /// How many secrets were taken out.
    pub redactions: u32,
}

/// What the visitor got instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Served {
    /// The page's status.
    pub status: u16,
    /// The page's format: `html`, `json`, `text`, `xml`, `grpc`.
    pub format: Cow<'static, str>,
    /// The page's language.
    #[serde(serialize_with = "shared_text")]
    pub language: Arc<str>,
    /// The template that made it.
    #[serde(serialize_with = "shared_text")]
    pub template: Arc<str>,
}

/// A signature that was found in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its name.
    pub signature: String,
    /// Whose it is.
    pub framework: String,
    /// Its weight; 100 in sum make a failure.
    pub weight: u32,
    /// Where it stands: bytes from the beginning of the text, after decoding.
    pub offset: u64,
}

/// A header field, in JSON `[name, value]`. The value is text; bytes that are not UTF-8 stand as `\xNN`, and where a value itself holds
/// such a sequence its backslash stands as `\x5c`, so that nothing is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderField {
    /// The field's name, in lower case.
    pub name: HeaderName,
    /// The field's value.
    pub value: String,
}

/// What a capture brings, to the draft of an incident or to one that is recorded.
#[derive(Clone, Debug)]
pub struct Amendment {
    /// The original body.
    pub body: BodyRecord,
    /// The summary, now that the body is known.
    pub summary: String,
    /// The fingerprint that belongs to the summary.
    pub fingerprint: Fingerprint,
    /// What went wrong with the body, where something did.
    pub error: Option<String>,
    /// The app's own reference, where the body holds it.
    pub reference: Option<String>,
}

impl Incident {
    /// Takes what a capture brought, which ends with that.
    pub fn amend(&mut self, amendment: Amendment) {
        self.settled = true;
        self.body = Some(amendment.body);
        self.summary = amendment.summary;
        self.fingerprint = amendment.fingerprint;
        self.reference = self.reference.take().or(amendment.reference);
        if let Some(upstream) = &mut self.upstream {
            upstream.error = amendment.error;
        }
    }

    /// Takes the words for a failure that has no body, by its error.
    pub fn name(&mut self, error: Option<&str>) {
        let description = describe_own(self.cause, &self.route, error);
        self.summary = description.summary;
        self.fingerprint = description.fingerprint;
    }

    /// What ends a capture of which nothing came: its reading failed.
    #[must_use]
    pub fn unread(&self) -> Amendment {
        let none = BodyRecord {
            content: Bytes::new(),
            content_type: None,
            content_encoding: None,
            bytes: 0,
            kept: 0,
            complete: false,
            decoded: false,
            redactions: 0,
        };
        Amendment {
            body: self.body.clone().unwrap_or(none),
            summary: self.summary.clone(),
            fingerprint: self.fingerprint,
            error: Some("its text could not be read".to_owned()),
            reference: None,
        }
    }

    /// The status that the visitor got, else the upstream's.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        let served = self.served.as_ref().map(|served| served.status);
        served.or_else(|| self.upstream.as_ref().and_then(|upstream| upstream.status))
    }

    /// About how many bytes it takes in memory beside its body.
    pub(super) fn weight(&self) -> usize {
        let fields = |fields: &[HeaderField]| -> usize {
            let each = |field: &HeaderField| {
                size_of::<HeaderField>() + field.name.as_str().len() + field.value.len()
            };
            fields.iter().map(each).sum()
        };
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let evidence = |evidence: &Evidence| {
            size_of::<Evidence>() + evidence.signature.len() + evidence.framework.len()
        };
        let upstream = self.upstream.as_ref();
        size_of::<Self>()
            + self.summary.len()
            + self.request.method.len()
            + self.request.url.len()
            + fields(&self.request.headers)
            + upstream.map_or(0, |up| fields(&up.headers) + text(&up.error))
            + self.body.as_ref().map_or(0, |body| {
                text(&body.content_type) + text(&body.content_encoding)
            })
            + text(&self.reference)
            + text(&self.trace_id)
            + self.evidence.iter().map(evidence).sum::<usize>()
    }

    /// How many bytes of body it holds.
    pub(super) fn body_weight(&self) -> usize {
        self.body.as_ref().map_or(0, |body| body.content.len())
    }

    /// Gives its body up; what is known about the body stays.
    pub(super) fn give_up_body(&mut self) {
        if let Some(body) = &mut self.body {
            body.content = Bytes::new();
            body.kept = 0;
            body.complete = false;
        }
    }
}

impl RequestRecord {
    /// Keeps the first header fields, as far as they fit in so many bytes, and so much of the URL.
    pub fn cut_headers(&mut self, bytes: usize) {
        let mut room = bytes;
        self.headers.retain(|field| {
            let length = field.name.as_str().len() + field.value.len();
            let fits = length <= room;
            room = room.saturating_sub(length);
            fits
        });
        self.url.truncate(self.url.floor_char_boundary(bytes));
    }
}

impl HeaderField {
    /// A field as it came.
    #[must_use]
    pub fn new(name: &HeaderName, value: &[u8]) -> Self {
        Self {
            name: name.clone(),
            value: lossless(value),
        }
    }
}

impl Serialize for HeaderField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.name.as_str(), &self.value).serialize(serializer)
    }
}

impl Serialize for BodyRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_struct("BodyRecord", 8)?;
        match std::str::from_utf8(&self.content) {
            Ok(text) => body.serialize_field("text", text)?,
            Err(_) => body.serialize_field("base64", &BASE64_STANDARD.encode(&self.content))?,
        }
        body.serialize_field("content_type", &self.content_type)?;
        body.serialize_field("content_encoding", &self.content_encoding)?;
        body.serialize_field("bytes", &self.bytes)?;
        body.serialize_field("kept", &self.kept)?;
        body.serialize_field("complete", &self.complete)?;
        body.serialize_field("decoded", &self.decoded)?;
        body.serialize_field("redactions", &self.redactions)?;
        body.end()
    }
}

/// Bytes as text from which the bytes can be had back; see [`HeaderField`].
fn lossless(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) if !text.contains("\\x") => text.to_owned(),
        _ => {
            let mut text = String::with_capacity(value.len() + 16);
            for chunk in value.utf8_chunks() {
                text.push_str(&chunk.valid().replace("\\x", "\\x5cx"));
                for byte in chunk.invalid() {
                    // Writing to a string cannot fail.
                    let _ = fmt::Write::write_fmt(&mut text, format_args!("\\x{byte:02x}"));
                }
            }
            text
        }
    }
}

/// A time in RFC 3339 with milliseconds.
pub(super) fn to_the_millisecond<S: Serializer>(
    time: &Timestamp,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

/// A text that several records share.
pub(super) fn shared_text<S: Serializer>(
    text: &Arc<str>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn version_name<S: Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{version:?}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An incident with everything in it.
    pub(crate) fn sample(id: &str) -> Incident {
        Incident {
            seq: 0,
            id: RequestId::accept(id).unwrap(),
            time: "2024-02-03T04:05:06.7891Z".parse().unwrap(),
            instance: "host-1".into(),
            cause: Cause::UpstreamStatus,
            route: "shop".into(),
            summary: "RuntimeError: boom".to_owned(),
            fingerprint: Fingerprint(0xe5b7_c312_b8f7_5722),
            request: RequestRecord {
                method: "GET".to_owned(),
                url: "/cart?token=[redacted: token]".to_owned(),
                version: Version::HTTP_11,
                client: Some([192, 0, 2, 7].into()),
                headers: vec![HeaderField::new(&http::header::HOST, b"shop.example.com")],
            },
            upstream: Some(UpstreamRecord {
                name: "app".into(),
                endpoint: "http://127.0.0.1:3000".into(),
                status: Some(500),
                headers: vec![HeaderField::new(&http::header::SERVER, b"caf\xe9")],
                attempts: 1,
                head_ms: Some(12.5),
                error: None,
            }),
            body: Some(body(b"RuntimeError: boom")),
            served: Some(Served {
                status: 500,
                format: "html".into(),
                language: "en".into(),
                template: "error.html.tera".into(),
            }),
            reference: None,
            trace_id: None,
            evidence: Vec::new(),
            settled: true,
            duration: Duration::from_micros(23_456),
        }
    }

    /// A complete body of text.
    pub(crate) fn body(content: &[u8]) -> BodyRecord {
        BodyRecord {
            content: Bytes::copy_from_slice(content),
            content_type: Some("text/plain".to_owned()),
            content_encoding: None,
            bytes: content.len() as u64,
            kept: content.len() as u64,
            complete: true,
            decoded: true,
            redactions: 0,
        }
    }

    #[test]
    fn json_is_the_object_of_the_design() {
        let json = serde_json::to_string(&sample("id-1")).unwrap();
        let fingerprint = sample("id-1").fingerprint;
        let expected = format!(
            concat!(
                r#"{{"seq":0,"id":"id-1","time":"2024-02-03T04:05:06.789Z","instance":"host-1","cause":"upstream_status","#,
                r#""route":"shop","summary":"RuntimeError: boom","fingerprint":"{}","#,
                r#""request":{{"method":"GET","url":"/cart?token=[redacted: token]","version":"HTTP/1.1","client":"192.0.2.7","#,
                r#""headers":[["host","shop.example.com"]]}},"#,
                r#""upstream":{{"name":"app","endpoint":"http://127.0.0.1:3000","status":500,"headers":[["server","caf\\xe9"]],"#,
                r#""attempts":1,"head_ms":12.5,"error":null}},"#,
                r#""body":{{"text":"RuntimeError: boom","content_type":"text/plain","content_encoding":null,"bytes":18,"kept":18,"#,
                r#""complete":true,"decoded":true,"redactions":0}},"#,
                r#""served":{{"status":500,"format":"html","language":"en","template":"error.html.tera"}},"#,
                r#""reference":null,"trace_id":null}}"#,
            ),
            fingerprint
        );
        assert_eq!(json, expected);
    }

    #[test]
    fn a_body_that_is_no_text_stands_in_base64() {
        let value = serde_json::to_value(body(b"\x00\xff\x1b[2J")).unwrap();
        assert_eq!(value["base64"], "AP8bWzJK");
        assert!(value.get("text").is_none());
        let value = serde_json::to_value(body("nul \0 and ü".as_bytes())).unwrap();
        assert_eq!(value["text"], "nul \0 and ü");
    }

    #[test]
    fn header_values_lose_nothing() {
        for (bytes, text) in [
            (&b"plain \\ \"quoted\""[..], "plain \\ \"quoted\""),
            ("grün".as_bytes(), "grün"),
            (b"caf\xe9 \xff", "caf\\xe9 \\xff"),
            (b"path\\xff", "path\\x5cxff"),
            (b"\\x5cxff\xe9", "\\x5cx5cxff\\xe9"),
        ] {
            assert_eq!(lossless(bytes), text);
            assert_eq!(restored(text), bytes, "{text}");
        }
    }

    /// What a reader of the record does to have the bytes back.
    fn restored(text: &str) -> Vec<u8> {
        let mut parts = text.split("\\x");
        let mut bytes = parts.next().unwrap().as_bytes().to_vec();
        for part in parts {
            bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
            bytes.extend(&part.as_bytes()[2..]);
        }
        bytes
    }
}
