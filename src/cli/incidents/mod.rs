//! `pardon incidents`: what has failed, as a list, as groups of what is alike, or live.

mod follow;
mod groups;
mod list;
mod table;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::Timestamp;

use super::store::StoreArgs;
use crate::config::units::StatusSet;
use crate::incident::Cause;
use crate::incident::store::{Filter, since};

pub(super) use table::Table;

/// How many incidents are listed where nothing is said.
const LISTED: u32 = 50;
/// How many come before the new ones.
const FOLLOWED: u32 = 10;

/// List what has failed, the newest first; or count what is alike; or follow it live.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Not older than this: 30m, 1h, 7d, or a time such as 2024-02-03T04:05:06Z.
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Timestamp>,
    /// With this status: 500, 502-504, 5xx; several with commas between.
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    pub status: Vec<StatusSet>,
    /// Of this route.
    #[arg(long, value_name = "NAME")]
    pub route: Option<String>,
    /// Of this cause; `refused` lists the requests that Pardon itself refused with a page.
    #[arg(long, value_name = "CAUSE", value_parser = causes(), hide_possible_values = true)]
    pub cause: Option<Cause>,
    /// Count what is alike, the most frequent first.
    #[arg(long, conflicts_with = "follow")]
    pub group: bool,
    /// Print the last few, then each new one as it comes, until Ctrl-C.
    #[arg(long, short)]
    pub follow: bool,
    /// How many at most; default: 50, with --follow 10 before the new ones.
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
    /// Print JSON, one object a line.
    #[arg(long)]
    pub json: bool,
    /// Where the store is.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// Prints what is asked for.
///
/// # Errors
///
/// When the store cannot be read, or standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.group && args.cause == Some(Cause::Refused) {
        let says = "error: refusals are not grouped: leave --group or --cause refused away";
        writeln!(io::stderr(), "{says}")?;
        return Ok(ExitCode::from(2));
    }
    let (filter, path) = (args.filter(), args.store.path()?);
    if args.follow {
        return follow::run(args, filter, path);
    }
    let reader = args.store.open()?;
    if args.group {
        groups::print(args, &filter, &reader)?;
    } else {
        list::print(args, &filter, &reader)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn filter(&self) -> Filter {
        let statuses: Vec<_> = self.status.iter().flat_map(|set| set.0.clone()).collect();
        Filter {
            since: self.since,
            statuses: (!statuses.is_empty()).then_some(StatusSet(statuses)),
            route: self.route.clone(),
            cause: self.cause,
        }
    }

    fn limit(&self, otherwise: u32) -> usize {
        usize::try_from(self.limit.unwrap_or(otherwise)).unwrap_or(usize::MAX - 1)
    }
}

fn causes() -> impl TypedValueParser<Value = Cause> {
    let names = PossibleValuesParser::new(Cause::ALL.map(Cause::as_str));
    names.try_map(|name| Cause::named(&name).ok_or("no such cause"))
}
