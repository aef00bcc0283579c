//! A line that is fit to be shown: of bounded length, with nothing in it that is not to be seen.

/// How many characters a summary has at most.
pub(super) const LENGTH: usize = 200;

/// One line of bounded length: white space runs together, and what is not to be seen is left out.
pub(super) fn one_line(text: &str, length: usize) -> String {
    if text.len() <= length && is_one_line(text.as_bytes()) {
        return text.to_owned();
    }
    let mut line = String::with_capacity(text.len().min(length + 8));
    let mut count = 0;
    let mut gap = false;
    for letter in text.chars() {
        if letter.is_whitespace() {
            gap = count > 0;
        } else if !unseen(letter) {
            if count + usize::from(gap) >= length {
                return cut(&line, length);
            }
            if std::mem::take(&mut gap) {
                line.push(' ');
                count += 1;
            }
            line.push(letter);
            count += 1;
        }
    }
    line
}

/// Whether a text is printable ASCII whose words stand one space apart, as most that programs write is.
fn is_one_line(text: &[u8]) -> bool {
    let printable = text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let next = text.get(1..).unwrap_or_default();
    let apart = text.iter().zip(next).all(|pair| pair != (&b' ', &b' '));
    printable && apart && text.first() != Some(&b' ') && text.last() != Some(&b' ')
}

/// The line with its last character given to an ellipsis.
fn cut(line: &str, length: usize) -> String {
    let end = line
        .char_indices()
        .nth(length - 1)
        .map_or(line.len(), |(at, _)| at);
    format!("{}…", line.get(..end).unwrap_or(line).trim_end())
}

/// Controls, and characters that reorder or hide what stands around them.
fn unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_runs_together_and_the_unseen_is_left_out() {
        for (text, line) in [
            ("", ""),
            ("one two", "one two"),
            (" one  two ", "one two"),
            ("one\ttwo\n", "one two"),
            ("one\u{7f}two", "onetwo"),
            ("öne two", "öne two"),
            ("one two three", "one two t…"),
        ] {
            assert_eq!(one_line(text, 10), line, "{text:?}");
        }
    }
}
