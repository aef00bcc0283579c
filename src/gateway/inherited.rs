//! Listeners that another process has bound: systemd's socket activation (`LISTEN_FDS`). A connection that comes while Pardon is
//! restarted waits at them, and none is refused.

use std::net::SocketAddr;
use std::path::PathBuf;

use listenfd::ListenFd;

use crate::config::{Listen, Report};
use crate::server::Socket;

/// Those that are left to be taken.
#[derive(Debug, Default)]
pub(super) struct Inherited(Vec<(Place, Socket)>);

/// Where one listens.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Inherited {
    /// Takes over what was handed to this process.
    ///
    /// # Errors
    ///
    /// When a descriptor is no listener.
    pub(super) fn take() -> Result<Self, Report> {
        let mut handed = ListenFd::from_env();
        let mut all = Vec::new();
        for at in 0..handed.len() {
            let found = socket(&mut handed, at);
            all.push(found.map_err(|why| {
                let hint = "hand over sockets that listen, of TCP or at a path";
                Report::of(
                    format!("socket {at} of LISTEN_FDS cannot be used: {why}"),
                    hint,
                )
            })?);
        }
        Ok(Self(all))
    }

    /// The one that listens where this says.
    pub(super) fn find(&mut self, listen: &Listen) -> Option<Socket> {
        let place = match listen {
            Listen::Tcp(address) | Listen::Tls(address) => Place::Tcp(*address),
            Listen::Unix(path) => Place::Unix(path.clone()),
        };
        let at = self.0.iter().position(|(known, _)| *known == place)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Says of those that nobody wants that they are not listened on.
    pub(super) fn warn(&self) {
        for (place, _) in &self.0 {
            tracing::warn!(
                "a socket was handed to this process that `server.listen` does not name, and nobody is served there: {place:?}"
            );
        }
    }
}

fn socket(handed: &mut ListenFd, at: usize) -> Result<(Place, Socket), String> {
    let said = |error: std::io::Error| error.to_string();
    if let Ok(Some(tcp)) = handed.take_tcp_listener(at) {
        tcp.set_nonblocking(true).map_err(said)?;
        let address = tcp.local_addr().map_err(said)?;
        return Ok((Place::Tcp(address), Socket::Tcp(tcp)));
    }
    let unix = handed.take_unix_listener(at).map_err(said)?;
    let unix = unix.ok_or("it was taken already")?;
    unix.set_nonblocking(true).map_err(said)?;
    let address = unix.local_addr().map_err(said)?;
    let path = address.as_pathname().ok_or("it has no path")?;
    Ok((Place::Unix(path.to_owned()), Socket::Unix(unix)))
}
