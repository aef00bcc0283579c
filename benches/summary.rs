//! What it costs to describe a failure: `cargo bench --bench summary`. Prints sizes in bytes and times in microseconds,
//! for pages of real frameworks, for pages that nothing is known of, and for what tries to be slow.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program that measures prints, and ends where it cannot"
)]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use pardon::incident::{Cause, describe};

/// Answers that are kept as they came, without a coding.
const RECORDED: [&str; 12] = [
    "nginx-debug-502",
    "raw-wire-nolen",
    "express-debug-boom",
    "express-debug-api-boom",
    "tomcat-debug-boom",
    "php-debug-late",
    "flask-debug-boom",
    "fastapi-debug-boom",
    "django-debug-boom",
    "wordpress-debug-sql",
    "rails-debug-boom",
    "laravel-debug-boom",
];

/// What a page of some size is made of.
const MADE: [(&str, &str, &str); 12] = [
    (
        "rows",
        "text/html",
        "<tr><td class=\"n\">17</td><td><a href=\"/x\">row</a></td></tr>\n",
    ),
    ("dense tags", "text/html", "<b>a</b><p>c<i>d</i>"),
    (
        "prose",
        "text/html",
        "<p>The jar is empty, and nobody has filled it since the last time.</p>\n",
    ),
    (
        "text",
        "text/plain",
        "The jar is empty, and nobody has filled it since the last time.\n",
    ),
    (
        "log",
        "text/plain",
        "2031-12-13 14:15:16 INFO shop.Cart: order 17 at the end of line 3\n",
    ),
    (
        "frames",
        "text/plain",
        "    at Layer.handle (/srv/node_modules/express/layer.js:95:5)\n",
    ),
    (
        "json",
        "application/json",
        "{\"file\":\"/srv/x.php\",\"function\":\"load\",\"args\":[1,\"two\"]},",
    ),
    ("one line", "text/plain", "word "),
    ("only <", "text/html", "<"),
    ("only at", "text/html", "at "),
    ("quotes", "text/html", "<a \"'"),
    ("comments", "text/html", "<!-- <!"),
];

fn main() {
    measure("storm", Some("text/plain"), storm().as_bytes());
    for name in RECORDED {
        let body = recorded(name);
        let is_json = body.starts_with(b"{");
        let media_type = if is_json {
            "application/json"
        } else {
            "text/html"
        };
        measure(name, Some(media_type), &body);
    }
    for size in [8 * 1024, 64 * 1024, 1024 * 1024] {
        for (name, media_type, part) in MADE {
            let body = part.repeat(size / part.len());
            measure(name, Some(media_type), body.as_bytes());
        }
    }
}

/// A traceback of 8 KB, as an app that is down answers every request with.
fn storm() -> String {
    let frame = |line: u64| {
        let number = line.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let letter = |place: u64| char::from(b'a' + ((number >> (4 * place)) & 15) as u8);
        let name: String = (0..16).map(letter).collect();
        format!("  File \"/srv/shop/orders/{name}.py\", line 118, in price_of\n")
    };
    let frames: String = (1..=117).map(frame).collect();
    format!("Traceback (most recent call last):\n{frames}ValueError: no price\n")
}

/// The body of a recorded answer.
fn recorded(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/answers");
    let bytes = std::fs::read(folder.join(format!("{name}.http"))).expect("a recorded answer");
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    bytes
        .get(head.expect("a head") + 4..)
        .expect("a body")
        .to_vec()
}

fn measure(name: &str, media_type: Option<&str>, body: &[u8]) {
    if !is_wanted(name) {
        return;
    }
    let described = || describe(Cause::UpstreamStatus, "shop", media_type, body, None);
    let took = per_run(|| _ = black_box(described()));
    let tenths = took / 100;
    let (whole, tenth) = (tenths / 10, tenths % 10);
    let bytes = body.len();
    println!("{name:<24} {bytes:>8} bytes {whole:>6}.{tenth} us");
}

/// Whether an input is one of those that the command line names, or it names none.
fn is_wanted(name: &str) -> bool {
    let mut named = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .peekable();
    named.peek().is_none() || named.any(|word| word == name)
}

/// The time of one run, in nanoseconds, after a warm-up.
fn per_run(mut run: impl FnMut()) -> u128 {
    const RUNS: u32 = 2_000;
    for _ in 0..RUNS / 10 {
        run();
    }
    let begun = Instant::now();
    for _ in 0..RUNS {
        run();
    }
    begun.elapsed().as_nanos() / u128::from(RUNS)
}
