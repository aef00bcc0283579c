//! `pardon bypass`: a signed link that shows its holder the app's original answers.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::bail;
use jiff::Timestamp;

use super::route_named;
use crate::bypass::{self, Key, Pass};
use crate::config::units::Period;
use crate::config::{Config, Listen, Report, Route};

/// The longest that a token is good for.
const LONGEST: Duration = Duration::from_hours(31 * 24);

/// Print a signed link that shows its holder the app's original answers.
///
/// Opened in a browser, the link sets a cookie and leads to the same page. Other clients send the token as
/// `X-Pardon-Bypass: TOKEN`. Every use is logged with the token's number; failures are recorded as ever.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// How long it is good for, such as 30m or 1h; at most 31 days.
    #[arg(long = "for", value_name = "DURATION")]
    pub lasting: Period,
    /// The route that it is for; default: all.
    #[arg(long, value_name = "NAME")]
    pub route: Option<String>,
    /// The address that the link leads to; default: the route's, as far as the configuration says it.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Print the token alone, for the header field.
    #[arg(long, conflicts_with = "url")]
    pub token: bool,
    /// The configuration file; default: pardon.toml, then /etc/pardon/pardon.toml.
    #[arg(long, value_name = "FILE", env = "PARDON_CONFIG")]
    pub config: Option<PathBuf>,
}

/// Prints it on stdout, and what goes with it on stderr.
///
/// # Errors
///
/// When there is no key, no such route, or no such address; or a standard stream cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = super::configuration(args.config.as_deref())?;
    let route = match &args.route {
        Some(name) => Some(route_named(&config, name)?),
        None => None,
    };
    if args.lasting.is_zero() || *args.lasting > LONGEST {
        bail!("--for must be longer than 0s and at most 31d");
    }
    let key = key(&config)?;
    let until = SystemTime::now() + *args.lasting;
    let pass = Pass::new(until, args.route.as_deref().unwrap_or_default())?;
    let token = key.sign(&pass);
    if args.token {
        writeln!(io::stdout(), "{token}")?;
    } else {
        let url = match &args.url {
            Some(url) => given(url)?,
            None => address(&config, route),
        };
        let mark = if url.contains('?') { '&' } else { '?' };
        writeln!(io::stdout(), "{url}{mark}{}={token}", bypass::NAME)?;
    }
    let shown = Timestamp::try_from(until)?.strftime("%Y-%m-%d %H:%M:%S UTC");
    let scope = route.map_or_else(
        || "every route".to_owned(),
        |route| format!("route `{}`", route.name),
    );
    writeln!(
        io::stderr(),
        "token {}, for {scope}, good until {shown}; whoever has it sees the app's original answers",
        pass.id
    )?;
    Ok(ExitCode::SUCCESS)
}

fn key(config: &Config) -> anyhow::Result<Key> {
    let Some(file) = config.bypass.key() else {
        let title = "`bypass.key_file` is not set, so there is no key to sign with";
        let hint =
            "head -c 32 /dev/urandom > bypass.key, name it as `key_file` in `[bypass]`, and reload";
        return Err(Report::of(title, hint).into());
    };
    let read = Key::read(&config.folder.join(file));
    read.map_err(|problem| {
        let title = format!("`{}` holds no key: {problem}", file.display());
        Report::of(title, problem.hint()).into()
    })
}

/// A URL as somebody gave it, without its fragment.
fn given(url: &str) -> anyhow::Result<String> {
    let uri: http::Uri = url.parse()?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.authority().is_some() => {}
        _ => bail!("`{url}` is no http or https URL"),
    }
    let mut whole = url.split('#').next().unwrap_or_default().to_owned();
    if uri.path_and_query().is_none_or(|rest| rest.as_str() == "/") && !whole.ends_with('/') {
        whole.push('/');
    }
    Ok(whole)
}

/// Where a route is reached, as far as the configuration says it.
fn address(config: &Config, route: Option<&Route>) -> String {
    let tls = |listen: &&Listen| matches!(listen, Listen::Tls(_));
    let listen = &config.server.listen;
    let secure = listen.iter().find(tls);
    let scheme = if secure.is_some() { "https" } else { "http" };
    let port = secure.or(listen.first()).and_then(|listen| match listen {
        Listen::Tcp(address) | Listen::Tls(address) => Some(address.port()),
        Listen::Unix(_) => None,
    });
    let port = match (scheme, port) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => String::new(),
        (_, Some(port)) => format!(":{port}"),
    };
    let host = route.map_or("", |route| route.host.as_str());
    let host = match host.strip_prefix("*.") {
        Some(domain) => format!("www.{domain}"),
        None if host.is_empty() || host == "*" => "localhost".to_owned(),
        None => host.to_owned(),
    };
    let path = route.map_or("/", |route| route.path.as_str());
    let path = if path.is_empty() { "/" } else { path };
    format!("{scheme}://{host}{port}{path}")
}
