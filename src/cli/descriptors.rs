//! How many files and sockets this process may have open. Many systems give each program 1,024 of them unless it asks for more, for
//! the sake of programs that know no way of waiting for higher ones.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Takes as many as the process may have.
pub(super) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}
