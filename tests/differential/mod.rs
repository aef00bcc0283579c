//! What Pardon lets through, hyper reads in the same way: the line, the fields, the body, and where the next message begins.
//!
//! The inputs are messages spoilt by chance, always the same ones. `fuzz/` compares with the same code what a fuzzer makes.

mod answers;
mod message;
mod requests;

use answers::Answers;
use requests::Requests;

const REQUESTS: [&str; 9] = [
    "GET /a?b=c HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
    "GET http://a:80/b HTTP/1.1\r\nHost: a\r\nX-Y: z\r\nX-Y: \tw \r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "PUT /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1 \r\n!\r\n0\r\nX-Sum: 1\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
    "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
];

const ANSWERS: [&str; 9] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Y: z\r\nX-Y: w\r\n\r\nfine",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n01\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nuntil the end",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\none",
    "HTTP/1.1 500 \r\nContent-Length: 5, 5\r\n\r\nsorry",
    "HTTP/1.1 404 Not Found\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ngon\r\n1\r\ne\r\n0\r\n\r\n",
];

/// What is put in: what parsers have disagreed about.
const PIECES: [&str; 40] = [
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    "\0",
    "\u{b}",
    "\u{c}",
    "\u{a0}",
    ":",
    ";",
    ",",
    "0",
    "00",
    "1",
    "5",
    "f",
    "+",
    "-",
    "0x",
    "\"",
    "#",
    "%0a",
    "Host: b\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 6\r\n",
    "Content-Length:\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Connection: upgrade\r\nUpgrade: a\r\n",
    "Expect: a\r\n",
    "0\r\n\r\n",
    "5\r\nhello\r\n",
    "HTTP/1.0",
    "HTTP/1.2",
    "GET /in HTTP/1.1\r\nHost: a\r\n\r\n",
    "chunked",
];

/// Chance that is the same each time (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % most.max(1)
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    /// Some of these one behind the other, spoilt at a few places, or at none.
    fn spoilt(&mut self, seeds: &[&str]) -> Vec<u8> {
        let mut text = Vec::new();
        for _ in 0..=self.below(3) {
            text.extend_from_slice(self.of(seeds).as_bytes());
        }
        for _ in 0..self.below(4) {
            self.spoil(&mut text);
        }
        text
    }

    fn spoil(&mut self, text: &mut Vec<u8>) {
        // Mostly where lines begin and end: there they are told apart.
        let ends: Vec<_> = (0..text.len()).filter(|at| text[*at] == b'\n').collect();
        let at = match (self.below(2), ends.len()) {
            (0, 1..) => ends[self.below(ends.len())] + self.below(2),
            _ => self.below(text.len()),
        };
        let end = text.len().min(at + self.below(3));
        match self.below(4) {
            0 => drop(text.drain(at..end)),
            1 => text
                .splice(at..end, self.of(&PIECES).bytes())
                .for_each(drop),
            2 => text.extend_from_within(at..end),
            _ => text.splice(at..at, self.of(&PIECES).bytes()).for_each(drop),
        }
    }
}

/// Compares so many inputs; how many messages were let through whole.
fn compared(
    seeds: &[&str],
    count: usize,
    mut compare: impl FnMut(&[u8]) -> Result<usize, String>,
) -> usize {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut wrong = Vec::new();
    let mut whole = 0;
    for _ in 0..count {
        let input = chance.spoilt(seeds);
        match compare(&input) {
            Ok(count) => whole += count,
            Err(why) => wrong.push(format!("\"{}\"\n{why}", input.escape_ascii())),
        }
    }
    let all = wrong.len();
    wrong.truncate(5);
    assert!(
        wrong.is_empty(),
        "{all} of {count} are read in two ways:\n{}",
        wrong.join("\n")
    );
    whole
}

#[test]
fn requests_that_are_let_through_are_read_by_hyper_in_the_same_way() {
    let requests = Requests::new();
    let whole = compared(&REQUESTS, 3000, |input| requests.compare(input));
    assert!(whole > 1500, "only {whole} were let through");
}

#[test]
fn answers_that_are_let_through_are_read_by_hyper_in_the_same_way() {
    let answers = Answers::new();
    let whole = compared(&ANSWERS, 3000, |input| answers.compare(input));
    assert!(whole > 500, "only {whole} were let through");
}
