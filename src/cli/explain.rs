//! `pardon explain`: what would be done with a raw HTTP response, and why. The response is played to a real proxy on
//! loopback, so that what is explained is what happens.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::scratch::Scratch;
use super::told;
use crate::config::{self, Config, DisguiseMode, Listen};
use crate::gateway::Gateway;
use crate::incident::store::Reader;
use crate::incident::{BodyRecord, Cause, Incident};
use crate::intercept::{Decision, Policy, decide};

/// How long the played exchange may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How a mark of a secret begins.
const MARK: &str = "[redacted: ";
/// How many lines with secrets are shown.
const REDACTIONS: usize = 20;

/// The request that is played where none is given: a browser's.
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html,*/*;q=0.8\r\n\
    User-Agent: Mozilla/5.0 (pardon explain)\r\n\r\n";

/// Say what would be done with a raw HTTP response, and why.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A file that holds the response as it came over the wire: status line, headers, body.
    pub file: PathBuf,
    /// A file that holds the request, as it came over the wire; default: a browser's GET of /.
    #[arg(long, value_name = "FILE")]
    pub request: Option<PathBuf>,
    /// The configuration file; default: pardon.toml, then /etc/pardon/pardon.toml, then the defaults.
    #[arg(long, value_name = "FILE", env = "PARDON_CONFIG")]
    pub config: Option<PathBuf>,
}

/// Plays the response and prints what became of it.
///
/// # Errors
///
/// When a file cannot be read, loopback cannot be used, or the request gets no answer.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let response = read(&args.file)?;
    let request = match &args.request {
        Some(path) => read(path)?,
        None => REQUEST.as_bytes().to_vec(),
    };
    let mut config = super::configuration(args.config.as_deref())?;
    let app = App::start(response.clone())?;
    play_on_loopback(&mut config, app.address);
    let (answer, incident) = played(&config, &request)?;
    let text = if app.was_asked.load(Ordering::SeqCst) || incident.is_some() {
        let mut text = explanation(&config, &response, &answer, incident.as_ref());
        if let Some(head) = head(&response) {
            text.push_str(&told::by(
                &head.headers,
                &policy(&config, incident.as_ref()),
            ));
            let below = (200..500).contains(&head.status.as_u16());
            let play = |mode| Ok(played(&in_mode(&config, mode), &request)?.1);
            if below && app.was_asked.load(Ordering::SeqCst) {
                text.push_str(&told::in_modes(play)?);
            }
        }
        text
    } else {
        refusal(&answer)
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Plays the exchange once: what the visitor gets, and the record.
fn played(config: &Config, request: &[u8]) -> anyhow::Result<(Vec<u8>, Option<Incident>)> {
    let scratch = Scratch::make("explain")?;
    let mut config = recording(config);
    config.incidents.path = scratch.store();
    let mut gateway = Gateway::start(&config)?;
    let address = gateway
        .addresses()
        .first()
        .copied()
        .context("no listener")?;
    let answer = exchange(address, request)?;
    // So that what goes on behind the answer is done: a capture, a record.
    super::run::on_this_thread(gateway.drain())?;
    gateway.end();
    let incident = Reader::open(&config.incidents.path)?.last()?;
    Ok((answer, incident))
}

/// The same configuration, with failures in disguise treated in this way.
fn in_mode(config: &Config, mode: DisguiseMode) -> Config {
    let mut config = config.clone();
    for route in &mut config.routes {
        route.intercept.disguise.mode = mode;
    }
    config
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// The same configuration, with a record of what it would not keep, and a look into what it would look into by chance.
fn recording(config: &Config) -> Config {
    let mut config = config.clone();
    for route in &mut config.routes {
        route.intercept.record = true;
        route.intercept.disguise.sample = 1.0;
    }
    config
}

/// Points every upstream at the player, and everything else at free loopback ports.
fn play_on_loopback(config: &mut Config, player: SocketAddr) {
    config.server.listen = vec![Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))];
    config.server.workers = Some(1);
    config.admin.listen = Vec::new();
    if config.routes.is_empty() {
        config
            .upstreams
            .insert("app".to_owned(), config::Upstream::default());
        config.routes.push(config::Route {
            name: "app".to_owned(),
            upstream: "app".to_owned(),
            ..Default::default()
        });
    }
    let endpoint = config::Endpoint {
        scheme: config::Scheme::Http,
        host: player.ip().to_string(),
        port: player.port(),
        weight: 1,
    };
    for upstream in config.upstreams.values_mut() {
        upstream.endpoints = vec![endpoint.clone()];
    }
}

/// An app that answers every connection's first request with the same bytes and ends. Its thread ends with the process.
struct App {
    address: SocketAddr,
    /// Whether a request has reached it.
    was_asked: Arc<AtomicBool>,
}

impl App {
    fn start(response: Vec<u8>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let was_asked = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&was_asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                asked.store(true, Ordering::SeqCst);
                // What goes wrong here is seen by the proxy, which says it better.
                let _ = play(&stream, &response);
            }
        });
        Ok(Self { address, was_asked })
    }
}

fn play(mut stream: &TcpStream, response: &[u8]) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? > 0 {
        head.extend_from_slice(&byte);
    }
    stream.write_all(response)?;
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut stream, &mut io::sink())?;
    Ok(())
}

/// Sends the request as it is, but for a field that asks for the connection's end, and gives the whole answer.
fn exchange(address: SocketAddr, request: &[u8]) -> anyhow::Result<Vec<u8>> {
    let end = request
        .iter()
        .position(|byte| *byte == b'\n')
        .context("the request has no request line")?;
    let (line, rest) = request.split_at(end + 1);
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&[line, b"Connection: close\r\n", rest].concat())?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        // An answer that is broken off ends so; what came before it is what a visitor has.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        Err(error) => return Err(error).context("the request got no answer"),
    }
    if answer.is_empty() {
        bail!("the request got no answer: it is not one that Pardon understands");
    }
    Ok(answer)
}

/// A head as it was parsed for the explanation; none where it is not HTTP.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Where the body begins.
    pub(super) body: usize,
}

pub(super) fn head(bytes: &[u8]) -> Option<Head> {
    let mut fields = [httparse::EMPTY_HEADER; 256];
    let mut response = httparse::Response::new(&mut fields);
    let Ok(httparse::Status::Complete(body)) = response.parse(bytes) else {
        return None;
    };
    let mut headers = HeaderMap::new();
    for field in response.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    Some(Head {
        status: StatusCode::from_u16(response.code?).ok()?,
        headers,
        body,
    })
}

fn explanation(
    config: &Config,
    response: &[u8],
    answer: &[u8],
    incident: Option<&Incident>,
) -> String {
    let mut text = String::new();
    let verdict = match incident {
        None => "passes as it is",
        Some(incident) if incident.served.is_none() && incident.cause == Cause::Disguised => {
            "passes, and is recorded"
        }
        Some(incident) if incident.served.is_none() => {
            "passes, and is broken off where the app broke it off"
        }
        Some(_) => "replaced by a page",
    };
    line(&mut text, "verdict", verdict);
    line(&mut text, "why", &why(config, response, incident));
    explain_answer(&mut text, answer);
    if let Some(incident) = incident {
        let served = head(answer).map(|head| head.headers);
        let policy = policy(config, Some(incident));
        if !policy.record {
            let nothing = "no: `record = false`; what a record would hold follows";
            line(&mut text, "kept", nothing);
        }
        explain_incident(&mut text, incident, &policy, served);
    }
    text
}

/// What became of a request that Pardon answered by itself.
fn refusal(answer: &[u8]) -> String {
    let mut text = String::new();
    line(
        &mut text,
        "verdict",
        "never asked for: the request is refused before it reaches the app",
    );
    let no_route = head(answer).is_some_and(|head| head.status == StatusCode::NOT_FOUND);
    let why = if no_route {
        "no route is for its host and path; give one that is with --request FILE"
    } else {
        "it is not a request that Pardon forwards"
    };
    line(&mut text, "why", why);
    explain_answer(&mut text, answer);
    text
}

fn explain_answer(text: &mut String, answer: &[u8]) {
    if let Some(answered) = head(answer) {
        let size = answer.len() - answered.body;
        let says = format!("{}, {size} bytes of body", answered.status);
        line(text, "visitor gets", &says);
    }
}

/// Which rule decided.
fn why(config: &Config, response: &[u8], incident: Option<&Incident>) -> String {
    let failure = incident.and_then(|incident| incident.upstream.as_ref()?.error.clone());
    let played = head(response);
    let Some(played) = played.filter(|_| {
        incident.is_none_or(|i| matches!(i.cause, Cause::UpstreamStatus | Cause::Disguised))
    }) else {
        let cause = incident.map_or("not HTTP", |incident| incident.cause.as_str());
        return format!("{cause}: {}", failure.unwrap_or_default());
    };
    let status = played.status.as_u16();
    if incident.is_some_and(|incident| incident.cause == Cause::Disguised) {
        return format!(
            "status {status} is not among intercept.statuses, but the answer shows a failure"
        );
    }
    match decide(played.status, &played.headers, &policy(config, incident)) {
        Decision::PassStatus => format!("status {status} is not among intercept.statuses"),
        Decision::PassHeader => "it carries intercept.pass_header: the app's own page".to_owned(),
        Decision::PassType => "its media type is among intercept.pass_content_types".to_owned(),
        Decision::Replace if incident.is_none() => {
            format!(
                "status {status} is among intercept.statuses, but intercept.only spares pages that are neither bare nor leaking"
            )
        }
        Decision::Replace => format!("status {status} is among intercept.statuses"),
    }
}

/// The rules of the incident's route, or of the first.
fn policy(config: &Config, incident: Option<&Incident>) -> Policy {
    let named = |route: &&config::Route| incident.is_some_and(|i| *route.name == *i.route);
    let route = config.routes.iter().find(named).or(config.routes.first());
    Policy::build(route.map_or(&config.intercept, |route| &route.intercept))
}

fn explain_incident(
    text: &mut String,
    incident: &Incident,
    policy: &Policy,
    served: Option<HeaderMap>,
) {
    line(text, "cause", incident.cause.as_str());
    line(text, "route", &incident.route);
    line(text, "summary", &incident.summary);
    line(text, "fingerprint", &incident.fingerprint.to_string());
    if let Some(page) = &incident.served {
        let page = format!("{} in {}, by {}", page.format, page.language, page.template);
        line(text, "page", &page);
    }
    if let Some(body) = &incident.body {
        explain_redactions(text, body);
        let complete = if body.complete {
            "complete"
        } else {
            "incomplete"
        };
        let decoded = if body.decoded {
            ""
        } else {
            ", kept as it came"
        };
        let size = format!(
            "{} bytes came, {} kept, {complete}{decoded}",
            body.bytes, body.kept
        );
        line(text, "body", &size);
    }
    let Some(upstream) = &incident.upstream else {
        return;
    };
    if let Some(error) = &upstream.error {
        line(text, "trouble", error);
    }
    let served = served.unwrap_or_default();
    let kept = |name: &HeaderName| policy.keeps(name) && served.contains_key(name);
    for field in &upstream.headers {
        let fate = match &field.value {
            value if value.contains(MARK) => "redacted in the record, not on the page",
            _ if kept(&field.name) => "kept on the page",
            _ => "in the record, not on the page",
        };
        line(text, "header", &format!("{}: {fate}", field.name));
    }
}

/// The lines of the original that lose a secret, as they are kept.
fn explain_redactions(text: &mut String, body: &BodyRecord) {
    let kept = String::from_utf8_lossy(&body.content);
    let marked = kept.lines().enumerate();
    let mut marked = marked.filter(|(_, line)| line.contains(MARK));
    for (number, line_of_it) in marked.by_ref().take(REDACTIONS) {
        let says = format!("line {}: {}", number + 1, around(line_of_it));
        line(text, "redacted", &says);
    }
    match marked.count() {
        0 => {}
        more => line(text, "redacted", &format!("in {more} more lines")),
    }
}

/// The part of a line where its first mark stands.
fn around(line: &str) -> String {
    let mark = line.find(MARK).unwrap_or(0);
    let before = line.get(..mark).unwrap_or_default().chars().count();
    line.chars()
        .skip(before.saturating_sub(60))
        .take(140)
        .collect()
}

pub(super) fn line(text: &mut String, what: &str, says: &str) {
    // Writing to a string cannot fail. Control characters of the response stay out of the terminal.
    let safe: String = says
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    let _ = writeln!(text, "{what:<13} {safe}");
}
