//! The pages in a real browser: Chromium, as people with different screens, settings and needs see them.
//!
//! `look.mjs` does the looking and says what it looks for. Its screenshots are in `target/screenshots`, for a person. `tests/run`
//! puts Chromium, Node.js and what `package.json` names where they are looked for here.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Folder, Program, said};

const PARDON: &str = r##"
[upstreams.app]
endpoints = ["http://127.0.0.1:3000"]
[brand]
name = "Corner Shop"
logo = "logo.svg"
color = "#0b6b53"
support_url = "https://example.com/support?ref={request_id}"
support_email = "help@example.com"
status_url = "https://status.example.com/"
home_url = "https://example.com/"
"##;

/// As wide as a name in letters is, which is more than there is room for.
const LOGO: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"252\" height=\"36\"><circle cx=\"18\" cy=\"18\" r=\"16\" fill=\"#0b6b53\"/><path d=\"M46 8h200v20H46z\" fill=\"#0b6b53\"/></svg>";

/// Seconds that all of it may take on a busy machine; alone it takes less than half of them.
const DEADLINE: &str = "240";

#[test]
fn every_theme_is_fit_for_people() {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let folder = Folder::new();
    folder.write("pardon.toml", PARDON);
    folder.write("logo.svg", LOGO);
    let mut preview = folder.command(&["preview", "--listen", "127.0.0.1:0"]);
    let mut program = Program::run(folder, preview.stdout(Stdio::piped()));
    let printed = program.out_until("Ctrl-C ends it.");
    let (_, gallery) = printed.lines().next().unwrap().rsplit_once(' ').unwrap();

    let look = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/look.mjs");
    let found = said(
        Command::new("timeout")
            .args([DEADLINE, "node"])
            .arg(look)
            .arg(gallery)
            .arg(target.join("browser"))
            .arg(target.join("screenshots"))
            .arg("/usr/bin/chromium"),
    );

    assert_eq!(
        found.code,
        Some(0),
        "{}\n{}\ntests/run installs what this needs, and the screenshots are in target/screenshots",
        found.out,
        found.err
    );
}
