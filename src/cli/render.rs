//! `pardon render`: writes pages to stdout or to files, as the proxy would serve them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use http::{Method, StatusCode};
use jiff::Timestamp;

use crate::config::{Config, Report};
use crate::page::{Format, Notice, Page, PageContext, Pages};

/// Write pages to stdout or to files, as the proxy would serve them.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The status of the page; several with commas between where --out is given
    #[arg(long, required = true, value_delimiter = ',', value_parser = clap::value_parser!(u16).range(400..=599))]
    pub status: Vec<u16>,
    /// The format; without it HTML on stdout, and every format with --out
    #[arg(long, value_enum)]
    pub format: Option<PageFormat>,
    /// The language, as in `lang="de"`; without it the first of the configuration
    #[arg(long)]
    pub language: Option<String>,
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
    /// The folder to write 502.html and the like to; without it the page goes to stdout
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
        Some(folder) => write_files(args, &pages, folder),
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
    let format = args.format.map_or(Format::Html, Format::from);
    output.write_all(&render(args, pages, *status, format)?.body)?;
    output.flush().context("stdout")
}

fn write_files(args: &Args, pages: &Pages, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| cannot_write(folder))?;
    let formats = match args.format {
        Some(format) => vec![Format::from(format)],
        None => Format::TEMPLATED.to_vec(),
    };
    for status in &args.status {
        for format in &formats {
            let file = folder.join(format!("{status}.{}", format.extension()));
            fs::write(&file, render(args, pages, *status, *format)?.body)
                .with_context(|| cannot_write(&file))?;
        }
    }
    Ok(())
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write `{}`", path.display())
}

fn render(args: &Args, pages: &Pages, status: u16, format: Format) -> anyhow::Result<Page> {
    let Some(wanted) = pages.wanted(format, args.language.as_deref()) else {
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
    use clap::Parser;

    use super::*;

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

    #[test]
    fn files_are_named_after_status_and_format() {
        let folder = std::env::temp_dir().join(format!("pardon-render-{}", std::process::id()));
        let line = format!("--status 502,404 --out {}", folder.display());
        run(&args(&line), &Config::default(), &mut Vec::new()).unwrap();
        let mut names: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(
            names,
            [
                "404.html", "404.json", "404.txt", "404.xml", "502.html", "502.json", "502.txt",
                "502.xml"
            ]
        );
    }
}
