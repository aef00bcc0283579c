//! How many instructions Pardon takes for a request: `cargo bench --bench instructions`. Needs valgrind.
//!
//! Counts outside of the kernel, with callgrind, one worker, requests strictly one after another: the same binary gives the same number
//! to well under a percent, on a busy machine too. What it cannot see: the kernel's work, which system calls there are, the clock's own
//! cost, and what a cache or a branch costs. What it sees too large: copies of some kilobytes, which count as often as they have bytes.
//! What callgrind itself is to be told stands in `VALGRIND_OPTS`. `--top 20` says which functions it is; that needs a binary with its
//! symbols.
//!
//! Cargo builds the proxy for a bench with what the tests want of its libraries, tokio's clock that can be stopped among them: two percent
//! more than the one that is shipped, and in its place. The shipped one, with its symbols:
//!
//! `CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only cargo build --release`,
//! `cp target/release/pardon target/shipped`, then `cargo bench --bench instructions -- --pardon target/shipped --top 20`
#![expect(
    clippy::print_stdout,
    reason = "a program that measures prints, and ends where it cannot"
)]

mod callgrind;
#[path = "../../examples/storm/failing_app.rs"]
mod failing_app;
#[path = "../../examples/storm/proxy_process.rs"]
#[expect(dead_code, reason = "the storm uses all of it, this a part")]
mod proxy_process;
mod visitor;

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use socket2::{Domain, Socket, Type};

use callgrind::{Counted, Counts};
use visitor::Visitor;

/// What is measured.
#[derive(Parser)]
struct Arguments {
    /// The proxy; without it the one that cargo has built for this.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_pardon"))]
    pardon: PathBuf,
    /// Counted requests, after a tenth as many that are not.
    #[arg(long, default_value_t = 1000)]
    requests: u32,
    /// Connections; on each goes one request, then all answers are read.
    #[arg(long, default_value_t = 1)]
    connections: u32,
    /// Processes for each path; the middle one counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Only the paths whose name begins so.
    #[arg(long, default_value = "")]
    path: String,
    /// The functions that take the most, by thread.
    #[arg(long, default_value_t = 0)]
    top: usize,
    /// A file that the last lines are written to as well.
    #[arg(long)]
    save: Option<PathBuf>,
    /// A folder that callgrind's files are kept in, one folder a path.
    #[arg(long)]
    profiles: Option<PathBuf>,
    /// Cargo says this to each.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A way through the proxy.
struct Way {
    name: &'static str,
    request: &'static str,
    /// Of the answer.
    status: u16,
    /// Whether there is an app.
    app: bool,
    toml: &'static str,
}

const SHORT: &str = "GET /fine HTTP/1.1\r\nHost: shop.example\r\nAccept: text/html\r\n\r\n";
const PAGE: &str = "GET /page HTTP/1.1\r\nHost: shop.example\r\nAccept: text/html\r\n\r\n";
const FAILING: &str = "GET /orders HTTP/1.1\r\nHost: shop.example\r\nAccept: text/html\r\n\r\n";

const OFF: &str = "[intercept.disguise]\nmode = \"off\"\n";

const WAYS: [Way; 8] = [
    Way {
        name: "pass",
        request: SHORT,
        status: 200,
        app: true,
        toml: "",
    },
    Way {
        name: "pass-browser",
        request: "GET /fine HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
                  Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n\
                  Accept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\nReferer: http://shop.example/basket\r\n\
                  Cookie: session=8c2f1b7e5d904a6f; theme=dark\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\n\
                  Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nPriority: u=0, i\r\n\r\n",
        status: 200,
        app: true,
        toml: "",
    },
    // The same as the first, not looked into; then 10 KB of HTML, looked into and not.
    Way {
        name: "pass-off",
        request: SHORT,
        status: 200,
        app: true,
        toml: OFF,
    },
    Way {
        name: "look",
        request: PAGE,
        status: 200,
        app: true,
        toml: "",
    },
    Way {
        name: "look-off",
        request: PAGE,
        status: 200,
        app: true,
        toml: OFF,
    },
    // The page and nothing else.
    Way {
        name: "replace-page",
        request: FAILING,
        status: 500,
        app: true,
        toml: "[intercept]\nrecord = false\n",
    },
    Way {
        name: "replace-keep",
        request: FAILING,
        status: 500,
        app: true,
        toml: "",
    },
    Way {
        name: "refused",
        request: SHORT,
        status: 502,
        app: false,
        toml: "",
    },
];

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let scratch = std::env::temp_dir().join(format!("pardon-instructions-{}", std::process::id()));
    let result = callgrind::is_there().and_then(|()| measure(&arguments, &scratch));
    // It is not there where nothing was begun.
    drop(fs::remove_dir_all(&scratch));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments, scratch: &Path) -> io::Result<()> {
    let chosen = |way: &&Way| way.name.starts_with(&arguments.path);
    let mut lines = String::new();
    for way in WAYS.iter().filter(chosen) {
        let mut runs = Vec::new();
        for _ in 0..arguments.runs.max(1) {
            drop(fs::remove_dir_all(scratch));
            fs::create_dir_all(scratch)?;
            runs.push(run(arguments, way, scratch)?);
        }
        runs.sort_by(|one, other| one.all().total_cmp(&other.all()));
        let middle = say(way, &runs, arguments.top);
        // Writing to a string does not fail.
        _ = writeln!(lines, "{} instructions {middle:.0}", way.name);
    }
    print!("{lines}");
    arguments
        .save
        .as_ref()
        .map_or(Ok(()), |file| fs::write(file, &lines))
}

