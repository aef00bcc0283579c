//! The frames of a stack trace, in the writing of any language, and which of them are the app's own.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use memchr::memrchr2;

use super::page::{self, before, rsplit_once, split_once};

/// How many frames are kept of a trace.
const KEPT: usize = 32;
/// How many frames tell a failure from another.
const TELLING: usize = 5;
/// A name is not followed further than this.
const NAME: usize = 512;

/// What the paths of code have in them that the app's authors have not written.
const FOREIGN_PATHS: [&str; 28] = [
    "site-packages",
    "dist-packages",
    "/lib/python",
    "<frozen ",
    "node_modules",
    "node:",
    "internal/",
    "<anonymous>",
    "/vendor/",
    "\\vendor\\",
    "/gems/",
    "rubygems",
    "/lib/ruby/",
    "<internal:",
    "/usr/share/",
    "/usr/lib/",
    "/usr/local/lib/",
    "/usr/local/go/",
    "/pkg/mod/",
    "/wp-includes/",
    "/wp-admin/",
    "/wp-settings.php",
    "/wp-load.php",
    "/wp-config.php",
    "/wp-blog-header.php",
    "/rustc/",
    "/registry/src/",
    "[internal",
];

/// How the names of classes begin that come with the platform or with a framework.
const FOREIGN_CLASSES: [&str; 25] = [
    "java.",
    "javax.",
    "jakarta.",
    "jdk.",
    "sun.",
    "com.sun.",
    "org.apache.",
    "org.springframework.",
    "org.eclipse.",
    "org.hibernate.",
    "org.jboss.",
    "io.netty.",
    "io.undertow.",
    "io.micronaut.",
    "io.quarkus.",
    "reactor.",
    "kotlin.",
    "kotlinx.",
    "scala.",
    "akka.",
    "play.",
    "clojure.",
    "com.fasterxml.",
    "System.",
    "Microsoft.",
];

static FOREIGN: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::new(FOREIGN_PATHS).ok());

/// One call of a trace. What is not known is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) file: &'a str,
    pub(super) function: &'a str,
}

impl<'a> Frame<'a> {
    /// The frame of a file whose function is not told.
    pub(super) fn of_file(file: &'a str) -> Self {
        Self { file, function: "" }
    }

    /// The frame of a function, or of what is to be told of a place, whose file is not told.
    pub(super) fn of_function(function: &'a str) -> Self {
        Self { file: "", function }
    }

    /// Whether nothing is known of it.
    pub(super) fn is_empty(&self) -> bool {
        self.file.is_empty() && self.function.is_empty()
    }

    /// Whether the frame is not the app's code.
    fn is_foreign(&self) -> bool {
        let path = |text| FOREIGN.as_ref().is_some_and(|path| path.is_match(text));
        path(self.file) || path(self.function) || self.is_of_framework() || is_of_package(self.file)
    }

    fn is_of_framework(&self) -> bool {
        let mut classes = FOREIGN_CLASSES.iter();
        // Tomcat compiles the app's pages into a package of its own.
        classes.any(|class| self.function.starts_with(class))
            && !self.function.starts_with("org.apache.jsp.")
    }

    /// The file's own name and the function: where the app stands on the disk is no part of a failure.
    fn name(&self) -> String {
        let (file, function) = self.words();
        let mut name = String::with_capacity(file.len() + 1 + function.len());
        name.push_str(file);
        if name.len() < NAME {
            name.push(' ');
        }
        name.push_str(function);
        name
    }

    /// What the name is made of.
    fn words(&self) -> (&'a str, &'a str) {
        let file = base_name(self.file);
        let file = file.get(..file.ceil_char_boundary(NAME)).unwrap_or(file);
        let function = self.function.trim();
        let room = NAME.saturating_sub(file.len() + 1);
        let end = function.ceil_char_boundary(room);
        (file, function.get(..end).unwrap_or_default())
    }

    /// Whether this is its name, without writing it.
    fn is_called(&self, name: &str) -> bool {
        let (file, function) = self.words();
        let gap = if file.len() < NAME { " " } else { "" };
        let rest = name.strip_prefix(file);
        rest.and_then(|rest| rest.strip_prefix(gap)) == Some(function)
    }
}

