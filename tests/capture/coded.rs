//! A coded body is kept as the app meant it, no bomb is inflated, and what cannot be decoded is kept as it came.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use pardon::incident::BodyRecord;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::{HEAD, MAX_BODY, PATIENT, assert_page, body, trouble};
use crate::support::{Gateway, Origin};

const PAGE: &[u8] = b"<h1>OperationalError</h1><pre>password is hunter2, host is db.internal</pre>";

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zlib(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn bare_deflate(content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    compress_to_vec(content, CompressionLevel::Fastest)
}

/// A brotli stream of one uncompressed meta-block (RFC 7932, 9.2).
fn brotli(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() - 1).unwrap();
    assert!(length < 65536);
    // Window bits 16 (one 0 bit), not last, 4 nibbles of length, uncompressed, padding to a byte; then last, empty.
    let head = (length << 4) | (1 << 20);
    let mut coded = head.to_le_bytes()[..3].to_vec();
    coded.extend_from_slice(content);
    coded.push(0b11);
    coded
}

/// What is kept of a body with this coding, and what the record says of trouble.
fn kept(coding: &str, coded: &[u8]) -> (BodyRecord, String) {
    let mut bytes = format!(
        "{HEAD}Content-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
        coded.len()
    )
    .into_bytes();
    bytes.extend_from_slice(coded);
    let origin = Origin::answering(bytes);
    let gateway = Gateway::set(&origin, PATIENT);
    let answer = gateway.get(
        "/",
        "Accept: text/html\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n",
    );
    assert_page(&answer);
    assert_eq!(answer.header("content-encoding"), None);
    let incident = gateway.incident(answer.id());
    assert_eq!(body(&incident).bytes, coded.len() as u64, "{coding}");
    assert_eq!(body(&incident).content_encoding.as_deref(), Some(coding));
    (body(&incident).clone(), trouble(&incident).to_owned())
}

#[test]
fn every_usual_coding_is_undone() {
    for (coding, coded) in [
        ("gzip", gzip(PAGE)),
        ("x-gzip", gzip(PAGE)),
        ("GZip", gzip(PAGE)),
        ("deflate", zlib(PAGE)),
        ("deflate", bare_deflate(PAGE)),
        ("br", brotli(PAGE)),
        ("zstd", zstd(PAGE)),
        ("identity", PAGE.to_vec()),
        ("gzip, br", brotli(&gzip(PAGE))),
    ] {
        let (body, trouble) = kept(coding, &coded);

        assert_eq!(&body.content[..], PAGE, "{coding}");
        assert!(body.complete && body.decoded, "{coding}");
        assert_eq!(trouble, "", "{coding}");
    }
}

#[test]
fn codings_in_several_fields_are_one_list() {
    let coded = zstd(&gzip(PAGE));
    let mut bytes = format!(
        "{HEAD}Content-Encoding: gzip\r\nContent-Encoding: zstd\r\nContent-Length: {}\r\n\r\n",
        coded.len()
    )
    .into_bytes();
    bytes.extend_from_slice(&coded);
    let origin = Origin::answering(bytes);
    let gateway = Gateway::set(&origin, PATIENT);

    let answer = gateway.get("/", "");

    let incident = gateway.incident(answer.id());
    assert_eq!(&body(&incident).content[..], PAGE);
    assert!(body(&incident).decoded);
}

/// A.10 of the cases.
#[test]
fn a_bomb_is_not_inflated() {
    let bomb = gzip(&vec![0; 20 << 20]);
    assert!(bomb.len() < 30_000);
    for (coding, coded) in [
        ("gzip", bomb.clone()),
        ("gzip, gzip", gzip(&bomb)),
        ("zstd", zstd(&vec![0; 20 << 20])),
    ] {
        let (body, _) = kept(coding, &coded);

        assert_eq!(
            (body.kept, body.content.len() as u64),
            (MAX_BODY, MAX_BODY),
            "{coding}"
        );
        assert!(body.decoded && !body.complete, "{coding}");
    }
}

#[test]
fn what_cannot_be_decoded_is_kept_as_it_came_and_said() {
    let mut broken = gzip(PAGE);
    broken[12] ^= 0xff;
    broken[13] ^= 0xff;
    for (coding, coded) in [
        ("gzip", PAGE.to_vec()),
        ("gzip", broken),
        ("br", b"\xff\xff\xff\xff hunter2".to_vec()),
        ("zstd", PAGE.to_vec()),
        ("compress", b"\x1f\x9d\x90hunter2".to_vec()),
        ("hunter2", PAGE.to_vec()),
        ("gzip, gzip, gzip, gzip", gzip(PAGE)),
    ] {
        let (body, trouble) = kept(coding, &coded);

        assert_eq!(&body.content[..], &coded[..], "{coding}");
        assert!(!body.decoded && body.complete, "{coding}");
        assert!(
            trouble.starts_with("kept as it came: "),
            "{coding}: {trouble}"
        );
    }
}

#[test]
fn a_coded_body_that_breaks_off_is_decoded_as_far_as_it_came() {
    let content: Vec<u8> = (0..20_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let coded = gzip(&content);
    let half = coded[..coded.len() / 2].to_vec();
    let length = coded.len();
    let origin = Origin::new(move |visit, _| {
        visit.send(format!(
            "{HEAD}Content-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n"
        ));
        visit.send(&half);
        visit.close();
    });
    let gateway = Gateway::set(&origin, PATIENT);

    let answer = gateway.get("/", "");

    assert_page(&answer);
    let incident = gateway.incident(answer.id());
    let body = body(&incident);
    assert!(body.content.len() > 10_000 && content.starts_with(&body.content));
    assert!(body.decoded && !body.complete);
}
