//! What the parts of a kept failure cost by themselves: page, redaction, summary and fingerprint, row, log line.
//!
//! Measured with the library that this program was built with, in a process of its own on the proxy's core (`--split`), on the same bodies
//! that the origin sends. The log goes to stderr, where it is read.

use std::collections::VecDeque;
use std::fs;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderName, Method, StatusCode, Version};
use jiff::Timestamp;
use pardon::config;
use pardon::incident::{
    BodyRecord, Cause, HeaderField, Incident, Incidents, Redactor, RequestRecord, Served,
    UpstreamRecord, describe, log,
};
use pardon::page::{Format, Notice, PageContext, Pages};
use pardon::request_id::{IdKey, IdSource};
use pardon::telemetry;
use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;

use crate::contender::Ground;
use crate::failure::Failure;
use crate::log::Log;
use crate::process::Process;
use crate::rounds::float;

/// How many different failures are gone through.
const FAILURES: usize = 2_000;
/// How many rows are written, and how many of them wait at a time: as many as visitors do.
const ROWS: usize = 20_000;
const WINDOW: usize = 32;
/// How many lines are logged: fewer than fill the log's buffer.
const LINES: usize = 1_000;

/// Microseconds of CPU time for one failure.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Split {
    pub(crate) page: f64,
    pub(crate) redaction: f64,
    pub(crate) summary: f64,
    /// On the thread that writes, and on that which brings the log of the store into its file.
    pub(crate) row: f64,
    pub(crate) checkpoint: f64,
    /// On the worker, and on the thread that writes lines.
    pub(crate) line: f64,
    pub(crate) line_writer: f64,
}

/// Has a process measure it.
pub(crate) fn measure(ground: &Ground) -> Result<Split> {
    let folder = ground.folder.join("split");
    fs::create_dir_all(&folder)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--split").arg(&folder);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = Process::start("the split", &[ground.proxy_core], &mut command)?;
    let _log = Log::read(&mut process);
    let mut text = String::new();
    let stdout = process.child().stdout.as_mut().context("its stdout")?;
    stdout.read_to_string(&mut text)?;
    serde_json::from_str(&text).context("the cost could not be split")
}

/// Measures it in this process, and prints it as JSON.
pub(crate) fn run(folder: &Path) -> Result<()> {
    let mut failure = Failure::new();
    let bodies: Vec<Bytes> = (0..FAILURES)
        .map(|_| {
            failure.next();
            Bytes::copy_from_slice(failure.body())
        })
        .collect();
    let redactor = Redactor::new(&config::Redact::default(), config::ClientAddress::Full);
    let mut split = Split {
        page: page()?,
        redaction: each(&bodies, |body| {
            _ = black_box(redactor.text(body.clone()));
        }),
        summary: each(&bodies, |body| {
            let media_type = Some("text/plain; charset=utf-8");
            _ = black_box(describe(
                Cause::UpstreamStatus,
                "app",
                media_type,
                body,
                None,
            ));
        }),
        ..Split::default()
    };
    let samples = Samples::new(bodies);
    samples.rows(folder, &mut split)?;
    samples.lines(&mut split)?;
    writeln!(io::stdout(), "{}", serde_json::to_string(&split)?)?;
    Ok(())
}

fn page() -> Result<f64> {
    let settings = (config::Pages::default(), config::Brand::default());
    let built = Pages::build(&settings.0, &settings.1, Path::new("."));
    let pages = built.ok().context("the built-in pages")?;
    let wanted = pages.wanted(Format::Html, None).context("a language")?;
    let context = PageContext {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        notice: Notice::AppFailed,
        request_id: "7Q3K-0ZD8-MX4T-9A2C",
        time: Timestamp::now(),
        host: "shop.example",
        path: "/unlike",
        method: &Method::GET,
        retry_after: None,
        planned: None,
    };
    Ok(each(&[(); FAILURES], |()| {
        _ = black_box(pages.render(&wanted, &context));
    }))
}

/// Microseconds for each: the best of five rounds.
fn each<T>(all: &[T], run: impl Fn(&T)) -> f64 {
    let round = || {
        let begun = Instant::now();
        all.iter().for_each(&run);
        begun.elapsed().as_secs_f64() * 1e6 / float(all.len() as u64)
    };
    (0..5).map(|_| round()).fold(f64::INFINITY, f64::min)
}

/// Incidents as the proxy makes them of these bodies.
struct Samples {
    bodies: Vec<Bytes>,
    ids: IdSource,
}

impl Samples {
    fn new(bodies: Vec<Bytes>) -> Self {
        let ids = IdSource::new(&IdKey::new().into(), 0);
        Self { bodies, ids }
    }