/// The innermost frames of a trace. Whose code they are is looked up where it is asked for.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The innermost comes first.
    kept: VecDeque<Kept>,
}

#[derive(Debug)]
struct Kept {
    name: String,
    /// The file and the function as they came, one behind the other.
    text: String,
    /// The file's length.
    file: usize,
    foreign: OnceCell<bool>,
}

impl Frames {
    /// The frames of a trace whose lines go from the innermost outwards.
    pub(super) fn of(trace: &str) -> Self {
        let mut frames = Self::default();
        for frame in page::lines(trace).filter_map(parse) {
            frames.push_caller(frame);
            if frames.is_settled() {
                break;
            }
        }
        frames
    }

    /// Adds the frame that called those before it.
    pub(super) fn push_caller(&mut self, frame: Frame<'_>) {
        let is_new = |last: &Kept| !last.is(&frame);
        if !self.is_full() && !frame.is_empty() && self.kept.back().is_none_or(is_new) {
            self.kept.push_back(Kept::of(&frame));
        }
    }

    /// Adds the frame that was called by those before it.
    pub(super) fn push_called(&mut self, frame: Frame<'_>) {
        let is_new = |last: &Kept| !last.is(&frame);
        if !frame.is_empty() && self.kept.front().is_none_or(is_new) {
            self.kept.truncate(KEPT - 1);
            self.kept.push_front(Kept::of(&frame));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Whether the frames of more callers would be left out.
    pub(super) fn is_full(&self) -> bool {
        self.kept.len() >= KEPT
    }

    /// Whether the frames of more callers would tell nothing.
    pub(super) fn is_settled(&self) -> bool {
        let mut own = self.kept.iter().filter(|frame| !frame.is_foreign());
        self.is_full() || (self.kept.len() >= TELLING && own.nth(TELLING - 1).is_some())
    }

    /// The names of the frames that tell the failure from others: the app's, or the innermost where none is.
    pub(super) fn telling(&self) -> impl Iterator<Item = &str> {
        let foreign = self.kept.iter().all(Kept::is_foreign);
        let telling = self
            .kept
            .iter()
            .filter(move |frame| foreign || !frame.is_foreign());
        telling.take(TELLING).map(|frame| frame.name.as_str())
    }
}

impl Kept {
    fn of(frame: &Frame<'_>) -> Self {
        Self {
            name: frame.name(),
            text: [frame.file, frame.function].concat(),
            file: frame.file.len(),
            foreign: OnceCell::new(),
        }
    }

    fn frame(&self) -> Frame<'_> {
        let (file, function) = self.text.split_at_checked(self.file).unwrap_or_default();
        Frame { file, function }
    }

    fn is_foreign(&self) -> bool {
        *self.foreign.get_or_init(|| self.frame().is_foreign())
    }

    /// Whether a frame is told apart from this one by nothing: a call in a loop, say, from one of its lines or from another.
    fn is(&self, other: &Frame<'_>) -> bool {
        let frame = self.frame();
        frame == *other || (other.is_called(&self.name) && self.is_foreign() == other.is_foreign())
    }
}

/// Rails writes `actionpack (6.1.7) lib/a.rb` for the code of a package, Elixir `(phoenix 1.7.2) lib/a.ex`.
fn is_of_package(file: &str) -> bool {
    let version = file.split_once('(').map(|(_, version)| version);
    version.is_some_and(|version| {
        let (_, number) = version.split_once(' ').unwrap_or(("", version));
        number.starts_with(|letter: char| letter.is_ascii_digit()) && number.contains(") ")
    })
}

/// A path's last part without the line that stands behind it.
fn base_name(path: &str) -> &str {
    let path = path.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == ':');
    let start = memrchr2(b'/', b'\\', path.as_bytes()).map_or(0, |at| at + 1);
    path.get(start..).unwrap_or(path)
}

/// The frame that a line is, if it is one.
pub(super) fn parse(line: &str) -> Option<Frame<'_>> {
    let line = line.trim();
    match line.as_bytes() {
        [b'F', b'i', b'l', b'e', b' ', ..] => python(line),
        [b'a', b't', b' ', ..] => at(line.get(3..)?.trim_start()),
        [b'#', b'0'..=b'9', ..] => php(line),
        [b'f', b'r', b'o', b'm', b' ', ..] => ruby(line.get(5..)?),
        [b'(', ..] => elixir(line),
        [.., b')'] => java(line).or_else(|| ruby(line)),
        _ => ruby(line),
    }
}

