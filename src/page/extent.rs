//! How much of a page a request can use: in come its headers, out comes an [`Extent`].
//!
//! What a script of the app fetches is put into a page that is there already, so it gets the words alone. A frame is small. A
//! picture, a script, a style or a font shows no page at all.

use http::{HeaderMap, HeaderName};

const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const MAX_FRAME_ID: usize = 128;

/// How much of a page is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// A whole page.
    Page,
    /// A whole page, in a frame.
    Frame,
    /// A part that a script puts into a page.
    Fragment,
    /// Nothing but the head.
    Nothing,
}

/// The extent for a request.
pub(super) fn of(headers: &HeaderMap) -> Extent {
    let kind = headers
        .get(SEC_FETCH_DEST)
        .map_or(&b""[..], |kind| kind.as_bytes());
    match kind {
        b"image" | b"script" | b"style" | b"font" | b"audio" | b"video" | b"track" => {
            Extent::Nothing
        }
        b"iframe" | b"frame" | b"embed" | b"object" => Extent::Frame,
        _ if asks_for_whole_page(headers) => Extent::Page,
        b"empty" => Extent::Fragment,
        _ if is_scripted(headers) => Extent::Fragment,
        _ => Extent::Page,
    }
}

/// The ID of the frame that Turbo puts the answer into; it looks for an element with the same.
pub(super) fn turbo_frame(headers: &HeaderMap) -> Option<Box<str>> {
    let id = headers.get("turbo-frame")?.to_str().ok()?;
    let is_id = |c: char| c.is_ascii_alphanumeric() || "_-:.".contains(c);
    ((1..=MAX_FRAME_ID).contains(&id.len()) && id.chars().all(is_id)).then(|| id.into())
}

/// Whether a script asks for what it shows as a page of its own: a step in Turbo's history or in that of htmx.
fn asks_for_whole_page(headers: &HeaderMap) -> bool {
    let turbo_drive =
        headers.contains_key("x-turbo-request-id") && !headers.contains_key("turbo-frame");
    turbo_drive || is(headers, "hx-boosted") || is(headers, "hx-history-restore-request")
}

fn is_scripted(headers: &HeaderMap) -> bool {
    is(headers, "hx-request")
        || headers.contains_key("turbo-frame")
        || headers
            .get("x-requested-with")
            .is_some_and(|by| by.as_bytes().eq_ignore_ascii_case(b"xmlhttprequest"))
}

fn is(headers: &HeaderMap, name: &str) -> bool {
    headers
        .get(name)
        .is_some_and(|value| value.as_bytes() == b"true")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_request_says_how_much_it_can_use() {
        type Case = (&'static [(&'static str, &'static str)], Extent);
        let cases: [Case; 15] = [
            (&[], Extent::Page),
            (&[("sec-fetch-dest", "document")], Extent::Page),
            (&[("sec-fetch-dest", "iframe")], Extent::Frame),
            (&[("sec-fetch-dest", "embed")], Extent::Frame),
            (&[("sec-fetch-dest", "empty")], Extent::Fragment),
            (&[("sec-fetch-dest", "image")], Extent::Nothing),
            (&[("sec-fetch-dest", "font")], Extent::Nothing),
            (&[("hx-request", "true")], Extent::Fragment),
            (&[("hx-request", "false")], Extent::Page),
            (&[("turbo-frame", "cart")], Extent::Fragment),
            (&[("x-requested-with", "XMLHttpRequest")], Extent::Fragment),
            (&[("x-requested-with", "com.example.app")], Extent::Page),
            (
                &[("hx-request", "true"), ("hx-boosted", "true")],
                Extent::Page,
            ),
            (
                &[("sec-fetch-dest", "empty"), ("x-turbo-request-id", "1")],
                Extent::Page,
            ),
            (
                &[
                    ("sec-fetch-dest", "empty"),
                    ("x-turbo-request-id", "1"),
                    ("turbo-frame", "cart"),
                ],
                Extent::Fragment,
            ),
        ];
        for (given, expected) in cases {
            assert_eq!(of(&headers(given)), expected, "{given:?}");
        }
    }

    #[test]
    fn a_frame_is_named_only_by_what_can_be_an_id() {
        let id = |value| turbo_frame(&headers(&[("turbo-frame", value)]));
        assert_eq!(id("cart_1").as_deref(), Some("cart_1"));
        for odd in ["", "a b", "a\"b", "<b>"] {
            assert_eq!(id(odd), None, "{odd}");
        }
    }
}
