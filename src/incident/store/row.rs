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
use serde::{Deserialize, Serialize};

use crate::incident::{
    BodyRecord, Cause, Fingerprint, HeaderField, Incident, RequestRecord, Served, UpstreamRecord,
};
use crate::request_id::RequestId;

/// The columns of a whole incident, in the order in which they are written and read.
pub(super) const COLUMNS: &str = "seq, id, time, instance, cause, route, status, method, url, client, summary, fingerprint, \
     reference, trace_id, settled, body, detail";

/// The most that a blob may be when it is unpacked: what a damaged length says is not believed.
const LARGEST: usize = 256 << 20;

/// What has no column of its own. Fields that are absent take no room.
#[derive(Default, Serialize, Deserialize)]
struct Detail<'a> {
    version: Cow<'a, str>,
    headers: Fields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<UpstreamDetail<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<BodyDetail<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    served: Option<ServedDetail<'a>>,
    micros: u64,
}

type Fields<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

#[derive(Serialize, Deserialize)]
struct UpstreamDetail<'a> {
    name: Cow<'a, str>,
    endpoint: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    headers: Fields<'a>,
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

/// Packs bytes for a blob: their length and an LZ4 block.
pub(super) fn pack(bytes: &[u8]) -> Vec<u8> {
    lz4_flex::block::compress_prepend_size(bytes)
}

/// Unpacks a blob.
pub(super) fn unpack(blob: &[u8]) -> io::Result<Vec<u8>> {
    let damaged = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let (length, _) = lz4_flex::block::uncompressed_size(blob)
        .map_err(|error| damaged(format!("a blob has no length: {error}")))?;
    if length > LARGEST {
        return Err(damaged(format!("a blob claims {length} bytes")));
    }
    lz4_flex::block::decompress_size_prepended(blob)
        .map_err(|error| damaged(format!("a blob is damaged: {error}")))
}

/// Writes an incident with a statement that takes [`COLUMNS`].
pub(super) fn insert(
    statement: &mut Statement<'_>,
    seq: i64,
    incident: &Incident,
    body: Option<i64>,
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
        &detail(incident),
    ];
    statement.execute(&values[..])
}

/// Writes what a capture brought with a statement that takes a `seq` and the columns that change.
pub(super) fn amend(
    statement: &mut Statement<'_>,
    seq: i64,
    incident: &Incident,
    body: Option<i64>,
) -> rusqlite::Result<usize> {
    statement.execute((
        seq,
        &incident.summary,
        incident.fingerprint.0.cast_signed(),
        &incident.reference,
        incident.settled,
        body,
        detail(incident),
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
            headers: fields(&detail.headers),
        },
        upstream: detail.upstream.map(upstream),
        body: detail.body.map(|detail| body_record(detail, body)),
        served: detail.served.map(served),
        reference: row.get("reference")?,
        trace_id: row.get("trace_id")?,
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

fn detail(incident: &Incident) -> Vec<u8> {
    let detail = Detail {
        version: version_name(incident.request.version).into(),
        headers: borrowed(&incident.request.headers),
        upstream: incident.upstream.as_ref().map(|upstream| UpstreamDetail {
            name: (&*upstream.name).into(),
            endpoint: (&*upstream.endpoint).into(),
            status: upstream.status,
            headers: borrowed(&upstream.headers),
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
        micros: u64::try_from(incident.duration.as_micros()).unwrap_or(u64::MAX),
    };
    // Text and numbers always have a JSON.
    pack(&serde_json::to_vec(&detail).unwrap_or_default())
}

fn borrowed(fields: &[HeaderField]) -> Fields<'_> {
    fields
        .iter()
        .map(|field| (field.name.as_str().into(), field.value.as_str().into()))
        .collect()
}

fn fields(fields: &Fields<'_>) -> Vec<HeaderField> {
    let each = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let value = value.clone().into_owned();
        Some(HeaderField { name, value })
    };
    fields.iter().filter_map(each).collect()
}

fn upstream(detail: UpstreamDetail<'_>) -> UpstreamRecord {
    UpstreamRecord {
        name: detail.name.into(),
        endpoint: detail.endpoint.into(),
        status: detail.status,
        headers: fields(&detail.headers),
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
    fn the_lengths_of_damaged_blobs_are_not_believed() {
        let bytes = b"the same, the same, the same".repeat(9);
        let packed = pack(&bytes);
        assert_eq!(unpack(&packed).unwrap(), bytes);
        assert!(unpack(&[]).is_err());
        assert!(unpack(&[0xff; 12]).is_err());
        assert!(unpack(&packed[..packed.len() / 2]).is_err());
    }

    #[test]
    fn a_detail_holds_what_has_no_column() {
        let incident = sample("id-1");
        let unpacked = unpack(&detail(&incident)).unwrap();
        let detail: Detail<'_> = serde_json::from_slice(&unpacked).unwrap();
        assert_eq!(fields(&detail.headers), incident.request.headers);
        assert_eq!(detail.micros, 23_456);
        assert_eq!(served(detail.served.unwrap()), incident.served.unwrap());
    }
}
