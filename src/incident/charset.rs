//! Text in the charsets of old apps, as UTF-8: what is searched for secrets, summarised and shown is one kind of text.
//!
//! In goes a decoded body and its `Content-Type`; out comes UTF-8 where the body says what it is and is that, else the bytes as they came.
//! UTF-16 is read even where it is broken, since no pattern finds a secret in every other byte. The output is at most three times the input.

use bytes::Bytes;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use memchr::memchr;

/// HTML has to say its charset within so many bytes.
const PRESCAN: usize = 1024;
/// So many bytes tell UTF-16 by its zeros.
const SAMPLE: usize = 256;

/// A body as UTF-8, if its charset is told by a byte order mark, `Content-Type`, its own beginning or, for UTF-16, its zeros. Not copied when
/// it is UTF-8 already, whatever it says.
#[must_use]
pub fn to_utf8(content: Bytes, content_type: Option<&str>) -> Bytes {
    if let Some(encoding) = wide(&content) {
        let (text, _) = encoding.decode_with_bom_removal(&content);
        return text.into_owned().into();
    }
    // Most bodies are ASCII, which is seen in half the time.
    let is_text = content.is_ascii() || str::from_utf8(&content).is_ok();
    if is_text && !shifts(&content) {
        return content;
    }
    match declared(&content, content_type) {
        Some(encoding) if is_wide(encoding) => encoding.decode(&content).0.into_owned().into(),
        Some(encoding) => whole(encoding, &content).map_or(content, Bytes::from),
        None => content,
    }
}

/// UTF-16 that shows itself: by its mark, or as every other byte of Latin text is zero.
fn wide(content: &[u8]) -> Option<&'static Encoding> {
    match content {
        [0xff, 0xfe, ..] => return Some(UTF_16LE),
        [0xfe, 0xff, ..] => return Some(UTF_16BE),
        _ => {}
    }
    let sample = content.get(..SAMPLE).unwrap_or(content);
    let pairs = sample.len() / 2;
    let zeros = |side: usize| {
        sample
            .chunks_exact(2)
            .filter(|pair| pair.get(side) == Some(&0))
            .count()
    };
    let (first, second) = (zeros(0), zeros(1));
    let mostly = |most: usize, least: usize| pairs > 1 && most * 2 > pairs && least * 8 < most;
    if mostly(second, first) {
        return Some(UTF_16LE);
    }
    mostly(first, second).then_some(UTF_16BE)
}

fn is_wide(encoding: &'static Encoding) -> bool {
    encoding == UTF_16LE || encoding == UTF_16BE
}

/// Whether the text changes its alphabet on the way, as ISO-2022-JP does with ASCII alone.
fn shifts(content: &[u8]) -> bool {
    memchr(b'\x1b', content).is_some()
}

/// The text, if all of the content is of the charset.
fn whole(encoding: &'static Encoding, content: &[u8]) -> Option<String> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(content)?;
    (encoding != UTF_8).then(|| text.into_owned())
}

fn declared(content: &[u8], content_type: Option<&str>) -> Option<&'static Encoding> {
    let named = |text: &[u8]| Encoding::for_label(label(text, b"charset")?);
    content_type
        .and_then(|kind| named(kind.as_bytes()))
        .or_else(|| {
            let start = content.get(..PRESCAN).unwrap_or(content);
            let name: &[u8] = if start.starts_with(b"<?xml") {
                b"encoding"
            } else {
                b"charset"
            };
            // A page that could be read as far as here is not UTF-16, whatever it says.
            Encoding::for_label(label(start, name)?).filter(|encoding| !is_wide(encoding))
        })
}

