//! What becomes of a damaged file: it is kept under another name, and never deleted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::beside;

/// Gives a file, its write-ahead log and its index another name, which is returned. What `SQLite` needs to read them stays together.
pub(crate) fn set_aside(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let name = free_name(path, now);
    fs::rename(path, &name)?;
    for ending in ["-wal", "-shm"] {
        match fs::rename(beside(path, ending), beside(&name, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(name)
}

fn free_name(path: &Path, now: Timestamp) -> PathBuf {
    let stem = format!(".damaged-{}", now.strftime("%Y%m%dT%H%M%SZ"));
    let numbered = (2..).map(|number| format!("{stem}-{number}"));
    let mut names = std::iter::once(stem.clone())
        .chain(numbered)
        .map(|ending| beside(path, &ending));
    names
        .find(|name| !name.exists())
        .unwrap_or_else(|| beside(path, &stem))
}

/// The files that were set aside of a store.
pub(super) fn set_aside_of(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beginning = format!("{name}.damaged-");
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let Ok(entries) = fs::read_dir(folder.unwrap_or(Path::new("."))) else {
        return Vec::new();
    };
    let names = entries.flatten().map(|entry| entry.path());
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&beginning) && !name.ends_with("-shm")
    };
    names.filter(ours).collect()
}
