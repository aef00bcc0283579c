//! `pardon maintenance`: planned downtime, ordered in a file beside the store, whether or not a process runs.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use super::store::StoreArgs;
use super::{route_named, visible};
use crate::config::Config;
use crate::config::units::Period;
use crate::incident::store::is_in_use;
use crate::maintenance::{LONGEST_MESSAGE, Order, Orders};

/// How long a running process may take to look at its orders.
const LOOKED: Duration = Duration::from_millis(600);

/// Show visitors a maintenance page, end that, or say what is in force.
///
/// The order stands in a file beside the store: a running process takes it over within a second, one that starts later at its
/// start. It ends by itself at --until. Addresses on `maintenance.allow` and health checks still reach the app.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[arg(value_enum, default_value = "status")]
    pub action: Action,
    /// When it ends: 18:00 (local time), 2026-03-01T06:00:00Z, or a duration such as 90m.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// What the page says beside its own words; at most 500 characters.
    #[arg(long, value_name = "TEXT")]
    pub message: Option<String>,
    /// The route that it is about; default: all.
    #[arg(long, value_name = "NAME")]
    pub route: Option<String>,
    /// Where the store is.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// What to do about maintenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Action {
    /// Begin it, or change what was said of it.
    On,
    /// End it.
    Off,
    /// Say what is in force.
    Status,
}

