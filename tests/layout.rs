//! The layout holds: imports run one way, and no file grows into a giant.
//!
//! Every `crate::` path under `src/` is read, not only those in `use` lines, and every chain of `super` that climbs
//! to the crate's root. Comments and strings do not count. Tests beside the code are held to the same direction.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Modules that everyone may use.
const EVERYONES: [&str; 7] = [
    "maintenance",
    "bypass",
    "config",
    "http1",
    "request_id",
    "telemetry",
    "tls",
];

/// Lines of a file before its tests.
const MAX_LINES: usize = 500;

/// What a module may use, beside itself.
enum Uses {
    /// Whatever it needs: it wires the parts.
    All,
    /// What everyone may use, and these: a module, or one name in it.
    These(&'static [&'static str]),
    /// Nothing of ours.
    Nothing,
}

/// The direction of imports. `None` for a module that has no row yet.
fn direction(module: &str) -> Option<Uses> {
    Some(match module {
        "cli" | "gateway" | "lib" | "main" => Uses::All,
        "bypass" | "config" | "http1" | "maintenance" | "request_id" | "telemetry" | "server"
        | "upstream" | "incident" | "page" => Uses::These(&[]),
        "intercept" => Uses::These(&["upstream"]),
        "proxy" => Uses::These(&[
            "server::Incoming",
            "server::Peer",
            "server::Unreadable",
            "upstream",
            "intercept",
            "incident",
            "page",
        ]),
        "admin" => Uses::These(&["server", "upstream", "incident", "page"]),
        "demo" | "tls" => Uses::Nothing,
        _ => return None,
    })
}

/// Whether `module` may name `path`, which is written without its leading `crate::`.
fn allowed(module: &str, path: &str) -> bool {
    let within = |root: &str| path == root || path.starts_with(&format!("{root}::"));
    if within(module) {
        return true;
    }
    match direction(module) {
        Some(Uses::All) => true,
        Some(Uses::These(roots)) => EVERYONES.iter().chain(roots).any(|root| within(root)),
        Some(Uses::Nothing) | None => false,
    }
}

/// The paths in a file that its module may not name, each with its line.
fn violations(file: &str, source: &str) -> Vec<String> {
    let module = module_path(file);
    let top = module.first().map_or("lib", String::as_str);
    if direction(top).is_none() {
        return vec![format!("{file}: `{top}` has no row in tests/layout.rs")];
    }
    let mut reader = Reader::new(source, module.len());
    reader.read();
    let wrong = reader.paths.iter().filter(|(_, path)| !allowed(top, path));
    wrong
        .map(|(at, path)| format!("{file}:{}: uses crate::{path}", line(source, *at)))
        .collect()
}

/// The modules that lead to a file: `src/demo/act.rs` is `demo::act`; `src/lib.rs` and `src/main.rs` are `lib` and `main`.
fn module_path(file: &str) -> Vec<String> {
    let inner = file.trim_start_matches("src/").trim_end_matches(".rs");
    let parts = inner.split('/').filter(|part| *part != "mod");
    parts.map(str::to_owned).collect()
}

fn line(source: &str, at: usize) -> usize {
    1 + source
        .bytes()
        .take(at)
        .filter(|byte| *byte == b'\n')
        .count()
}

/// Reads a file's paths from its tokens.
struct Reader<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
    /// How many `super` lead from the file's module to the root.
    depth: usize,
    /// The open braces; true for those of a module.
    braces: Vec<bool>,
    paths: Vec<(usize, String)>,
}

impl<'a> Reader<'a> {
    fn new(source: &'a str, depth: usize) -> Self {
        Self {
            tokens: tokens(source),
            next: 0,
            depth,
            braces: Vec::new(),
            paths: Vec::new(),
        }
    }

