//! A proxy that is reloaded every second while visitors ask, and then a thousand times: does any of them notice, does anything grow?
//!
//! Half of the visitors speak HTTP/1.1, half HTTP/2.
//!
//! `cargo run --release --example reload -- --seconds 60 --reloads 1000` runs the program with a file that changes each time (the
//! brand, time-outs, a second listener that comes and goes, and now and then the app's own settings), and prints how many requests
//! were sent, how many were dropped (there should be none) and how many had to be sent again because the connection had been
//! closed under them; then the resident memory, the descriptors and the threads before and after the thousand.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;

/// Visitors at once; one in four opens a connection for each request, the others keep theirs.
const VISITORS: u64 = 8;

/// The longest that anything is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A visitor's pause between two requests, so that a machine that has other work too is not kept from reloading.
const PAUSE: Duration = Duration::from_micros(500);

/// Reloads before the first look at what is held.
const WARM: u64 = 50;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("run") {
        return pardon::cli::main();
    }
    let folder = std::env::temp_dir().join(format!("pardon-reload-{}", std::process::id()));
    let seconds = argument("--seconds", 60);
    let reloads = argument("--reloads", 1000);
    let result = fs::create_dir_all(&folder).and_then(|()| run(&folder, seconds, reloads));
    drop(fs::remove_dir_all(&folder));
    match result {
        Ok(report) => {
            drop(writeln!(io::stdout(), "{report}"));
            if report.asked.dropped == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            drop(writeln!(io::stderr(), "error: {error}"));
            ExitCode::FAILURE
        }
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
struct Report {
    /// Under load.
    reloads: u64,
    asked: Asked,
    duration: Duration,
    /// Reloads one after the other.
    many: u64,
    before: Held,
    after: Held,
}

/// What visitors have seen.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    requests: u64,
    /// Those without the app's answer.
    dropped: u64,
    /// Those that were sent again.
    repeated: u64,
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Resident, in KiB.
    memory: u64,
    files: usize,
    threads: usize,
}

fn run(folder: &Path, seconds: u64, many: u64) -> io::Result<Report> {
    let app = app()?;
    let mut process = Process::start(folder, app)?;
    let begun = Instant::now();
    let end = Arc::new(AtomicBool::new(false));
    let address = process.address;
    let visitors: Vec<_> = (0..VISITORS)
        .map(|number| {
            let end = Arc::clone(&end);
            let keeps = number % 4 != 0;
            thread::spawn(move || {
                if number < VISITORS / 2 {
                    visit(&mut Http1::new(address), keeps, &end)
                } else {
                    Http2::new(address)
                        .map_or(Asked::FAILED, |mut way| visit(&mut way, keeps, &end))
                }
            })
        })
        .collect();
    let mut reloads = 0;
    while reloads < seconds {
        thread::sleep(Duration::from_secs(1));
        reloads += 1;
        process.reload(reloads)?;
    }
    end.store(true, Ordering::SeqCst);
    let mut asked = Asked::default();
    for visitor in visitors {
        let seen = visitor.join().unwrap_or(Asked::FAILED);
        asked.requests += seen.requests;
        asked.dropped += seen.dropped;
        asked.repeated += seen.repeated;
    }
    let duration = begun.elapsed();
    for number in 0..WARM {
        process.reload(reloads + 1 + number)?;
    }
    let before = process.held()?;
    for number in 0..many {
        process.reload(reloads + 1 + WARM + number)?;
    }
    Ok(Report {
        reloads,
        asked,
        duration,
        many,
        before,
        after: process.held()?,
    })
}

impl Asked {
    /// A visitor that could not even ask.
    const FAILED: Self = Self {
        requests: 0,
        dropped: 1,
        repeated: 0,
    };
}

/// A protocol, and the connection that is open.
trait Way {
    /// Asks once, on a new connection where none is open.
    fn ask(&mut self) -> io::Result<Answer>;

    fn is_open(&self) -> bool;

    fn close(&mut self);
}

/// An answer as its visitor sees it.
struct Answer {
    /// Whether it is the app's, and whole.
    fine: bool,
    /// Whether the connection ends with it.
    closes: bool,
}

