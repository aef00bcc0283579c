//! `pardon preview`: every page to look at, as it would be served, and what is wrong with a template in its place.

use std::net::SocketAddr;
use std::process::Stdio;

use crate::support::{Answer, Client, Folder, Program, eventually};

const PARDON: &str = "[upstreams.app]\nendpoints = [\"http://127.0.0.1:3000\"]\n[pages]\nfolder = \"own\"\nlanguages = [\"en\", \"ar\"]\n";

/// The gallery of a folder, on a port of its own.
struct Preview {
    program: Program,
    address: SocketAddr,
}

impl Preview {
    fn of(template: &str) -> Self {
        let folder = Folder::new();
        folder.write("pardon.toml", PARDON);
        folder.write("own/502.html.tera", template);
        let mut command = folder.command(&["preview", "--listen", "127.0.0.1:0"]);
        let mut program = Program::run(folder, command.stdout(Stdio::piped()));
        let printed = program.out_until("Ctrl-C ends it.");
        let (_, address) = printed.split_once("http://").unwrap();
        let (address, _) = address.split_once('/').unwrap();
        let address = address.parse().unwrap();
        Self { program, address }
    }

    fn get(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        Client::connect(self.address).ask(request)
    }

    /// Writes the template, and waits for the edition that has it.
    fn save(&self, template: &str, edition: u64) {
        self.program.folder().write("own/502.html.tera", template);
        eventually("the next edition", || {
            let seen = format!("/changed?{}", edition - 1);
            (self.get(&seen).text() == edition.to_string()).then_some(())
        });
    }

    /// The address of a page: the frame that the gallery shows under this heading.
    fn page(&self, query: &str, heading: &str) -> String {
        let gallery = self.get(&format!("/?{query}"));
        let heading = format!("\">{heading}</a>");
        let (before, _) = gallery.text().split_once(&heading).expect(&heading);
        let (_, address) = before.rsplit_once("href=\"").unwrap();
        address.replace("&amp;", "&")
    }
}

#[test]
fn the_gallery_shows_pages_as_they_are_served() {
    let preview = Preview::of("<p>ours {{ request_id }}");
    let own = preview.get(&preview.page("", "502 app unreachable"));
    let built_in = preview.get(&preview.page("", "503 busy"));
    let arabic = preview.get(&preview.page("across=language&case=1", "ar"));
    let json = preview.get(&preview.page("across=format", "json"));
    let posted = preview.get(&preview.page("", "500 app failed, after a POST"));

    assert!(own.text().starts_with("<p>ours 7Q3K"), "{}", own.text());
    assert!(built_in.text().starts_with("<!doctype html>"));
    assert!(arabic.text().contains("dir=\"rtl\""), "{}", arabic.text());
    assert_eq!(json.json()["status"], 500);
    assert!(
        posted.text().contains("may or may not"),
        "{}",
        posted.text()
    );
    for page in [&own, &built_in, &arabic, &posted] {
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
    }
}

#[test]
fn a_scheme_is_the_one_that_is_chosen() {
    let preview = Preview::of("<p>ours {{ request_id }}");
    let page = |scheme: &str| preview.get(&preview.page("across=scheme", scheme));
    assert!(
        page("browser")
            .text()
            .contains("(prefers-color-scheme:dark)")
    );
    for scheme in ["light", "dark", "forced"] {
        let page = page(scheme);
        assert!(!page.text().contains("prefers-color-scheme"), "{scheme}");
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("style-src 'unsafe-inline'"), "{policy}");
    }
}

#[test]
fn a_saved_template_is_shown_and_a_broken_one_said_with_its_place() {
    let preview = Preview::of("<p>first {{ request_id }}");
    let page = preview.page("", "502 app failed");
    assert!(preview.get(&page).text().starts_with("<p>first"));

    preview.save("<p>second {{ request_id }}", 1);
    assert!(preview.get(&page).text().starts_with("<p>second"));

    preview.save("<p>{{ request_id }}\n  {{ pth }}", 2);
    let broken = preview.get(&page);
    let place = "own/502.html.tera:2:6";
    assert!(
        broken.text().contains(place) && broken.text().contains("{{ pth }}\n  |      ^"),
        "{}",
        broken.text()
    );
    let gallery = preview.get("/");
    assert!(gallery.text().contains(place) && gallery.text().contains("those of before"));
    let other = preview.get(&preview.page("", "503 busy"));
    assert!(
        other.text().starts_with("<!doctype html>"),
        "{}",
        other.text()
    );

    preview.save("<p>third {{ request_id }}", 3);
    assert!(preview.get(&page).text().starts_with("<p>third"));
    assert!(!preview.get("/").text().contains(place));
}

#[test]
fn a_gallery_that_begins_with_a_broken_template_says_so() {
    let preview = Preview::of("{% if %}");
    let gallery = preview.get("/");
    assert!(
        gallery.text().contains("own/502.html.tera:1:7"),
        "{}",
        gallery.text()
    );
    preview.save("<p>mended {{ request_id }}", 1);
    let page = preview.get(&preview.page("", "502 app failed"));
    assert!(page.text().starts_with("<p>mended"));
}

#[test]
fn somebody_elses_name_and_other_methods_are_refused() {
    let preview = Preview::of("<p>{{ request_id }}");
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
            405,
        ),
        ("GET /else HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (
            "GET /page?case=9999 HTTP/1.1\r\nHost: localhost\r\n\r\n",
            404,
        ),
        (
            "GET /?book=x&case=-1&across=%00&=&& HTTP/1.1\r\nHost: localhost\r\n\r\n",
            200,
        ),
    ] {
        let answer = Client::connect(preview.address).ask(request);
        assert_eq!(answer.status, status, "{request}");
    }
}

#[test]
fn it_ends_when_it_is_told_to() {
    let mut preview = Preview::of("<p>{{ request_id }}");
    preview.program.signal("TERM");
    assert_eq!(preview.program.ended().code(), Some(0));
}

#[test]
fn a_theme_is_ejected_and_serves_as_it_did() {
    let folder = Folder::new();
    folder.write(
        "pardon.toml",
        "[upstreams.app]\nendpoints = [\"http://127.0.0.1:3000\"]\n",
    );
    let built_in = folder.pardon(&["render", "--status", "502", "--id", "A"]);
    let ejected = folder.pardon(&["preview", "--eject", "plain", "--out", "own"]);
    assert_eq!(ejected.code, Some(0), "{}", ejected.err);
    folder.write("pardon.toml", PARDON);
    let own = folder.pardon(&["render", "--status", "502", "--id", "A"]);
    let without_time = |page: &str| -> Vec<String> {
        let lines = page.lines().filter(|line| !line.contains("<time"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(without_time(&own.out), without_time(&built_in.out));
    assert_eq!(folder.pardon(&["check"]).code, Some(0));

    let again = folder.pardon(&["preview", "--eject", "plain", "--out", "own"]);
    assert_eq!(again.code, Some(1));
    assert!(
        again.err.contains("is there and was left alone"),
        "{}",
        again.err
    );
}

#[test]
fn check_warns_of_pages_that_are_long() {
    let folder = Folder::new();
    folder.write("pardon.toml", PARDON);
    let long = "{{ request_id }}".to_owned() + &"x".repeat(15_000);
    folder.write("own/502.txt.tera", long);
    let checked = folder.pardon(&["check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.err);
    let says = "makes pages of up to 15019 bytes, more than 14336\n--> own/502.txt.tera";
    assert!(
        checked.err.contains("warning") && checked.err.contains(says),
        "{}",
        checked.err
    );
}