/// The word behind a name and an equals sign.
fn label<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let places = text.windows(name.len()).enumerate();
    let mut found = places.filter(|(_, window)| window.eq_ignore_ascii_case(name));
    found.find_map(|(at, _)| {
        let rest = text.get(at + name.len()..)?.trim_ascii_start();
        let value = rest.strip_prefix(b"=")?.trim_ascii_start();
        let value = value
            .strip_prefix(b"\"")
            .or_else(|| value.strip_prefix(b"'"))
            .unwrap_or(value);
        let in_label = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_:.".contains(byte);
        value.get(..value.iter().take_while(in_label).count())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "DB_PASSWORD=abc";

    fn read(content: &[u8], content_type: Option<&str>) -> Vec<u8> {
        to_utf8(Bytes::copy_from_slice(content), content_type).to_vec()
    }

    fn wide_bytes(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn declared_charsets_become_utf_8() {
        let (japanese, ..) = encoding_rs::SHIFT_JIS.encode("パスワード");
        let (shifted, ..) = encoding_rs::ISO_2022_JP.encode("パスワード");
        let html =
            |label: &str| [format!("<meta charset=\"{label}\">").as_bytes(), &japanese].concat();
        for (content, content_type, text) in [
            (
                japanese.to_vec(),
                Some("text/html; charset=Shift_JIS"),
                "パスワード",
            ),
            (
                japanese.to_vec(),
                Some("text/html; charset=\"sjis\""),
                "パスワード",
            ),
            (
                shifted.to_vec(),
                Some("text/plain;charset=iso-2022-jp"),
                "パスワード",
            ),
            (
                html("shift_jis"),
                None,
                "<meta charset=\"shift_jis\">パスワード",
            ),
            (
                html("shift_jis"),
                Some("text/html"),
                "<meta charset=\"shift_jis\">パスワード",
            ),
            (
                b"caf\xe9 \x80".to_vec(),
                Some("text/plain; charset=windows-1252"),
                "café €",
            ),
            (
                b"caf\xe9".to_vec(),
                Some("text/plain; charset=ISO-8859-1"),
                "café",
            ),
            (
                b"<?xml version='1.0' encoding='latin1'?>\xe9".to_vec(),
                None,
                "<?xml version='1.0' encoding='latin1'?>é",
            ),
        ] {
            assert_eq!(
                String::from_utf8(read(&content, content_type)).unwrap(),
                text
            );
        }
    }

    #[test]
    fn utf_16_is_read_however_it_comes() {
        let little = wide_bytes(TEXT, u16::to_le_bytes);
        let big = wide_bytes(TEXT, u16::to_be_bytes);
        let greek = wide_bytes("κωδικός", u16::to_be_bytes);
        for (content, content_type) in [
            ([&[0xff, 0xfe][..], &little].concat(), None),
            (
                [&[0xfe, 0xff][..], &big].concat(),
                Some("text/html; charset=utf-8"),
            ),
            (little.clone(), None),
            (big.clone(), None),
            (little.clone(), Some("text/html; charset=utf-16")),
            (big, Some("text/html; charset=utf-16")),
        ] {
            assert_eq!(read(&content, content_type), TEXT.as_bytes());
        }
        let read_greek = read(&greek, Some("text/plain; charset=utf-16be"));
        assert_eq!(read_greek, "κωδικός".as_bytes());
        let broken = [&little[..], &[0x00, 0xd8, 0x61]].concat();
        assert!(read(&broken, None).starts_with(TEXT.as_bytes()));
    }

    #[test]
    fn all_else_stays_as_it_came() {
        let (japanese, ..) = encoding_rs::SHIFT_JIS.encode("パスワード");
        for (content, content_type) in [
            (TEXT.as_bytes(), Some("text/html; charset=utf-16")),
            (TEXT.as_bytes(), Some("text/html; charset=shift_jis")),
            ("grün".as_bytes(), Some("text/html; charset=iso-8859-1")),
            ("grün".as_bytes(), None),
            (&*japanese, Some("text/html; charset=martian")),
            (&*japanese, Some("text/html; charset=euc-kr")),
            (&*japanese, Some("text/html; charset=utf-8")),
            (&*japanese, None),
            (b"", None),
            (b"\0", None),
            (b"PK\x03\x04\0\0\0\x80binary\0\0\0\0\xff", None),
            (b"\x1b[31mred", None),
        ] {
            assert_eq!(read(content, content_type), content);
        }
        let text = Bytes::from_static("grün".as_bytes());
        assert_eq!(to_utf8(text.clone(), None).as_ptr(), text.as_ptr());
    }
}
