//! The parts of a page that nothing is known of which are worth reading: its beginning, and what stands around signs of a failure.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use memchr::memrchr2;

use super::page::{self, Page};

/// So much is read from the beginning.
const NEAR: usize = 12 * 1024;
/// So many places are read behind it,
const WINDOWS: usize = 6;
/// so much of each,
const WINDOW: usize = 2 * 1024;
/// from the beginning of a line so far before the sign.
const BEFORE: usize = 256;

/// What stands where a failure is told.
static SIGNS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    page::searcher([
        "Error: ",
        "Exception: ",
        "Fault: ",
        "Failure: ",
        "NotFound: ",
        "DoesNotExist: ",
        "Caused by: ",
        "Error at ",
        "Exception in ",
        "atal error",
        "arse error",
        "panic: ",
        "SQLSTATE[",
    ])
});

/// The parts that are worth reading, in order.
pub(super) fn of<'p>(page: &'p Page<'_>) -> impl Iterator<Item = &'p str> {
    let [text, tail] = page.parts();
    let near = page::head(text, NEAR);
    let far = text.get(near.len()..).unwrap_or_default();
    std::iter::once(near)
        .chain(windows(far))
        .chain(windows(tail))
}

/// What stands around the first signs of a failure.
fn windows(text: &str) -> impl Iterator<Item = &str> {
    let signs = SIGNS.as_ref().map(|signs| signs.find_iter(text));
    let mut end = 0;
    let starts = signs.into_iter().flatten().filter_map(move |sign| {
        let before = page::tail(text.get(end..sign.start())?, BEFORE);
        let line = memrchr2(b'\n', b'>', before.as_bytes()).map_or(0, |at| at + 1);
        let start = sign.start() - before.len() + line;
        end = start + WINDOW;
        text.get(start..)
    });
    starts.map(|start| page::head(start, WINDOW)).take(WINDOWS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_around_a_sign_is_read() {
        let filler = "<p>row</p>\n".repeat(2000);
        let body = format!("{filler}<p>KeyError: one</p>{filler}<p>ValueError: two</p>{filler}");
        let page = Page::of("text/html", body.as_bytes());
        let parts: Vec<_> = of(&page).collect();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[0].len(), NEAR);
        assert!(parts[1].starts_with("KeyError: one</p>"));
        assert!(parts[2].starts_with("ValueError: two</p>"));
    }

    #[test]
    fn what_is_read_is_bounded() {
        for part in ["KeyError: x", "Error: ", "ü Error: ", ">"] {
            let body = part.repeat(200 * 1024 / part.len());
            let page = Page::of("text/html", body.as_bytes());
            let length: usize = of(&page).map(str::len).sum();
            assert!(length <= NEAR + 2 * WINDOWS * WINDOW);
        }
    }
}
