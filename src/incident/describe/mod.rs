//! A failure in words: the summary, one line that a person recognises, and the fingerprint, equal for equal failures.
//!
//! In go the cause, the route, the error of a failure of our own, and the original body, redacted; out comes a [`Description`]. Never
//! shown to a visitor. A page that a framework is known by is read by its structure, a trace by the writing of its language; anything else
//! by a general rule: the line that names an exception, else the title, a heading, the first words. The first 64 KiB are looked at and the
//! last 16 of a longer body, each a few times at most.

mod dotnet;
mod finding;
mod frames;
mod go;
mod java;
mod json;
mod lately;
mod line;
mod lines;
mod markup;
mod page;
mod parts;
mod perl;
mod php;
mod python;
mod ruby;
mod soap;
mod text;

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

pub(super) use self::lately::describe_own;

use self::finding::Finding;
use self::line::one_line;
use self::page::{Kind, Page};
use super::{Cause, Fingerprint};

/// How much of what is told counts for the fingerprint: more than is shown, so that no number moves the end.
const COUNTED: usize = 1000;

/// What a failure is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// One line of at most 200 characters without control characters.
    pub summary: String,
    /// Of the summary and the innermost frames, without what differs from one occurrence to the next.
    pub fingerprint: Fingerprint,
}

/// What a failure is called: by its error where it is one of our own, else by its body as far as that was kept, decoded and redacted.
#[must_use]
pub fn describe(
    cause: Cause,
    route: &str,
    content_type: Option<&str>,
    body: &[u8],
    error: Option<&str>,
) -> Description {
    let found = match error {
        Some(error) => Some(Finding::words(error)),
        None => of_body(content_type.unwrap_or_default(), body),
    };
    let found = found.unwrap_or_default();
    let mut words = one_line(&found.headline, COUNTED);
    if words.is_empty() {
        cause.sentence().clone_into(&mut words);
    }
    Description {
        fingerprint: Fingerprint::of(cause, route, &words, found.frames.telling()),
        summary: one_line(&words, line::LENGTH),
    }
}

/// Reads a page if it is of the kind that it knows.
type Detector = fn(&Page<'_>) -> Option<Finding>;

/// In the order of what they know: a whole page before a part of one. Each stands with its marks: in a page
/// that has none of them it finds nothing.
const MARKUP: [(Detector, &[&str]); 15] = [
    (python::django, &["NONE,NOARCHIVE"]),
    (ruby::rails, &["Action Controller: Exception caught"]),
    (php::symfony, &["class=\"exception-hierarchy\""]),
    (java::tomcat, &["<b>Type</b> "]),
    (java::jetty, &["<h2>HTTP ERROR "]),
    (dotnet::core, &["titleerror"]),
    (dotnet::yellow, &["Exception Details: </b>"]),
    (python::starlette, &["<title>Starlette Debugger</title>"]),
    (python::traceback, &["Traceback (most recent call last)"]),
    (python::werkzeug, &[" // Werkzeug Debugger</title>"]),
    (php::fatal, &["</b>:  "]),
    (php::xdebug, &["xdebug-error"]),
    (
        php::dumped,
        &["message\":protected]=>", "[message:protected] =>"],
    ),
    (
        php::wordpress,
        &["class=\"wpdberror\">", "class=\"wp-die-message\">"],
    ),
    (soap::fault, &["<faultstring", ":Reason>"]),
];

/// All of these marks: most pages have none of them.
static MARKS: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| page::searcher(MARKUP.iter().flat_map(|(_, marks)| *marks)));

const TEXT: [Detector; 4] = [
    python::django_text,
    python::traceback,
    go::panic,
    ruby::puma,
];

fn of_body(content_type: &str, body: &[u8]) -> Option<Finding> {
    let page = Page::of(content_type, body);
    match page.kind {
        Kind::Json => json::read(&page.text).or_else(|| text::general(&page)),
        Kind::Markup => of_framework(&page)
            .or_else(|| php::comment(&page))
            .or_else(|| markup::general(&page)),
        Kind::Text => first(&TEXT, &page).or_else(|| text::general(&page)),
        Kind::Binary if content_type.is_empty() => {
            Some(Finding::words(format!("{} bytes", body.len())))
        }
        Kind::Binary => Some(Finding::words(format!(
            "{content_type}, {} bytes",
            body.len()
        ))),
    }
}

