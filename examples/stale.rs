//! An app that closes its idle connections whenever it likes, and a proxy before it: does any visitor notice?
//!
//! `cargo run --release --example stale -- --requests 100000 --seed 1` sends so many GET requests through a proxy in this
//! process and prints how many went wrong (there should be none), how many connections the app has seen, and how many
//! requests met a connection that the app was just closing.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pardon::config::{self, Listen};
use pardon::gateway::Gateway;

/// Visitors at once, each on a connection of its own.
const VISITORS: u64 = 16;

/// One answer in so many is followed by a close at a random moment.
const CLOSES: u64 = 4;

/// The longest that such a connection may be idle before it is closed.
const IDLE: Duration = Duration::from_micros(300);

fn main() -> ExitCode {
    let report = run(argument("--requests", 100_000), argument("--seed", 1));
    drop(writeln!(io::stdout(), "{report}"));
    if report.errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The number after `name`, or `default`.
fn argument(name: &str, default: u64) -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments
        .nth(1)
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// What has come of it.
#[derive(Debug)]
pub struct Report {
    /// Requests that were sent.
    pub requests: u64,
    /// Those of them that did not get the app's answer.
    pub errors: u64,
    /// Connections that the app has accepted.
    pub connections: u64,
    /// Connections that the app closed of its own accord.
    pub closed: u64,
    /// Requests that reached a connection which the app had just begun to close, so that they had to be sent again.
    pub met: u64,
    /// The time that it took.
    pub duration: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            requests,
            errors,
            connections,
            closed,
            met,
            duration,
        } = self;
        write!(
            f,
            "{requests} requests in {duration:.1?}: {errors} errors, {connections} connections, \
             {closed} closed by the app, {met} requests sent again"
        )
    }
}

/// Sends so many requests through a proxy to such an app.
///
/// # Panics
///
/// When no proxy or no socket can be had.
#[must_use]
pub fn run(requests: u64, seed: u64) -> Report {
    let app = App::start(seed);
    let gateway = gateway(app.address);
    let address = gateway.addresses().first().copied();
    let address = address.unwrap_or(app.address);
    let begun = Instant::now();
    let visitors: Vec<_> = (0..VISITORS)
        .map(|visitor| {
            let share = requests / VISITORS + u64::from(visitor < requests % VISITORS);
            thread::spawn(move || visit(address, share))
        })
        .collect();
    // A visitor that could not go on has lost all of its requests.
    let errors = visitors
        .into_iter()
        .map(|visitor| visitor.join().unwrap_or(requests))
        .sum();
    let report = Report {
        requests,
        errors,
        connections: app.tally.connections.load(Ordering::SeqCst),
        closed: app.tally.closed.load(Ordering::SeqCst),
        met: app.tally.met.load(Ordering::SeqCst),
        duration: begun.elapsed(),
    };
    gateway.end();
    drop(fs::remove_dir_all(folder()));
    report
}

/// Where its incidents go, of which there should be none.
fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("pardon-stale-{}", std::process::id()))
}

#[expect(
    clippy::expect_used,
    reason = "without a proxy there is nothing to see"
)]
fn gateway(app: SocketAddr) -> Gateway {
    let mut config = config::for_upstream(&format!("http://{app}"), None)
        .expect("an address is an upstream")
        .config;
    config.server.listen = vec![Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))];
    config.admin.listen = Vec::new();
    config.server.workers = Some(2);
    config.incidents.path = folder().join("pardon.db");
    fs::create_dir_all(folder()).expect("a temporary folder");
    Gateway::start(&config).expect("a proxy on a free port")
}

/// Asks so many times and counts what went wrong.
fn visit(gateway: SocketAddr, requests: u64) -> u64 {
    let mut errors = 0;
    let mut connection = None;
    for _ in 0..requests {
        if !ask(gateway, &mut connection).unwrap_or(false) {
            errors += 1;
            connection = None;
        }
    }
    errors
}

/// Asks once, on the connection that there is or a new one; says whether the app's answer came.
fn ask(gateway: SocketAddr, connection: &mut Option<BufReader<TcpStream>>) -> io::Result<bool> {
    if connection.is_none() {
        let stream = TcpStream::connect(gateway)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        *connection = Some(BufReader::new(stream));
    }
    let Some(stream) = connection else {
        return Ok(false);
    };
    stream
        .get_mut()
        .write_all(b"GET /stale HTTP/1.1\r\nHost: stale.example\r\n\r\n")?;
    let head = head(stream)?;
    let mut body = [0; 4];
    stream.read_exact(&mut body)?;
    Ok(head.starts_with("HTTP/1.1 200 ") && &body == b"fine")
}

/// A head, up to its empty line.
fn head(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

/// The app; it accepts nothing more when this is dropped.
struct App {
    address: SocketAddr,
    tally: Arc<Tally>,
}

#[derive(Default)]
struct Tally {
    ended: AtomicBool,
    connections: AtomicU64,
    closed: AtomicU64,
    met: AtomicU64,
}

impl App {
    #[expect(clippy::expect_used, reason = "without an app there is nothing to see")]
    fn start(seed: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let tally = Arc::new(Tally::default());
        let app = Self {
            address,
            tally: Arc::clone(&tally),
        };
        thread::spawn(move || {
            for stream in listener.incoming() {
                if tally.ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let number = tally.connections.fetch_add(1, Ordering::SeqCst);
                let (shared, chance) = (Arc::clone(&tally), Chance::new(seed, number));
                // What goes wrong here goes wrong for a visitor too, who counts it.
                thread::spawn(move || drop(serve(stream, chance, &shared)));
            }
        });
        app
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.tally.ended.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then ends.
        drop(TcpStream::connect(self.address));
    }
}

/// Answers until chance ends the connection, without a word about it before.
fn serve(stream: TcpStream, mut chance: Chance, tally: &Tally) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        head(&mut stream)?;
        stream
            .get_mut()
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")?;
        if chance.below(CLOSES) > 0 {
            continue;
        }
        let idle = IDLE.mul_f64(chance.share());
        let since = Instant::now();
        while since.elapsed() < idle {
            std::hint::spin_loop();
        }
        stream.get_mut().shutdown(Shutdown::Write)?;
        tally.closed.fetch_add(1, Ordering::SeqCst);
        // What comes now is not read any more: dropped with it, the connection is reset.
        if stream.fill_buf().is_ok_and(|late| !late.is_empty()) {
            tally.met.fetch_add(1, Ordering::SeqCst);
        }
        return Ok(());
    }
}

/// Numbers that are the same for the same seed (xorshift64*).
struct Chance(u64);

impl Chance {
    fn new(seed: u64, number: u64) -> Self {
        let mixed = (seed ^ number.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self(mixed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 32) % bound
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }
}
