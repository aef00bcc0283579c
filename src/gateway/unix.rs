//! Listeners at a path: bound, and their files removed at the end.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Type};

use super::listeners::Bound;
use crate::config::Listen;

/// Who may connect: the user that Pardon runs as, and its group.
const MODE: u32 = 0o660;

/// The file of a listener at a path. Dropped, it is removed, unless another process has put its own there.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: Option<(u64, u64)>,
}

/// Binds a path. A file that a process has left behind is taken away; one at which somebody listens, or of another kind, is not.
pub(super) fn listen(path: &Path) -> io::Result<UnixListener> {
    if let Ok(found) = fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            let why = "there is a file of another kind";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
        }
        if !is_left_behind(path)? {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Whether nobody listens at a socket any more. One that may not be connected to, or has no room just now, is somebody's.
fn is_left_behind(path: &Path) -> io::Result<bool> {
    let visitor = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Where its queue is full this would wait for as long as its owner likes.
    visitor.set_nonblocking(true)?;
    let connected = visitor.connect(&SockAddr::unix(path)?);
    Ok(connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused))
}

/// The files of these listeners.
pub(super) fn files<'a>(listen: impl IntoIterator<Item = &'a Listen>) -> Vec<SocketFile> {
    let file = |listen: &Listen| match listen {
        Listen::Unix(path) => Some(SocketFile {
            path: path.clone(),
            inode: inode(path),
        }),
        Listen::Tcp(_) | Listen::Tls(_) => None,
    };
    listen.into_iter().filter_map(file).collect()
}

/// Keeps the files of those that still listen, adds those that were not `bound` before, and removes the others.
pub(super) fn renew(files: &mut Vec<SocketFile>, listen: &[Listen], bound: &[Bound]) {
    files.retain(|file| listen.contains(&Listen::Unix(file.path.clone())));
    let is_new = |one: &&Listen| bound.iter().all(|it| it.configured != **one);
    files.extend(self::files(listen.iter().filter(is_new)));
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.inode.is_some() && self.inode == inode(&self.path) {
            // One that somebody else has removed is gone as well.
            drop(fs::remove_file(&self.path));
        }
    }
}