/// Asks until it is told to end.
fn visit(way: &mut impl Way, keeps: bool, end: &AtomicBool) -> Asked {
    let mut asked = Asked::default();
    while !end.load(Ordering::Relaxed) {
        asked.requests += 1;
        let reused = way.is_open();
        let mut answer = way.ask();
        // A connection that was kept may be closed in the moment of the request: any client sends it again.
        if answer.is_err() && reused {
            asked.repeated += 1;
            way.close();
            answer = way.ask();
        }
        let closes = answer.as_ref().map_or(true, |answer| answer.closes);
        asked.dropped += u64::from(!answer.is_ok_and(|answer| answer.fine));
        if closes || !keeps {
            way.close();
        }
        thread::sleep(PAUSE);
    }
    asked
}

struct Http1 {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

impl Http1 {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            connection: None,
        }
    }
}

impl Way for Http1 {
    fn ask(&mut self) -> io::Result<Answer> {
        let stream = if let Some(stream) = &mut self.connection {
            stream
        } else {
            let stream = TcpStream::connect(self.address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            self.connection.insert(BufReader::new(stream))
        };
        let request = b"GET /reload HTTP/1.1\r\nHost: reload.example\r\n\r\n";
        stream.get_mut().write_all(request)?;
        let head = head(stream)?;
        let mut body = [0; 4];
        stream.read_exact(&mut body)?;
        Ok(Answer {
            fine: head.starts_with("HTTP/1.1 200 ") && &body == b"fine",
            closes: head.to_ascii_lowercase().contains("connection: close"),
        })
    }

    fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    fn close(&mut self) {
        self.connection = None;
    }
}

struct Http2 {
    address: SocketAddr,
    runtime: Runtime,
    connection: Option<SendRequest<Bytes>>,
}

impl Http2 {
    fn new(address: SocketAddr) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self {
            address,
            runtime,
            connection: None,
        })
    }
}

impl Way for Http2 {
    fn ask(&mut self) -> io::Result<Answer> {
        let (address, open) = (self.address, self.connection.take());
        let asked = self.runtime.block_on(async {
            let asked = async {
                // One that the proxy has said goodbye on takes no request: nothing was sent, so nothing is repeated.
                let ready = match open {
                    Some(open) => open.ready().await.ok(),
                    None => None,
                };
                let sender = match ready {
                    Some(ready) => ready,
                    None => connect(address).await?,
                };
                ask_http2(sender).await.map_err(io::Error::other)
            };
            timeout(PATIENCE, asked).await
        });
        let (fine, sender) = asked.map_err(|_| io::ErrorKind::TimedOut)??;
        self.connection = Some(sender);
        Ok(Answer {
            fine,
            closes: false,
        })
    }

    fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    fn close(&mut self) {
        self.connection = None;
    }
}

async fn connect(address: SocketAddr) -> io::Result<SendRequest<Bytes>> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = h2::client::handshake(stream)
        .await
        .map_err(io::Error::other)?;
    // How it ends the requests on it tell.
    tokio::spawn(async { drop(connection.await) });
    sender.ready().await.map_err(io::Error::other)
}

/// Sends one request; whether its answer is the app's, and whole.
async fn ask_http2(
    mut sender: SendRequest<Bytes>,
) -> Result<(bool, SendRequest<Bytes>), h2::Error> {
    let request = Request::get("http://reload.example/reload").body(());
    let Ok(request) = request else {
        return Ok((false, sender));
    };
    let (answer, _) = sender.send_request(request, true)?;
    let answer = answer.await?;
    let fine = answer.status() == 200;
    let mut body = answer.into_body();
    let mut text = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        text.extend(piece);
    }
    Ok((fine && text == b"fine", sender))
}

/// A head, up to its empty line.
fn head(stream: &mut impl BufRead) -> io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

/// An app that answers every request; it ends with the process.
fn app() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // What goes wrong here goes wrong for a visitor too, who counts it.
            thread::spawn(move || drop(serve(&stream)));
        }
    });
    Ok(address)
}

