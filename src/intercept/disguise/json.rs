//! JSON that is a failure: an object that says so and shows internals, at the top or where failures are put.
//!
//! What is read is the beginning of a document, by its structure and not its words: a list of incidents, an issue or a
//! log entry has other keys beside the trace. No more is kept than the path to where the reading is.

use std::sync::LazyLock;

use regex::bytes::Regex;

/// How deep a failure may lie.
const DEEPEST: usize = 6;
/// What is looked at of a text.
const MOST_TEXT: usize = 2048;

/// Keys of failures. A key is compared in lower case without `_`, `-`, `@` and `:`.
const VOCABULARY: &str = "additionalerrors address applicationtrace args at atcontext attributes attype backtrace body category cause \
    cause0 causedby class classname code column columnnumber connection context data date debug debugmessage description \
    detail details digest documentationurl endpoint environment err errmsg errno errnum error errorcode \
    errordescription errorid errormessage errors errortype exc excinfo exception exceptionclass exceptiondetails \
    exceptionmessage exceptionmethod exceptions exceptiontype exctype expose extensions extra fault faultcode \
    faultstring file filename frames frameworktrace fulltrace function headers help helplink hint hostname hresult \
    httpcode httpstatus hydradescription hydratitle id info innererror innerexception instance isoperational \
    jsonrpc line linenumber links locations logref message messages meta metadata method moreinfo msg name \
    namespace netboxversion node nodeversion ok originalerror parameters params parent path pathname pid port position previous previouserror \
    pythonversion query raw reason ref remotestackindex remotestacktracestring requestid requesturl response \
    responseheader result rootcause route schema servermessages servlet session sessionid severity source sql \
    sqlmessage sqlstate stack stackframes stacktrace stacktraces stacktracestring state status statuscode \
    statustext success syscall targetsite tb thrown time timestamp title trace traceback traceid traces type uri url \
    user uuid value version violations watsonbuckets";
/// Keys that say that an object is a failure.
const SAYING: &str = "debug description detail details err errmsg error errormessage errors exc excinfo exception exceptionmessage exctype fault faultstring \
    message msg stack stacktrace syscall tb title trace traceback";
/// Keys that records of failures have, and failures have not.
const RECORDING: &str = "attempts createdat date datedone environment finishedat id jobid queue runid session sessionid startedat \
    taskid time title user uuid version worker";
/// Keys under which a failure's internals stand.
const LEAKING: &str = "file filename filepath applicationtrace backtrace cause class data debug debugmessage description detail details err error errormessage \
    errors exc excinfo exception exceptionclass exceptiondetails exceptions exceptiontype frames frameworktrace fulltrace \
    info innererror innerexception message msg previous raw reason sql sqlmessage syscall stack stackframes stacktrace \
    stacktraces stacktracestring tb trace traceback traces type";
/// Keys under which a failure's object lies.
const LEADING: &str = "applicationtrace attributes backtrace cause data debug detail details err error errors exception exceptiondetails \
    exceptions extensions failure fault frames frameworktrace fulltrace info innererror innerexception meta \
    previous raw result rootcause stack stackframes stacktrace stacktraces trace traceback traces";

/// Those that lie at the top of good answers too.
const NEUTRAL: &str = "attributes data info meta result";

