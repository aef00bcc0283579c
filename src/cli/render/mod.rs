//! `pardon render`: writes pages to stdout or to files, as the proxy would serve them.

mod files;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::ValueEnum;
use http::{Method, StatusCode};
use jiff::Timestamp;

use crate::config::{Config, Report};
use crate::page::{Format, Notice, Page, PageContext, Pages};

/// Write pages to stdout or to files, as the proxy would serve them.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The status of the page; with --out several with commas between, or every one that has a name
    #[arg(long, required_unless_present = "out", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(400..=599))]
    pub status: Vec<u16>,
    /// The format; without it HTML on stdout, and every format with --out
    #[arg(long, value_enum)]
    pub format: Option<PageFormat>,
    /// The language, as in `lang="de"`; with --out several with commas between, or `all`; without it the first of the configuration
    #[arg(long, value_delimiter = ',')]
    pub language: Vec<String>,
    /// The request ID that the page shows; without it the page shows none, as fits a file that serves many
    #[arg(long, default_value = "", hide_default_value = true)]
    pub id: String,
    /// The host that the page says was asked for
    #[arg(long, default_value = "", hide_default_value = true)]
    pub host: String,
    /// The path that the page says was asked for
    #[arg(long, default_value = "", hide_default_value = true)]
    pub path: String,
    /// The configuration file; default: pardon.toml, then /etc/pardon/pardon.toml, then the defaults
    #[arg(long, value_name = "FILE", env = "PARDON_CONFIG")]
    pub config: Option<PathBuf>,
    /// The folder to write 502.html, 502.de.html and the like to, with an index; without it the page goes to stdout
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// A format that can be written to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PageFormat {
    /// A page for browsers
    Html,
    /// application/problem+json (RFC 9457)
    Json,
    /// Plain text
    Text,
    /// application/problem+xml
    Xml,
}

/// Renders what was asked for to `output`, or to files.
///
/// # Errors
///
/// The configuration's pages have problems, the language is not there, or a file cannot be written.
pub fn run(args: &Args, config: &Config, output: &mut dyn Write) -> anyhow::Result<()> {
    let pages = build(config)?;
    match &args.out {
        Some(folder) => files::write(args, &pages, folder),
        None => print(args, &pages, output),
    }
}

fn build(config: &Config) -> anyhow::Result<Pages> {
    Pages::build(&config.pages, &config.brand, &config.folder).map_err(|problems| {
        let mut report = Report::default();
        for problem in problems {
            report.add(problem.into());
        }
        report.into()
    })
}

fn print(args: &Args, pages: &Pages, output: &mut dyn Write) -> anyhow::Result<()> {
    let [status] = args.status.as_slice() else {
        bail!("several pages need a folder: add --out DIR");
    };
    let language = match args.language.as_slice() {
        [] => None,
        [language] => Some(language.as_str()),
        _ => bail!("several languages need a folder: add --out DIR"),
    };
    let format = args.format.map_or(Format::Html, Format::from);
    output.write_all(&render(args, pages, *status, format, language)?.body)?;
    output.flush().context("stdout")
}

fn render(
    args: &Args,
    pages: &Pages,
    status: u16,
    format: Format,
    language: Option<&str>,
) -> anyhow::Result<Page> {
    let Some(wanted) = pages.wanted(format, language) else {
        let there = pages.languages().collect::<Vec<_>>().join(", ");
        bail!("there are no pages in that language, only in {there}");
    };
    let context = PageContext {
        status: StatusCode::from_u16(status)?,
        notice: notice(status),
        request_id: &args.id,
        time: Timestamp::now(),
        host: &args.host,
        path: &args.path,
        method: &Method::GET,
        retry_after: None,
        planned: None,
    };
    Ok(pages.render(&wanted, &context))
}

/// The notice whose words fit a status when nothing else is known.
fn notice(status: u16) -> Notice {
    match status {
        ..500 => Notice::Refused,
        _ => Notice::AppFailed,
    }
}

impl From<PageFormat> for Format {
    fn from(format: PageFormat) -> Self {
        match format {
            PageFormat::Html => Self::Html,
            PageFormat::Json => Self::Json,
            PageFormat::Text => Self::Text,
            PageFormat::Xml => Self::Xml,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use clap::Parser;

    use super::*;
    use crate::cli::scratch::Scratch;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &str) -> Args {
        let words = std::iter::once("render").chain(line.split(' '));
        Command::try_parse_from(words).unwrap().args
    }

    fn printed(line: &str) -> anyhow::Result<String> {
        let mut output = Vec::new();
        run(&args(line), &Config::default(), &mut output)?;
        Ok(String::from_utf8(output)?)
    }

    #[test]
    fn a_page_is_printed_as_it_is_served() {
        assert!(
            printed("--status 502")
                .unwrap()
                .starts_with("<!doctype html>")
        );
        assert!(
            printed("--status 502 --format text --id AB-C")
                .unwrap()
                .contains("AB-C")
        );
        assert!(
            !printed("--status 502 --format text")
                .unwrap()
                .contains("reference")
        );
        for refused in ["--status 502,503", "--status 502 --language tlh"] {
            assert!(printed(refused).is_err(), "{refused}");
        }
        assert!(Command::try_parse_from(["render", "--status", "200"]).is_err());
    }

    /// What a command leaves in a folder of its own.
    fn written(purpose: &str, line: &str) -> BTreeMap<String, String> {
        let scratch = Scratch::make(purpose).unwrap();
        let line = format!("{line} --out {}", scratch.path().display());
        run(&args(&line), &Config::default(), &mut Vec::new()).unwrap();
        let entries = fs::read_dir(scratch.path()).unwrap().map(Result::unwrap);
        entries
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read_to_string(entry.path()).unwrap())
            })
            .collect()
    }

    #[test]
    fn files_are_named_after_status_and_format() {
        let files = written("render-plain", "--status 502,404");
        let expected = [
            "404.html",
            "404.json",
            "404.txt",
            "404.xml",
            "502.html",
            "502.json",
            "502.txt",
            "502.xml",
            "index.html",
            "index.json",
        ];
        assert!(files.keys().eq(&expected), "{:?}", files.keys());
        assert!(files["index.html"].contains("<a href=\"404.json\">"));
    }

    #[test]
    fn files_are_named_after_languages_where_there_are_several() {
        let files = written(
            "render-languages",
            "--status 502 --format html --language de,ar",
        );
        let expected = [
            "502.ar.html",
            "502.de.html",
            "502.html",
            "index.html",
            "index.json",
        ];
        assert!(files.keys().eq(&expected), "{:?}", files.keys());
        assert_eq!(files["502.html"], files["502.de.html"]);
        assert!(files["502.ar.html"].contains("lang=\"ar\" dir=\"rtl\""));
        let index: serde_json::Value = serde_json::from_str(&files["index.json"]).unwrap();
        let arabic = &index[2];
        assert_eq!(
            (&arabic["file"], &arabic["status"]),
            (&"502.ar.html".into(), &502.into())
        );
        assert_eq!(arabic["headers"]["content-language"], "ar");
        let policy = arabic["headers"]["content-security-policy"]
            .as_str()
            .unwrap();
        assert!(policy.contains("style-src 'sha256-"), "{policy}");
    }

    #[test]
    fn without_a_status_every_one_is_written() {
        let files = written("render-all", "--format text --language all");
        for name in ["400.txt", "451.fr.txt", "511.zh-Hant.txt", "index.json"] {
            assert!(files.contains_key(name), "{name}");
        }
    }
}
