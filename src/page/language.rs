//! Which language a visitor wants: in come the request's headers and the languages that there are, out comes the place of one.
//!
//! `Accept-Language` with its q-values decides, by the lookup of RFC 4647, 3.4. At most [`MAX_BYTES`] and [`MAX_RANGES`] of it
//! are looked at.

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

const MAX_BYTES: usize = 1024;
const MAX_RANGES: usize = 32;
const WHOLE: u16 = 1000;

/// What tags were called before, or mean where they leave the script or the region open.
const ALIASES: [(&str, &str); 23] = [
    ("zh-tw", "zh-hant-tw"),
    ("zh-hk", "zh-hant-hk"),
    ("zh-mo", "zh-hant-mo"),
    ("zh-cn", "zh-hans-cn"),
    ("zh-sg", "zh-hans-sg"),
    ("zh", "zh-hans"),
    ("pt", "pt-br"),
    // Outside Brazil it is written as in Portugal (CLDR, parent locales).
    ("pt-ao", "pt-pt"),
    ("pt-ch", "pt-pt"),
    ("pt-cv", "pt-pt"),
    ("pt-fr", "pt-pt"),
    ("pt-gq", "pt-pt"),
    ("pt-gw", "pt-pt"),
    ("pt-lu", "pt-pt"),
    ("pt-mo", "pt-pt"),
    ("pt-mz", "pt-pt"),
    ("pt-st", "pt-pt"),
    ("pt-tl", "pt-pt"),
    ("no", "nb"),
    ("nn", "nb"),
    ("nn-no", "nb"),
    ("iw", "he"),
    ("in", "id"),
];

/// The place of the language for a request among those that there are; 0, the fallback, where nothing fits.
pub(super) fn choose(headers: &HeaderMap, there: &[&str]) -> usize {
    let mut wanted: Vec<(u16, String)> = headers
        .get_all(ACCEPT_LANGUAGE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.get(..MAX_BYTES).unwrap_or(value).split(','))
        .take(MAX_RANGES)
        .filter_map(read_range)
        .collect();
    // Stable, so that of equal ones the first wins.
    wanted.sort_by_key(|(quality, _)| WHOLE.saturating_sub(*quality));
    wanted
        .iter()
        .take_while(|(quality, _)| *quality > 0)
        .find_map(|(_, range)| lookup(range, there))
        .unwrap_or(0)
}

/// A range in lower case, and its quality in thousandths.
fn read_range(text: &str) -> Option<(u16, String)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?;
    let quality = parts.find_map(|part| part.strip_prefix("q="));
    let quality = quality.map_or(Some(WHOLE), read_quality)?;
    Some((quality, range.to_ascii_lowercase()))
}

fn read_quality(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = part.chars().chain("000".chars()).take(3).collect();
    match whole {
        "0" => digits.parse().ok(),
        "1" => Some(WHOLE),
        _ => None,
    }
}

/// The language that a range names, cut from its end until one fits; at last any of the same primary language.
fn lookup(range: &str, there: &[&str]) -> Option<usize> {
    if range == "*" {
        return Some(0);
    }
    let mut left = range;
    loop {
        if let Some(place) = position(left, there) {
            return Some(place);
        }
        if let Some((_, meant)) = ALIASES.iter().find(|(tag, _)| *tag == left)
            && let Some(place) = truncated(meant, there)
        {
            return Some(place);
        }
        match left.rsplit_once('-') {
            Some((shorter, _)) => left = shorter,
            None => break,
        }
    }
    there
        .iter()
        .position(|tag| primary(tag).eq_ignore_ascii_case(left))
}

fn truncated(range: &str, there: &[&str]) -> Option<usize> {
    let cuts = range.match_indices('-').map(|(at, _)| at);
    let ends = cuts.chain([range.len()]).collect::<Vec<_>>();
    ends.into_iter()
        .rev()
        .filter_map(|end| range.get(..end))
        .find_map(|tag| position(tag, there))
}

fn position(tag: &str, there: &[&str]) -> Option<usize> {
    there
        .iter()
        .position(|other| other.eq_ignore_ascii_case(tag))
}

fn primary(tag: &str) -> &str {
    tag.split('-').next().unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_looked_up() {
        let there = [
            "en", "de", "pt-BR", "pt-PT", "zh-Hans", "zh-Hant", "nb", "he",
        ];
        let cases = [
            ("", "en"),
            ("de", "de"),
            ("DE-at", "de"),
            ("tlh, de;q=0.5", "de"),
            ("de;q=0.4, en;q=0.9", "en"),
            ("de;q=0, *", "en"),
            ("pt", "pt-BR"),
            ("pt-PT", "pt-PT"),
            ("pt-pt-x-y", "pt-PT"),
            ("pt-AO", "pt-PT"),
            ("pt-US", "pt-BR"),
            ("zh-TW", "zh-Hant"),
            ("zh-Hant-HK", "zh-Hant"),
            ("zh-CN", "zh-Hans"),
            ("zh", "zh-Hans"),
            ("nn-NO, en;q=0.8", "nb"),
            ("no", "nb"),
            ("iw", "he"),
            ("de;q=2", "en"),
            (";;;,,-,q=", "en"),
            ("<script>, de", "de"),
        ];
        for (accepted, expected) in cases {
            let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, accepted.parse().unwrap())]);
            assert_eq!(there[choose(&headers, &there)], expected, "{accepted}");
        }
        let angolan = HeaderMap::from_iter([(ACCEPT_LANGUAGE, "pt-AO".parse().unwrap())]);
        assert_eq!(choose(&angolan, &["en", "pt-BR"]), 1);
        let both = ["fr-CA", "de"];
        let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, "fr".parse().unwrap())]);
        assert_eq!(choose(&headers, &both), 0);
    }

    #[test]
    fn a_long_header_is_cut() {
        let long = format!("{}de", "xx,".repeat(MAX_RANGES));
        let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, long.parse().unwrap())]);
        assert_eq!(choose(&headers, &["en", "de"]), 0);
    }
}
