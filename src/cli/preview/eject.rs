//! A theme's template, written to a folder to start an own one from. No file that is there is touched.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, bail};

use crate::config::Theme;
use crate::page;

/// What the theme's template serves as in a folder of own ones: every status that has none of its own.
const NAME: &str = "error.html.tera";

/// What there are words for, as an example that serves nothing.
const WORDS: &str = "locales/en.toml.example";

/// Writes it, and says what to do with it.
pub(super) fn eject(theme: &str, folder: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let Some(theme) = Theme::ALL.into_iter().find(|it| it.name() == theme) else {
        let names = Theme::ALL.map(Theme::name).join(", ");
        bail!("there is no theme `{theme}`, only {names}");
    };
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot write to `{}`", folder.display()))?;
    let file = folder.join(NAME);
    match write_new(&file, page::source(theme)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!(
                "`{}` is there and was left alone: name another folder",
                file.display()
            )
        }
        written => written.with_context(|| format!("cannot write `{}`", file.display()))?,
    }
    let words = folder.join(WORDS);
    fs::create_dir_all(folder.join("locales"))?;
    match write_new(&words, page::words()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        written => written.with_context(|| format!("cannot write `{}`", words.display()))?,
    }
    writeln!(
        out,
        "{}\n{}\n\nThe first serves once the configuration names its folder:\n\n    [pages]\n    folder = {:?}\n\n\
         The second shows what there are words for. Those that you want otherwise go to `locales/en.toml`, `locales/de.toml` and so\n\
         on beside it: the language and these lines; a language that is not built in needs them all.",
        file.display(),
        words.display(),
        folder.to_string_lossy()
    )?;
    Ok(())
}

fn write_new(file: &Path, source: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)?
        .write_all(source.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::scratch::Scratch;

    #[test]
    fn a_theme_is_written_once_and_no_file_twice() {
        let scratch = Scratch::make("eject").unwrap();
        let folder = scratch.path().join("pages");
        let mut out = Vec::new();
        eject("plain", &folder, &mut out).unwrap();
        assert_eq!(
            fs::read_to_string(folder.join(NAME)).unwrap(),
            page::source(Theme::Plain)
        );
        assert!(String::from_utf8(out).unwrap().contains("[pages]"));
        let words = fs::read_to_string(folder.join(WORDS)).unwrap();
        assert!(words.contains("language = \"en\""));
        fs::write(folder.join(NAME), "mine").unwrap();
        assert!(eject("plain", &folder, &mut Vec::new()).is_err());
        assert_eq!(fs::read_to_string(folder.join(NAME)).unwrap(), "mine");
        assert!(eject("none", &folder, &mut Vec::new()).is_err());
    }
}
