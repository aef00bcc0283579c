//! An incident as a row and back: columns for what is filtered or listed, one compressed blob for the rest.

use std::borrow::Cow;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Version};
use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Row, Statement, ToSql};
use serde::{Deserialize, Deserializer, Serialize};

use crate::incident::{
    BodyRecord, Cause, Evidence, Fingerprint, HeaderField, Incident, RequestRecord, Served,
    UpstreamRecord,
};
use crate::request_id::RequestId;

use super::pack::{Packer, unpack};

/// The columns of a whole incident, in the order in which they are written and read.
pub(super) const COLUMNS: &str = "seq, id, time, instance, cause, route, status, method, url, client, summary, fingerprint, \
     reference, trace_id, settled, body, detail";

/// What has no column of its own. Fields that are absent take no room.
#[derive(Default, Serialize, Deserialize)]
struct Detail<'a> {
    version: Cow<'a, str>,
    #[serde(deserialize_with = "fields")]
    headers: Cow<'a, [HeaderField]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<UpstreamDetail<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<BodyDetail<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    served: Option<ServedDetail<'a>>,
    /// Absent in rows of earlier versions.
    #[serde(default, skip_serializing_if = "is_empty")]
    evidence: Cow<'a, [Evidence]>,
    micros: u64,
}

#[derive(Serialize, Deserialize)]
struct UpstreamDetail<'a> {
    name: Cow<'a, str>,
    endpoint: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(deserialize_with = "fields")]
    headers: Cow<'a, [HeaderField]>,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    head_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
struct BodyDetail<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coding: Option<Cow<'a, str>>,
    bytes: u64,
    kept: u64,
    complete: bool,
    decoded: bool,
    redactions: u32,
}

#[derive(Serialize, Deserialize)]
struct ServedDetail<'a> {
    status: u16,
    format: Cow<'a, str>,
    language: Cow<'a, str>,
    template: Cow<'a, str>,
}

/// The statement that writes a row of [`COLUMNS`] into a table.
pub(super) fn insert_into(table: &str) -> String {
    format!(
        "INSERT INTO {table} ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
    )
}

/// Writes an incident with a statement that takes [`COLUMNS`].
pub(super) fn insert(
    statement: &mut Statement<'_>,
    seq: i64,
    incident: &Incident,
    body: Option<i64>,
    packer: &mut Packer,
) -> rusqlite::Result<usize> {
    let client = incident.request.client.map(|client| client.to_string());
    let values: [&dyn ToSql; 17] = [
        &seq,
        &incident.id.as_str(),
        &incident.time.as_millisecond(),
        &&*incident.instance,
        &incident.cause.as_str(),
        &&*incident.route,
        &incident.status(),
        &incident.request.method,
        &incident.request.url,
        &client,
        &incident.summary,
        &incident.fingerprint.0.cast_signed(),
        &incident.reference,
        &incident.trace_id,
        &incident.settled,
        &body,
        &packer.pack_json(&detail(incident)),
    ];
    statement.execute(&values[..])
}

/// Writes what a capture brought with a statement that takes a `seq` and the columns that change.
pub(super) fn amend(
    statement: &mut Statement<'_>,
    seq: i64,
    incident: &Incident,
    body: Option<i64>,
    packer: &mut Packer,
) -> rusqlite::Result<usize> {
    statement.execute((
        seq,
        &incident.summary,
        incident.fingerprint.0.cast_signed(),
        &incident.reference,
        incident.settled,
        body,
        packer.pack_json(&detail(incident)),
    ))
}

/// Reads an incident from a row of [`COLUMNS`] whose body is at hand.
pub(super) fn read(row: &Row<'_>, body: Option<Bytes>) -> rusqlite::Result<Incident> {
    let packed: Vec<u8> = row.get("detail")?;
    let unpacked = unpack(&packed).map_err(damaged)?;
    let detail: Detail<'_> = serde_json::from_slice(&unpacked).map_err(damaged)?;
    let text = |name: &str| row.get::<_, Arc<str>>(name);
    let client: Option<String> = row.get("client")?;
    Ok(Incident {
        seq: row.get("seq")?,
        id: id(row)?,
        time: time(row)?,
        instance: text("instance")?,
        cause: cause(row)?,
        route: text("route")?,
        summary: row.get("summary")?,
        fingerprint: fingerprint(row)?,
        request: RequestRecord {
            method: row.get("method")?,
            url: row.get("url")?,
            version: version(&detail.version),
            client: client.and_then(|client| client.parse::<IpAddr>().ok()),
            headers: detail.headers.into_owned(),
        },
        upstream: detail.upstream.map(upstream),
        body: detail.body.map(|detail| body_record(detail, body)),
        served: detail.served.map(served),
        reference: row.get("reference")?,
        trace_id: row.get("trace_id")?,
        evidence: detail.evidence.into_owned(),
        settled: row.get("settled")?,
        duration: Duration::from_micros(detail.micros),
    })
}

