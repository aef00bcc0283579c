//! Perl: `Can't open the jar at /app/shop.pl line 7.`

use super::page::{before, rsplit_once};

/// A message that ends in its place: the message and the file.
pub(super) fn place(line: &str) -> Option<(&str, &str)> {
    // Behind a comma: what was being read at the time.
    let (rest, number) = rsplit_once(before(line, ", <"), " line ")?;
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    let end = number.get(digits..)?;
    if digits == 0 || !(end.is_empty() || end.starts_with('.')) {
        return None;
    }
    // Most prose is known by the last words before the place of its number.
    let (told, file) = rest.rsplit_once(' ')?;
    match told.strip_suffix(" at") {
        Some(message) => file.contains(['.', '/']).then_some((message, file)),
        None if rest.contains('(') => {
            rsplit_once(rest, " at ").filter(|(_, file)| file.starts_with("(eval "))
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_place_is_told_from_prose() {
        for (line, expected) in [
            ("no jar at /app/x.pl line 7.", Some(("no jar", "/app/x.pl"))),
            ("no at (eval 3) line 12.", Some(("no", "(eval 3)"))),
            ("no at x.pl line 3, <STDIN> line 4.", Some(("no", "x.pl"))),
            ("we stood at the end of line 3", None),
            ("at dawn line 3", None),
        ] {
            assert_eq!(place(line), expected, "{line}");
        }
    }
}