/// A text that is a frame, or a trace.
static FRAMES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    expression(
        r#"(?:(?:^|\n|\\n|\s)(?:\s|\\t)*(?:at |in )[^\s(]*[^\n\\]{0,200}[(:/.][\w$]+\.?\w*:\d+|Traceback \(most recent call last\)|(?:^|\n|\\n)#\d+ |\{main\}|File \\?"[^"\\\n]{1,300}\\?", line \d+|\.(?:java|kt|scala|groovy):\d+\)|\.(?:js|ts|mjs|cjs|tsx|jsx|php|rb|go|ex|exs|pl|pm|cgi|psgi|cs|py|rs)(?:[:(]| line |:line )\d+|:in [`'][\w?!<> ]+'|\((?:Native Method|Unknown Source|<anonymous>|internal/)|^\s*(?:\\r\\n)?\s+at [\w.`<>\[\]]+\(|\\n\s+at [\w.`<>\[\]]+\()"#,
    )
});
/// A text that is the absolute path of source code.
static SOURCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    expression(
        r"^(?:(?:\\?/[\w.@+ -]+)+|[A-Za-z]:\\\\[^:]{3,200})\.(?:php|phtml|inc|py|rb|js|ts|mjs|pl|pm|java|kt|scala|go|cs|vb|ex|exs|lua)$",
    )
});
/// A text that is the name of an exception's class.
static CLASS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    expression(
        r"^(?:#<)?(?:[a-z]\w*\.)+[A-Z][\w$]*(?:Exception|Error)(?:: |$)|^(?:#<)?[A-Z]\w*(?:(?:\\\\|::|\.)\w+)+(?:Exception|Error|Failed|Timeout|NotFound)(?:$|: )|^#<[A-Z][\w:]+: ",
    )
});
/// A text that a database or a client of one says.
static DATABASE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    expression(
        r#"SQLSTATE\[[0-9A-Z]{5}\]|You have an error in your SQL syntax; ?check|ORA-\d{5}: |(?:connect|getaddrinfo|read|write) E[A-Z]{5,20} \S|dial tcp [^"]{4,100}: (?:connect|lookup)|ER_[A-Z_]{4,40}: |ccess denied for user '|elation \\"[^"]{1,100}\\" does not exist|onnection refused[^"]{0,40}[@:]\d|onnect[^"]{0,200}onnection refused|^no such table: |^Table '[^']{1,100}' doesn't exist|\((?:\w+\.)+\w*(?:Error|Warning)\) |sqlalche\.me/e/|<[\w.]{1,100} object at 0x[0-9a-f]{6,16}>|debug_notfound of url "#,
    )
});

/// A call that a runtime names in an error of the operating system.
static SYSCALL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    expression(
        r"^(?:connect|getaddrinfo|open|read|write|bind|listen|stat|scandir|unlink|mkdir|rename|spawn)\b",
    )
});

fn expression(text: &str) -> Option<Regex> {
    regex::bytes::RegexBuilder::new(text)
        .unicode(false)
        .build()
        .ok()
}

/// What makes a document a failure, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leak {
    pub(super) name: &'static str,
    pub(super) at: usize,
}

/// Looks for a failure in the beginning of a document.
pub(super) fn leak(text: &[u8]) -> Option<Leak> {
    let mut reader = Reader {
        text,
        at: 0,
        levels: Vec::new(),
        found: None,
    };
    reader.read();
    // A document is judged by all keys of its top that were read.
    let root = reader.root_is_failure();
    reader.found.filter(|_| root)
}

/// Reads a document as far as it goes.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    levels: Vec<Level>,
    found: Option<Leak>,
}

/// An object or an array that is open, or the document's top.
#[derive(Debug, Default)]
struct Level {
    array: bool,
    /// Whether all keys on the way here are those of failures.
    failing: bool,
    key: String,
    elements: usize,
    known: usize,
    unknown: usize,
    recording: usize,
    saying: bool,
    /// Keys by which it says that what was asked for failed.
    refusals: usize,
}