/// The ID of a row.
pub(super) fn id(row: &Row<'_>) -> rusqlite::Result<RequestId> {
    let id: String = row.get("id")?;
    RequestId::accept(&id).ok_or_else(|| damaged(io::Error::other("an ID that is none")))
}

/// The time of a row.
pub(super) fn time(row: &Row<'_>) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(row.get("time")?).map_err(damaged)
}

/// The cause of a row.
pub(super) fn cause(row: &Row<'_>) -> rusqlite::Result<Cause> {
    let name: String = row.get("cause")?;
    Cause::named(&name).ok_or_else(|| damaged(io::Error::other("a cause that is none")))
}

/// The fingerprint of a row.
pub(super) fn fingerprint(row: &Row<'_>) -> rusqlite::Result<Fingerprint> {
    let number: i64 = row.get("fingerprint")?;
    Ok(Fingerprint(number.cast_unsigned()))
}

/// A value that no version of ours has written.
pub(super) fn damaged(
    error: impl std::error::Error + Send + std::marker::Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, Box::new(error))
}

fn detail(incident: &Incident) -> Detail<'_> {
    Detail {
        version: version_name(incident.request.version).into(),
        headers: (&*incident.request.headers).into(),
        upstream: incident.upstream.as_ref().map(|upstream| UpstreamDetail {
            name: (&*upstream.name).into(),
            endpoint: (&*upstream.endpoint).into(),
            status: upstream.status,
            headers: (&*upstream.headers).into(),
            attempts: upstream.attempts,
            head_ms: upstream.head_ms,
            error: upstream.error.as_deref().map(Into::into),
        }),
        body: incident.body.as_ref().map(|body| BodyDetail {
            kind: body.content_type.as_deref().map(Into::into),
            coding: body.content_encoding.as_deref().map(Into::into),
            bytes: body.bytes,
            kept: body.kept,
            complete: body.complete,
            decoded: body.decoded,
            redactions: body.redactions,
        }),
        served: incident.served.as_ref().map(|served| ServedDetail {
            status: served.status,
            format: (&*served.format).into(),
            language: (&*served.language).into(),
            template: (&*served.template).into(),
        }),
        evidence: (&*incident.evidence).into(),
        micros: u64::try_from(incident.duration.as_micros()).unwrap_or(u64::MAX),
    }
}

/// Header fields as [`HeaderField`] writes them; a name that is none is left out.
fn fields<'de, D: Deserializer<'de>>(source: D) -> Result<Cow<'static, [HeaderField]>, D::Error> {
    let found = Vec::<(Cow<'de, str>, String)>::deserialize(source)?;
    let each = |(name, value): (Cow<'de, str>, String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some(HeaderField { name, value })
    };
    Ok(found.into_iter().filter_map(each).collect())
}

fn is_empty(evidence: &[Evidence]) -> bool {
    evidence.is_empty()
}

fn upstream(detail: UpstreamDetail<'_>) -> UpstreamRecord {
    UpstreamRecord {
        name: detail.name.into(),
        endpoint: detail.endpoint.into(),
        status: detail.status,
        headers: detail.headers.into_owned(),
        attempts: detail.attempts,
        head_ms: detail.head_ms,
        error: detail.error.map(Cow::into_owned),
    }
}

fn body_record(detail: BodyDetail<'_>, content: Option<Bytes>) -> BodyRecord {
    BodyRecord {
        content: content.unwrap_or_default(),
        content_type: detail.kind.map(Cow::into_owned),
        content_encoding: detail.coding.map(Cow::into_owned),
        bytes: detail.bytes,
        kept: detail.kept,
        complete: detail.complete,
        decoded: detail.decoded,
        redactions: detail.redactions,
    }
}

fn served(detail: ServedDetail<'_>) -> Served {
    Served {
        status: detail.status,
        format: detail.format.into_owned().into(),
        language: detail.language.into(),
        template: detail.template.into(),
    }
}

const VERSIONS: [(Version, &str); 5] = [
    (Version::HTTP_11, "HTTP/1.1"),
    (Version::HTTP_2, "HTTP/2.0"),
    (Version::HTTP_10, "HTTP/1.0"),
    (Version::HTTP_3, "HTTP/3.0"),
    (Version::HTTP_09, "HTTP/0.9"),
];

fn version_name(version: Version) -> &'static str {
    let found = VERSIONS.iter().find(|(known, _)| *known == version);
    found.map_or("HTTP/1.1", |(_, name)| name)
}

fn version(name: &str) -> Version {
    let found = VERSIONS.iter().find(|(_, known)| *known == name);
    found.map_or(Version::HTTP_11, |(version, _)| *version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::record::tests::sample;

    #[test]
    fn a_detail_holds_what_has_no_column() {
        let incident = sample("id-1");
        let mut packer = Packer::default();
        let unpacked = unpack(packer.pack_json(&detail(&incident))).unwrap();
        let detail: Detail<'_> = serde_json::from_slice(&unpacked).unwrap();
        assert_eq!(*detail.headers, incident.request.headers);
        assert_eq!(detail.micros, 23_456);
        assert_eq!(served(detail.served.unwrap()), incident.served.unwrap());
    }
}
