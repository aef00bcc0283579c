//! Answers that differ are not compared: each contender is asked before it is measured.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::contender::{Contender, Ground, Peer, Setup};
use crate::fetch::{self, fetch, field};
use crate::origin::Seen;

/// The shortest ID.
const ID: usize = 16;
/// How much later than its page a line of log may come.
const LATE: Duration = Duration::from_secs(1);

/// What has to be equal of all answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) status: u16,
    pub(crate) length: usize,
    /// Whether the page has an ID, which is the one that the origin got, if it got one.
    pub(crate) has_id: bool,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = if self.has_id { "an ID" } else { "no ID" };
        write!(f, "status {}, {} bytes, {id}", self.status, self.length)
    }
}

/// Asks each contender as its visitors will. An error says how their answers differ.
pub(crate) fn verify(
    ground: &Ground,
    contenders: &[Contender],
    setup: Setup,
    path: &str,
) -> Result<Shape> {
    let mut known: Option<(&str, Shape)> = None;
    for contender in contenders {
        let name = contender.name.as_str();
        let shape = shape(ground, contender, setup, path).with_context(|| name.to_owned())?;
        match known {
            Some((other, expected)) if shape != expected => bail!(
                "answers that differ are not compared: {other} gave {expected}; {name} gave {shape}"
            ),
            _ => known = Some((name, shape)),
        }
    }
    Ok(known.context("nobody to compare")?.1)
}

fn shape(ground: &Ground, contender: &Contender, setup: Setup, path: &str) -> Result<Shape> {
    let first = fetch(contender.port, path)?;
    let second = fetch(contender.port, path)?;
    let id = changing(&first.text(), &second.text());
    if setup != Setup::Storm && contender.peer != Peer::Relay {
        let head = fetch::seen(ground.origin.seen)?.head;
        let origins = field(&head, "x-request-id").context("the origin got no request ID")?;
        field(&head, "x-forwarded-for").context("the origin got no X-Forwarded-For")?;
        ensure!(
            matches!(setup, Setup::Pass | Setup::Tls) || id.as_deref() == Some(origins),
            "the origin got the ID {origins}, the visitor {id:?}"
        );
    }
    if setup == Setup::Keep {
        is_logged(ground, contender.peer)?;
    }
    Ok(Shape {
        status: second.status,
        length: second.body.len(),
        has_id: id.is_some_and(|id| id.len() >= ID),
    })
}

/// Whether the last original stands in the last line of log, whole, where the peer logs it.
fn is_logged(ground: &Ground, peer: Peer) -> Result<()> {
    let begun = Instant::now();
    loop {
        let Seen { line, body, .. } = fetch::seen(ground.origin.seen)?;
        let is_logged = match peer {
            Peer::Haproxy => serde_json::from_str::<Value>(&line)
                .is_ok_and(|record| record.get("body") == Some(&Value::from(body))),
            Peer::HaproxyRaw => line.contains(&body),
            _ => true,
        };
        if is_logged {
            return Ok(());
        }
        // A line may come after its page.
        ensure!(
            begun.elapsed() < LATE,
            "the log has not the whole original: a line of {} bytes",
            line.len()
        );
    }
}

/// The word in the second text in which it differs from the first.
fn changing(first: &str, second: &str) -> Option<String> {
    let place = first
        .bytes()
        .zip(second.bytes())
        .position(|(a, b)| a != b)?;
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let (before, after) = second.split_at_checked(place)?;
    let start = before
        .rfind(|letter| !is_word(letter))
        .map_or(0, |at| at + 1);
    let end = after.find(|letter| !is_word(letter)).unwrap_or(after.len());
    second.get(start..place + end).map(str::to_owned)
}
