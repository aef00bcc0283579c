//! Properties that hold for any text: nothing else is lost, once is enough, and no text is too much work.

use super::*;

/// Pieces that the checks look for, and that look like more than they are.
const PIECES: [&str; 64] = [
    "password",
    "Token",
    "SECRET_KEY",
    "api_key",
    "sid=",
    "Cookie",
    "Authorization",
    "=",
    ": ",
    " = ",
    "=>",
    "&quot;",
    "&#39;",
    "\"",
    "'",
    "\\",
    "\\\"",
    "`",
    "<td>",
    "</td>",
    "<b>",
    "</b>",
    "<",
    ">",
    "&amp;",
    "&",
    ";",
    ",",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "://",
    "@",
    ":",
    "/",
    "?",
    "%3D",
    "%26",
    "eyJhbGciOi",
    ".",
    "-----BEGIN PRIVATE KEY-----",
    "-----END",
    "Bearer ",
    "Basic ",
    "ghp_",
    "AKIA",
    "xoxb-",
    "4111111111111111",
    "4111 1111 ",
    "1",
    "-",
    " ",
    "\n",
    "value",
    "ü",
    "\0",
    "[redacted: token]",
    "x",
    "@tcp(",
    "connect(",
    "$",
];

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    /// A text of pieces, now and then with a byte that is no text.
    fn text(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        for _ in 0..self.below(40) {
            text.extend_from_slice(PIECES[self.below(PIECES.len())].as_bytes());
            if self.below(20) == 0 {
                text.push(u8::try_from(self.below(256)).unwrap());
            }
        }
        text
    }
}

#[test]
fn any_text_keeps_what_is_no_secret_and_is_redacted_once() {
    let redactor = redactor(ClientAddress::Full);
    let mut dice = Dice(7);
    for _ in 0..20_000 {
        let text = dice.text();
        let shown = String::from_utf8_lossy(&text).into_owned();
        let redacted = redactor.text(text.clone().into());
        let mut rest = &redacted.text[..];
        let mut done = 0;
        for secret in redactor.marks(&text) {
            assert!(
                done <= secret.range.start && secret.range.start < secret.range.end,
                "{shown}"
            );
            let before = &text[done..secret.range.start];
            rest = rest.strip_prefix(before).unwrap();
            rest = rest.strip_prefix(mark(&secret.name).as_bytes()).unwrap();
            done = secret.range.end;
        }
        assert_eq!(rest, &text[done..], "{shown}");
        let again = redactor.text(redacted.text.clone());
        let twice = String::from_utf8_lossy(&again.text).into_owned();
        assert_eq!(twice, String::from_utf8_lossy(&redacted.text), "{shown}");
    }
}

/// What is worst when nothing else stands in a text.
const REPEATED: [&str; 47] = [
    "password=password=",
    "password: ",
    "password: x ",
    "password=\"",
    "password = \"a\\\"",
    "token<b><i>",
    "<td>password</td><td>",
    "password<span class=\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\">",
    "a://b:",
    "://a:b",
    "http://a:b/c",
    "eyJ",
    "eyJ.",
    "eyJhbGciOiJI.",
    "tokentoken",
    "token_",
    "-----BEGIN PRIVATE KEY----- (",
    "1234 ",
    "1 2",
    "4111-",
    "&quot;",
    "&amp;amp;",
    "\\\\",
    "<<<<",
    "<a",
    "<![CDATA[",
    "<password>",
    "Cookie: a=",
    "Bearer a ",
    "Basic YWJj ",
    "connect('a','b',",
    "a:b@tcp(",
    "password: [[",
    "password: ['a', ",
    "password: ['[redacted: a]', ",
    "[password:",
    "?code=",
    "password=[redacted",
    "password=x[redacted: ",
    "password=\"[redacted: ",
    "password=,a",
    "password=&a",
    "password=(",
    "password \t ",
    "pass&#x",
    "hooks.slack.com/services/ ",
    "x-api-key: ",
];

#[test]
fn the_work_follows_from_the_length() {
    let redactor = redactor(ClientAddress::Full);
    for piece in PIECES.iter().chain(&REPEATED) {
        let text = piece.repeat((1 << 16) / piece.len());
        _ = super::super::symbol::counted::steps();
        _ = redactor.marks(text.as_bytes());
        let each = super::super::symbol::counted::steps() / text.len();
        assert!(each <= 40, "{each} steps a byte for {piece:?}");
    }
}
