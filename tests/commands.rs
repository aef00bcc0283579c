//! The commands, as a person or a script meets them: what they print, and the code they exit with.

use std::collections::BTreeSet;
use std::net::TcpListener;

use serde_json::Value;

use crate::support::{Folder, Origin, Program, Said, said};

const APP: &str = "[upstreams.app]\nendpoints = [\"http://127.0.0.1:3000\"]\n";

/// A file with one mistake of each kind.
const MISTAKES: &str = r#"[server]
drian = "8s"
workers = "four"
via = yes please

[upstreams.app]
endpoints = ["http://127.0.0.1:3000"]
timeouts.head = "5 sec"

[[routes]]
upstream = "ap"

[brand]
logo = "logo.svg"

[pages]
folder = "templates"

[log]
levle = "info"
"#;

#[track_caller]
fn assert_same(found: &str, expected: &str) {
    assert!(
        found.trim() == expected.trim(),
        "found:\n{found}\nexpected:\n{expected}"
    );
}

#[test]
fn run_needs_no_file() {
    let origin = Origin::saying(200, "", "from the app");
    let folder = Folder::new();
    let mut command = folder.command(&["run", "--upstream", &origin.url()]);
    command.args(["--listen", "127.0.0.1:0"]);
    let program = Program::run(folder, &mut command);
    assert_eq!(program.get("/", "").text(), "from the app");
}

#[test]
fn two_sidecars_run_on_one_machine() {
    let origin = Origin::saying(200, "", "from the app");
    let start = || {
        let folder = Folder::new();
        let mut command = folder.command(&["run", "--upstream", &origin.url()]);
        command.args(["--listen", "127.0.0.1:0"]);
        Program::run(folder, &mut command)
    };
    let pair = [start(), start()];
    let answers = pair.each_ref().map(|program| program.get("/", ""));
    assert!(answers.iter().all(|answer| answer.text() == "from the app"));
    // Only one of them can have the operator's port, which neither was told to take.
    let warned = |program: &Program| {
        let lines = program.lines().join("\n");
        lines.contains("cannot listen on 127.0.0.1:9180: another process listens there")
    };
    assert!(pair.iter().any(warned));
}

#[test]
fn run_takes_its_flags_from_the_environment() {
    let origin = Origin::saying(200, "", "from the app");
    let folder = Folder::new();
    let mut command = folder.command(&["run"]);
    command.env("PARDON_UPSTREAM", origin.url());
    command.env("PARDON_LISTEN", "127.0.0.1:0");
    let program = Program::run(folder, &mut command);
    assert_eq!(program.get("/", "").text(), "from the app");
}

#[test]
fn a_file_named_in_the_environment_is_read_and_flags_count_instead_of_it() {
    let origin = Origin::saying(500, "", "boom");
    let folder = Folder::new();
    folder.write(
        "own.toml",
        format!("{APP}[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = []\n[brand]\nname = \"Corner Shop\"\n"),
    );
    let mut command = folder.command(&["run", "--upstream", &origin.url()]);
    command.env("PARDON_CONFIG", "own.toml");
    let program = Program::run(folder, &mut command);
    let answer = program.get("/", "Accept: text/html\r\n");
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("Corner Shop"));
}

#[test]
fn a_file_in_the_working_folder_needs_no_name() {
    let origin = Origin::saying(200, "", "from the app");
    let folder = Folder::new();
    let app = APP.replace("http://127.0.0.1:3000", &origin.url());
    folder.write(
        "pardon.toml",
        format!("{app}[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = []\n"),
    );
    let mut command = folder.command(&["run"]);
    let program = Program::run(folder, &mut command);
    assert_eq!(program.get("/", "").text(), "from the app");
}

#[test]
fn a_taken_port_is_said_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::new();
    let upstream = ["run", "--upstream", "http://127.0.0.1:3000", "--listen"];
    let said = folder.pardon(&[&upstream[..], &[&address]].concat());
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    let expected = format!(
        "error: cannot listen on {address}: another process listens there (Address already in use (os error 98))"
    );
    assert_same(&said.err, &expected);
}

