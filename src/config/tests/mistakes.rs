//! What mistakes look like to the person who made them.

use super::super::Warning;
use super::{APP, read, report};

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
`max_connections`, `via`, `traceparent`, `request_id`, `timeouts`, `limits`, `tls`

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

#[test]
fn cross_checks_stand_beside_a_syntax_error_and_say_nothing_that_follows_from_it() {
    let text = format!(
        "{APP}[server]\ndrain = 5 sec\n\
         [[routes]]\nname = \"a\"\npath = /a\n[[routes]]\nname = \"b\"\npath = \"/b\"\nupstream = \"ap\"\n"
    );
    let found = report(&text);
    assert!(found.contains("unknown upstream `ap`"), "{found}");
    // Route `a` would match everything, were its path taken for missing.
    assert!(!found.contains("never reached"), "{found}");
    assert_eq!(found.matches("error:").count(), 3, "{found}");
}

#[test]
fn what_is_right_can_be_read_beside_what_is_wrong() {
    let found = read(&format!(
        "{APP}[brand]\nname = \"Shop\"\nlogo = \"missing.svg\"\ncolor = 5\n[pages]\nfolder = oh no\n"
    ));
    let report = found.unwrap_err();
    let config = report.readable().unwrap();
    assert_eq!(report.count(), 3, "{report}");
    assert_eq!(config.brand.name.as_deref(), Some("Shop"));
    assert_eq!(config.upstreams.len(), 1);
    let wrong = (
        &config.brand.logo,
        &config.brand.color,
        &config.pages.folder,
    );
    assert_eq!(wrong, (&None, &None, &None));
}
