//! One of the two ways to the app: a proxy on loopback, and requests to it.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::Context;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use regex::bytes::Regex;

use crate::cli::explain::head;
use crate::cli::run::on_this_thread;
use crate::cli::scratch::Scratch;
use crate::config::units::{Period, StatusSet};
use crate::config::{self, DisguiseMode, Listen};
use crate::gateway::Gateway;

/// How long one answer may take, and how much of it is read.
const PATIENCE: Duration = Duration::from_secs(10);
const MOST: u64 = 1 << 20;
/// How long the app may be silent, in seconds.
const HEAD_PATIENCE: u64 = 8;

/// A request ID, as pages show it.
static REFERENCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?-u)\b[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){3}\b").ok()
});

/// A way to the app.
pub(super) struct Side {
    gateway: Gateway,
    address: SocketAddr,
    /// What it asks for: the app's host, as its address has it.
    authority: String,
    // After the gateway: its store is in it.
    _scratch: Scratch,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) target: String,
    /// The accepted types, where it is not a browser's.
    pub(super) accept: Option<&'static str>,
    /// Other fields, each with its line end.
    pub(super) fields: String,
    /// How one came to ask that.
    pub(super) why: String,
}

/// An answer, as far as it was read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Whether it is all there.
    pub(super) whole: bool,
}

impl Side {
    /// A proxy before this app: one that passes everything, or one that treats failures in disguise in this way.
    pub(super) fn start(url: &Uri, mode: Option<DisguiseMode>) -> anyhow::Result<Self> {
        thread_local! {
            static COUNT: Cell<u32> = const { Cell::new(0) };
        }
        let scheme = url.scheme_str().unwrap_or("http");
        let authority = url.authority().context("an address without a host")?;
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        let mut config = config::for_upstream(&format!("{scheme}://{host}"), None)?.config;
        config.server.listen = vec![Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))];
        config.server.workers = Some(1);
        config.admin.listen = Vec::new();
        COUNT.set(COUNT.get() + 1);
        let scratch = Scratch::make(&format!("audit-{}", COUNT.get()))?;
        config.incidents.path = scratch.store();
        for route in &mut config.routes {
            // So that it is a proxy that says that the app is silent, before patience ends.
            route.timeouts.head = Period::seconds(HEAD_PATIENCE);
            route.intercept.disguise.mode = mode.unwrap_or(DisguiseMode::Off);
            if mode.is_none() {
                route.intercept.statuses = StatusSet(Vec::new());
            }
        }
        let gateway = Gateway::start(&config)?;
        let address = gateway.addresses().first().copied();
        Ok(Self {
            address: address.context("no listener")?,
            gateway,
            authority: host.to_owned(),
            _scratch: scratch,
        })
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Asks once; an error says why there is no answer.
    pub(super) fn ask(&self, ask: &Ask) -> Result<Answer, String> {
        let answer = self.exchange(ask).map_err(|error| error.to_string())?;
        match answer {
            Some(answer) => Ok(answer),
            None => Err("it is not HTTP".to_owned()),
        }
    }

    fn exchange(&self, ask: &Ask) -> io::Result<Option<Answer>> {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        let accept = ask
            .accept
            .unwrap_or("text/html,application/xhtml+xml,*/*;q=0.8");
        let version = env!("CARGO_PKG_VERSION");
        // The older version's answers end with the connection, which is all the framing that is needed here.
        let request = format!(
            "{} {} HTTP/1.0\r\nHost: {}\r\nAccept: {accept}\r\nUser-Agent: Mozilla/5.0 (pardon audit {version})\r\n{}\r\n",
            ask.method, ask.target, self.authority, ask.fields
        );
        stream.write_all(request.as_bytes())?;
        let until = Instant::now() + PATIENCE;
        let mut bytes = Vec::new();
        let mut piece = vec![0; 16 << 10];
        let whole = loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || bytes.len() as u64 >= MOST {
                break bytes.len() as u64 >= MOST;
            }
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut piece) {
                Ok(0) => break true,
                Ok(count) => bytes.extend_from_slice(piece.get(..count).unwrap_or_default()),
                // An answer that is broken off ends so; what came before it is what a visitor has.
                Err(_) if !bytes.is_empty() => break false,
                Err(error) => return Err(error),
            }
        };
        Ok(head(&bytes).map(|head| Answer {
            status: head.status,
            headers: head.headers,
            body: bytes.split_off(head.body),
            whole,
        }))
    }

    /// Ends the proxy.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        on_this_thread(self.gateway.drain())?;
        self.gateway.end();
        Ok(())
    }
}

impl Ask {
    pub(super) fn get(target: &str, why: String) -> Self {
        Self {
            method: "GET",
            target: target.to_owned(),
            accept: None,
            fields: String::new(),
            why,
        }
    }
}

impl Answer {
    /// Whether it is a page of the proxy's that was asked.
    pub(super) fn is_proxys(&self) -> bool {
        let id = self.headers.get("x-request-id");
        let shown = |id: &HeaderValue| memchr::memmem::find(&self.body, id.as_bytes()).is_some();
        self.is_fresh() && id.is_some_and(shown)
    }

    /// Whether it is a page of some Pardon's: it is not to be stored, and shows a reference.
    pub(super) fn is_page(&self) -> bool {
        let shown = REFERENCE.as_ref().is_some_and(|it| it.is_match(&self.body));
        self.is_proxys() || (self.is_fresh() && shown)
    }

    fn is_fresh(&self) -> bool {
        self.header(&CACHE_CONTROL) == "no-store"
    }

    pub(super) fn header(&self, name: &HeaderName) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }
}
