//! The answer to a failed gRPC call: no page, only the head, which stands for the trailers (gRPC over HTTP/2, Trailers-Only).

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::catalogue::Catalogue;
use super::{Format, Notice, Page, PageContext};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// What the protocol has encoded: all but space to tilde, and the percent sign.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// The answer, with the reference in its message.
pub(super) fn page(context: &PageContext<'_>, language: &Catalogue) -> Page {
    let mut headers = HeaderMap::with_capacity(6);
    headers.insert(CONTENT_TYPE, Format::Grpc.content_type());
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(GRPC_STATUS, HeaderValue::from_static(code(context)));
    if let Ok(message) = HeaderValue::try_from(message(context, language)) {
        headers.insert(GRPC_MESSAGE, message);
    }
    Page {
        status: StatusCode::OK,
        headers,
        body: Bytes::new(),
        format: Format::Grpc,
        language: Arc::clone(&language.language),
        template: Arc::from("grpc"),
    }
}

fn message(context: &PageContext<'_>, language: &Catalogue) -> String {
    let status = context.status.as_u16();
    let said = language
        .find(context.notice, status)
        .map_or("", |entry| entry.message_text.as_str());
    let note = context.planned.map_or("", |planned| planned.message);
    let text = if !note.is_empty() {
        format!("{said} {note}")
    } else if context.request_id.is_empty() {
        said.to_owned()
    } else {
        format!("{said} ({})", context.request_id)
    };
    utf8_percent_encode(&text, ENCODED).to_string()
}

/// The status code of gRPC: what is known about the failure, else the mapping that gRPC gives for HTTP statuses.
fn code(context: &PageContext<'_>) -> &'static str {
    match (context.notice, context.status.as_u16()) {
        (Notice::AppTooSlow, _) => "4",
        (Notice::AppUnreachable | Notice::Busy | Notice::Draining | Notice::Maintenance, _) => "14",
        (Notice::Refused, 413 | 431) => "8",
        (Notice::Internal, _) | (_, 400) => "13",
        (_, 401) => "16",
        (_, 403) => "7",
        (_, 404) => "12",
        (_, 429 | 502 | 503 | 504) => "14",
        _ => "2",
    }
}