fn serve(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    loop {
        head(&mut reader)?;
        writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")?;
    }
}

/// The program, with a file that changes; it is killed with this value.
struct Process {
    child: Child,
    file: PathBuf,
    app: SocketAddr,
    address: SocketAddr,
    reloaded: Arc<AtomicU64>,
    log: Option<JoinHandle<()>>,
}

impl Process {
    fn start(folder: &Path, app: SocketAddr) -> io::Result<Self> {
        let file = folder.join("pardon.toml");
        fs::write(&file, configuration(app, 0))?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["run", "--config", "pardon.toml"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut log = BufReader::new(stderr);
        let address = address(&mut log)?;
        let reloaded = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&reloaded);
        Ok(Self {
            child,
            file,
            app,
            address,
            reloaded,
            log: Some(thread::spawn(move || hear(log, &count))),
        })
    }

    /// Changes the file, says so, and waits until it is in force.
    fn reload(&mut self, number: u64) -> io::Result<()> {
        let before = self.reloaded.load(Ordering::SeqCst);
        fs::write(&self.file, configuration(self.app, number))?;
        let kill = format!("kill -HUP {}", self.child.id());
        Command::new("sh").args(["-c", &kill]).status()?;
        let since = Instant::now();
        while self.reloaded.load(Ordering::SeqCst) == before {
            if since.elapsed() > PATIENCE {
                return Err(io::Error::other("it was not reloaded; its log says why"));
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        Ok(())
    }

    fn held(&self) -> io::Result<Held> {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = fs::read_to_string(folder.join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
        Ok(Held {
            memory: memory.unwrap_or(0),
            files: fs::read_dir(folder.join("fd"))?.count(),
            threads: fs::read_dir(folder.join("task"))?.count(),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended before.
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(log) = self.log.take() {
            drop(log.join());
        }
    }
}

/// The configuration after so many changes.
fn configuration(app: SocketAddr, number: u64) -> String {
    let second = if number % 2 == 1 { ", \"[::1]:0\"" } else { "" };
    // Every fifth time the app is another one to the proxy, with connections of its own.
    let queue = 200 + number / 5;
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"{second}]\n[server.timeouts]\nidle = \"{}s\"\n[brand]\nname = \"Shop {number}\"\n\
         [admin]\nlisten = []\n[log]\nformat = \"json\"\n[upstreams.app]\nendpoints = [\"http://{app}\"]\nqueue = {queue}\n",
        60 + number % 7
    )
}

/// Reads the log up to the line that says where it listens.
fn address(log: &mut impl BufRead) -> io::Result<SocketAddr> {
    let mut before = String::new();
    loop {
        let mut line = String::new();
        if log.read_line(&mut line)? == 0 {
            return Err(io::Error::other(format!("it did not start: {before}")));
        }
        let address = line.split("\"address\":\"").nth(1);
        if let Some(address) = address.and_then(|rest| rest.split('"').next()?.parse().ok()) {
            return Ok(address);
        }
        before.push_str(&line);
    }
}

/// Counts the reloads of a log, and passes on what is wrong.
fn hear(log: BufReader<ChildStderr>, reloaded: &AtomicU64) {
    for line in log.lines().map_while(Result::ok) {
        if line.contains("\"reloaded (SIGHUP)") {
            reloaded.fetch_add(1, Ordering::SeqCst);
        } else if line.contains("\"ERROR\"") || line.contains("\"WARN\"") {
            drop(writeln!(io::stderr(), "{line}"));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            reloads,
            asked,
            duration,
            many,
            before,
            after,
        } = self;
        let Asked {
            requests,
            dropped,
            repeated,
        } = asked;
        writeln!(
            f,
            "{requests} requests in {duration:.1?} with {reloads} reloads: {dropped} dropped, {repeated} repeated"
        )?;
        write!(f, "{many} more reloads: from {before} to {after}")
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            memory,
            files,
            threads,
        } = self;
        write!(f, "{memory} KiB, {files} descriptors, {threads} threads")
    }
}
