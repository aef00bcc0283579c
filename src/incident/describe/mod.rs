//! The summary: a failure in one line that a person recognises, `RuntimeError: boom`.
//!
//! In go the cause, the error of a failure of our own, and the original body, redacted; out comes one line of at most 200 characters
//! without control characters. Never shown to a visitor. This is the general rule: it looks for a line that names an exception, then for
//! a title, a heading, the first words. It looks at the first 64 KiB, once.

mod json;
mod lines;
mod markup;

use std::borrow::Cow;

use self::lines::{Picker, Place};
use super::Cause;

/// How much of a body is looked at.
const LOOKED_AT: usize = 64 * 1024;
/// How many characters a summary has at most.
const LENGTH: usize = 200;

/// A failure in one line.
#[must_use]
pub fn summary(
    cause: Cause,
    content_type: Option<&str>,
    body: &[u8],
    error: Option<&str>,
) -> String {
    let found = match error {
        Some(error) => error.to_owned(),
        None => of_body(content_type.unwrap_or_default(), body).unwrap_or_default(),
    };
    let line = one_line(&found);
    if line.is_empty() {
        return cause.sentence().to_owned();
    }
    line
}

/// What a body is read as.
enum Kind {
    Json,
    Markup,
    Text,
    /// Nothing that a person could read.
    Binary,
}

fn of_body(content_type: &str, body: &[u8]) -> Option<String> {
    let text = beginning(body);
    match kind(content_type, &text) {
        Kind::Json => json::summary(&text).or_else(|| plain(&text)),
        Kind::Markup => markup::summary(&text),
        Kind::Text => plain(&text),
        Kind::Binary if content_type.is_empty() => Some(format!("{} bytes", body.len())),
        Kind::Binary => Some(format!("{content_type}, {} bytes", body.len())),
    }
}

/// What the body looks like goes before what its type claims: many apps send all their errors as `text/html`.
fn kind(content_type: &str, text: &str) -> Kind {
    let claims = |name: &str| {
        let mut places = content_type.as_bytes().windows(name.len());
        places.any(|place| place.eq_ignore_ascii_case(name.as_bytes()))
    };
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if start.starts_with(['{', '[']) {
        Kind::Json
    } else if claims("html") || claims("xml") || start.starts_with("<!") || start.starts_with("<?")
    {
        Kind::Markup
    } else if text.chars().take(512).any(|letter| letter == '\0') {
        Kind::Binary
    } else {
        Kind::Text
    }
}

fn plain(text: &str) -> Option<String> {
    let mut picker = Picker::default();
    for line in text.lines() {
        if picker.offer(Place::Body, line) {
            break;
        }
    }
    picker.pick()
}

/// The beginning of a body as text; a character that the limit cuts in two is left out.
fn beginning(body: &[u8]) -> Cow<'_, str> {
    let looked_at = body.get(..LOOKED_AT).unwrap_or(body);
    match std::str::from_utf8(looked_at) {
        Ok(text) => Cow::Borrowed(text),
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(looked_at.get(..error.valid_up_to()).unwrap_or_default())
        }
        Err(_) => String::from_utf8_lossy(looked_at),
    }
}

/// One line of bounded length: white space runs together, and what is not to be seen is left out.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(LENGTH + 8));
    let mut count = 0;
    let mut gap = false;
    for letter in text.chars() {
        if letter.is_whitespace() {
            gap = count > 0;
        } else if !unseen(letter) {
            if count + usize::from(gap) >= LENGTH {
                return cut(&line);
            }
            if std::mem::take(&mut gap) {
                line.push(' ');
                count += 1;
            }
            line.push(letter);
            count += 1;
        }
    }
    line
}

/// The line with its last character given to an ellipsis.
fn cut(line: &str) -> String {
    let end = line
        .char_indices()
        .nth(LENGTH - 1)
        .map_or(line.len(), |(at, _)| at);
    format!("{}…", line.get(..end).unwrap_or(line).trim_end())
}

