//! Checks that the files and folders that a configuration names are there and can be read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path;

use super::{Checks, Path};
use crate::bypass::{Key, KeyProblem};
use crate::config::{Token, TokenProblem};

/// A logo stands in every page, and a page fits the first flight of a connection.
const LARGEST_LOGO: u64 = 8 * 1024;

/// How the images begin that browsers show everywhere, SVG apart.
const IMAGES: [&[u8]; 5] = [
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"RIFF",
];

impl Checks<'_> {
    pub(super) fn readable(&mut self, here: &Path, path: &path::Path) {
        let whole = self.config.folder.join(path);
        let read = File::open(&whole)
            .and_then(|file| file.metadata())
            .and_then(|about| {
                let folder = io::Error::from(io::ErrorKind::IsADirectory);
                if about.is_dir() { Err(folder) } else { Ok(()) }
            });
        self.unreadable(here, path, &whole, read);
    }

    pub(super) fn readable_folder(&mut self, here: &Path, path: &path::Path) {
        let whole = self.config.folder.join(path);
        let read = fs::read_dir(&whole).map(drop);
        self.unreadable(here, path, &whole, read);
    }

    pub(super) fn logo(&mut self, here: &Path, path: &path::Path) {
        let whole = self.config.folder.join(path);
        let mut bytes = Vec::new();
        let read = File::open(&whole)
            .and_then(|file| file.take(LARGEST_LOGO + 1).read_to_end(&mut bytes))
            .map(drop);
        if read.is_err() {
            self.unreadable(here, path, &whole, read);
        } else if bytes.len() as u64 > LARGEST_LOGO {
            let hint = "it stands in every page: at most 7 KiB";
            self.wrong(here, format!("`{}` is too large", path.display()), hint);
        } else if !is_image(&bytes) {
            let hint = "SVG, PNG, JPEG, GIF or WebP";
            self.wrong(here, format!("`{}` is not an image", path.display()), hint);
        }
    }

    pub(super) fn token(&mut self, here: &Path, path: &path::Path) {
        let whole = self.config.folder.join(path);
        let shown = path.display();
        match Token::read(&whole) {
            Err(TokenProblem::Unreadable(error)) => {
                self.unreadable(here, path, &whole, Err(error));
            }
            Err(problem) => {
                let title = format!("`{shown}` holds no token: {problem}");
                self.wrong(here, title, problem.hint());
            }
            Ok(_) if is_everybodys(&whole) => {
                let title = format!("every user of this machine may read `{shown}`");
                self.warn(here, title, format!("chmod o-r {shown}"));
            }
            Ok(_) => {}
        }
    }

    pub(super) fn bypass_key(&mut self, here: &Path, path: &path::Path) {
        let whole = self.config.folder.join(path);
        let shown = path.display();
        match Key::read(&whole) {
            Err(KeyProblem::Unreadable(error)) => {
                self.unreadable(here, path, &whole, Err(error));
            }
            Err(problem) => {
                let title = format!("`{shown}` holds no key: {problem}");
                self.wrong(here, title, problem.hint());
            }
            Ok(_) if is_everybodys(&whole) => {
                let title = format!("every user of this machine may read `{shown}`");
                self.warn(here, title, format!("chmod o-r {shown}"));
            }
            Ok(_) => {}
        }
    }

    fn unreadable(
        &mut self,
        here: &Path,
        path: &path::Path,
        whole: &path::Path,
        read: io::Result<()>,
    ) {
        let Err(error) = read else {
            return;
        };
        let reason = match error.kind() {
            io::ErrorKind::NotFound => format!("there is no `{}`", absolute(whole)),
            io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
            _ => error.to_string(),
        };
        self.wrong(here, format!("cannot read `{}`", path.display()), reason);
    }
}

/// Whether users may read a file that neither own it nor are of its group.
fn is_everybodys(file: &path::Path) -> bool {
    fs::metadata(file).is_ok_and(|about| about.permissions().mode() & 0o004 != 0)
}

fn absolute(path: &path::Path) -> String {
    let whole = path::absolute(path);
    whole.as_deref().unwrap_or(path).display().to_string()
}

fn is_image(bytes: &[u8]) -> bool {
    let begins = IMAGES.iter().any(|magic| bytes.starts_with(magic));
    begins || std::str::from_utf8(bytes).is_ok_and(|text| text.contains("<svg"))
}
