//! What the operator's listener says: text for people and probes, JSON for programs. Nothing that a browser would take for a page.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use crate::incident::store::Listed;
use crate::telemetry::json;

/// A whole answer.
pub(super) type Reply = Response<Full<Bytes>>;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What is wrong with a request, as a problem of RFC 9457.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    pub(super) status: u16,
    /// What is wrong.
    pub(super) title: String,
    /// What exactly, in several lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<Box<str>>,
    /// Where: the parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parameter: Option<String>,
    /// What to do about it.
    pub(super) hint: String,
    /// What may have been meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) incidents: Vec<Listed>,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        title: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            status: status.as_u16(),
            title: title.into(),
            detail: None,
            parameter: None,
            hint: hint.into(),
            incidents: Vec::new(),
        }
    }

    /// A problem of a parameter.
    pub(super) fn of(parameter: &str, title: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            parameter: Some(parameter.to_owned()),
            ..Self::new(StatusCode::BAD_REQUEST, title, hint)
        }
    }

    pub(super) fn reply(&self) -> Reply {
        let status = StatusCode::from_u16(self.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Text, numbers and rows always have a JSON.
        let text = json::line(self).unwrap_or_default();
        reply(status, "application/problem+json", text)
    }
}

/// Text for a person or a probe.
pub(super) fn text(status: StatusCode, text: &'static str) -> Reply {
    reply(status, "text/plain; charset=utf-8", text)
}

/// An answer of this media type.
pub(super) fn reply(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let fields = [
        (CONTENT_TYPE, media_type),
        (CACHE_CONTROL, "no-store"),
        // Original answers of the app are in here: whatever they look like, they are data.
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (RESOURCE_POLICY, "same-origin"),
    ];
    let headers = response.headers_mut();
    for (name, value) in fields {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
