//! Header fields as text.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Writes a header field's line, its value in pieces.
pub(crate) fn write_field(out: &mut Vec<u8>, name: &HeaderName, value: &[&[u8]]) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    for piece in value {
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether a list field has this element.
pub(crate) fn has(list: &HeaderValue, element: &str) -> bool {
    let mut elements = list.as_bytes().split(|byte| *byte == b',');
    elements.any(|found| found.trim_ascii().eq_ignore_ascii_case(element.as_bytes()))
}

/// Whether a method or a field's name may have it (RFC 9110, 5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether all the fields' names are tokens: `HeaderName` takes a quotation mark from HTTP/2, which HTTP/1.1 has no name for.
pub(crate) fn are_tokens(fields: &HeaderMap) -> bool {
    fields
        .keys()
        .all(|name| name.as_str().bytes().all(is_token))
}

/// A number of decimal digits and nothing else.
pub(crate) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits() {
        for (text, number) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
        ] {
            assert_eq!(digits(text.as_bytes()), number, "{text}");
        }
        for text in [
            "",
            "+5",
            "-5",
            "0x5",
            "5 ",
            "5,5",
            "18446744073709551616",
            "٣",
        ] {
            assert_eq!(digits(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_name_with_a_quotation_mark_is_no_token() {
        for (name, token) in [("x-a", true), ("!#$%&'*+-.^_`|~", true), ("x\"", false)] {
            let name = HeaderName::from_lowercase(name.as_bytes()).unwrap();
            let fields = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static("v"))]);
            assert_eq!(are_tokens(&fields), token, "{name}");
        }
    }

    #[test]
    fn elements_of_a_list_are_told_apart() {
        let list = HeaderValue::from_static("keep-alive,\tClose , x-close");
        assert!(has(&list, "close") && has(&list, "x-close") && !has(&list, "clos"));
    }
}
