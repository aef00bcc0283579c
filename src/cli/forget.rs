//! `pardon forget`: removes what is stored of a request or of a visitor, and leaves nothing of it behind in the store's files.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use super::store::{StoreArgs, counted};
use super::visible;
use crate::config::ClientAddress;
use crate::incident::StoreError;
use crate::incident::store::{Forgotten, forget_client, forget_id};
use crate::request_id::{Lookup, RequestId};

/// What is said where the log could not be cut.
const LOG_HELD: &str = "error: it is deleted, but still stands in the write-ahead log, which another process keeps open for reading\n  \
    hint: end that process, such as a sqlite3 shell, and run this again";

/// Remove what is stored of a request or of a visitor, and leave nothing behind.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "whom", args = ["id", "client"], required = true, multiple = false)]
pub struct Args {
    /// The whole ID of what is to be forgotten.
    pub id: Option<String>,
    /// The visitor who is to be forgotten: everything recorded under this address, or with it in a header.
    #[arg(long, value_name = "ADDRESS")]
    pub client: Option<IpAddr>,
    /// Where the store is.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// Removes it. Nothing is asked first.
///
/// # Errors
///
/// When the store cannot be written, or a standard stream.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let path = args.store.path()?;
    let forgotten = match (args.client, &args.id) {
        (Some(client), _) => forget_client(&path, client)?,
        (None, id) => forget_typed(&path, id.as_deref().unwrap_or_default())?,
    };
    if forgotten.incidents + forgotten.refusals == 0 {
        let says = nothing(args, &path);
        writeln!(io::stderr(), "{says}")?;
        return Ok(ExitCode::FAILURE);
    }
    write!(io::stdout(), "{}", told(&forgotten))?;
    if forgotten.log_cut {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(io::stderr(), "{LOG_HELD}")?;
    Ok(ExitCode::FAILURE)
}

/// Forgets what stands under this ID, as it is typed or, if it is one of ours, as it is written.
fn forget_typed(path: &Path, typed: &str) -> Result<Forgotten, StoreError> {
    let typed = typed.trim();
    let forgotten = forget_id(path, typed)?;
    match RequestId::parse(typed) {
        Lookup::Exact(id) if forgotten.incidents + forgotten.refusals == 0 => {
            forget_id(path, id.as_str())
        }
        _ => Ok(forgotten),
    }
}

fn told(forgotten: &Forgotten) -> String {
    let incidents = counted(forgotten.incidents, "incident", "incidents");
    let mut text = format!("forgotten: {incidents}");
    if forgotten.refusals > 0 {
        let refusals = counted(forgotten.refusals, "refusal", "refusals");
        let _ = write!(text, ", {refusals}");
    }
    text.push_str(
        "\nThe log on stderr is not part of the store: where it is kept, it still tells of them.\n",
    );
    if !forgotten.set_aside.is_empty() {
        text.push_str("Damaged files that were set aside may hold them too; delete those that you need no more:\n");
        for path in &forgotten.set_aside {
            let _ = writeln!(text, "  {}", path.display());
        }
    }
    text
}

/// Why nothing was found.
fn nothing(args: &Args, path: &Path) -> String {
    match (args.client, &args.id) {
        (Some(client), _) => nobody(args, client),
        (None, id) => {
            let typed = visible::line(id.as_deref().unwrap_or_default().trim()).into_owned();
            let typed = visible::cut(&typed, 80);
            format!(
                "error: nothing in `{}` has exactly the ID `{typed}`\n  hint: `pardon show` finds it by its beginning, by the app's reference, or \
                 with a typing error, and prints the whole ID",
                path.display()
            )
        }
    }
}

fn nobody(args: &Args, client: IpAddr) -> String {
    let kept = args
        .store
        .configuration()
        .map(|config| config.incidents.client);
    let hint = match kept {
        Ok(ClientAddress::None) => {
            "\n  hint: `incidents.client` is \"none\": no address is recorded; one that the app printed stays in its body, so forget by ID"
        }
        Ok(ClientAddress::Masked) => {
            "\n  hint: `incidents.client` is \"masked\": only networks are kept, so name the network's first address \
             (it stands for everyone there), or forget by ID"
        }
        _ => "",
    };
    format!("error: nothing is stored of {client}{hint}")
}