    fn incident(&self, number: usize) -> Incident {
        let body = self.bodies.iter().cycle().nth(number % FAILURES).cloned();
        let content = body.unwrap_or_default();
        let media_type = Some("text/plain; charset=utf-8");
        let found = describe(Cause::UpstreamStatus, "app", media_type, &content, None);
        Incident {
            seq: 0,
            id: self.ids.next(SystemTime::now()),
            time: Timestamp::now(),
            instance: "shop-1".into(),
            cause: Cause::UpstreamStatus,
            route: "app".into(),
            summary: found.summary,
            fingerprint: found.fingerprint,
            request: asked(),
            upstream: Some(answered(content.len())),
            body: Some(body_record(content)),
            served: Some(Served {
                status: 500,
                format: "html".into(),
                language: "en".into(),
                template: "error.html".into(),
            }),
            reference: None,
            trace_id: None,
            evidence: Vec::new(),
            settled: true,
            duration: Duration::from_micros(700),
        }
    }

    /// Writes rows as a worker has them written, each body another.
    fn rows(&self, folder: &Path, split: &mut Split) -> Result<()> {
        let settings = config::Incidents {
            path: folder.join("pardon.db"),
            ..config::Incidents::default()
        };
        let (incidents, recording) = Incidents::start(&settings)?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        LocalSet::new().block_on(&runtime, async {
            let desk = incidents.desk();
            let mut waiting = VecDeque::new();
            for number in 0..ROWS {
                let mut incident = self.incident(number);
                // Equal bodies are kept once.
                if let Some(body) = &mut incident.body {
                    body.content = [number.to_string().as_bytes(), &body.content]
                        .concat()
                        .into();
                }
                waiting.push_back(desk.record(incident).1);
                if waiting.len() >= WINDOW
                    && let Some(oldest) = waiting.pop_front()
                {
                    _ = oldest.await;
                }
            }
            while let Some(oldest) = waiting.pop_front() {
                _ = oldest.await;
            }
        });
        split.row = thread_micros("incidents") / float(ROWS as u64);
        split.checkpoint = thread_micros("checkpoints") / float(ROWS as u64);
        drop(recording);
        Ok(())
    }

    /// Logs lines, and waits until they are written.
    fn lines(&self, split: &mut Split) -> Result<()> {
        let incidents: Vec<Incident> = (0..LINES).map(|number| self.incident(number)).collect();
        let settings = config::Log {
            format: Some(config::LogFormat::Json),
            ..config::Log::default()
        };
        let log_body = config::Incidents::default().log_body.bytes();
        let guard = telemetry::init(&settings)?;
        let begun = Instant::now();
        for incident in &incidents {
            log(incident, log_body, true);
        }
        let all = begun.elapsed().as_secs_f64() * 1e6;
        drop(guard);
        thread::sleep(Duration::from_millis(50));
        let writer = thread_micros("pardon-log");
        split.line_writer = writer / float(LINES as u64);
        split.line = all / float(LINES as u64);
        Ok(())
    }
}

fn asked() -> RequestRecord {
    let fields = [("host", "shop.example"), ("accept", "text/html")];
    RequestRecord {
        method: "GET".to_owned(),
        url: "/unlike".to_owned(),
        version: Version::HTTP_11,
        client: Some([127, 0, 0, 1].into()),
        headers: fields.map(|(name, value)| field(name, value)).to_vec(),
    }
}

fn answered(length: usize) -> UpstreamRecord {
    let length = length.to_string();
    let fields = [
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", &length),
    ];
    UpstreamRecord {
        name: "app".into(),
        endpoint: Arc::from("http://127.0.0.1:3000"),
        status: Some(500),
        headers: fields.map(|(name, value)| field(name, value)).to_vec(),
        attempts: 1,
        head_ms: Some(0.4),
        error: None,
    }
}

fn body_record(content: Bytes) -> BodyRecord {
    let length = content.len() as u64;
    BodyRecord {
        content,
        content_type: Some("text/plain; charset=utf-8".to_owned()),
        content_encoding: None,
        bytes: length,
        kept: length,
        complete: true,
        decoded: true,
        redactions: 0,
    }
}

fn field(name: &'static str, value: &str) -> HeaderField {
    HeaderField::new(&HeaderName::from_static(name), value.as_bytes())
}

/// Microseconds that a thread of this process has spent.
fn thread_micros(name: &str) -> f64 {
    let tasks = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let named = tasks.map(|task| task.path());
    let named = named.filter(|task| read(&task.join("comm")).trim() == name);
    let spent = named.filter_map(|task| {
        let spent = read(&task.join("schedstat"));
        spent.split(' ').next()?.parse::<f64>().ok()
    });
    spent.sum::<f64>() / 1e3
}