    fn read(&mut self) {
        while let Some(text) = self.peek(0) {
            match text {
                "crate" if self.peek(1) == Some("::") => self.root(2),
                "super" => self.climb(),
                "{" => {
                    let module = self.next >= 2 && self.back(2) == Some("mod");
                    self.braces.push(module);
                    self.next += 1;
                }
                "}" => {
                    self.braces.pop();
                    self.next += 1;
                }
                _ => self.next += 1,
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<&'a str> {
        self.tokens.get(self.next + ahead).map(|token| token.text)
    }

    fn back(&self, behind: usize) -> Option<&'a str> {
        self.tokens.get(self.next - behind).map(|token| token.text)
    }

    /// A chain of `super`: of interest where it climbs to the root.
    fn climb(&mut self) {
        let mut supers = 0;
        while self.peek(2 * supers) == Some("super") && self.peek(2 * supers + 1) == Some("::") {
            supers += 1;
        }
        let inline = self.braces.iter().filter(|module| **module).count();
        if supers > 0 && supers >= self.depth + inline {
            self.root(2 * supers);
        } else {
            self.next += (2 * supers).max(1);
        }
    }

    /// A path that begins at the root, `skip` tokens ahead.
    fn root(&mut self, skip: usize) {
        let at = self.tokens.get(self.next).map_or(0, |token| token.at);
        self.next += skip;
        self.tree(at, "");
    }

    /// A path, or a tree of them as in `use`: `a::b`, `{a, b::{c, d}}`, `*`.
    fn tree(&mut self, at: usize, prefix: &str) {
        match self.peek(0) {
            Some("{") => {
                self.next += 1;
                self.branches(at, prefix);
            }
            Some(name) => {
                self.next += 1;
                let path = join(prefix, name);
                if self.peek(0) == Some("::") && self.peek(1).is_some_and(continues) {
                    self.next += 1;
                    self.tree(at, &path);
                } else {
                    self.paths.push((at, path));
                }
            }
            None => {}
        }
    }

    fn branches(&mut self, at: usize, prefix: &str) {
        while let Some(text) = self.peek(0) {
            match text {
                "}" => {
                    self.next += 1;
                    return;
                }
                "," => self.next += 1,
                "as" => self.next += 2,
                _ => self.tree(at, prefix),
            }
        }
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}::{name}")
    }
}

/// Whether a path goes on with this token, rather than with type arguments.
fn continues(token: &str) -> bool {
    token == "{" || token == "*" || token.starts_with(is_word)
}

/// A word, `::` or a single mark, and where it begins.
struct Token<'a> {
    text: &'a str,
    at: usize,
}

/// The tokens of a source text without comments, strings and characters.
fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (length, keep) = measure(rest, first);
        let (text, after) = rest.split_at(length);
        if keep {
            let at = source.len() - rest.len();
            found.push(Token { text, at });
        }
        rest = after;
    }
    found
}

/// The length of what stands at the beginning of `rest`, and whether it is a token.
fn measure(rest: &str, first: char) -> (usize, bool) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), false);
    }
    match first {
        '"' => (1 + string_end(rest, 1), false),
        '\'' => (character(rest), false),
        ':' if rest.starts_with("::") => (2, true),
        _ if is_word(first) => word(rest),
        _ => (first.len_utf8(), !first.is_whitespace()),
    }
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// A word, or the string that it is the prefix of.
fn word(rest: &str) -> (usize, bool) {
    let end = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    let hashes = after.len() - after.trim_start_matches('#').len();
    let quoted = after.trim_start_matches('#').starts_with('"');
    match name {
        "r" | "br" | "cr" if quoted => {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = end + hashes + 1;
            let body = rest.get(open..).unwrap_or_default();
            let length = body.find(&close).map_or(body.len(), |at| at + close.len());
            (open + length, false)
        }
        "b" | "c" if quoted && hashes == 0 => (end + 1 + string_end(rest, end + 1), false),
        _ => (end, true),
    }
}

/// Bytes up to and with the quote that ends a string which begins at `from`.
fn string_end(rest: &str, from: usize) -> usize {
    let body = rest.get(from..).unwrap_or_default();
    let mut escaped = false;
    for (at, char) in body.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    body.len()
}

/// A character, or the mark of a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    let second = chars.next().map(|(_, char)| char);
    let third = chars.next();
    match (second, third) {
        (Some('\\'), Some((at, escaped))) => {
            let from = at + escaped.len_utf8();
            let body = rest.get(from..).unwrap_or_default();
            from + body.find('\'').map_or(body.len(), |end| end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
        let step = tail.chars().next().map_or(1, char::len_utf8);
        if tail.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += step;
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Lines of a file before its tests.
fn lines_before_tests(source: &str) -> usize {
    let code = source
        .lines()
        .take_while(|line| line.trim() != "#[cfg(test)]");
    code.count()
}

/// Every Rust file under `src/`, by its path from the top folder, with its text.
fn sources() -> io::Result<Vec<(String, String)>> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![top.join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path: PathBuf = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(top).unwrap_or(&path);
                let name = name.to_string_lossy().replace('\\', "/");
                found.push((name, fs::read_to_string(&path)?));
            }
        }
    }
    Ok(found)
}

#[test]
fn imports_run_one_way() -> io::Result<()> {
    let sources = sources()?;
    let found: Vec<_> = sources
        .iter()
        .flat_map(|(file, source)| violations(file, source))
        .collect();

    assert!(sources.len() > 10, "the sources were not found");
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    Ok(())
}

