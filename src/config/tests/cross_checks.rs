//! What no single value can say: each check with its place.

use std::fs;

use super::super::parse;
use super::{APP, report};

/// Text after the app's section; the place and a part of the only problem.
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
        "a `tls://` listener without a certificate",
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
        "[server.timeouts]\nhead = \"0s\"\n",
        "4:8",
        "must be longer than 0s",
    ),
    (
        "[upstreams.app.health]\npath = \"health\"\n",
        "4:8",
        "a path begins with `/`",
    ),
    (
        "[upstreams.app.health]\npath = \"/my health\"\n",
        "4:8",
        "no spaces",
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
        "is not an http(s), mailto or tel URL",
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
        "it may be: `plain`, `calm`, `compact`, `dense`, `retro`",
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
}

/// Endpoints of an upstream; the place and a part of the only problem, or warning.
const ENDPOINTS: &[(&str, &str, &str)] = &[
    (
        "[{ url = \"http://a\", weight = 0 }, { url = \"http://b\", weight = 0 }]",
        "2:13",
        "no endpoint of upstream `app` gets a request",
    ),
    (
        "[\"http://a\", \"https://a\", \"http://a:80/\"]",
        "2:39",
        "`http://a:80` stands here twice",
    ),
    (
        "[{ url = \"http://a\", weight = 3 }]",
        "2:43",
        "a weight with nothing to weigh it against",
    ),
];

#[test]
fn endpoints_that_make_no_sense_together() {
    for (endpoints, place, text) in ENDPOINTS {
        let toml = format!("[upstreams.app]\nendpoints = {endpoints}\n");
        let said = match super::read(&toml) {
            Ok(loaded) => loaded.warnings.iter().map(ToString::to_string).collect(),
            Err(report) => report.to_string(),
        };
        assert!(said.contains(text), "{endpoints}: {said}");
        assert!(said.contains(&format!("pardon.toml:{place}\n")), "{said}");
    }
    let long = format!("[\"unix:/{}\"]", "x".repeat(107));
    let long = report(&format!("[upstreams.app]\nendpoints = {long}\n"));
    assert!(long.contains("too long"), "{long}");
    let drained = "[\"http://a\", { url = \"http://b\", weight = 0 }]";
    let loaded = super::read(&format!("[upstreams.app]\nendpoints = {drained}\n"));
    assert!(loaded.unwrap().warnings.is_empty());
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
