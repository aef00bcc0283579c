//! `pardon health`: asks the running process whether it is ready; the image's `HEALTHCHECK`.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::config::Report;

/// How long each step of the question may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ask the running process whether it is ready.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The configuration file; default: pardon.toml, then /etc/pardon/pardon.toml, else the default address.
    #[arg(long, value_name = "FILE", env = "PARDON_CONFIG")]
    pub config: Option<PathBuf>,
    /// As `pardon run` has it: alone, it ignores any file that is not named.
    #[arg(long, value_name = "URL", env = "PARDON_UPSTREAM", hide = true)]
    pub upstream: Option<String>,
}

/// Asks `/readyz`; exit 0 when it says yes.
///
/// # Errors
///
/// When a standard stream cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(address) = address(args)? else {
        writeln!(
            io::stderr(),
            "error: `admin.listen` is empty, so there is nobody to ask"
        )?;
        return Ok(ExitCode::FAILURE);
    };
    match ask(address) {
        Ok((200, answer)) => {
            writeln!(io::stdout(), "ready: {}", answer.trim())?;
            Ok(ExitCode::SUCCESS)
        }
        Ok((status, answer)) => {
            writeln!(io::stderr(), "not ready: {status} {}", answer.trim())?;
            Ok(ExitCode::FAILURE)
        }
        Err(error) => {
            let reason = reason(&error);
            writeln!(
                io::stderr(),
                "error: no Pardon answers at {address} (`admin.listen`): {reason}"
            )?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Where the operator's listener is: as the file says, or the default where there is no file.
fn address(args: &Args) -> Result<Option<SocketAddr>, Report> {
    let config = super::running_configuration(args.config.as_deref(), args.upstream.is_some())?;
    let first = config.admin.listen.first();
    Ok(first.map(|address| reachable(*address)))
}

/// An address to connect to: loopback where the listener is on all.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Why there is no answer, as a person says it.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("nothing came for {} seconds", PATIENCE.as_secs())
        }
        _ => error.to_string(),
    }
}

/// The status and the text of `/readyz`, of which at most 4 KiB are read.
fn ask(address: SocketAddr) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|line| line.get(..3)?.parse().ok());
    let status =
        status.ok_or_else(|| io::Error::other("what answers there does not speak HTTP"))?;
    Ok((status, body.to_owned()))
}