/// Does it.
///
/// # Errors
///
/// When the time, the message or the route is none, or the file or a standard stream cannot be read or written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.action != Action::On && (args.until.is_some() || args.message.is_some()) {
        writeln!(
            io::stderr(),
            "error: --until and --message belong to `pardon maintenance on`"
        )?;
        return Ok(ExitCode::from(2));
    }
    let store = args.store.path()?;
    let config = configuration(args)?;
    if let Some(name) = &args.route {
        route_named(&config, name)?;
    }
    let path = Orders::beside(&store);
    let now = Timestamp::now();
    let mut orders = Orders::read(&path)
        .with_context(|| format!("cannot read `{}`; remove it to begin anew", path.display()))?;
    orders.tidy(now);
    match args.action {
        Action::Status => {}
        Action::On => begin(args, &mut orders, now)?,
        Action::Off => end(args, &mut orders),
    }
    if args.action != Action::Status {
        let written = orders.write(&path);
        written.with_context(|| format!("cannot write `{}`", path.display()))?;
        wait(&store)?;
    }
    write!(io::stdout(), "{}", told(&orders, &config, now))?;
    let still = args.action == Action::Off && still_on(args, &orders, &config, now);
    Ok(if still {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// What the running process has, as far as it can be known: flags alone make one route of the name that they give it.
fn configuration(args: &Args) -> anyhow::Result<Config> {
    match &args.store.upstream {
        Some(upstream) if args.store.config.is_none() => {
            Ok(crate::config::for_upstream(upstream, None)?.config)
        }
        _ => Ok(args.store.configuration()?),
    }
}

fn begin(args: &Args, orders: &mut Orders, now: Timestamp) -> anyhow::Result<()> {
    let zone = TimeZone::system();
    let until = args.until.as_deref();
    let until = until.map(|text| until_of(text, now, &zone)).transpose()?;
    let message = args.message.as_deref().unwrap_or_default().trim();
    if message.chars().count() > LONGEST_MESSAGE {
        bail!("--message is longer than {LONGEST_MESSAGE} characters");
    }
    if message.chars().any(char::is_control) {
        bail!("--message is more than one line of text");
    }
    let order = Order {
        since: now,
        until,
        message: message.to_owned(),
    };
    match &args.route {
        Some(route) => {
            orders.routes.insert(route.clone(), order);
        }
        None => orders.all = Some(order),
    }
    Ok(())
}

fn end(args: &Args, orders: &mut Orders) {
    match &args.route {
        Some(route) => {
            orders.routes.remove(route);
        }
        None => *orders = Orders::default(),
    }
}

/// Says whether a process runs, and waits until it can have looked.
fn wait(store: &Path) -> io::Result<()> {
    if is_in_use(store) {
        std::thread::sleep(LOOKED);
        writeln!(
            io::stderr(),
            "the running process takes it over within a second"
        )
    } else {
        writeln!(
            io::stderr(),
            "no process runs with the store `{}`: it is in force when one starts",
            store.display()
        )
    }
}

/// Whether what was told to end is on for another reason.
fn still_on(args: &Args, orders: &Orders, config: &Config, now: Timestamp) -> bool {
    let concerned = |name: &str| args.route.as_deref().is_none_or(|route| route == name);
    let mut routes = config.routes.iter().filter(|route| concerned(&route.name));
    routes.any(|route| {
        orders.for_route(&route.name, now).is_some() || configured(&route.maintenance, now)
    })
}

/// Whether the configuration has it on.
fn configured(maintenance: &crate::config::Maintenance, now: Timestamp) -> bool {
    let until = maintenance.until.parse::<Timestamp>().ok();
    maintenance.on && until.is_none_or(|until| now < until)
}

/// What is in force, a line for each order.
fn told(orders: &Orders, config: &Config, now: Timestamp) -> String {
    let mut text = String::new();
    if let Some(order) = &orders.all {
        let _ = writeln!(text, "every route: {}", described(order));
    }
    for (route, order) in &orders.routes {
        let _ = writeln!(
            text,
            "route `{}`: {}",
            visible::line(route),
            described(order)
        );
    }
    for route in &config.routes {
        if configured(&route.maintenance, now) {
            let name = &route.name;
            let _ = writeln!(
                text,
                "route `{name}`: on by the configuration, which ends with `maintenance.on = false` and a reload"
            );
        }
    }
    if text.is_empty() {
        text.push_str("off\n");
    }
    text
}

fn described(order: &Order) -> String {
    let mut text = match order.until {
        Some(until) => format!("on until {}", shown(until)),
        None => "on until told to end".to_owned(),
    };
    if !order.message.is_empty() {
        let _ = write!(text, ": {}", visible::line(&order.message));
    }
    text
}

/// A time as it is here, and in UTC where that differs.
fn shown(time: Timestamp) -> String {
    let local = time.to_zoned(TimeZone::system());
    let utc = time.strftime("%Y-%m-%d %H:%M:%S UTC");
    if local.offset().is_zero() {
        utc.to_string()
    } else {
        format!("{} ({utc})", local.strftime("%Y-%m-%d %H:%M:%S %:z"))
    }
}

/// When it ends, as somebody wrote it.
fn until_of(text: &str, now: Timestamp, zone: &TimeZone) -> anyhow::Result<Timestamp> {
    let text = text.trim();
    let local = now.to_zoned(zone.clone());
    let until = if let Ok(period) = text.parse::<Period>() {
        now.checked_add(*period)?
    } else if let Ok(time) = text.parse::<Timestamp>() {
        time
    } else if let Ok(time) = text.parse::<DateTime>() {
        time.to_zoned(zone.clone())?.timestamp()
    } else if let Ok(time) = text.parse::<Time>() {
        local
            .date()
            .to_datetime(time)
            .to_zoned(zone.clone())?
            .timestamp()
    } else {
        bail!(
            "`{text}` is no time: write 18:00 (local time), 2026-03-01T06:00:00Z, or a duration such as 90m"
        );
    };
    if until <= now {
        bail!(
            "`{text}` is past: it is {} now; for a later day write it whole, such as {}",
            shown(now),
            local.tomorrow()?.strftime("%Y-%m-%dT06:00")
        );
    }
    Ok(until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_way_that_people_write_them() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        for (text, expected) in [
            ("18:00", Some("2026-03-01T16:00:00Z")),
            ("18:00:30", Some("2026-03-01T16:00:30Z")),
            ("14:00", None),
            ("13:59", None),
            ("90m", Some("2026-03-01T13:30:00Z")),
            ("2h", Some("2026-03-01T14:00:00Z")),
            ("0s", None),
            ("2026-03-01T13:00:00+00:00", Some("2026-03-01T13:00:00Z")),
            ("2026-03-02T06:00", Some("2026-03-02T04:00:00Z")),
            ("2026-03-02 06:00", Some("2026-03-02T04:00:00Z")),
            ("2026-02-28T06:00:00Z", None),
            ("tomorrow", None),
            ("25:00", None),
            ("", None),
        ] {
            let expected = expected.map(|time| time.parse::<Timestamp>().unwrap());
            assert_eq!(until_of(text, now, &zone).ok(), expected, "{text}");
        }
    }
}
