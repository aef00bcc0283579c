//! Certificate files that change while they are in use.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::{Certificates, Fault, Files, Pair};

/// Looks after the files of a listener's certificates.
///
/// A changed file is taken when it has looked the same twice, so that one that is being written, or whose key comes a moment
/// after its chain, is not taken for a broken one.
#[derive(Debug)]
pub(crate) struct Watch {
    certificates: Arc<Certificates>,
    pairs: Vec<Pair>,
    looks: Vec<Look>,
}

/// What became of one changed pair of files.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It is shown from now on.
    New(Pair),
    /// It cannot be used, and the one before stays.
    Kept(Vec<Fault>),
}

/// How the files of a pair looked.
#[derive(Debug)]
struct Look {
    /// When they were read.
    read: Stamps,
    /// Last.
    last: Stamps,
}

/// How a chain's file and its key's look; none where one is not there.
pub(super) type Stamps = [Option<Stamp>; 2];

/// What a change of a file changes, of its content or of its rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Watch {
    /// Looks after `pairs`, which `certificates` shows.
    pub(crate) fn new(certificates: Arc<Certificates>, pairs: Vec<Pair>) -> Self {
        let look = |pair: &Pair| Look {
            read: pair.stamps,
            last: pair.stamps,
        };
        Self {
            looks: pairs.iter().map(look).collect(),
            certificates,
            pairs,
        }
    }

    /// Looks at the files and takes what has changed.
    pub(crate) fn look(&mut self) -> Vec<Taken> {
        let mut taken = Vec::new();
        for (pair, look) in self.pairs.iter_mut().zip(&mut self.looks) {
            let now = stamps(&pair.files);
            let settled = now == look.last;
            look.last = now;
            if now == look.read || !settled {
                continue;
            }
            look.read = now;
            match Pair::read(&pair.files) {
                Ok(new) => {
                    *pair = new.clone();
                    taken.push(Taken::New(new));
                }
                Err(faults) => taken.push(Taken::Kept(faults)),
            }
        }
        if taken.iter().any(|one| matches!(one, Taken::New(_))) {
            self.certificates.replace(&self.pairs);
        }
        taken
    }
}

/// How a chain's file and its key's look now.
pub(super) fn stamps(files: &Files) -> Stamps {
    [stamp(&files.chain), stamp(&files.key)]
}

/// How a file looks now; none where it is not there.
pub(crate) fn stamp(path: &Path) -> Option<Stamp> {
    let about = fs::metadata(path).ok()?;
    Some(Stamp {
        device: about.dev(),
        inode: about.ino(),
        size: about.size(),
        changed: (about.ctime(), about.ctime_nsec()),
    })
}
