//! Perl: `Can't open the jar at /app/shop.pl line 7.`

/// A message that ends in its place: the message and the file.
pub(super) fn place(line: &str) -> Option<(&str, &str)> {
    // Behind a comma: what was being read at the time.
    let line = line.split(", <").next()?;
    let (rest, number) = line.rsplit_once(" line ")?;
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    let (message, file) = rest.rsplit_once(" at ")?;
    let ends = number
        .get(digits..)
        .is_some_and(|end| end.is_empty() || end.starts_with('.'));
    let is_file = !file.contains(' ') && file.contains(['.', '/']) || file.starts_with("(eval ");
    (digits > 0 && ends && is_file).then_some((message, file))
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
