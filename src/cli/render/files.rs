//! Pages as files, for a CDN or a load balancer to serve where Pardon itself cannot: in come pages, out come a folder and its index.
//!
//! `502.html` is the page in the first language, `502.de.html` the one in German. `index.html` is for a person, `index.json` says
//! of each file which headers it is to be served with; among these is the policy that allows an HTML page its own style.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, RETRY_AFTER};
use serde_json::{Map, Value, json};

use super::{Args, render};
use crate::page::{Format, Page, Pages};

/// Writes the files and the index over them.
pub(super) fn write(args: &Args, pages: &Pages, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| cannot_write(folder))?;
    let languages = languages(args, pages);
    let mut index = Vec::new();
    for status in statuses(args) {
        for format in formats(args) {
            for (place, language) in languages.iter().enumerate() {
                let page = render(args, pages, status, format, Some(language))?;
                let tagged = format!("{status}.{language}.{}", format.extension());
                let names = if place == 0 {
                    vec![format!("{status}.{}", format.extension()), tagged]
                } else {
                    vec![tagged]
                };
                // With one language its name would say nothing.
                let names = names
                    .into_iter()
                    .take(if languages.len() == 1 { 1 } else { 2 });
                for name in names {
                    save(&folder.join(&name), &page.body)?;
                    index.push(entry(&name, &page));
                }
            }
        }
    }
    save(&folder.join("index.html"), list(&index).as_bytes())?;
    let index = serde_json::to_vec_pretty(&index).context("the index")?;
    save(&folder.join("index.json"), &index)
}

/// Those that were asked for, or all that have a name.
fn statuses(args: &Args) -> Vec<u16> {
    if !args.status.is_empty() {
        return args.status.clone();
    }
    let named =
        |code: &u16| StatusCode::from_u16(*code).is_ok_and(|it| it.canonical_reason().is_some());
    (400..600).filter(named).collect()
}

fn formats(args: &Args) -> Vec<Format> {
    match args.format {
        Some(format) => vec![Format::from(format)],
        None => Format::TEMPLATED.to_vec(),
    }
}

/// Those that were asked for, or the first of the configuration.
fn languages(args: &Args, pages: &Pages) -> Vec<String> {
    if args.language.iter().any(|language| language == "all") {
        return pages.languages().map(str::to_owned).collect();
    }
    if args.language.is_empty() {
        return pages.languages().take(1).map(str::to_owned).collect();
    }
    args.language.clone()
}

fn save(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(file, bytes).with_context(|| cannot_write(file))
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write `{}`", PathBuf::from(path).display())
}

/// What whoever serves a file has to know.
fn entry(name: &str, page: &Page) -> Value {
    let headers: Map<String, Value> = page
        .headers
        .iter()
        .filter(|(name, _)| **name != CONTENT_LENGTH && **name != RETRY_AFTER)
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.into())))
        .collect();
    json!({
        "file": name,
        "status": page.status.as_u16(),
        "format": page.format.name(),
        "language": &*page.language,
        "headers": headers,
    })
}

/// A page with a link to each file. Names are made of statuses, tags and extensions, which mean nothing to HTML.
fn list(index: &[Value]) -> String {
    let text = |entry: &Value, key: &str| {
        entry
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let item = |entry: &Value| {
        let (file, language) = (text(entry, "file"), text(entry, "language"));
        format!(
            "<li><a href=\"{file}\">{file}</a> ({}, {language})\n",
            text(entry, "format")
        )
    };
    let items: String = index.iter().map(item).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Pages</title>\n<h1>Pages</h1>\n\
         <p>Serve each with its status and with the headers that <a href=\"index.json\">index.json</a> names.\n\
         <ul>\n{items}</ul>\n"
    )
}
