//! A folder for a store that nobody asked for: of the demo, of an explanation.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A folder of this process's own among the temporary ones; it is removed with this value.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn make(purpose: &str) -> io::Result<Self> {
        let name = format!("pardon-{purpose}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // One that a killed process of the same number has left behind is not ours to read.
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// The store's file.
    pub(super) fn store(&self) -> PathBuf {
        self.0.join("pardon.db")
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(self.path()) {
            tracing::warn!(path = %self.path().display(), %error, "a temporary folder is left");
        }
    }
}