/// Controls, and characters that reorder or hide what stands around them.
fn unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content_type: &str, body: &str) -> String {
        summary(
            Cause::UpstreamStatus,
            Some(content_type),
            body.as_bytes(),
            None,
        )
    }

    #[test]
    fn html_is_read_for_its_exception_then_its_title() {
        for (body, expected) in [
            (
                "<html><head><title>Error</title></head><body><pre>Error: boom &amp; bust<br> &nbsp; at f (/app/x.js:3)</pre>",
                "Error: boom & bust",
            ),
            (
                "<br />\n<b>Fatal error</b>:  Uncaught PDOException: no such host in /srv/x.php:3\nStack trace:\n#0 {main}",
                "Fatal error: Uncaught PDOException: no such host in /srv/x.php:3",
            ),
            (
                "<title>HTTP Status 500 – Internal Server Error</title><h1>HTTP Status 500</h1><p><b>Message</b> x</p>\
                 <pre>java.lang.IllegalStateException: no pool\n\tat a.B.c(B.java:3)\n</pre>",
                "java.lang.IllegalStateException: no pool",
            ),
            (
                "<title>Action Controller: Exception caught</title><h1>\n RuntimeError in\n Blog#show\n</h1>",
                "RuntimeError in Blog#show",
            ),
            (
                "<TITLE>502 Bad Gateway</TITLE><center><h1>502 Bad Gateway</h1></center><hr>nginx",
                "502 Bad Gateway",
            ),
            (
                "<title></title><style>p > a {}</style><!-- NoError: x --><script>throw TypeError: x</script><p>We are <i>so</i> sorry</p>",
                "We are so sorry",
            ),
            (
                "<title>Oops</title><h1>Whoops</h1><div data-x=\"ValueError: a>b\">text</div>",
                "Whoops",
            ),
            (
                "1 < 2 &lt;b&gt; &#65;&#x42; &bogus; &",
                "1 < 2 <b> AB &bogus; &",
            ),
            (
                "<script>never closed",
                "the app answered with an error and no text",
            ),
            ("{\"message\":\"json in disguise\"}", "json in disguise"),
        ] {
            assert_eq!(of("text/html; charset=utf-8", body), expected, "{body}");
        }
    }

    #[test]
    fn json_is_read_for_its_message() {
        for (body, expected) in [
            (
                r#"{"status":500,"error":"Internal Server Error","message":"no \"pool\"","path":"/"}"#,
                "no \"pool\"",
            ),
            (
                r#"{"message":"boom","exception":"App\\Oops\\BadException","trace":[{"class":"X","message":"no"}]}"#,
                "App\\Oops\\BadException: boom",
            ),
            (r#"{"error":{"code":7,"message":"deep"}}"#, "deep"),
            (r#"[{"errors":[{"detail":"listed"}]}]"#, "listed"),
            (r#"{"title":"Problem","detail":"what it is"}"#, "what it is"),
            (r#"{"error":"Server Error"}"#, "Server Error"),
            (
                r##"{"exception":"#<RuntimeError: boom>","error":"x"}"##,
                "RuntimeError: boom",
            ),
            (r#"{"message":"","error":"used"}"#, "used"),
            (r#"{"message":"cut off","trace":"x"#, "cut off"),
            (r#"{"a":1}"#, r#"{"a":1}"#),
        ] {
            assert_eq!(of("application/json", body), expected, "{body}");
        }
    }

    #[test]
    fn text_is_read_for_its_exception_then_its_first_words() {
        for (body, expected) in [
            (
                "Traceback (most recent call last):\n  File \"a.py\", line 1\nKeyError: 'a'\n\nDuring handling of the above exception, \
                 another exception occurred:\n\nTraceback (most recent call last):\n  File \"b.py\"\nValueError: wrong\n",
                "ValueError: wrong",
            ),
            (
                "\n\n  ----\nInternal Server Error\nmore",
                "Internal Server Error",
            ),
            (
                "panic: runtime error: index out of range\n\ngoroutine 1",
                "panic: runtime error: index out of range",
            ),
            (
                "ActiveRecord::RecordNotFound: no row\n",
                "ActiveRecord::RecordNotFound: no row",
            ),
            ("\u{1b}[31mred\u{1b}[0m\u{7} alert", "[31mred[0m alert"),
            ("", "the app answered with an error and no text"),
            (" \n\t", "the app answered with an error and no text"),
        ] {
            assert_eq!(of("text/plain", body), expected, "{body}");
        }
        assert_eq!(of("image/png", "\u{89}PNG\0\0"), "image/png, 7 bytes");
    }

    #[test]
    fn a_failure_of_our_own_tells_its_error() {
        let error = Some("connection refused\n(os error 111)");
        assert_eq!(
            summary(Cause::ConnectFailed, None, b"", error),
            "connection refused (os error 111)"
        );
        assert_eq!(
            summary(Cause::HeadTimeout, None, b"", None),
            "the app did not answer in time"
        );
    }

    #[test]
    fn a_summary_is_short_whatever_the_body() {
        let long = of("text/plain", &format!("{} end", "wörd ".repeat(100_000)));
        assert_eq!(long.chars().count(), LENGTH);
        assert!(long.ends_with('…'));
        let exact = "é".repeat(LENGTH);
        assert_eq!(of("text/plain", &exact), exact);
        let cut = [b"x".repeat(LOOKED_AT - 1), "é".into()].concat();
        let line = summary(Cause::UpstreamStatus, None, &cut, None);
        assert!(!line.contains('\u{fffd}'));
    }

    #[test]
    fn hostile_markup_takes_no_more_than_linear_time() {
        for part in [
            "<",
            "<a \"",
            "<a '",
            "<!--",
            "<script",
            "<script></scrip",
            "&",
            "&#",
            "\"\\",
            "{",
            "</",
            "<a ><b '\">",
            "PHP ",
            "Uncaught ",
            "a::",
        ] {
            let body = part.repeat(LOOKED_AT / part.len());
            for content_type in ["text/html", "application/json", "text/plain"] {
                assert!(of(content_type, &body).chars().count() <= LENGTH);
            }
        }
    }
}