/// One process, from its start to its end.
fn run(arguments: &Arguments, way: &Way, scratch: &Path) -> io::Result<Counts> {
    // Bound, and nobody listens: connections to it are refused, and the port is nobody else's.
    let nobody = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    nobody.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let app = if way.app {
        Some(failing_app::start()?)
    } else {
        nobody.local_addr()?.as_socket()
    };
    let app = app.ok_or(io::ErrorKind::AddrNotAvailable)?;
    // A page that does not wait for its record any more would be another way.
    let toml = format!(
        "server.workers = 1\n[incidents]\ncommit_wait = \"10s\"\n{}",
        way.toml
    );
    let counted = Counted::start(&arguments.pardon, scratch, app, &toml)?;
    let mut visitor = Visitor::new(counted.address(), arguments.connections)?;
    let rounds = arguments.requests.div_ceil(arguments.connections);
    visitor.ask(way.request, way.status, rounds.div_ceil(10))?;
    counted.zero()?;
    visitor.ask(way.request, way.status, rounds)?;
    let counts = counted.counts(rounds * arguments.connections)?;
    if let Some(folder) = &arguments.profiles {
        counted.keep(&folder.join(way.name))?;
    }
    Ok(counts)
}

/// Prints what a way takes; the middle of its runs, which are sorted.
fn say(way: &Way, runs: &[Counts], top: usize) -> f64 {
    let Some(middle) = runs.get(runs.len() / 2) else {
        return 0.0;
    };
    let all = middle.all();
    let ends = runs.first().zip(runs.last());
    let spread = ends.map_or(0.0, |(least, most)| {
        (most.all() - least.all()) / all * 100.0
    });
    let threads = middle
        .threads
        .iter()
        .filter(|thread| thread.each >= 0.5)
        .map(|thread| format!("{} {:.0}", thread.name, thread.each))
        .collect::<Vec<_>>()
        .join(", ");
    println!(
        "{}: {all:.0} instructions a request ({threads}); {} runs within {spread:.3} %",
        way.name,
        runs.len()
    );
    for thread in &middle.threads {
        // What little the other threads do is of no interest.
        let functions = thread.functions.iter().take(top);
        for (function, each) in functions.filter(|_| thread.each * 100.0 >= all) {
            println!("  {:<12} {each:>8.0}  {function}", thread.name);
        }
    }
    all
}
