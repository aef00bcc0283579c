//! The load: wrk for requests, a client of our own for streams. In goes what to ask for, out comes what was answered and how fast.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::fetch::{self, HOST};
use crate::origin::GIB;
use crate::wire;

/// wrk's script; it prints what was measured.
pub(crate) const SCRIPT: &str = include_str!("load.lua");
/// Bytes of a stream that are read or written at once.
const PIECE: usize = 256 << 10;

/// What visitors do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// They ask, so many at once, for as long as a round is.
    Requests {
        connections: u32,
        /// Each request has a connection of its own.
        close: bool,
    },
    /// They ask by HTTP/2 over TLS, several at once on each connection.
    Streams { connections: u32, streams: u32 },
    /// One after the other makes a full TLS handshake, asks and leaves.
    Handshakes,
    /// They have what they send through a tunnel sent back, message by message.
    Echo { tunnels: u32 },
    /// One of them downloads a GiB.
    Download,
    /// One of them uploads a GiB.
    Upload,
}

/// What was done in a round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Done {
    /// Requests, or streams of a GiB each.
    pub(crate) requests: u64,
    /// How long it took.
    pub(crate) micros: u64,
    /// Bytes that came.
    pub(crate) bytes: u64,
    pub(crate) connect: u64,
    pub(crate) read: u64,
    pub(crate) write: u64,
    pub(crate) timeout: u64,
    /// Answers from 400 on.
    pub(crate) status: u64,
    /// Microseconds from a request to its answer.
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
}

impl Done {
    /// What was wrong with it, where every answer should have had this status.
    pub(crate) fn wrong(&self, wanted: u16) -> Option<String> {
        let expected = if wanted < 400 { 0 } else { self.requests };
        let mut wrong = String::new();
        for (count, what) in [
            (u64::from(self.requests == 0), "nothing was answered"),
            (self.connect, "connections failed"),
            (self.read, "reads failed"),
            (self.write, "writes failed"),
            (self.timeout, "answers took too long"),
            (self.status.abs_diff(expected), "answers had another status"),
        ] {
            if count > 0 {
                // Writing to a string cannot fail.
                _ = write!(wrong, "{count} {what}; ");
            }
        }
        (!wrong.is_empty()).then(|| wrong.trim_end_matches("; ").to_owned())
    }
}

impl Load {
    /// Whether it lasts as long as a round, and consists of requests.
    pub(crate) fn is_timed(self) -> bool {
        !matches!(self, Self::Download | Self::Upload)
    }

    /// Whether it is put on the port that speaks TLS.
    pub(crate) fn is_secure(self) -> bool {
        matches!(self, Self::Streams { .. } | Self::Handshakes)
    }

    /// Puts it on the proxy at a port. Requests take so many seconds; a stream takes what it takes.
    pub(crate) fn run(self, port: u16, path: &str, seconds: u32, folder: &Path) -> Result<Done> {
        match self {
            Self::Requests { connections, close } => {
                let mut wrk = Command::new("wrk");
                wrk.args(["-t1", "--latency", "--timeout", "10s"])
                    .args(["-c", &connections.to_string()])
                    .args(["-d", &format!("{seconds}s")])
                    .args(["-s", "load.lua"])
                    .args(["-H", &format!("Host: {HOST}"), "-H", "Accept: text/html"]);
                if close {
                    wrk.args(["-H", "Connection: close"]);
                }
                wrk.arg(format!("http://127.0.0.1:{port}{path}"))
                    .current_dir(folder);
                let printed = wrk.stderr(Stdio::inherit()).output()?;
                let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
                let line = printed.lines().rfind(|line| line.starts_with('{'));
                let line = line.with_context(|| format!("wrk printed no figures: {printed}"))?;
                Ok(serde_json::from_str(line)?)
            }
            Self::Streams {
                connections,
                streams,
            } => wire::streams(port, path, seconds, (connections, streams)),
            Self::Handshakes => wire::handshakes(port, path, seconds, folder),
            Self::Echo { tunnels } => wire::echo(port, path, seconds, tunnels),
            Self::Download => download(port, path),
            Self::Upload => upload(port, path),
        }
    }
}

fn download(port: u16, path: &str) -> Result<Done> {
    let begun = Instant::now();
    let mut stream = fetch::connect(port)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut piece = vec![0; PIECE];
    let mut bytes = 0;
    loop {
        match stream.read(&mut piece)? {
            0 => break,
            read => bytes += read as u64,
        }
    }
    if bytes < GIB {
        bail!("{bytes} bytes of a GiB came");
    }
    Ok(streamed(begun, bytes))
}

fn upload(port: u16, path: &str) -> Result<Done> {
    let begun = Instant::now();
    let mut stream = fetch::connect(port)?;
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {GIB}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let piece = vec![b'.'; PIECE];
    for _ in 0..GIB / PIECE as u64 {
        stream.write_all(&piece)?;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if !answer.starts_with("HTTP/1.1 200 ") {
        bail!("the upload was answered with {:?}", answer.lines().next());
    }
    Ok(streamed(begun, GIB))
}

fn streamed(begun: Instant, bytes: u64) -> Done {
    Done {
        requests: 1,
        micros: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        bytes,
        ..Done::default()
    }
}