/// `File "/app/views.py", line 7, in checkout`; a page leaves the quotes out.
fn python(line: &str) -> Option<Frame<'_>> {
    let file = line.strip_prefix("File ")?;
    let (file, place) = match split_once(file, ", line ") {
        None if file.starts_with('"') && file.ends_with('"') => (file, ""),
        parts => parts?,
    };
    let function = split_once(place, ", in ").map_or("", |(_, name)| name);
    Some(Frame {
        file: file.trim_matches('"'),
        function,
    })
}

/// What follows `at` in the traces of JavaScript, Java, C# and Rust.
fn at(call: &str) -> Option<Frame<'_>> {
    let call = call.strip_prefix("async ").unwrap_or(call);
    if let Some((function, file)) = rsplit_once(call, " in ")
        && function.ends_with(')')
    {
        return Some(Frame {
            file: before(file, ":line "),
            function: before(function, "("),
        });
    }
    if let Some((function, place)) = call
        .strip_suffix(')')
        .and_then(|call| call.rsplit_once('('))
    {
        let function = before(function, " [as ").trim();
        let function = function.strip_prefix("new ").unwrap_or(function);
        return (!function.contains(' ')).then(|| of_call(function, place));
    }
    has_line(call).then(|| Frame::of_file(call))
}

/// `a.b.C.m(C.java:12)` as Tomcat writes it, without `at`.
fn java(line: &str) -> Option<Frame<'_>> {
    let (function, place) = line.strip_suffix(')')?.rsplit_once('(')?;
    let known = ["Native Method", "Unknown Source"].contains(&place);
    let source = [".java:", ".kt:", ".scala:", ".groovy:", ".clj:"]
        .iter()
        .any(|ending| place.contains(ending));
    let is_name = function.contains('.') && !function.contains(' ');
    ((known || source) && is_name).then(|| of_call(function, place))
}

/// A call and what stands in its brackets. A class tells its file.
fn of_call<'a>(function: &'a str, place: &'a str) -> Frame<'a> {
    let class = function.rsplit('/').next().unwrap_or(function);
    let is_path = place.contains('/') || place.contains('\\') || place.starts_with('<');
    let file = if is_path || has_line(place) {
        place
    } else {
        ""
    };
    Frame {
        file,
        function: class,
    }
}

/// `#0 /app/db.php(3): connect_db()`; the entry point is no frame.
fn php(line: &str) -> Option<Frame<'_>> {
    let (number, call) = line.strip_prefix('#')?.split_once(' ')?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) || call.starts_with("{main}") {
        return None;
    }
    let (place, call) = split_once(call, ": ").unwrap_or((call, ""));
    let file = match place.strip_suffix(')') {
        Some(place) => place.rsplit_once('(')?.0,
        None => Some(place).filter(|place| place.starts_with('['))?,
    };
    let function = before(call, "(");
    Some(Frame { file, function })
}

/// ``app.rb:22:in `boom'``.
fn ruby(line: &str) -> Option<Frame<'_>> {
    let (file, function) = split_once(line, ":in ")?;
    let function = function.trim_start_matches(['`', '\'']);
    let end = function.find(['\'', '\n']).unwrap_or(function.len());
    let is_place = file.ends_with(|letter: char| letter.is_ascii_digit()) && file.contains(':');
    is_place.then(|| Frame {
        file,
        function: function.get(..end).unwrap_or_default(),
    })
}

/// `(shop 0.1.0) lib/shop/cart.ex:12: Shop.Cart.load/1`.
fn elixir(line: &str) -> Option<Frame<'_>> {
    let (file, function) = split_once(line, ": ")?;
    let is_place = file.contains(".ex:") || file.contains(".erl:") || file.contains(".exs:");
    is_place.then_some(Frame { file, function })
}

