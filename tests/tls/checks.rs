//! What `pardon check` says of certificates and keys.

use crate::support::Folder;
use crate::support::tls::{Authority, today};

/// What `check` says of a listener with these certificates, written in a folder of its own.
fn checked(toml: &str, files: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = Folder::new();
    let text =
        format!("[upstreams.app]\nendpoints = [\"http://127.0.0.1:3000\"]\n[server]\n{toml}\n");
    folder.write("pardon.toml", text);
    for (name, content) in files {
        folder.write(name, content);
    }
    let said = folder.pardon(&["check"]);
    (said.code, said.err)
}

const LISTENS: &str = "listen = [\"tls://127.0.0.1:8443\"]\n\
    tls.certificates = [{ chain = \"site.pem\", key = \"site.key\" }]";

/// What is wrong with a chain and a key is said once, with its place.
fn refused(chain: &str, key: &str, part: &str, place: &str) {
    let (code, said) = checked(LISTENS, &[("site.pem", chain), ("site.key", key)]);
    assert_eq!(code, Some(1), "{part}: {said}");
    let place = format!("pardon.toml:{place}");
    assert!(
        said.contains(part) && said.contains(&place),
        "{part}: {said}"
    );
    assert!(said.contains("\n1 problem\n"), "{said}");
}

/// A chain that works is warned of.
fn warned(chain: &str, key: &str, title: &str, hint: &str) {
    let (code, said) = checked(LISTENS, &[("site.pem", chain), ("site.key", key)]);
    assert_eq!(code, Some(0), "{said}");
    let title = format!("warning: {title}");
    assert!(
        said.contains(&title) && said.contains(hint),
        "{title} {hint}: {said}"
    );
}

const CHAIN: &str = "5:31";
const KEY: &str = "5:49";

#[test]
fn a_key_that_does_not_fit_its_certificate_is_refused() {
    let authority = Authority::new();
    let [one, other] = [(); 2].map(|()| authority.certify(&["a.example"]));
    let misfit = "`site.key` is not the key of the certificate in `site.pem`";
    refused(&one.chain, &other.key, misfit, KEY);
    let turned = format!("{}{}", authority.pem(), one.chain);
    let order = "`site.pem` does not begin with the certificate of `site.key`";
    refused(&turned, &one.key, order, CHAIN);
}

#[test]
fn files_that_hold_something_else_are_refused() {
    let one = Authority::new().certify(&["a.example"]);
    let swapped = "it holds a `CERTIFICATE`, and a `PRIVATE KEY` is needed";
    refused(&one.chain, &one.chain, swapped, KEY);
    refused(&one.chain, "", "no key in `site.key`", KEY);
    let encrypted = one.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    refused(
        &one.chain,
        &encrypted,
        "the key in `site.key` is encrypted",
        KEY,
    );
    let nonsense = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    refused(
        &one.chain,
        nonsense,
        "the key in `site.key` cannot be used",
        KEY,
    );
    refused("", &one.key, "no certificate in `site.pem`", CHAIN);
    let nonsense = nonsense.replace("PRIVATE KEY", "CERTIFICATE");
    refused(
        &nonsense,
        &one.key,
        "certificate 1 in `site.pem` cannot be used",
        CHAIN,
    );
    let cut = &one.chain[..one.chain.len() / 2];
    refused(cut, &one.key, "`site.pem` is broken", CHAIN);
    refused(
        &one.chain.replace("MII", "M!!"),
        &one.key,
        "`site.pem` is broken",
        CHAIN,
    );
}

#[test]
fn files_that_are_not_there_are_named() {
    let (code, said) = checked(LISTENS, &[]);
    assert_eq!(code, Some(1));
    for name in ["site.pem", "site.key"] {
        assert!(said.contains(&format!("cannot read `{name}`")), "{said}");
    }
}

#[test]
fn a_listener_needs_a_certificate_and_a_certificate_a_listener() {
    let (code, said) = checked("listen = [\"tls://127.0.0.1:8443\"]", &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("pardon.toml:4:11"), "{said}");
    assert!(said.contains("certificates = [{ chain ="), "{said}");
    let one = Authority::new().certify(&["a.example"]);
    let plain = LISTENS.replace("tls://", "");
    let (code, said) = checked(&plain, &[("site.pem", &one.chain), ("site.key", &one.key)]);
    let title = "warning: certificates without a `tls://` listener";
    assert!(code == Some(0) && said.contains(title), "{said}");
}

#[test]
fn dates_that_clients_do_not_like_are_warned_of() {
    let authority = Authority::new();
    let day = |days: i64| (today() + jiff::Span::new().days(days)).to_string();
    for (from, to, title, hint) in [
        (
            -40,
            -10,
            "the certificate in `site.pem` has expired",
            day(-10),
        ),
        (
            10,
            40,
            "the certificate in `site.pem` is not valid yet",
            day(10),
        ),
        (
            -40,
            10,
            "the certificate in `site.pem` expires soon",
            day(10),
        ),
    ] {
        let one = authority.certify_for_days(&["a.example"], from, to);
        warned(&one.chain, &one.key, title, &hint);
    }
    let one = authority.certify_for_days(&["a.example"], -40, 20);
    let chain = format!("{}{}", one.chain, authority.pem());
    let (code, said) = checked(LISTENS, &[("site.pem", &chain), ("site.key", &one.key)]);
    assert_eq!((code, &*said), (Some(0), ""));
}

#[test]
fn a_chain_that_does_not_hold_together_is_warned_of() {
    let one = Authority::new().certify(&["a.example"]);
    let chain = format!("{}{}", one.chain, Authority::new().pem());
    let hint = "number 2 does not vouch for number 1";
    warned(&chain, &one.key, "`site.pem` is not in order", hint);
}

#[test]
fn a_name_in_two_certificates_is_warned_of() {
    let authority = Authority::new();
    let [one, other] = [(); 2].map(|()| authority.certify(&["a.example"]));
    let twice = LISTENS.replace("}]", "}, { chain = \"b.pem\", key = \"b.key\" }]");
    let one = [("site.pem", &*one.chain), ("site.key", &one.key)];
    let other = [("b.pem", &*other.chain), ("b.key", &other.key)];
    let (code, said) = checked(&twice, &[one, other].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("`a.example` is in two certificates"),
        "{said}"
    );
    assert!(
        said.contains("`site.pem` is shown for it, not `b.pem`"),
        "{said}"
    );
}

#[test]
fn check_looks_at_client_certificates_and_warns_of_what_is_not_verified() {
    let authority = Authority::new();
    let (one, other) = (authority.certify(&["a"]), authority.certify(&["b"]));
    let tls = "[upstreams.app.tls]\ncertificate = \"c.pem\"\nkey = \"c.key\"\ninsecure = true";
    let (code, said) = checked(tls, &[("c.pem", &one.chain), ("c.key", &other.key)]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("`c.key` is not the key of the certificate in `c.pem`"),
        "{said}"
    );
    assert!(
        said.contains("pardon.toml:6:7") && said.contains("\n1 problem\n"),
        "{said}"
    );
    let (code, said) = checked(tls, &[("c.pem", &one.chain), ("c.key", &one.key)]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("warning: any certificate is accepted"),
        "{said}"
    );
}
