//! Load on what lies around requests: streams of HTTP/2 by h2load, TLS handshakes and tunnels by clients of our own. In goes a port, out
//! comes what was done in the time.

use std::fs;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::fetch::{self, HOST};
use crate::load::Done;

/// What goes through a tunnel at once: the largest WebSocket frame that has the shortest head.
const MESSAGE: usize = 125;

/// Writes a certificate and its key, of ECDSA on P-256, for all who speak TLS here.
pub(crate) fn issue(folder: &Path) -> Result<()> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([HOST.to_owned()])?;
    let cert = pem("CERTIFICATE", cert.der());
    let key = pem("PRIVATE KEY", signing_key.serialized_der());
    fs::write(folder.join("cert.pem"), &cert)?;
    fs::write(folder.join("key.pem"), &key)?;
    fs::write(folder.join("both.pem"), [cert, key].concat())?;
    Ok(())
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// So many connections, each with so many requests under way.
pub(crate) fn streams(
    port: u16,
    path: &str,
    seconds: u32,
    (connections, streams): (u32, u32),
) -> Result<Done> {
    let mut h2load = Command::new("h2load");
    h2load
        .args(["-t1", "-c", &connections.to_string()])
        .args(["-m", &streams.to_string()])
        .args(["-D", &seconds.to_string()])
        .args(["-H", "accept: text/html"])
        .arg(format!("--connect-to=127.0.0.1:{port}"))
        .arg(format!("https://{HOST}:{port}{path}"));
    let printed = h2load.stderr(Stdio::inherit()).output()?;
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    spoken(&printed).with_context(|| format!("h2load printed no figures: {printed}"))
}

/// What h2load says that it did.
fn spoken(printed: &str) -> Result<Done> {
    let line = |begin: &str| {
        let line = printed.lines().find(|line| line.starts_with(begin));
        line.with_context(|| format!("no line `{begin}`"))
    };
    let count = |line: &str, what: &str| -> Result<u64> {
        let mut parts = line.split([':', ',']);
        let part = parts.find(|part| part.trim().ends_with(what));
        let number = part.and_then(|part| part.split_whitespace().next());
        Ok(number.context("a count")?.parse()?)
    };
    ensure!(
        line("Application protocol")?.ends_with("h2"),
        "it did not speak HTTP/2"
    );
    let requests = line("requests:")?;
    let codes = line("status codes:")?;
    Ok(Done {
        requests: count(requests, "succeeded")?,
        micros: elapsed(line("finished in")?)?,
        bytes: 0,
        connect: 0,
        read: count(requests, "failed")? + count(requests, "errored")?,
        timeout: count(requests, "timeout")?,
        status: count(codes, "4xx")? + count(codes, "5xx")?,
        ..Done::default()
    })
}

/// `finished in 3.00s, ...`, in microseconds.
fn elapsed(line: &str) -> Result<u64> {
    let word = line.split([' ', ',']).nth(2).context("a time")?;
    let unit = word.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    let number: f64 = word.trim_end_matches(unit).parse()?;
    let seconds = match unit {
        "s" => number,
        "ms" => number / 1e3,
        _ => number / 1e6,
    };
    Ok(u64::try_from(Duration::from_secs_f64(seconds).as_micros())?)
}

/// Full handshakes, one after the other, each with a request on its connection.
pub(crate) fn handshakes(port: u16, path: &str, seconds: u32, folder: &Path) -> Result<Done> {
    let config = visitor(folder)?;
    let name = ServerName::try_from(HOST)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    let (begun, mut done, mut spans) = (Instant::now(), Done::default(), Vec::new());
    while begun.elapsed() < Duration::from_secs(seconds.into()) {
        let one = Instant::now();
        let mut tls = ClientConnection::new(Arc::clone(&config), name.clone())?;
        let mut tcp = fetch::connect(port)?;
        let mut answer = Vec::new();
        let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
        stream.write_all(request.as_bytes())?;
        stream.read_to_end(&mut answer)?;
        done.requests += 1;
        done.bytes += answer.len() as u64;
        done.status += u64::from(!answer.starts_with(b"HTTP/1.1 200 "));
        spans.push(one.elapsed());
    }
    Ok(timed(done, begun, spans))
}

/// A visitor's TLS: nothing is resumed.
fn visitor(folder: &Path) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("cert.pem"))?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions()?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Tunnels in which one message after the other is sent and comes back.
pub(crate) fn echo(port: u16, path: &str, seconds: u32, tunnels: u32) -> Result<Done> {
    let begun = Instant::now();
    let end = begun + Duration::from_secs(seconds.into());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let path: Arc<str> = path.into();
    runtime.block_on(async {
        let mut all = JoinSet::new();
        for _ in 0..tunnels {
            all.spawn(tunnel(port, Arc::clone(&path), end));
        }
        let (mut done, mut spans) = (Done::default(), Vec::new());
        while let Some(ended) = all.join_next().await {
            spans.extend(ended??);
        }
        done.requests = spans.len() as u64;
        done.bytes = done.requests * MESSAGE as u64;
        Ok(timed(done, begun, spans))
    })
}

/// One of them: how long each message took.
async fn tunnel(port: u16, path: Arc<str>, end: Instant) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await?);
    }
    ensure!(
        answer.starts_with(b"HTTP/1.1 101 "),
        "there is no tunnel: {}",
        String::from_utf8_lossy(&answer)
    );
    let (message, mut come) = ([b'.'; MESSAGE], [0; MESSAGE]);
    let mut spans = Vec::new();
    while Instant::now() < end {
        let one = Instant::now();
        stream.write_all(&message).await?;
        stream.read_exact(&mut come).await?;
        spans.push(one.elapsed());
    }
    Ok(spans)
}

/// What was done since a time, each in its span.
fn timed(mut done: Done, begun: Instant, mut spans: Vec<Duration>) -> Done {
    done.micros = micros(begun.elapsed());
    spans.sort_unstable();
    let at = |per_mille: usize| {
        let place = spans.len() * per_mille / 1000;
        spans.get(place).copied().map_or(0, micros)
    };
    (done.p50, done.p99, done.p999) = (at(500), at(990), at(999));
    done
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