fn of_framework(page: &Page<'_>) -> Option<Finding> {
    let marks = MARKS.as_ref()?;
    let is_marked = page.parts().into_iter().any(|part| marks.is_match(part));
    let detectors = MARKUP.map(|(detector, _)| detector);
    is_marked.then(|| first(&detectors, page))?
}

fn first(detectors: &[Detector], page: &Page<'_>) -> Option<Finding> {
    let mut found = detectors.iter().filter_map(|detector| detector(page));
    found.find(|found| !found.headline.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::line::LENGTH;
    use super::page::LOOKED_AT;
    use super::*;

    fn of(content_type: &str, body: &str) -> String {
        let content_type = Some(content_type);
        summary(Cause::UpstreamStatus, content_type, body.as_bytes(), None)
    }

    fn summary(cause: Cause, kind: Option<&str>, body: &[u8], error: Option<&str>) -> String {
        describe(cause, "shop", kind, body, error).summary
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
                "PDOException: no such host",
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
    fn pages_are_known_by_their_framework() {
        for (body, expected) in [
            (
                "<!--\nApp\\Oops: no jar in file /srv/routes/web.php on line 17\n\n#0 /srv/index.php(3): f()\n--><html>",
                "App\\Oops: no jar",
            ),
            (
                "<title>no jar</title><b> Exception Details: </b>System.Net.Sockets.SocketException: no jar<br><br>\
                 <b>Stack Trace:</b> <pre>\n[SocketException: no jar]\n   Shop.Jar.Open(String a) in c:\\x.cs:12\n</pre>",
                "System.Net.Sockets.SocketException: no jar",
            ),
            (
                "<!DOCTYPE html><style>.titleerror {}</style><h1>An unhandled exception occurred</h1>\
                 <div class=\"titleerror\">InvalidOperationException: no jar</div>\
                 <pre class=\"rawExceptionStackTrace\">x\n   at Shop.Jar.Open() in /src/x.cs:line 12</pre>",
                "InvalidOperationException: no jar",
            ),
            (
                "<html><body><h1>Whitelabel Error Page</h1><div>There was an unexpected error (type=Internal Server Error, status=500).\
                 </div><div>no jar</div><div style='white-space:pre-wrap;'>java.lang.IllegalStateException: no jar\n\tat a.B.c(B.java:3)\n",
                "java.lang.IllegalStateException: no jar",
            ),
            (
                "<?xml version=\"1.0\"?><s:Envelope><s:Body><s:Fault><faultcode>s:Server</faultcode><faultstring xml:lang=\"en\">no \
                 jar</faultstring></s:Fault></s:Body></s:Envelope>",
                "Server: no jar",
            ),
            (
                "<title>RuntimeError at /jar</title><h1>RuntimeError at /jar</h1><h2>no jar</h2>",
                "RuntimeError: no jar",
            ),
            (
                "<title>Error 500 - Internal Server Error</title><pre class=\"error\">no jar at /srv/lib/Shop.pm line 7.</pre>",
                "no jar",
            ),
            (
                "<h1>Cart</h1><pre>RuntimeException Object\n(\n    [message:protected] => no jar\n    [file:protected] => /x.php\n",
                "RuntimeException: no jar",
            ),
            (
                "<h1>Cart</h1><pre>object(RuntimeException)#3 (7) {\n  [\"message\":protected]=>\n  string(6) \"no jar\"\n",
                "RuntimeException: no jar",
            ),
            (
                "<title>ValueError: &lt;Jar&gt; // Werkzeug Debugger</title><h1>ValueError</h1>",
                "ValueError: <Jar>",
            ),
            (
                "<h1>500 Internal Server Error</h1><h2>Traceback:</h2><pre>Traceback (most recent call last):\n  File &#34;a.py&#34;, \
                 line 3, in jar\n    raise Empty(1)\nshop.Empty: no &lt;jar&gt;\n</pre>",
                "shop.Empty: no <jar>",
            ),
        ] {
            assert_eq!(of("text/html", body), expected, "{body}");
        }
    }

    #[test]
    fn a_trace_in_json_is_read() {
        for (body, expected) in [
            (
                r#"{"status":500,"error":"Internal Server Error","trace":"java.lang.IllegalStateException: no jar\n\tat a.B.c(B.java:3)\n"}"#,
                "java.lang.IllegalStateException: no jar",
            ),
            (
                r##"{"status":500,"exception":"#<Oops: no jar>","traces":{"Application Trace":[{"id":0,"trace":"app.rb:22:in `jar'"}]}}"##,
                "Oops: no jar",
            ),
            (
                r#"{"errors":[{"message":"no jar","extensions":{"exception":{"stacktrace":["Error: no jar","at f (/x.js:1:2)"]}}}],"data":null}"#,
                "no jar",
            ),
            (
                r#"{"message":"no jar","exception":"ErrorException","file":"/srv/x.php","line":7,"trace":[{"file":"/srv/y.php","function":"f"}]}"#,
                "ErrorException: no jar",
            ),
        ] {
            assert_eq!(of("application/json", body), expected, "{body}");
        }
    }

    #[test]
    fn the_place_tells_equal_words_apart() {
        for (one, other) in [
            (
                "panic: no jar\n\ngoroutine 7 [running]:\nmain.open(0x1)\n\t/srv/jar.go:7 +0x1b\n",
                "panic: no jar\n\ngoroutine 9 [running]:\nmain.close(0x1)\n\t/srv/jar.go:7 +0x1b\n",
            ),
            (
                "Error: no jar\n    at open (/srv/jar.js:7:1)\n",
                "Error: no jar\n    at close (/srv/jar.js:7:1)\n",
            ),
            (
                "a.B: no jar\n\tat java.util.X.y(X.java:1)\n\tat shop.Jar.open(Jar.java:7)\n",
                "a.B: no jar\n\tat java.util.X.y(X.java:1)\n\tat shop.Jar.close(Jar.java:7)\n",
            ),
            (
                "a.Outer: lost\n\tat shop.A.a(A.java:1)\nCaused by: a.B: no jar\n\tat shop.Jar.open(Jar.java:7)\n",
                "a.Outer: lost\n\tat shop.A.a(A.java:1)\nCaused by: a.B: no jar\n\tat shop.Jar.close(Jar.java:7)\n",
            ),
            (
                r#"{"message":"no jar","trace":[{"file":"/srv/y.php","function":"open"}]}"#,
                r#"{"message":"no jar","trace":[{"file":"/srv/y.php","function":"close"}]}"#,
            ),
        ] {
            let fingerprint = |body: &str| {
                let told = describe(Cause::UpstreamStatus, "shop", None, body.as_bytes(), None);
                (told.summary, told.fingerprint)
            };
            let moved = one
                .replace(":7", ":19")
                .replace("goroutine 7", "goroutine 8");
            assert_eq!(fingerprint(one), fingerprint(&moved));
            assert_eq!(fingerprint(one).0, fingerprint(other).0);
            assert_ne!(fingerprint(one).1, fingerprint(other).1, "{one}");
        }
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
            "Error: ",
            "Caused by: a.B: ",
            "Traceback (most recent call last)",
            "Traceback (most recent call last):\n  File \"a\", line 1\n",
            " at a line 1",
            "at ",
            "at a (b:1)\n",
            ":in `",
            "<h1>",
            "<b>Fatal error</b>:  ",
            "xdebug-error( ! )</span>",
            "</td><td title='",
            "NONE,NOARCHIVE id=\"summary\"Exception Type:",
            "[redacted: ",
            "\ngoroutine ",
            "<<",
        ] {
            let body = part.repeat(LOOKED_AT / part.len());
            for content_type in ["text/html", "application/json", "text/plain"] {
                assert!(of(content_type, &body).chars().count() <= LENGTH);
            }
        }
    }
}