#[test]
fn a_bad_configuration_keeps_it_from_running_and_is_shown_with_carets() {
    let folder = Folder::new();
    folder.write("pardon.toml", format!("{APP}timout = \"2s\"\n"));
    let said = folder.pardon(&["run"]);
    assert_eq!(said.code, Some(1));
    assert_same(
        &said.err,
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
fn a_bad_template_keeps_it_from_running_and_is_shown_with_a_caret() {
    let folder = Folder::new();
    folder.write("pardon.toml", format!("{APP}[pages]\nfolder = \"own\"\n"));
    folder.write("own/error.txt.tera", "Sorry.\n{% if %}\n");
    let said = folder.pardon(&["run", "--listen", "127.0.0.1:0"]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err.contains(" --> own/error.txt.tera:2:7\n"),
        "{}",
        said.err
    );
    assert!(
        said.err.contains("\n2 | {% if %}\n  |       ^"),
        "{}",
        said.err
    );
}

#[test]
fn bad_flags_are_named() {
    let folder = Folder::new();
    let said = folder.pardon(&["run", "--upstream", "localhost:3000", "--listen", "8080"]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err.contains("bad value for `--upstream`"),
        "{}",
        said.err
    );
    assert!(
        said.err.contains("did you mean \"http://localhost:3000\"?"),
        "{}",
        said.err
    );
    assert!(
        said.err.contains("bad value for `--listen`"),
        "{}",
        said.err
    );
}

#[test]
fn wrong_usage_exits_with_2() {
    let folder = Folder::new();
    for wrong in [
        &[][..],
        &["rnu"],
        &["run", "--upstraem", "http://127.0.0.1:3000"],
        &["explain"],
        &["render", "--status", "200"],
        &["render", "--status", "502", "--format", "pdf"],
        &["completions", "perl"],
        &["demo", "--listen", "here"],
        &["show"],
        &["show", "0S9Y", "--json", "--body"],
        &["incidents", "--group", "--follow"],
        &["incidents", "--since", "yesterday"],
        &["incidents", "--status", "200"],
        &["incidents", "--cause", "refusd"],
        &["incidents", "--limit", "-1"],
    ] {
        let Said { code, out, err } = folder.pardon(wrong);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{wrong:?}");
        assert!(!err.is_empty(), "{wrong:?}");
    }
}

#[test]
fn what_is_not_there_exits_with_1_and_says_so() {
    let folder = Folder::new();
    for (asked, says) in [
        (&["run"][..], "no configuration found"),
        (&["check"], "pardon run --upstream"),
        (&["check", "--config", "no.toml"], "there is no such file"),
        (&["run", "--config", "."], "it is a folder"),
        (&["explain", "no.http"], "cannot read `no.http`"),
        (&["health", "--config", "no.toml"], "cannot read `no.toml`"),
        (&["show", "0S9Y"], "there is no store at `/"),
        (
            &["incidents", "--config", "no.toml"],
            "cannot read `no.toml`",
        ),
        (&["forget", "0S9Y", "--store", "no.db"], "no.db`"),
    ] {
        let Said { code, out, err } = folder.pardon(asked);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{asked:?}");
        assert!(err.starts_with("error: "), "{asked:?}: {err}");
        assert!(err.contains(says), "{asked:?}: {err}");
    }
}

#[test]
fn the_help_lists_the_commands_in_plain_words() {
    let help = Folder::new().pardon(&["--help"]);
    assert_eq!(help.code, Some(0));
    assert_same(
        &help.out,
        "
Keeps an app's failures and shows visitors a calm page with a reference

Usage: pardon <COMMAND>

Commands:
  run          Run the proxy. Flags alone are enough for a sidecar; a file says more
  demo         Run the proxy before a built-in app that fails in every way there is, with a start page to click through
  show         Show what an ID stands for: the request, the failure and the app's original answer
  incidents    List what has failed, the newest first; or count what is alike; or follow it live
  forget       Remove what is stored of a request or of a visitor, and leave nothing behind
  maintenance  Show visitors a maintenance page, end that, or say what is in force
  bypass       Print a signed link that shows its holder the app's original answers
  check        Check the configuration and print every problem at once
  preview      Show every page in a gallery that follows the templates as they are saved, or write a theme's template to start from
  render       Write pages to stdout or to files, as the proxy would serve them
  explain      Say what would be done with a raw HTTP response, and why
  audit        Walk an app that you own, and say what it tells about its failures, with and without Pardon in front
  config       Describe the configuration file
  completions  Print a completion script for a shell
  health       Ask the running process whether it is ready
  help         Print this message or the help of the given subcommand(s)

Options:
  -h, --help     Print help
  -V, --version  Print version
",
    );
}

#[test]
fn the_help_of_run_says_what_a_sidecar_needs() {
    let help = Folder::new().pardon(&["run", "--help"]);
    assert_eq!(help.code, Some(0));
    assert_same(
        &help.out,
        "
Run the proxy. Flags alone are enough for a sidecar; a file says more

Usage: pardon run [OPTIONS]

Options:
      --config <FILE>   The configuration file; default: pardon.toml, then /etc/pardon/pardon.toml [env: PARDON_CONFIG=]
      --upstream <URL>  The app to stand in front of, such as `http://127.0.0.1:3000`. Alone, it ignores any file that is not named [env: PARDON_UPSTREAM=]
      --listen <ADDR>   The address to listen on, such as 127.0.0.1:8080 [env: PARDON_LISTEN=]
      --store <FILE>    The file that incidents are kept in; default: `incidents.path`, or pardon.db in the working folder [env: PARDON_STORE=]
      --watch           Reload when the configuration file, a template, a logo or an authority's file changes [env: PARDON_WATCH=]
  -h, --help            Print help
",
    );
}

#[test]
fn the_help_of_show_says_what_may_be_typed() {
    let help = Folder::new().pardon(&["show", "--help"]);
    assert_eq!(help.code, Some(0));
    assert_same(
        &help.out,
        "
Show what an ID stands for: the request, the failure and the app's original answer

Usage: pardon show [OPTIONS] <ID>

Arguments:
  <ID>  The ID as the visitor reads it out, however it is typed; or its beginning; or the app's own reference

Options:
      --json           Print the whole record as JSON, one object a line
      --body           Print the original body, byte for byte as it is kept
      --store <FILE>   The file that incidents are kept in; default: `incidents.path`, or pardon.db in the working folder [env: PARDON_STORE=]
      --config <FILE>  The configuration file that names it; default: pardon.toml, then /etc/pardon/pardon.toml [env: PARDON_CONFIG=]
  -h, --help           Print help
",
    );
}

#[test]
fn the_help_of_incidents_lists_its_filters() {
    let help = Folder::new().pardon(&["incidents", "--help"]);
    assert_eq!(help.code, Some(0));
    assert_same(
        &help.out,
        "
List what has failed, the newest first; or count what is alike; or follow it live

Usage: pardon incidents [OPTIONS]

Options:
      --since <TIME>     Not older than this: 30m, 1h, 7d, or a time such as 2024-02-03T04:05:06Z
      --status <STATUS>  With this status: 500, 502-504, 5xx; several with commas between
      --route <NAME>     Of this route
      --cause <CAUSE>    Of this cause; `refused` lists the requests that Pardon itself refused with a page
      --group            Count what is alike, the most frequent first
  -f, --follow           Print the last few, then each new one as it comes, until Ctrl-C
      --limit <N>        How many at most; default: 50, with --follow 10 before the new ones
      --json             Print JSON, one object a line
      --store <FILE>     The file that incidents are kept in; default: `incidents.path`, or pardon.db in the working folder [env: PARDON_STORE=]
      --config <FILE>    The configuration file that names it; default: pardon.toml, then /etc/pardon/pardon.toml [env: PARDON_CONFIG=]
  -h, --help             Print help
",
    );
}

#[test]
fn the_help_of_forget_says_what_goes() {
    let help = Folder::new().pardon(&["forget", "--help"]);
    assert_eq!(help.code, Some(0));
    assert_same(
        &help.out,
        "
Remove what is stored of a request or of a visitor, and leave nothing behind

Usage: pardon forget [OPTIONS] <ID|--client <ADDRESS>>

Arguments:
  [ID]  The whole ID of what is to be forgotten

Options:
      --client <ADDRESS>  The visitor who is to be forgotten: everything recorded under this address, or with it in a header
      --store <FILE>      The file that incidents are kept in; default: `incidents.path`, or pardon.db in the working folder [env: PARDON_STORE=]
      --config <FILE>     The configuration file that names it; default: pardon.toml, then /etc/pardon/pardon.toml [env: PARDON_CONFIG=]
  -h, --help              Print help
",
    );
}

#[test]
fn the_example_file_is_right() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml");
    let said = Folder::new().pardon(&["check", "--config", example]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let (_, says) = said.out.split_once("config.example.toml").unwrap();
    assert_same(
        says,
        " is right\n  listens on 0.0.0.0:8080\n  admin on 127.0.0.1:9180\n  \
         upstream app: http://127.0.0.1:3000\n  route app: any host / -> app",
    );
}

#[test]
fn check_prints_every_problem_at_once() {
    let folder = Folder::new();
    folder.write("pardon.toml", MISTAKES);
    folder.write("templates/error.html.tera", "<p>\n{% if %}\n");
    folder.write("templates/50x.html.tera", "<p>{{ request_id }}</p>");
    let said = folder.pardon(&["check"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    let logo = folder.path().join("logo.svg");
    assert_same(
        &said.err,
        &MISTAKES_FOUND.replace("LOGO", &logo.display().to_string()),
    );
}

const MISTAKES_FOUND: &str = r#"
error: unknown key `drian`
 --> pardon.toml:2:1
  |
2 | drian = "8s"
  | ^^^^^ did you mean `drain`?

error: wrong type for `workers`
 --> pardon.toml:3:11
  |
3 | workers = "four"
  |           ^^^^^^ expected a whole number, 0 or more, found the text "four"

error: a text without quotes
 --> pardon.toml:4:7
  |
4 | via = yes please
  |       ^^^^^^^^^^ write "yes please"

error: bad value for `head`
 --> pardon.toml:8:17
  |
8 | timeouts.head = "5 sec"
  |                 ^^^^^^^ `5 sec` is not a duration: write "250ms", "2s", "5m", "1h" or "30d"

error: unknown upstream `ap`
  --> pardon.toml:11:12
   |
11 | upstream = "ap"
   |            ^^^^ did you mean `app`?

error: cannot read `logo.svg`
  --> pardon.toml:14:8
   |
14 | logo = "logo.svg"
   |        ^^^^^^^^^^ there is no `LOGO`

error: unknown key `levle`
  --> pardon.toml:20:1
   |
20 | levle = "info"
   | ^^^^^ did you mean `level`?

error: a template for no status that has pages
--> templates/50x.html.tera
 = help: a status from 400 to 599, or 4xx, 5xx, or error for all

error: found `%}` but expected one of: integer, float, string, bool, ident, `-`, `not`, `<`, `{`, `[` or `(`
 --> templates/error.html.tera:2:7
  |
2 | {% if %}
  |       ^

9 problems
"#;

#[test]
fn check_binds_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = Folder::new();
    folder.write(
        "pardon.toml",
        format!("{APP}[server]\nlisten = [\"{address}\"]\n[admin]\nlisten = []\n"),
    );
    let said = folder.pardon(&["check"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
}

#[test]
fn check_warns_of_a_weight_with_nothing_to_weigh_it_against() {
    for (weight, warnings) in [(5, 1), (1, 0)] {
        let folder = Folder::new();
        let endpoint = format!("{{ url = \"http://127.0.0.1:3000\", weight = {weight} }}");
        let toml = format!("[upstreams.app]\nendpoints = [{endpoint}]\n");
        folder.write("pardon.toml", toml);
        let said = folder.pardon(&["check"]);
        assert_eq!(
            said.err.matches("nothing to weigh it against").count(),
            warnings,
            "{}",
            said.err
        );
    }
}

#[test]
fn a_page_is_rendered_in_each_format() {
    let folder = Folder::new();
    for (format, begins) in [
        ("html", "<!doctype html>"),
        ("json", "{"),
        ("text", "Something went wrong"),
        ("xml", "<?xml"),
    ] {
        let asked = ["render", "--status", "502", "--id", "AB-C", "--format"];
        let said = folder.pardon(&[&asked[..], &[format]].concat());
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{format}");
        assert!(said.out.starts_with(begins), "{}", said.out);
        assert!(said.out.contains("AB-C"), "{}", said.out);
    }
}

#[test]
fn pages_are_rendered_to_files_with_the_configured_brand() {
    let folder = Folder::new();
    folder.write(
        "pardon.toml",
        format!("{APP}[brand]\nname = \"Corner Shop\"\n"),
    );
    let said = folder.pardon(&["render", "--status", "500,503", "--out", "pages"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    for status in ["500", "503"] {
        for format in ["html", "json", "txt", "xml"] {
            let page = folder.read(&format!("pages/{status}.{format}"));
            assert!(page.contains(status), "{status} {format}: {page}");
        }
        let page = folder.read(&format!("pages/{status}.html"));
        assert!(page.contains("Corner Shop"), "{page}");
    }
}

#[test]
fn a_page_that_cannot_be_rendered_is_refused_with_a_reason() {
    let folder = Folder::new();
    folder.write("file", "");
    for (wrong, says) in [
        (&["--language", "tlh"][..], "only in en"),
        (&["--out", "file/below"], "cannot write `file/below`"),
        (&["--status", "503"], "add --out DIR"),
    ] {
        let said = folder.pardon(&[&["render", "--status", "502"], wrong].concat());
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{wrong:?}");
        assert!(said.err.contains(says), "{wrong:?}: {}", said.err);
    }
}

#[test]
fn the_schema_is_json_and_has_every_section() {
    let said = Folder::new().pardon(&["config", "schema"]);
    let schema: Value = serde_json::from_str(&said.out).unwrap();
    let found: BTreeSet<&str> = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "admin",
        "brand",
        "bypass",
        "incidents",
        "intercept",
        "log",
        "maintenance",
        "pages",
        "routes",
        "server",
        "upstreams",
    ];
    assert_eq!(found, BTreeSet::from(expected));
}

#[test]
fn the_reference_explains_every_section() {
    let said = Folder::new().pardon(&["config", "reference"]);
    assert_eq!(said.code, Some(0));
    for section in [
        "[server.timeouts]",
        "[upstreams.",
        "[[routes]]",
        "[intercept.capture]",
        "[log]",
    ] {
        assert!(said.out.contains(section), "{section}");
    }
}

#[test]
fn shells_get_their_completions() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish"] {
        let said = folder.pardon(&["completions", shell]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{shell}");
        assert!(said.out.contains("explain"), "{shell}");
    }
}

#[test]
fn output_that_nobody_reads_to_its_end_is_no_error() {
    let folder = Folder::new();
    let mut command = folder.command_after("set -o noglob", &[]);
    command.args(["config", "reference"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let said = said(command.stdout(writer));
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""));
}
