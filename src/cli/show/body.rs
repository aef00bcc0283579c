//! The original body on the page for a person: a line that says what it is, then as much of it as a person reads. `--body` has the rest.

use std::fmt::Write as _;

use super::{html, indent};
use crate::cli::screen::Screen;
use crate::cli::store::grouped;
use crate::cli::visible;
use crate::incident::{BodyRecord, Incident};

/// How much text is shown.
const TEXT: usize = 64 * 1024;
/// How much of a page's source is shown below its text.
const SOURCE: usize = 16 * 1024;
/// How much is shown of what is no text.
const BINARY: usize = 256;
/// How much is looked at to tell what a body is.
const SAMPLE: usize = 4096;

/// What a body is, and so how it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Html,
    Json,
    Text,
    Binary,
}

/// The body with its heading.
pub(super) fn told(incident: &Incident, screen: Screen) -> String {
    let Some(body) = &incident.body else {
        return format!("\n{}\n", screen.bold("The body: none"));
    };
    let describes = visible::line(&description(body, incident.settled)).into_owned();
    let mut text = format!("\n{}\n", screen.bold(&format!("The body: {describes}")));
    if body.kept == 0 && body.bytes > 0 {
        text.push_str("\nIt is not kept: it was given up for lack of memory.\n");
    } else if !body.content.is_empty() {
        text.push('\n');
        text.push_str(&content(body, screen));
    }
    text
}

/// Type, size, whether it is whole.
fn description(body: &BodyRecord, settled: bool) -> String {
    let kind = body.content_type.as_deref().unwrap_or("of no type");
    let mut text = format!("{kind}, {} bytes", grouped(body.bytes));
    if body.kept != body.bytes {
        let _ = write!(text, ", {} kept", grouped(body.kept));
    }
    text.push_str(match (settled, body.complete) {
        (false, _) => ", still being read",
        (true, true) => ", complete",
        (true, false) => ", cut",
    });
    match &body.content_encoding {
        Some(coding) if body.decoded => drop(write!(text, ", decoded from {coding}")),
        Some(coding) => drop(write!(text, ", as it came: {coding}")),
        None => {}
    }
    match body.redactions {
        0 => {}
        1 => text.push_str(", 1 secret taken out"),
        count => drop(write!(text, ", {count} secrets taken out")),
    }
    text
}

fn content(body: &BodyRecord, screen: Screen) -> String {
    let bytes = &body.content;
    match kind(body) {
        Kind::Binary => dump(bytes),
        Kind::Text => beginning(bytes, TEXT),
        Kind::Json => match indent::json(bytes, TEXT) {
            Some(indented) => ended(&visible::lines(&indented)),
            None => beginning(bytes, TEXT),
        },
        Kind::Html => {
            let readable = html::text(&String::from_utf8_lossy(bytes), TEXT);
            let readable = ended(&visible::lines(&readable));
            let source = beginning(bytes, SOURCE);
            format!("{readable}\n{}\n\n{source}", screen.bold("Its source"))
        }
    }
}

fn kind(body: &BodyRecord) -> Kind {
    let media = body.content_type.as_deref().unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    let media = media.to_ascii_lowercase();
    let sample = body.content.get(..SAMPLE).unwrap_or(&body.content);
    let begins = sample.trim_ascii_start().to_ascii_lowercase();
    let is_page = begins.starts_with(b"<!doctype html") || begins.starts_with(b"<html");
    let declared = ["text/", "json", "xml", "javascript"];
    let declared = declared.iter().any(|part| media.contains(part));
    match media.as_str() {
        _ if !is_text(sample, declared) => Kind::Binary,
        "text/html" | "application/xhtml+xml" => Kind::Html,
        _ if is_page => Kind::Html,
        _ if media.ends_with("json") || begins.starts_with(b"{") || begins.starts_with(b"[") => {
            Kind::Json
        }
        _ => Kind::Text,
    }
}

/// Whether bytes are mostly text: at most a tenth of them is neither UTF-8 nor anything that text holds; a third where text is declared.
fn is_text(sample: &[u8], declared: bool) -> bool {
    let mut odd = 0;
    for chunk in sample.utf8_chunks() {
        let controls = chunk.valid().chars().filter(|letter| letter.is_control());
        let plain = |letter: &char| matches!(letter, '\n' | '\r' | '\t' | '\u{c}' | '\u{1b}');
        odd += chunk.invalid().len() + controls.filter(|letter| !plain(letter)).count();
    }
    odd * if declared { 3 } else { 10 } <= sample.len()
}

