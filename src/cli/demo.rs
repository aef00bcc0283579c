//! `pardon demo`: the proxy before a built-in app that fails in every way there is.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{self, Config, Listen, Report, units::Period};
use crate::demo::{App, Group, failures};
use crate::gateway::Gateway;
use crate::telemetry;

use super::run;
use super::scratch::Scratch;

/// Run the proxy before a built-in app that fails in every way there is, with a start page to click through.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The address to listen on; a free port is taken where it is in use.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
}

/// Runs the demo until it is told to stop.
///
/// # Errors
///
/// When no port can be had, or standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let app = start_app()?;
    let listen = free(args.listen)?;
    let nobody = nobody()?;
    let closed = nobody.local_addr()?.as_socket().context("no port")?.port();
    let mut config = configuration(app, listen, closed)?;
    let scratch = Scratch::make("demo")?;
    config.incidents.path = scratch.store();
    let _log = telemetry::init(&config.log)?;
    run::on_this_thread(async {
        let signals = run::Signals::listen()?;
        let gateway = Gateway::start(&config)?;
        let address = gateway.addresses().first().copied().unwrap_or(listen);
        print(&run::to_open(address), app, &config.incidents.path)?;
        Ok(run::serve(gateway, signals, None).await)
    })?
}

/// Starts the failing app on a thread of its own, which ends with the process.
fn start_app() -> anyhow::Result<SocketAddr> {
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::Builder::new()
        .name("demo-app".to_owned())
        .spawn(move || {
            run::on_this_thread(async move {
                let bound = App::bind().await;
                // The receiver waits below until it is told.
                let _ = sender.send(
                    bound
                        .as_ref()
                        .map(App::address)
                        .map_err(ToString::to_string),
                );
                if let Ok(app) = bound {
                    app.serve().await;
                }
            })
        })?;
    receiver
        .recv()?
        .map_err(|error| anyhow::anyhow!("the demo's app cannot listen: {error}"))
}

/// The address, or one with a free port where it is taken.
fn free(wanted: SocketAddr) -> anyhow::Result<SocketAddr> {
    let bound = TcpListener::bind(wanted)
        .or_else(|_| TcpListener::bind(SocketAddr::new(wanted.ip(), 0)))
        .and_then(|listener| listener.local_addr());
    bound.with_context(|| format!("cannot listen on {wanted}"))
}

/// A port that nobody listens on, nor will as long as this lives.
fn nobody() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    Ok(socket)
}

/// The demo's configuration: a brand, a short time-out, and a route to a port that nobody listens on.
fn configuration(app: SocketAddr, listen: SocketAddr, closed: u16) -> Result<Config, Report> {
    let mut config = config::for_upstream(&format!("http://{app}"), None)?.config;
    config.server.listen = vec![Listen::Tcp(listen)];
    config.admin.listen = Vec::new();
    config.brand.name = Some("Corner Shop".to_owned());
    config.brand.color = Some("#0b6b53".to_owned());
    config.brand.support_url = Some("https://example.com/support?ref={request_id}".to_owned());
    config.brand.support_email = Some("help@example.com".to_owned());
    config.brand.home_url = Some("/".to_owned());
    let mut refused = config.upstreams.get("app").cloned().unwrap_or_default();
    for endpoint in &mut refused.endpoints {
        endpoint.port = closed;
    }
    config.upstreams.insert("refused".to_owned(), refused);
    let mut route = config.routes.first().cloned().unwrap_or_default();
    "refused".clone_into(&mut route.name);
    "/refused".clone_into(&mut route.path);
    "refused".clone_into(&mut route.upstream);
    config.routes.insert(0, route);
    for route in &mut config.routes {
        route.brand = config.brand.clone();
        route.timeouts.head = Period::seconds(2);
    }
    Ok(config)
}

/// What to open, and what there is to see.
fn print(base: &str, app: SocketAddr, store: &Path) -> io::Result<()> {
    let program = std::env::args_os()
        .next()
        .unwrap_or_else(|| "pardon".into());
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "Pardon stands in front of an app that fails. Open this in a browser:\n\n    {base}/\n"
    )?;
    writeln!(
        out,
        "The same app without Pardon, to see what would have leaked: http://{app}/\n"
    )?;
    for group in Group::ALL {
        writeln!(out, "{}", group.title())?;
        for failure in failures().iter().filter(|failure| failure.group == group) {
            writeln!(out, "    {:<58} {}", failure.curl(base), failure.title)?;
        }
        writeln!(out)?;
    }
    writeln!(
        out,
        "What the app really said is found by the ID on each page, from another terminal:\n\n    {1} show --store {0} ID\n    \
         {1} incidents --store {0}\n\nAdd -H 'Accept: application/json' for JSON. What is stored is removed at the end. Ctrl-C ends it.",
        store.display(),
        Path::new(&program).display()
    )
}
