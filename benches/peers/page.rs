//! One page for all: the peers get Pardon's, with their own ID in the place of its.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::fetch::Answer;

/// How a peer writes an ID into a page, in which file, and how many characters that ID has.
struct Form {
    file: &'static str,
    id: &'static str,
    length: usize,
    /// What stands for a percent sign.
    percent: &'static str,
}

const FORMS: [Form; 3] = [
    Form {
        file: "page.html",
        id: "<!--# echo var=\"request_id\" -->",
        length: 32,
        percent: "%",
    },
    Form {
        file: "page.lf",
        id: "%ID",
        length: 36,
        percent: "%%",
    },
    Form {
        file: "page.caddy.html",
        id: "{{placeholder \"http.request.uuid\"}}",
        length: 36,
        percent: "%",
    },
];

/// Writes the peers' pages into a folder. Their IDs are longer than Pardon's: as much is cut from the end of the style sheet, so that
/// all pages have one length. The time on them stands still, which saves the peers work.
pub(crate) fn lay_out(folder: &Path, pardons: &Answer) -> Result<()> {
    let id = pardons.field("x-request-id").context("Pardon sent no ID")?;
    let page = pardons.text();
    let (before, after) = page.split_once("</style>").context("no style sheet")?;
    for form in FORMS {
        let more = page.matches(id).count() * (form.length - id.len());
        let style = before.get(..before.len() - more).context("a short style")?;
        let text = [style, "</style>", after].concat();
        let text = text.replace('%', form.percent).replace(id, form.id);
        fs::write(folder.join(form.file), text)?;
    }
    Ok(())
}
