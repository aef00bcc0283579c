//! What a page costs: `cargo bench --bench page`. Prints sizes in bytes and times in nanoseconds, and a second column
//! for pages that have to go through the template engine because they are not laid out in advance.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program that measures prints, and ends where it cannot"
)]

use std::path::Path;
use std::time::Instant;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use pardon::config::{Brand, Pages as Settings};
use pardon::page::{Format, Notice, PageContext, Pages};

/// A browser's `Accept`, and one whose weights have to be counted.
const ACCEPTS: [(&str, &str); 2] = [
    (
        "browser",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("counted", "application/json;q=0.9, text/plain, */*;q=0.1"),
];

fn main() {
    let begun = Instant::now();
    let branded = pages(&brand());
    println!("build {} us", begun.elapsed().as_micros());
    for (name, pages) in [("branded", &branded), ("plain", &pages(&Brand::default()))] {
        for format in Format::TEMPLATED {
            render(name, pages, format);
        }
    }
    for (name, accept) in ACCEPTS {
        let headers =
            HeaderMap::from_iter([(http::header::ACCEPT, HeaderValue::from_static(accept))]);
        let took = per_run(|| _ = branded.negotiate(&headers, None));
        println!("negotiate {name:<8} {took:>6} ns");
    }
}

fn render(name: &str, pages: &Pages, format: Format) {
    let wanted = pages.wanted(format, None).expect("a language there is");
    let context = context("/basket/checkout");
    let length = pages.render(&wanted, &context).body.len();
    let laid_out = per_run(|| drop(pages.render(&wanted, &context)));
    let odd = self::context("");
    let engine = per_run(|| drop(pages.render(&wanted, &odd)));
    let format = format.name();
    println!(
        "render {name:<8} {format:<5} {length:>5} bytes {laid_out:>6} ns, engine {engine:>6} ns"
    );
}

fn context(path: &str) -> PageContext<'_> {
    PageContext {
        status: StatusCode::BAD_GATEWAY,
        notice: Notice::AppFailed,
        request_id: "7Q3K-0ZD8-MX4T-9A2C",
        time: Timestamp::UNIX_EPOCH,
        host: "shop.example",
        path,
        method: &Method::GET,
        retry_after: None,
        planned: None,
    }
}

fn pages(brand: &Brand) -> Pages {
    match Pages::build(&Settings::default(), brand, Path::new(".")) {
        Ok(pages) => pages,
        Err(problems) => panic!("the built-in pages: {problems:?}"),
    }
}

fn brand() -> Brand {
    Brand {
        name: Some("Example Shop".to_owned()),
        color: Some("#0b5fff".to_owned()),
        support_url: Some("https://example.com/support?ref={request_id}".to_owned()),
        support_email: Some("help@example.com".to_owned()),
        status_url: Some("https://status.example.com".to_owned()),
        home_url: Some("/".to_owned()),
        ..Brand::default()
    }
}

/// The time of one run, in nanoseconds, after a warm-up.
fn per_run(mut run: impl FnMut()) -> u128 {
    const RUNS: u32 = 200_000;
    for _ in 0..RUNS / 10 {
        run();
    }
    let begun = Instant::now();
    for _ in 0..RUNS {
        run();
    }
    begun.elapsed().as_nanos() / u128::from(RUNS)
}
