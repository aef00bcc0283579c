//! Listeners that another process has bound: systemd's socket activation (`LISTEN_FDS`). A connection that comes while Pardon is
//! restarted waits at them, and none is refused.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use socket2::SockRef;

use super::listeners::tune;
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

    /// Whether one listens where this says.
    pub(super) fn offers(&self, listen: &Listen) -> bool {
        self.position(listen).is_some()
    }

    /// The one that listens where this says.
    pub(super) fn find(&mut self, listen: &Listen) -> Option<Socket> {
        let at = self.position(listen)?;
        Some(self.0.swap_remove(at).1)
    }

    fn position(&self, listen: &Listen) -> Option<usize> {
        let place = match listen {
            Listen::Tcp(address) | Listen::Tls(address) => Place::Tcp(*address),
            Listen::Unix(path) => Place::Unix(whole(path)),
        };
        self.0.iter().position(|(known, _)| *known == place)
    }

    /// Where an address cannot be had: the places that were handed over and that nobody has named yet. `[::]:80` is one of them
    /// where systemd was told no more than a port.
    pub(super) fn hint(&self) -> String {
        let places: Vec<_> = self.0.iter().map(|(place, _)| place.to_string()).collect();
        if places.is_empty() {
            return String::new();
        }
        let places = places.join(", ");
        format!("handed to this process, and not named in `server.listen`: {places}")
    }

    /// Says of those that nobody wants that they are not listened on.
    pub(super) fn warn(&self) {
        for (place, _) in &self.0 {
            tracing::warn!(
                "a socket was handed to this process that `server.listen` does not name, and nobody is served there: {place}"
            );
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// A path as another process would write it. One that cannot be found out is as it stands.
fn whole(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn socket(handed: &mut ListenFd, at: usize) -> Result<(Place, Socket), String> {
    let said = |error: std::io::Error| error.to_string();
    if let Ok(Some(tcp)) = handed.take_tcp_listener(at) {
        tcp.set_nonblocking(true).map_err(said)?;
        tune(&SockRef::from(&tcp)).map_err(said)?;
        let address = tcp.local_addr().map_err(said)?;
        return Ok((Place::Tcp(address), Socket::Tcp(tcp)));
    }
    let unix = handed.take_unix_listener(at).map_err(said)?;
    let unix = unix.ok_or("it was taken already")?;
    unix.set_nonblocking(true).map_err(said)?;
    let address = unix.local_addr().map_err(said)?;
    let path = address.as_pathname().ok_or("it has no path")?;
    Ok((Place::Unix(whole(path)), Socket::Unix(unix)))
}
