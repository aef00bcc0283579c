//! Every target and field name of the log, in one place: what an operator's queries are written against.

/// The target of an incident's line.
pub const INCIDENT: &str = "pardon::incident";
/// The target of a refusal's line.
pub const REFUSAL: &str = "pardon::refusal";
/// The target of lines about original answers that are shown.
pub const BYPASS: &str = "pardon::bypass";
/// The target of lines about requests that come in planned downtime.
pub const MAINTENANCE: &str = "pardon::maintenance";
/// The target of lines about the store.
pub const STORE: &str = "pardon::store";
/// The target of access log lines.
pub const ACCESS: &str = "pardon::access";
/// The target of lines about the log itself.
pub const TELEMETRY: &str = "pardon::telemetry";

/// The request's ID.
pub const REQUEST_ID: &str = "request_id";
/// The ID of the trace that the request belongs to.
pub const TRACE_ID: &str = "trace_id";
/// Why the request failed, as in the record.
pub const CAUSE: &str = "cause";
/// The status that the visitor got, else the upstream's.
pub const STATUS: &str = "status";
/// The request's method.
pub const METHOD: &str = "method";
/// The request's path, without its query.
pub const PATH: &str = "path";
/// The name of the route.
pub const ROUTE: &str = "route";
/// The endpoint that was asked.
pub const ENDPOINT: &str = "endpoint";
/// The visitor's address, as far as it is kept.
pub const CLIENT: &str = "client";
/// How long the exchange took, in milliseconds.
pub const DURATION_MS: &str = "duration_ms";
/// Equal for equal failures.
pub const FINGERPRINT: &str = "fingerprint";
/// The failure in one line.
pub const SUMMARY: &str = "summary";
/// The original body, cut to `incidents.log_body`.
pub const BODY: &str = "body";
/// How many bytes of body the upstream sent.
pub const BODY_BYTES: &str = "body_bytes";
/// The whole record as JSON, of an incident that was not stored before its page went out.
pub const RECORD: &str = "record";

/// The path and query that were asked for, redacted.
pub const TARGET: &str = "uri";
/// The request's HTTP version.
pub const VERSION: &str = "version";
/// How many bytes of body the visitor was sent.
pub const BYTES: &str = "bytes";
/// Where the visitor came from, redacted.
pub const REFERER: &str = "referer";
/// The visitor's software.
pub const USER_AGENT: &str = "user_agent";
/// The name of the upstream.
pub const UPSTREAM: &str = "upstream";

/// The number of a bypass token.
pub const TOKEN: &str = "token";
/// Why a request was refused, or a token is not heeded.
pub const REASON: &str = "reason";

/// How many lines were dropped because the log's reader is slow.
pub const DROPPED: &str = "dropped";

/// The fields of an incident's line, in their order; where it was not stored in time, [`RECORD`] follows.
pub const INCIDENT_FIELDS: [&str; 14] = [
    REQUEST_ID,
    TRACE_ID,
    CAUSE,
    STATUS,
    METHOD,
    PATH,
    ROUTE,
    ENDPOINT,
    CLIENT,
    DURATION_MS,
    FINGERPRINT,
    SUMMARY,
    BODY,
    BODY_BYTES,
];
