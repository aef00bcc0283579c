//! The files that a configuration is read from, looked at every few seconds for a change.
//!
//! Looking is enough: it sees what editors do that rename, and links that are swapped as Kubernetes does, on any file system,
//! needs no watch to be set again after that, and costs a few system calls. What has just changed is read when it looks the same
//! the next time, so that a file half written is not taken for a broken one. Certificates are looked after by themselves.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::tls::{Stamp, stamp};

/// Files of folders of templates that are looked at.
const MOST: usize = 1000;

/// How deep folders of templates are looked into.
const DEPTH: usize = 8;

/// The files of a configuration as they looked when they were read.
#[derive(Debug)]
pub struct SourceFiles {
    file: PathBuf,
    read: Looks,
    last: Looks,
}

/// How files look; none where one is not there.
type Looks = BTreeMap<PathBuf, Option<Stamp>>;

impl SourceFiles {
    /// The files of a configuration, which `file` holds, and which is in force.
    #[must_use]
    pub fn of(file: &Path, config: &Config) -> Self {
        let looks = looks(file, config);
        Self {
            file: file.to_owned(),
            read: looks.clone(),
            last: looks,
        }
    }

    /// They are about to be read; what changes from now on is a change.
    pub fn are_read(&mut self, config: &Config) {
        self.read = looks(&self.file, config);
        self.last.clone_from(&self.read);
    }

    /// What was read names these files.
    pub fn name(&mut self, config: &Config) {
        let now = looks(&self.file, config);
        self.read.retain(|path, _| now.contains_key(path));
        for (path, look) in now {
            self.read.entry(path).or_insert(look);
        }
        self.last.clone_from(&self.read);
    }

    /// Whether any has changed since it was read, and looks as it did the last time.
    #[must_use]
    pub fn have_changed(&mut self, config: &Config) -> bool {
        let now = looks(&self.file, config);
        let settled = now == self.last;
        let changed = now != self.read;
        self.last = now;
        changed && settled
    }
}

fn looks(file: &Path, config: &Config) -> Looks {
    let mut looks = Looks::from([(file.to_owned(), stamp(file))]);
    let mut look = |path: PathBuf| {
        let stamp = stamp(&path);
        looks.insert(path, stamp);
    };
    let pages = config
        .routes
        .iter()
        .map(|route| (&route.pages, &route.brand));
    for (pages, brand) in pages.chain([(&config.pages, &config.brand)]) {
        brand
            .logo
            .iter()
            .for_each(|logo| look(config.folder.join(logo)));
        if let Some(folder) = &pages.folder {
            below(&config.folder.join(folder), DEPTH, &mut look);
        }
    }
    for upstream in config.upstreams.values() {
        let tls = &upstream.tls;
        let named = [&tls.ca, &tls.certificate, &tls.key].into_iter().flatten();
        named.for_each(|file| look(config.folder.join(file)));
    }
    looks
}

/// Looks at a folder's files and those below, but for what begins with a dot: what is there is no template.
fn below(folder: &Path, depth: usize, look: &mut impl FnMut(PathBuf)) {
    let Ok(entries) = fs::read_dir(folder) else {
        return look(folder.to_owned());
    };
    for entry in entries.flatten().take(MOST) {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if path.is_dir() && depth > 0 {
            below(&path, depth - 1, look);
        } else {
            look(path);
        }
    }
}
