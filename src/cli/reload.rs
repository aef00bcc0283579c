//! What has a running proxy read its configuration again: a signal, the operator's listener, or a changed file.

use std::path::PathBuf;

use super::{check, run};
use crate::admin::Reloaded;
use crate::gateway::{Gateway, SourceFiles};

/// Where the configuration of a running proxy came from.
pub(super) struct Origin {
    /// The arguments of the process, with the file named in any case.
    pub(super) args: run::Args,
    /// The files, where they are watched.
    files: Option<SourceFiles>,
}

impl Origin {
    /// The origin of what is in force: a file, unless flags alone made it.
    pub(super) fn of(args: &run::Args, file: Option<PathBuf>, gateway: &Gateway) -> Option<Self> {
        let file = file?;
        let files = (args.watch).then(|| SourceFiles::of(&file, gateway.config()));
        let args = run::Args {
            config: Some(file),
            ..args.clone()
        };
        Some(Self { args, files })
    }

    /// Whether a watched file has changed.
    pub(super) fn has_changed(&mut self, gateway: &Gateway) -> bool {
        let files = self.files.as_mut();
        files.is_some_and(|files| files.have_changed(gateway.config()))
    }

    async fn read_again(&mut self, gateway: &mut Gateway) -> Reloaded {
        if let Some(files) = &mut self.files {
            files.are_read(gateway.config());
        }
        let loaded = match run::load(&self.args) {
            Ok((loaded, _)) => loaded,
            Err(report) => return Reloaded::Refused(check::problems(&Err(report))),
        };
        let reloaded = gateway.reload(loaded.config).await;
        if let Some(files) = &mut self.files {
            files.name(gateway.config());
        }
        match reloaded {
            Ok(changes) => {
                for warning in &loaded.warnings {
                    tracing::warn!("{}", warning.message());
                }
                Reloaded::InForce(changes)
            }
            Err(report) => Reloaded::Refused(report),
        }
    }
}

/// Has the configuration read again, because of `why`, and says what came of it.
pub(super) async fn reload(
    origin: Option<&mut Origin>,
    gateway: &mut Gateway,
    why: &str,
) -> Reloaded {
    let reloaded = match origin {
        Some(origin) => origin.read_again(gateway).await,
        None => Reloaded::Impossible(
            "Pardon was started with flags only: there is no file to read again",
        ),
    };
    match &reloaded {
        Reloaded::InForce(changes) => {
            tracing::info!("reloaded ({why}): {changes}");
            for address in &changes.opened {
                tracing::info!(%address, "listening");
            }
            for address in &changes.closed {
                tracing::info!(%address, "not listening any more");
            }
            if !changes.at_next_start.is_empty() {
                let keys = changes.at_next_start.join(", ");
                tracing::warn!("takes effect at the next start: {keys}");
            }
        }
        Reloaded::Refused(report) => tracing::error!(
            "not reloaded ({why}), and the configuration from before stays in force:\n{report}"
        ),
        Reloaded::Impossible(reason) => tracing::warn!("not reloaded ({why}): {reason}"),
    }
    reloaded
}