/// The beginning of a text, and how much is left out.
fn beginning(bytes: &[u8], most: usize) -> String {
    let shown = match bytes.get(..most) {
        Some(some) if bytes.len() > most => whole_letters(some),
        _ => bytes,
    };
    let mut text = ended(&visible::lossy_lines(shown));
    text.push_str(&left_out(bytes.len() - shown.len()));
    text
}

/// Without the letter that the end cuts.
fn whole_letters(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => {
            bytes.get(..error.valid_up_to()).unwrap_or(bytes)
        }
        _ => bytes,
    }
}

/// The first bytes in hexadecimal and as letters.
fn dump(bytes: &[u8]) -> String {
    let shown = bytes.get(..BINARY).unwrap_or(bytes);
    let mut text = String::new();
    for (number, line) in shown.chunks(16).enumerate() {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        let letter = |byte: &u8| {
            if printable(byte) {
                char::from(*byte)
            } else {
                '.'
            }
        };
        let letters: String = line.iter().map(letter).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:08x}  {:<47}  |{letters}|",
            number * 16,
            hex.join(" ")
        );
    }
    text.push_str(&left_out(bytes.len() - shown.len()));
    text
}

fn left_out(bytes: usize) -> String {
    match bytes {
        0 => String::new(),
        _ => format!(
            "\n[{} more bytes; --body prints all]\n",
            grouped(bytes as u64)
        ),
    }
}

/// A text whose last line has an end.
fn ended(text: &str) -> String {
    format!("{}\n", text.trim_end_matches('\n'))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::incident::tests::sample;

    fn body(content_type: &str, content: impl AsRef<[u8]>) -> BodyRecord {
        let content = Bytes::copy_from_slice(content.as_ref());
        BodyRecord {
            content_type: Some(content_type.to_owned()).filter(|text| !text.is_empty()),
            content_encoding: None,
            bytes: content.len() as u64,
            kept: content.len() as u64,
            content,
            complete: true,
            decoded: true,
            redactions: 0,
        }
    }

    #[test]
    fn bodies_are_told_apart_by_what_they_hold() {
        for (content_type, content, expected) in [
            ("text/html; charset=utf-8", &b"oops"[..], Kind::Html),
            ("", b" <!DOCTYPE html><p>oops", Kind::Html),
            ("application/problem+json", b"{}", Kind::Json),
            ("", b"\n{\"a\": 1}", Kind::Json),
            ("text/plain", b"Traceback\n\tat caf\xe9", Kind::Text),
            (
                "text/html",
                b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0",
                Kind::Binary,
            ),
            ("application/octet-stream", b"only text", Kind::Text),
            ("text/plain", b"a line with a \0 in it", Kind::Text),
            ("text/plain", b"\x1b[2J\x1b]0;x\x07", Kind::Text),
            ("text/plain", b"S\0t\0\xf6\0r\0", Kind::Binary),
        ] {
            assert_eq!(kind(&body(content_type, content)), expected, "{content:?}");
        }
    }

    #[test]
    fn a_megabyte_in_one_line_is_cut_and_said_so() {
        let shown = beginning("ü".repeat(1 << 19).as_bytes(), TEXT);
        assert!(shown.len() < TEXT + 100);
        assert!(shown.ends_with("ü\n\n[983,040 more bytes; --body prints all]\n"));
        let odd = beginning(format!("a{}", "ü".repeat(TEXT)).as_bytes(), TEXT);
        assert!(odd.contains("ü\n\n[65,538 more bytes"));
    }

    #[test]
    fn what_is_known_of_a_body_is_said_before_it() {
        let whole = BodyRecord {
            content_encoding: Some("gzip".to_owned()),
            bytes: 1234,
            redactions: 2,
            ..body("text/plain\u{1b}", "oops")
        };
        let incident = |body| Incident {
            body: Some(body),
            ..sample("id-1")
        };
        let plain = Screen::PLAIN;
        let told = |body| super::told(&incident(body), plain);
        assert_eq!(
            told(whole.clone()),
            "\nThe body: text/plain\\x1b, 1,234 bytes, 4 kept, complete, decoded from gzip, 2 secrets taken out\n\noops\n"
        );
        let given_up = BodyRecord {
            content: Bytes::new(),
            kept: 0,
            complete: false,
            ..whole
        };
        assert!(
            told(given_up).ends_with("\n\nIt is not kept: it was given up for lack of memory.\n")
        );
    }

    #[test]
    fn what_is_no_text_is_dumped() {
        let shown = dump(&[b"\x89PNG\r\n".as_slice(), &[0; 600]].concat());
        let first =
            "00000000  89 50 4e 47 0d 0a 00 00 00 00 00 00 00 00 00 00  |.PNG............|\n";
        assert!(shown.starts_with(first), "{shown}");
        assert!(
            shown.ends_with("[350 more bytes; --body prints all]\n"),
            "{shown}"
        );
    }
}
