//! What can go wrong with the store's file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the store cannot be read or written.
#[derive(Debug)]
pub struct StoreError {
    path: PathBuf,
    kind: Trouble,
}

/// What is wrong; each asks for another answer.
#[derive(Debug)]
pub enum Trouble {
    /// There is no such file.
    Missing,
    /// Another process writes to it; its number, if it left one.
    InUse(Option<u32>),
    /// No process has written to it yet.
    Empty,
    /// It is a `SQLite` file of some other program.
    Foreign,
    /// It was written by a newer version of Pardon: the file's version.
    Newer(i64),
    /// It is damaged.
    Damaged(rusqlite::Error),
    /// The disk is full.
    Full(rusqlite::Error),
    /// Another process holds its lock.
    Locked(rusqlite::Error),
    /// A reader of another process holds its write-ahead log, which has outgrown its bound.
    Held,
    /// Anything else that the database says.
    Database(rusqlite::Error),
    /// The file system says no.
    Files(io::Error),
}

impl StoreError {
    pub(in crate::incident) fn new(path: &Path, kind: impl Into<Trouble>) -> Self {
        Self {
            path: path.to_owned(),
            kind: kind.into(),
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &Trouble {
        &self.kind
    }

    /// Whether a person has to do something before a process can start: no waiting mends it.
    #[must_use]
    pub fn is_for_a_person(&self) -> bool {
        matches!(
            self.kind,
            Trouble::InUse(_) | Trouble::Foreign | Trouble::Newer(_)
        )
    }

    /// What to do about it, where that can be said.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match &self.kind {
            Trouble::Missing | Trouble::Empty => {
                "name the file with --store FILE, or the configuration with --config FILE"
            }
            Trouble::InUse(_) => {
                "give each process a store of its own: --store FILE, or incidents.path in the configuration"
            }
            Trouble::Foreign => "name another file: --store FILE, or incidents.path",
            Trouble::Newer(_) => {
                "run the newer version of Pardon, or name another file: --store FILE, or incidents.path"
            }
            Trouble::Full(_) => "make room on its disk",
            Trouble::Held => {
                "end the process that reads it, such as a sqlite3 shell in a transaction"
            }
            Trouble::Locked(_) => "end the process that holds it, such as a sqlite3 shell",
            Trouble::Files(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "run this as the user that Pardon runs as"
            }
            Trouble::Damaged(_) | Trouble::Database(_) | Trouble::Files(_) => "",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.kind {
            Trouble::Missing => write!(f, "there is no store at `{path}`"),
            Trouble::Empty => write!(f, "`{path}` is empty: no Pardon has written to it yet"),
            Trouble::InUse(Some(process)) => {
                write!(
                    f,
                    "the store `{path}` is in use by another process ({process})"
                )
            }
            Trouble::InUse(None) => write!(f, "the store `{path}` is in use by another process"),
            Trouble::Foreign => write!(f, "`{path}` is a SQLite file of another program"),
            Trouble::Newer(version) => write!(
                f,
                "the store `{path}` has version {version}, newer than the {} that this Pardon knows",
                super::schema::VERSION
            ),
            Trouble::Damaged(error) => write!(f, "the store `{path}` is damaged: {error}"),
            Trouble::Full(error) => write!(f, "no room is left for the store `{path}`: {error}"),
            Trouble::Locked(error) => {
                write!(f, "another process holds the store `{path}`: {error}")
            }
            Trouble::Held => write!(
                f,
                "another process has been reading the store `{path}` for so long that its write-ahead log is full"
            ),
            Trouble::Database(error) => write!(f, "the store `{path}` failed: {error}"),
            Trouble::Files(error) => write!(f, "the store `{path}` failed: {error}"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        None
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Files(error),
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error),
            Some(ErrorCode::DiskFull) => Self::Full(error),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked(error),
            _ => Self::Database(error),
        }
    }
}
