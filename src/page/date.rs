//! How a moment is written for people: in comes the moment in UTC, out come day, month, year and time in the order of a language.

use std::io::{self, Write};

use serde::Deserialize;

use super::values::Moment;

/// The section `[date]` of a catalogue, cut at its parts.
pub(super) struct DateForm {
    pieces: Vec<Piece>,
    months: [String; 12],
}

/// The section as it is written.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DateSource {
    /// `{day} {month} {year}, {time} UTC`
    pattern: String,
    months: [String; 12],
}

enum Piece {
    Text(String),
    Day,
    Month,
    Year,
    Time,
}

impl DateForm {
    /// Cuts the pattern; `None` where it names something else than day, month, year and time.
    pub(super) fn new(source: DateSource) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = source.pattern.as_str();
        while let Some((text, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}')?;
            pieces.push(Piece::Text(text.to_owned()));
            pieces.push(Piece::named(name)?);
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Some(Self {
            pieces,
            months: source.months,
        })
    }

    /// `2 January 2026, 03:04:05 UTC`, unescaped.
    pub(super) fn written(&self, moment: &Moment) -> String {
        let mut text = Vec::with_capacity(48);
        // Writing to memory does not fail.
        let _ = self.write(moment, &mut text);
        String::from_utf8(text).unwrap_or_default()
    }

    fn write(&self, moment: &Moment, text: &mut Vec<u8>) -> io::Result<()> {
        for piece in &self.pieces {
            match piece {
                Piece::Text(between) => text.write_all(between.as_bytes())?,
                Piece::Day => write!(text, "{}", moment.day())?,
                Piece::Month => {
                    let month = self.months.get(moment.month().saturating_sub(1));
                    text.write_all(month.map_or("", String::as_str).as_bytes())?;
                }
                Piece::Year => text.write_all(moment.year().as_bytes())?,
                Piece::Time => text.write_all(moment.clock().as_bytes())?,
            }
        }
        Ok(())
    }
}

impl Piece {
    fn named(name: &str) -> Option<Self> {
        match name {
            "day" => Some(Self::Day),
            "month" => Some(Self::Month),
            "year" => Some(Self::Year),
            "time" => Some(Self::Time),
            _ => None,
        }
    }
}