impl Reader<'_> {
    fn read(&mut self) {
        let mut top: Option<Level> = None;
        while let Some(byte) = self.text.get(self.at).copied() {
            match byte {
                b'{' | b'[' => {
                    self.open(byte == b'[');
                    self.at += 1;
                }
                b'}' | b']' => {
                    let closed = self.levels.pop();
                    if self.levels.is_empty() {
                        top = closed;
                        break;
                    }
                    self.at += 1;
                }
                b'"' => self.string(),
                b',' => {
                    if let Some(level) = self.levels.last_mut() {
                        level.elements += 1;
                    }
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
        if let Some(top) = top {
            self.levels.push(top);
        }
    }

    /// Whether the outermost object is a failure's, as far as it was read.
    fn root_is_failure(&self) -> bool {
        let Some(top) = self.levels.first() else {
            return false;
        };
        // An app may add a key of its own to what its framework says of a failure.
        let known = match top.unknown {
            0 => top.recording < 3,
            unknown => top.recording == 0 && unknown * 3 <= top.known,
        };
        !top.array && top.saying && known
    }

    fn open(&mut self, array: bool) {
        let level = match self.levels.last() {
            None => Level {
                array,
                failing: true,
                ..Level::default()
            },
            Some(above) => Level {
                array,
                failing: above.failing
                    && self.levels.len() < DEEPEST
                    && (above.array || is_one_of(&above.key, LEADING))
                    && !(self.levels.len() == 1
                        && above.refusals == 0
                        && is_one_of(&above.key, NEUTRAL)),
                key: if above.array || array {
                    above.key.clone()
                } else {
                    String::new()
                },
                ..Level::default()
            },
        };
        self.levels.push(level);
    }

    /// Reads a string: a key, or a value.
    fn string(&mut self) {
        let begin = self.at + 1;
        let mut end = begin;
        while let Some(byte) = self.text.get(end) {
            match byte {
                b'\\' => end += 2,
                b'"' => break,
                _ => end += 1,
            }
        }
        let content = self
            .text
            .get(begin..end.min(self.text.len()))
            .unwrap_or_default();
        self.at = end + 1;
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_key = rest.trim_ascii_start().starts_with(b":");
        let Some(level) = self.levels.last_mut() else {
            return;
        };
        if is_key && !level.array {
            level.name(content);
            level.refuse(rest);
        } else {
            self.value(content, begin);
        }
    }

    fn value(&mut self, content: &[u8], begin: usize) {
        let Some(level) = self.levels.last() else {
            return;
        };
        if self.found.is_some() || !level.failing || !is_one_of(&level.key, LEAKING) {
            return;
        }
        let content = content.get(..MOST_TEXT).unwrap_or(content);
        let says = |expression: &LazyLock<Option<Regex>>| {
            expression
                .as_ref()
                .is_some_and(|expression| expression.is_match(content))
        };
        let name = if says(&FRAMES)
            || (is_one_of(&level.key, "file filename filepath") && says(&SOURCE))
        {
            "json-trace"
        } else if says(&CLASS) {
            "json-exception"
        } else if level.key == "syscall" && says(&SYSCALL) {
            "json-system"
        } else if level.key == "sqlmessage" || says(&DATABASE) {
            "json-database"
        } else {
            return;
        };
        self.found = Some(Leak { name, at: begin });
    }
}

impl Level {
    /// Takes note of a value that says that it failed, by what comes after its key.
    fn refuse(&mut self, rest: &[u8]) {
        let value = rest.trim_ascii_start().get(1..).unwrap_or_default();
        let value = value.trim_ascii_start();
        let says: &[&[u8]] = match self.key.as_str() {
            "success" | "ok" => &[b"false", b"0"],
            "status" => &[b"\"error\"", b"\"fail\""],
            _ => return,
        };
        let refused = says.iter().any(|said| value.starts_with(said));
        self.refusals += usize::from(refused);
        self.saying |= refused;
    }

    fn name(&mut self, key: &[u8]) {
        let key: String = String::from_utf8_lossy(key)
            .chars()
            .filter(|c| !matches!(c, '_' | '-' | '@' | ':' | ' ' | '$'))
            .collect::<String>()
            .to_ascii_lowercase();
        if is_one_of(&key, VOCABULARY) {
            self.known += 1;
        } else {
            self.unknown += 1;
        }
        self.recording += usize::from(is_one_of(&key, RECORDING));
        self.saying |= is_one_of(&key, SAYING);
        self.key = key;
    }
}

fn is_one_of(key: &str, keys: &str) -> bool {
    keys.split_ascii_whitespace().any(|known| known == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_show_internals_are_found() {
        assert!(FRAMES.is_some() && SOURCE.is_some() && CLASS.is_some() && DATABASE.is_some());
        for (name, text) in [
            (
                "json-trace",
                r#"{"message":"no","stack":"Error: no\n    at pay (/srv/cart.js:10:3)\n    at next (/srv/route.js:1:2)"}"#,
            ),
            (
                "json-trace",
                r#"{"error":{"message":"no","stack":["Error: no","    at pay (/srv/cart.js:10:3)"]}}"#,
            ),
            (
                "json-trace",
                r#"{"timestamp":"2024","status":404,"error":"Not Found","trace":"java.lang.X: no\r\n\tat a.b.C.d(C.java:1)","path":"/"}"#,
            ),
            (
                "json-trace",
                r#"{"message":"no","exception":"RuntimeException","file":"/srv/x.php","line":3,"trace":[{"file":"/srv/y.php","line":1},"x.php:12"]}"#,
            ),
            (
                "json-trace",
                r#"{"errors":[{"message":"no","extensions":{"code":"E","exception":{"stacktrace":["Error: no","    at pay (/srv/cart.js:10:3)"]}}}],"data":null}"#,
            ),
            (
                "json-trace",
                r#"{"jsonrpc":"2.0","id":7,"error":{"code":200,"message":"Odoo Server Error","data":{"name":"x","debug":"Traceback (most recent call last):\n  File \"/x.py\", line 1"}}}"#,
            ),
            (
                "json-trace",
                r#"{"Message":"An error has occurred.","ExceptionMessage":"no","ExceptionType":"System.X","StackTrace":"   at Shop.Cart.Pay() in C:\\Cart.cs:line 12"}"#,
            ),
            (
                "json-trace",
                r#"{"error":{"message":"no","exception":"RuntimeException","file":"\/srv\/x.php","line":2,"trace":[]}}"#,
            ),
            (
                "json-exception",
                r#"{"timestamp":1,"status":404,"error":"Not Found","exception":"org.springframework.web.NoHandlerFoundException","message":"no","path":"/"}"#,
            ),
            (
                "json-exception",
                "{\"status\":404,\"error\":\"Not Found\",\"exception\":\"#<ActionController::RoutingError: No route matches>\",\"traces\":{}}",
            ),
            (
                "json-trace",
                r#"{"error":"ECONNREFUSED","message":"no","query":"select 1","connection":"postgres://10.0.4.17:5432/shop","stack":["at Articles.load (/srv/shop/articles.js:88:19)"],"node":"v16.20.2","host":"shop-1"}"#,
            ),
            (
                "json-database",
                r#"{"error":"SQLSTATE[42S02]: Base table or view not found: 1146 Table 'a.b'"}"#,
            ),
            (
                "json-database",
                r#"{"statusCode":400,"error":"Bad Request","message":"connect ECONNREFUSED 10.1.2.3:5432"}"#,
            ),
        ] {
            let found = leak(text.as_bytes()).map(|leak| leak.name);
            assert_eq!(found, Some(name), "{text}");
        }
    }

    #[test]
    fn an_answer_that_says_that_it_failed_is_read_further() {
        for text in [
            r#"{"success":false,"data":{"message":"no","trace":"Traceback (most recent call last):\n  File"}}"#,
            r#"{"status":"error","data":null,"debug":{"exception":"RuntimeException","file":"\/srv\/x.php:2","trace":["0 {main}"]}}"#,
            r#"{"success":0,"error":"no cart at /srv/lib/Cart.pm line 12.\n"}"#,
        ] {
            let found = leak(text.as_bytes()).map(|leak| leak.name);
            assert_eq!(found, Some("json-trace"), "{text}");
        }
    }

    #[test]
    fn records_of_failures_are_not() {
        for text in [
            r#"{"success":true,"data":{"message":"no","trace":"Traceback (most recent call last):\n  File"}}"#,
            r#"{"status":"FAILURE","result":"no","traceback":"Traceback (most recent call last):\n  File","task_id":"a"}"#,
            r#"{"incidents":[{"id":7,"error":"TimeoutException","stack":["at Cart.total (cart.js:10:3)"]}],"error":null,"exception":null}"#,
            r#"{"id":7,"title":"500 on checkout","stack":"Error: no\n    at pay (/srv/cart.js:10:3)","resolved":true}"#,
            r#"[{"id":1,"level":"error","message":"no\n    at pay (/srv/cart.js:10:3)"}]"#,
            r#"{"seq":1,"id":"7Q3K","summary":"x","body":{"text":"Traceback (most recent call last):"}}"#,
            r#"{"error":null,"data":{"message":"SQLSTATE[42S02] explained","html":"<p>x</p>"}}"#,
            r#"{"error":{"code":"not_found","message":"No such cart"}}"#,
            r#"{"question":"why","answers":[{"body":"at Cart.total (cart.js:10:3)"}]}"#,
            r#"{"event_id":"a","exception":{"values":[{"type":"KeyError","stacktrace":{"frames":[{"filename":"x.py:12"}]}}]}}"#,
            r#"{"total":2,"hits":[{"message":"Traceback (most recent call last)"}]}"#,
            "{\"message\":",
            "[[[[[[[[[[[[[[[[[[[[",
            "\"",
        ] {
            assert_eq!(leak(text.as_bytes()), None, "{text}");
        }
    }
}
