//! The loader as a whole: what mistakes look like, what is laid over what, and that the example file is true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::load::parse_in;
use super::*;

const EXAMPLE: &str = include_str!("../../config.example.toml");

/// A file that has what every file must have.
const APP: &str = "[upstreams.app]\nendpoints = [\"http://127.0.0.1:3000\"]\n";

fn read(text: &str) -> Result<Loaded, Report> {
    let environment = |name: &str| (name == "PORT").then(|| "3000".to_owned());
    parse_in(text, "pardon.toml", Path::new("/nowhere"), &environment)
}

fn loaded(text: &str) -> Config {
    read(text)
        .unwrap_or_else(|report| panic!("{report}"))
        .config
}

fn report(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[track_caller]
fn assert_report(text: &str, expected: &str) {
    let found = report(text);
    assert!(
        found == expected.trim_matches('\n'),
        "found:\n{found}\nexpected:{expected}"
    );
}

#[test]
fn a_syntax_error() {
    assert_report(
        &format!("{APP}[server]\ndrain = 5 sec\n"),
        "
error: a text without quotes
 --> pardon.toml:4:9
  |
4 | drain = 5 sec
  |         ^^^^^ write \"5 sec\"
",
    );
}

#[test]
fn an_unknown_key_with_the_nearest_known_one() {
    assert_report(
        &format!("{APP}timout = \"2s\"\n"),
        "
error: unknown key `timout`
 --> pardon.toml:3:1
  |
3 | timout = \"2s\"
  | ^^^^^^ did you mean `timeouts`?
",
    );
}

#[test]
fn an_unknown_key_that_is_like_none() {
    assert_report(
        &format!("{APP}[bypass]\nopen_sesame = true\n"),
        "
error: unknown key `open_sesame`
 --> pardon.toml:4:1
  |
4 | open_sesame = true
  | ^^^^^^^^^^^ known here: `key_file`
",
    );
}

#[test]
fn a_wrong_type() {
    assert_report(
        &format!("{APP}[server]\nworkers = \"four\"\n"),
        "
error: wrong type for `workers`
 --> pardon.toml:4:11
  |
4 | workers = \"four\"
  |           ^^^^^^ expected a whole number, 0 or more, found the text \"four\"
",
    );
}

#[test]
fn a_bad_duration() {
    assert_report(
        &format!("{APP}timeouts.head = \"5 sec\"\n"),
        "
error: bad value for `head`
 --> pardon.toml:3:17
  |
3 | timeouts.head = \"5 sec\"
  |                 ^^^^^^^ `5 sec` is not a duration: write \"250ms\", \"2s\", \"5m\", \"1h\" or \"30d\"
",
    );
}

#[test]
fn a_bad_status_under_its_own_element() {
    assert_report(
        &format!("{APP}[intercept]\nstatuses = [\"5xx\", \"200\"]\n"),
        "
error: bad value for `statuses`
 --> pardon.toml:4:20
  |
4 | statuses = [\"5xx\", \"200\"]
  |                    ^^^^^ `200` is outside 400 to 599: other answers are not failures
",
    );
}

#[test]
fn a_wrong_key_in_two_sections_has_two_carets() {
    assert_report(
        &format!("{APP}[server]\ncolour = 1\n[brand]\ncolour = 1\n"),
        "
error: unknown key `colour`
 --> pardon.toml:4:1
  |
4 | colour = 1
  | ^^^^^^ known here: `listen`, `workers`, `trusted_proxies`, `proxy_protocol`, `drain`, `shutdown_delay`, \
`max_connections`, `via`, `request_id`, `timeouts`, `limits`, `tls`

error: unknown key `colour`
 --> pardon.toml:6:1
  |
6 | colour = 1
  | ^^^^^^ did you mean `color`?
",
    );
}

#[test]
fn an_unknown_upstream() {
    assert_report(
        &format!("{APP}[[routes]]\nupstream = \"ap\"\n"),
        "
error: unknown upstream `ap`
 --> pardon.toml:4:12
  |
4 | upstream = \"ap\"
  |            ^^^^ did you mean `app`?
",
    );
}

#[test]
fn a_variable_that_is_not_set() {
    assert_report(
        "[upstreams.app]\nendpoints = [\"http://${HOST}:${PORT}\"]\n",
        "
error: the variable `HOST` is not set
 --> pardon.toml:2:22
  |
2 | endpoints = [\"http://${HOST}:${PORT}\"]
  |                      ^^^^^^^ set it, or give a default: `${HOST:-...}`
",
    );
}

#[test]
fn a_wrong_key_in_two_routes_has_two_carets_and_an_inherited_one_has_one() {
    let text = format!(
        "{APP}[intercept]\nonly = \"none\"\nkeep_headers = [\"*\"]\n[[routes]]\npath = \"/a\"\nname = \"a\"\nintercept.foo = 1\n\
         [[routes]]\nintercept.foo = 1\n"
    );
    let found = report(&text);
    let places: Vec<_> = found
        .lines()
        .filter(|line| line.contains("-->"))
        .map(str::trim)
        .collect();
    let expected = ["4:8", "5:17", "9:11", "11:11"].map(|place| format!("--> pardon.toml:{place}"));
    assert_eq!(places, expected, "{found}");
}

#[test]
fn a_bad_endpoint() {
    assert_report(
        "[upstreams.app]\nendpoints = [{ url = \"127.0.0.1:3000\", weight = 2 }]\n",
        "
error: bad value for `url`
 --> pardon.toml:2:22
  |
2 | endpoints = [{ url = \"127.0.0.1:3000\", weight = 2 }]
  |                      ^^^^^^^^^^^^^^^^ `127.0.0.1:3000` has no scheme; did you mean \"http://127.0.0.1:3000\"?
",
    );
}

#[test]
fn a_list_is_no_section() {
    assert_report(
        "[upstreams]\nendpoints = [\"http://app\"]\n[server.tls]\ncertificates = [[\"a\", \"b\"]]\n[[brand]]\nname = \"x\"\n",
        "
error: wrong type for `endpoints`
 --> pardon.toml:2:13
  |
2 | endpoints = [\"http://app\"]
  |             ^^^^^^^^^^^^^^ expected a table with a name, such as [upstreams.app], found a list

error: wrong type for `certificates`
 --> pardon.toml:4:17
  |
4 | certificates = [[\"a\", \"b\"]]
  |                 ^^^^^^^^^^ expected a table, found a list

error: wrong type for `brand`
 --> pardon.toml:5:1
  |
5 | [[brand]]
  | ^^^^^^^^^ expected a table, found a list
",
    );
}

#[test]
fn a_second_look_is_asked_for_once() {
    let text =
        "[intercept.capture]\nhold = \"9s\"\n[[routes]]\npath = \"/a\"\nname = \"a\"\n[[routes]]\n";
    let warnings = read(&format!("{APP}{text}")).unwrap().warnings;
    let messages: Vec<_> = warnings.iter().map(Warning::message).collect();
    let expected = "`hold` is longer than `deadline`: reading ends after 5s, and the page goes out then (pardon.toml:4)";
    assert_eq!(messages, [expected]);
}

#[test]
fn what_is_missing_has_no_place() {
    assert_report(
        "",
        "
error: no upstream
--> pardon.toml
 = help: say where the app listens:
         [upstreams.app]
         endpoints = [\"http://127.0.0.1:3000\"]
",
    );
}

#[test]
fn errors_beside_a_syntax_error_are_told_where_the_text_can_be_trusted() {
    let local = report(&format!(
        "{APP}[server]\ndrain =\nvia = true\nvia = true\n[brnad]\n"
    ));
    for part in ["a value is missing", "duplicate key", "unknown key `brnad`"] {
        assert!(local.contains(part), "{local}");
    }
    let lost = report(&format!(
        "[brnad]\n{APP}[server]\nlisten = [\"0.0.0.0:80\"\ndrain = 5\n[logg]\n"
    ));
    assert!(lost.contains("unknown key `brnad`"), "{lost}");
    assert_eq!(lost.matches("error:").count(), 2, "{lost}");
}

/// Text after the app's section, and what the report says of it: one title, one place.
const CROSS_CHECKS: &[(&str, &str, &str)] = &[
    ("[server]\nworkers = 0\n", "4:11", "must be from 1 to 256"),
    (
        "[server]\nmax_connections = 0\n",
        "4:19",
        "must be at least 1",
    ),
    ("[server]\nlisten = []\n", "4:10", "at least one address"),
    (
        "[server]\nlisten = [\"tls://0.0.0.0:443\"]\n",
        "4:11",
        "`tls://` listeners are not supported yet",
    ),
    (
        "[server]\nlisten = [\"unix:/run/p.sock\"]\n",
        "4:11",
        "`unix:` listeners are not supported yet",
    ),
    (
        "[server]\nlisten = [\"0.0.0.0:80\", \"127.0.0.1:80\"]\n",
        "4:25",
        "is listened on twice",
    ),
    (
        "[server]\nproxy_protocol = true\n",
        "4:18",
        "`proxy_protocol` without `trusted_proxies`",
    ),
    (
        "[server.tls]\nmin_version = \"1.1\"\n",
        "4:15",
        "it may be \"1.2\" or \"1.3\"",
    ),
    (
        "[server.tls]\ncertificates = [{ chain = \"/nope\", key = \"/dev/null\" }]\n",
        "4:27",
        "cannot read `/nope`",
    ),
    (
        "[server.timeouts]\nhead = \"0s\"\n",
        "4:8",
        "must be longer than 0s",
    ),
    (
        "[admin]\nlisten = [\"127.0.0.1:8080\"]\n",
        "4:11",
        "is an address of `server.listen` too",
    ),
    (
        "[admin]\nlisten = [\"0.0.0.0:9180\"]\n",
        "4:11",
        "asks for no token",
    ),
    (
        "[admin]\ntoken_file = \"nope\"\n",
        "4:14",
        "there is no `/nowhere/nope`",
    ),
    ("[log]\nlevel = \"inf\"\n", "4:9", "did you mean `info`?"),
    ("[log]\naccess = true\n", "4:10", "say which form"),
    (
        "[upstreams.b]\n[[routes]]\nupstream = \"app\"\n",
        "3:12",
        "upstream `b` has no endpoint",
    ),
    (
        "[upstreams.\"a b\"]\nendpoints = [\"http://b\"]\n[[routes]]\nupstream = \"app\"\n",
        "3:12",
        "cannot be the name of an upstream",
    ),
    ("retry.attempts = 0\n", "3:18", "must be at least 1"),
    ("retry.budget = 1.5\n", "3:16", "between 0.0 and 1.0"),
    ("max_connections = 0\n", "3:19", "must be at least 1"),
    ("tls.ca = \"nope.pem\"\n", "3:10", "cannot read `nope.pem`"),
    (
        "tls.certificate = \"/dev/null\"\n",
        "3:19",
        "`certificate` without `key`",
    ),
    ("health.path = \"up\"\n", "3:15", "begins with `/`"),
    ("[[routes]]\nhost = \"http://a\"\n", "4:8", "a host alone"),
    ("[[routes]]\npath = \"shop\"\n", "4:8", "begins with `/`"),
    (
        "[[routes]]\n[[routes]]\nname = \"b\"\npath = \"/b\"\n",
        "4:1",
        "route `b` is never reached",
    ),
    (
        "[[routes]]\npath = \"/b\"\n[[routes]]\n",
        "5:1",
        "a second route named `app`",
    ),
    (
        "[[routes]]\ntimeouts.head = \"0s\"\n",
        "4:17",
        "must be longer than 0s",
    ),
    (
        "[intercept]\nkeep_headers = [\"vary\", \"a*b\"]\n",
        "4:25",
        "only at the end",
    ),
    (
        "[intercept]\nreference_pattern = \"(a\"\n",
        "4:21",
        "unclosed group",
    ),
    (
        "[intercept]\nreference_pattern = \"a\"\n",
        "4:21",
        "exactly one group",
    ),
    (
        "[intercept.redact]\npatterns = [\"a\", \"[\"]\n",
        "4:18",
        "unclosed character class",
    ),
    (
        "[intercept.disguise]\nsample = -1\n",
        "4:10",
        "between 0.0 and 1.0",
    ),
    (
        "[intercept.disguise]\nstatus = 200\n",
        "4:10",
        "from 400 to 599",
    ),
    (
        "[brand]\nlogo = \"nope.svg\"\n",
        "4:8",
        "cannot read `nope.svg`",
    ),
    (
        "[brand]\nlogo = \"/dev/null\"\n",
        "4:8",
        "`/dev/null` is not an image",
    ),
    (
        "[brand]\nsupport_url = \"/help?{id}\"\n",
        "4:15",
        "`{id}` is not filled in",
    ),
    (
        "[brand]\nstatus_url = \"example.com\"\n",
        "4:14",
        "is not an http(s) or mailto URL",
    ),
    (
        "[brand]\nsupport_email = \"nobody\"\n",
        "4:17",
        "is not an e-mail address",
    ),
    ("[brand]\ncolor = \"blue\"\n", "4:9", "is not a colour"),
    ("[pages]\nfolder = \"nope\"\n", "4:10", "cannot read `nope`"),
    (
        "[pages]\nlanguages = [\"en\", \"x\"]\n",
        "4:20",
        "is not a language tag",
    ),
    (
        "[pages]\ntheme = \"dark\"\n",
        "4:9",
        "`plain` is the only theme",
    ),
    (
        "[maintenance]\nuntil = \"tomorrow\"\n",
        "4:9",
        "is not a time",
    ),
    (
        "[bypass]\nkey_file = \"nope\"\n",
        "4:12",
        "cannot read `nope`",
    ),
];

#[test]
fn cross_checks() {
    for (text, place, part) in CROSS_CHECKS {
        let found = report(&format!("{APP}{text}"));
        assert!(
            found.contains(&format!("pardon.toml:{place}\n")),
            "{text}\n{found}"
        );
        assert!(found.contains(part), "{text}\n{found}");
        assert_eq!(found.matches("error:").count(), 1, "{text}\n{found}");
    }
}

#[test]
fn several_upstreams_need_routes_that_name_them() {
    let two = format!("{APP}[upstreams.b]\nendpoints = [\"http://b\"]\n");
    assert!(report(&two).contains("several upstreams and no routes"));
    let unnamed = report(&format!("{two}[[routes]]\n"));
    assert!(unnamed.contains("a route without an upstream"), "{unnamed}");
    let wrong = report(&format!("{two}[[routes]]\nupstream = 5\n"));
    assert_eq!(wrong.matches("error:").count(), 1, "{wrong}");
    let several = report("[upstreams.app]\nendpoints = [\"http://a\", \"http://b\"]\n");
    assert!(several.contains("pardon.toml:2:26\n"), "{several}");
    assert!(several.contains("several endpoints per upstream are not supported yet"));
}

#[test]
fn one_upstream_without_routes_gets_all_requests() {
    let config = loaded(&format!(
        "{APP}timeouts.head = \"3s\"\n[brand]\nname = \"Shop\"\n"
    ));
    let [route] = config.routes.as_slice() else {
        panic!("one route")
    };
    assert_eq!(
        (route.name.as_str(), route.upstream.as_str()),
        ("app", "app")
    );
    assert_eq!((route.host.as_str(), route.path.as_str()), ("", "/"));
    assert_eq!(route.timeouts.head, units::Period::seconds(3));
    assert_eq!(route.brand.name.as_deref(), Some("Shop"));
}

#[test]
fn a_route_overrides_key_by_key() {
    let config = loaded(&format!(
        "{APP}timeouts.head = \"3s\"\ntimeouts.body = \"4s\"\n[intercept]\nstatuses = [\"500\"]\nonly = \"leaking\"\n\
         [intercept.capture]\nhold = \"1s\"\n\
         [[routes]]\nhost = \"Shop.Example.com\"\nname = \"shop\"\ntimeouts.head = \"9s\"\n[routes.intercept]\n\
         statuses = [\"4xx\"]\ncapture.max_body = \"1B\"\n[[routes]]\n"
    ));
    let [shop, rest] = config.routes.as_slice() else {
        panic!("two routes")
    };
    assert_eq!(shop.host, "shop.example.com");
    assert_eq!(shop.timeouts.head, units::Period::seconds(9));
    assert_eq!(shop.timeouts.body, units::Period::seconds(4));
    assert!(shop.intercept.statuses.contains(404) && !shop.intercept.statuses.contains(500));
    assert_eq!(shop.intercept.only, Only::Leaking);
    assert_eq!(shop.intercept.capture.hold, units::Period::seconds(1));
    assert_eq!(shop.intercept.capture.max_body, units::Size(1));
    assert_eq!(rest.intercept, config.intercept);
    assert_eq!(rest.timeouts.head, units::Period::seconds(3));
}

#[test]
fn variables_stand_in_values_only() {
    let text = "[upstreams.app]\nendpoints = [\"http://${HOST:-app}:${PORT}\"] # ${NOPE}\n";
    let config = loaded(text);
    let endpoints: Vec<_> = config
        .upstreams
        .values()
        .flat_map(|app| &app.endpoints)
        .collect();
    assert_eq!(endpoints, [&"http://app:3000".parse().unwrap()]);
}

#[test]
fn flags_alone_are_enough() {
    let config = for_upstream("http://localhost:3000", Some("127.0.0.1:0"))
        .unwrap()
        .config;
    assert_eq!(config.routes.len(), 1);
    assert_eq!(config.server.listen, ["127.0.0.1:0".parse().unwrap()]);
    let wrong = for_upstream("localhost", Some("x")).unwrap_err();
    assert_eq!(wrong.count(), 2);
    assert!(for_upstream("unix:/x", None).is_err());
}

#[test]
fn the_search_says_where_it_looked() {
    assert_eq!(
        find(Some(Path::new("x.toml"))).unwrap(),
        PathBuf::from("x.toml")
    );
    let text = load(Path::new("/nowhere/pardon.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with("error: cannot read `/nowhere/pardon.toml`"),
        "{text}"
    );
}

#[test]
fn a_logo_is_a_small_image() {
    let folder = std::env::temp_dir().join(format!("pardon-logo-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let text = format!("{APP}[brand]\nlogo = \"logo.svg\"\n");
    let read_with = |logo: &str| {
        fs::write(folder.join("logo.svg"), logo).unwrap();
        parse(&text, "pardon.toml", &folder)
            .map(|_| ())
            .map_err(|report| report.to_string())
    };
    let small = read_with("<svg/>");
    let large = read_with(&format!("<svg>{}</svg>", " ".repeat(8192)));
    let other = read_with("hello");
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(small, Ok(()));
    assert!(large.unwrap_err().contains("`logo.svg` is too large"));
    assert!(other.unwrap_err().contains("`logo.svg` is not an image"));
}

#[test]
fn color_only_when_asked() {
    let report = read("[server]\ntimout = 1\n").unwrap_err();
    assert!(!report.render(false).contains('\x1b'));
    assert!(report.render(true).contains('\x1b'));
}

/// The example with its commented keys uncommented. Prose never looks like a key: it has no ` = ` after one word.
fn uncommented() -> String {
    let key = |line: &str| {
        let (name, _) = line.split_once(" = ").unwrap_or_default();
        let word = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        word || line.starts_with('[')
    };
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix("# ") {
        Some(inside) if key(inside) => inside,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The files that the example's commented keys name.
fn folder_of_the_example() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("pardon-example-{}", std::process::id()));
    fs::create_dir_all(folder.join("templates")).unwrap();
    for name in [
        "site.pem",
        "site.key",
        "authority.pem",
        "client.pem",
        "client.key",
        "bypass.key",
        "admin.token",
    ] {
        fs::write(folder.join(name), "x").unwrap();
    }
    fs::write(folder.join("logo.svg"), "<svg/>").unwrap();
    folder
}

#[test]
fn the_example_loads_with_one_warning() {
    let example = read(EXAMPLE).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(example.warnings.len(), 1, "{:?}", example.warnings);
    let message = example.warnings[0].message();
    assert!(message.contains("[incidents] path (line "), "{message}");
}

#[test]
fn the_example_loads_uncommented() {
    let folder = folder_of_the_example();
    let loaded = parse(&uncommented(), "config.example.toml", &folder);
    fs::remove_dir_all(&folder).unwrap();
    let config = loaded.unwrap_or_else(|report| panic!("{report}")).config;
    assert_eq!(config.routes[0].brand.name.as_deref(), Some("Example Shop"));
}

#[test]
fn the_example_has_every_key_and_states_true_defaults() {
    let schema = schema();
    let stated: Value = toml::from_str(EXAMPLE).unwrap();
    let whole: Value = toml::from_str(&uncommented()).unwrap();
    let mut keys = BTreeSet::new();
    visit(
        &schema,
        &schema,
        &whole,
        "",
        &mut |key, definition, value| {
            assert!(
                value.is_some() || key.starts_with("routes."),
                "the example lacks `{key}`"
            );
            assert!(
                definition.get("description").is_some(),
                "`{key}` has no description"
            );
            keys.insert(key.to_owned());
        },
    );
    assert!(keys.len() > 100, "{}", keys.len());
    visit(
        &schema,
        &schema,
        &stated,
        "",
        &mut |key, definition, value| {
            if let (Some(value), Some(default)) = (value, definition.get("default")) {
                assert_eq!(value, default, "`{key}`");
            }
        },
    );
}

/// Calls `found` for each key of the schema, with its value in the file. Sections by name and lists of them stand for their one example.
fn visit(
    schema: &Value,
    table: &Value,
    file: &Value,
    above: &str,
    found: &mut dyn FnMut(&str, &Value, Option<&Value>),
) {
    let resolve = |value: &Value| -> Value {
        let name = value.get("$ref").and_then(Value::as_str);
        name.map_or(value.clone(), |name| {
            schema.pointer(&name[1..]).unwrap().clone()
        })
    };
    for (key, definition) in table["properties"].as_object().unwrap() {
        let path = if above.is_empty() {
            key.clone()
        } else {
            format!("{above}.{key}")
        };
        let (inner, value) = match (
            definition.get("items"),
            definition.get("additionalProperties"),
        ) {
            (Some(items), _) if key == "routes" => {
                (resolve(items), file.get(key).map(|list| &list[0]))
            }
            (_, Some(named)) => (resolve(named), file.get(key).map(|named| &named["app"])),
            _ => (resolve(definition), file.get(key)),
        };
        if inner.get("properties").is_some() {
            visit(schema, &inner, value.unwrap_or(&Value::Null), &path, found);
        } else {
            found(&path, definition, value);
        }
    }
}

/// Cuts, doubles and swaps pieces of the example: whatever comes out, the loader answers.
#[test]
fn no_text_makes_the_loader_panic() {
    let whole = uncommented();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let pieces = [
        "\"", "[", "]", "=", "{", "}", "\n", "é", "\r\n", "${", "$${", "\t", "'''", "0", ".", "#",
        "\u{feff}", "\0",
    ];
    let lines: Vec<&str> = whole
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    for _ in 0..500 {
        let start = random(lines.len());
        let end = lines.len().min(start + 1 + random(40));
        let mut text = lines[start..end].join("\n");
        for _ in 0..=random(4) {
            let at = text.floor_char_boundary(random(text.len() + 1));
            let until = text.floor_char_boundary((at + random(6)).min(text.len()));
            text.replace_range(at..until.max(at), pieces[random(pieces.len())]);
        }
        match read(&text) {
            Ok(loaded) => loaded
                .warnings
                .iter()
                .for_each(|warning| drop(warning.to_string())),
            Err(report) => assert!(!report.to_string().is_empty()),
        }
    }
}