#[test]
fn no_file_is_a_giant() -> io::Result<()> {
    let giants: Vec<_> = sources()?
        .into_iter()
        .map(|(file, source)| (file, lines_before_tests(&source)))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .collect();

    assert!(giants.is_empty(), "{giants:?}");
    Ok(())
}

/// A file, what stands in it, and the path in it that goes against the direction.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "src/page/mod.rs",
        "use crate::proxy::Exchange;",
        "proxy::Exchange",
    ),
    (
        "src/page/mod.rs",
        "fn a() { crate::incident::b() }",
        "incident::b",
    ),
    (
        "src/page/render.rs",
        "use crate::{config, server::Peer};",
        "server::Peer",
    ),
    (
        "src/page/render.rs",
        "use crate::{\n    config::{A, B},\n    admin::{C},\n};",
        "admin::C",
    ),
    (
        "src/intercept/judge.rs",
        "type A = Vec<crate::page::Page>;",
        "page::Page",
    ),
    ("src/proxy/mod.rs", "use crate::server;", "server"),
    (
        "src/proxy/mod.rs",
        "use crate::server::{self, Peer};",
        "server::self",
    ),
    ("src/proxy/mod.rs", "use crate::server::*;", "server::*"),
    ("src/proxy/mod.rs", "use crate::*;", "*"),
    (
        "src/demo/act.rs",
        "use crate::config::Config;",
        "config::Config",
    ),
    ("src/demo/act.rs", "use super::super::page;", "page"),
    ("src/request_id.rs", "use super::page::A;", "page::A"),
    (
        "src/server/mod.rs",
        "mod tests { use super::super::proxy; }",
        "proxy",
    ),
    (
        "src/server/mod.rs",
        "macro_rules! a { () => { $crate::cli::b() } }",
        "cli::b",
    ),
    (
        "src/server/mod.rs",
        "let a = '\"'; crate::cli::b();",
        "cli::b",
    ),
    (
        "src/server/mod.rs",
        "let a: &'a str = r#\"\"\"#; crate::cli::b();",
        "cli::b",
    ),
    (
        "src/server/mod.rs",
        "/* /* */ */ crate::cli::b::<C>();",
        "cli::b",
    ),
];

#[test]
fn a_path_against_the_direction_is_found() {
    for (file, source, wrong) in WRONG {
        let found = violations(file, source);
        let named = found
            .iter()
            .all(|line| line.ends_with(&format!("uses crate::{wrong}")));
        assert!(found.len() == 1 && named, "{file}: {source}: {found:?}");
    }
}

#[test]
fn a_path_along_the_direction_is_not() {
    for (file, source) in [
        (
            "src/page/mod.rs",
            "use crate::config::Pages; use crate::page::render;",
        ),
        (
            "src/page/mod.rs",
            "use crate::{config, request_id::RequestId, telemetry};",
        ),
        (
            "src/intercept/judge.rs",
            "use crate::upstream::UpstreamError as Error;",
        ),
        (
            "src/proxy/mod.rs",
            "use crate::server::Peer; fn a() { crate::server::Peer::new() }",
        ),
        (
            "src/admin/mod.rs",
            "use crate::{incident::Store, server::{Peer as P, Server}};",
        ),
        (
            "src/cli/run.rs",
            "use crate::demo::App; use super::super::proxy;",
        ),
        ("src/main.rs", "use crate::anything;"),
        (
            "src/demo/act.rs",
            "use super::answer; mod tests { use super::super::answer; }",
        ),
        (
            "src/page/mod.rs",
            "// crate::proxy\n/* crate::proxy */ /// crate::proxy\n",
        ),
        (
            "src/page/mod.rs",
            "let a = \"\\\"crate::proxy\"; let b = r\"crate::proxy\";",
        ),
        (
            "src/page/mod.rs",
            "let a = br##\"\"# crate::proxy\"##; let b = b\"crate::proxy\"; let c = '\\'';",
        ),
        (
            "src/page/mod.rs",
            "pub(crate) fn a() {} pub(in crate::page) fn b() {}",
        ),
    ] {
        assert_eq!(violations(file, source), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn a_finding_names_its_line() {
    let found = violations("src/page/mod.rs", "//! Doc.\n\nuse crate::cli;\n");

    assert_eq!(found, ["src/page/mod.rs:3: uses crate::cli"]);
}

#[test]
fn a_module_without_a_row_is_found() {
    assert_eq!(violations("src/helpers.rs", "").len(), 1);
}

#[test]
fn lines_of_tests_do_not_count() {
    let source = "a\nb\n\n#[cfg(test)]\nmod tests {}\n";

    assert_eq!(lines_before_tests(source), 3);
    assert_eq!(lines_before_tests(&"a\n".repeat(600)), 600);
}