/// Whether a place ends in its line, `/app/x.js:3:14`.
fn has_line(place: &str) -> bool {
    let path = place.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == ':');
    path.len() < place.len()
        && place.as_bytes().get(path.len()) == Some(&b':')
        && !path.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_in_any_language() {
        for (line, file, function) in [
            (
                r#"  File "/app/views.py", line 7, in checkout"#,
                "/app/views.py",
                "checkout",
            ),
            (r#"File "x.py", line 7"#, "x.py", ""),
            ("    at /app/x.js:15:48", "/app/x.js:15:48", ""),
            (
                "at async load (file:///app/x.mjs:1:2)",
                "file:///app/x.mjs:1:2",
                "load",
            ),
            (
                "at Layer.handle [as run] (/a/b.js:9:5)",
                "/a/b.js:9:5",
                "Layer.handle",
            ),
            ("at new Cart (/a/b.js:9:5)", "/a/b.js:9:5", "Cart"),
            ("at JSON.parse (<anonymous>)", "<anonymous>", "JSON.parse"),
            ("\tat a.b.C.m(C.java:12)", "C.java:12", "a.b.C.m"),
            (
                "at java.base/java.lang.Thread.run(Thread.java:1)",
                "Thread.java:1",
                "java.lang.Thread.run",
            ),
            ("\ta.b.C.m(Native Method)", "", "a.b.C.m"),
            (
                "at A.B.C(String x) in /src/x.cs:line 12",
                "/src/x.cs",
                "A.B.C",
            ),
            ("at A.B.C(String x)", "", "A.B.C"),
            ("at ./src/main.rs:3:5", "./src/main.rs:3:5", ""),
            (
                "#0 /app/db.php(3): App\\Db->open('x')",
                "/app/db.php",
                "App\\Db->open",
            ),
            ("from app.rb:22:in `boom'", "app.rb:22", "boom"),
            (
                "app.rb:22:in 'Shop#boom': no (Oops)",
                "app.rb:22",
                "Shop#boom",
            ),
            (
                "(shop 0.1.0) lib/c.ex:12: Shop.load/1",
                "(shop 0.1.0) lib/c.ex:12",
                "Shop.load/1",
            ),
        ] {
            assert_eq!(parse(line), Some(Frame { file, function }), "{line}");
        }
    }

    #[test]
    fn prose_is_no_frame() {
        for line in [
            "at the end (see below)",
            "at noon",
            "at 12:30",
            "File not found",
            "#1 in the charts",
            "from here: in doubt",
            "(optional): x",
            "Done (in 3 s)",
            "",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn the_apps_frames_tell() {
        let mut frames = Frames::default();
        for line in [
            "at A (/app/node_modules/x.js:1:1)",
            "at mine (/app/x.js:15:48)",
            "at mine (/app/x.js:15:48)",
            "at B (node:internal/y.js:1:1)",
        ] {
            frames.push_caller(parse(line).unwrap());
        }
        assert_eq!(frames.telling().collect::<Vec<_>>(), ["x.js mine"]);
        let mut frames = Frames::default();
        for function in ["java.lang.Thread.run", "org.apache.X.y", "org.apache.X.z"] {
            frames.push_called(Frame { file: "", function });
        }
        let foreign = [
            " org.apache.X.z",
            " org.apache.X.y",
            " java.lang.Thread.run",
        ];
        assert_eq!(frames.telling().collect::<Vec<_>>(), foreign);
    }

    #[test]
    fn a_trace_is_read_until_it_is_told_from_others() {
        let mut frames = Frames::default();
        for number in 1..=KEPT + TELLING {
            let function = &"f".repeat(number);
            let file = if number % 2 == 0 {
                "/gems/x.rb"
            } else {
                "/srv/x.rb"
            };
            frames.push_caller(Frame { file, function });
            assert_eq!(frames.is_settled(), number >= 2 * TELLING - 1);
            assert_eq!(frames.is_full(), number >= KEPT);
        }
    }

    #[test]
    fn a_call_that_is_repeated_counts_once() {
        let mut frames = Frames::default();
        let long = "f".repeat(2 * NAME);
        for (file, function) in [
            ("/srv/x.js:1:1", "f"),
            ("/app/x.js:2", "f"),
            ("/app/node_modules/x.js:2", "f"),
            ("x.js", &long),
            ("x.js", &long[1..]),
        ] {
            frames.push_caller(Frame { file, function });
        }
        let names: Vec<_> = frames.kept.iter().map(|kept| kept.name.as_str()).collect();
        assert_eq!(
            names,
            ["x.js f", "x.js f", &format!("x.js {}", &long[..NAME - 5])]
        );
    }
}
