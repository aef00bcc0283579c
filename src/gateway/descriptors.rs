//! How many visitors there is room for, with the files and sockets that the process may have open: past that the newest is told
//! so, where an accept that fails would let it wait without a word.

use rustix::process::{Resource, getrlimit};

use crate::config::Config;

/// What the process has open without a visitor, and what each worker has.
const OWN: usize = 24;
const WORKER: usize = 4;

/// The most that is left to the operator's listener, the store, and what is opened for a moment.
const SPARE: usize = 64;

/// `server.max_connections`, or fewer where the process may not have as many open beside the connections to its apps.
pub(super) fn visitors(config: &Config, workers: usize) -> usize {
    let wanted = config.server.max_connections;
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return wanted;
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let apps = config.upstreams.values().map(|app| app.max_connections);
    let room = room(limit, workers, apps.fold(0, usize::saturating_add));
    if room < wanted {
        tracing::info!(
            "this process may have {limit} files open: of `server.max_connections` ({wanted}) there is room for {room}"
        );
    }
    wanted.min(room)
}

/// With so many descriptors, of which apps may need so many: no more than half of what is left after the process's own.
fn room(limit: usize, workers: usize, apps: usize) -> usize {
    let own = OWN + WORKER * workers + SPARE.min(limit / 16);
    let left = limit.saturating_sub(own);
    (left - apps.min(left / 2)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visitors_leave_room_for_the_connections_to_their_apps() {
        for (limit, workers, apps, expected) in [
            (1_048_576, 4, 1024, 1_047_448),
            (20_000, 2, 1024, 18_880),
            (1024, 2, 1024, 464),
            (1024, 2, 10, 918),
            (40, 2, 1024, 3),
            (10, 2, 1024, 1),
        ] {
            assert_eq!(room(limit, workers, apps), expected, "{limit}, {workers}");
        }
    }
}
