//! An app that fails at full speed: every answer is a 500 with 8 KB of trace, and no two are alike. `/fine` is answered with 1 KB,
//! `/page` with 10 KB of good HTML.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

const LINE: &str = "  File \"/srv/shop/orders/0000000000000000.py\", line 118, in price_of\n";
const LINES: usize = 8192 / LINE.len();
/// Where a line's number stands.
const NUMBER: usize = 26;

/// Starts the app; its threads end with the process.
pub(crate) fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            // A visitor of the app that leaves is of no interest here.
            thread::spawn(move || drop(serve(&stream, number as u64)));
        }
    });
    Ok(address)
}

fn serve(stream: &TcpStream, seed: u64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream);
    let mut failure = Failure::new(seed);
    let fine = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n".as_slice(),
        &[b'.'; 1024],
    ]
    .concat();
    let page = page();
    loop {
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            if lines.read_line(&mut request)? == 0 {
                return Ok(());
            }
        }
        let mut answers = stream;
        if request.starts_with("GET /fine ") {
            answers.write_all(&fine)?;
        } else if request.starts_with("GET /page ") {
            answers.write_all(page.as_bytes())?;
        } else {
            answers.write_all(failure.next())?;
        }
    }
}

/// A page that is well.
fn page() -> String {
    let row = "  <li class=\"item\"><a href=\"/products/17\">A lamp</a>\n    <p>One of the things that our shop has had since 1987.</p>\n  </li>\n";
    let rows = row.repeat(10 * 1024 / row.len());
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><title>Shop</title></head>\n<body>\n<ul>\n{rows}</ul>\n</body>\n</html>\n"
    );
    format!(
        "HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: Mon, 02 Nov 2026 10:00:00 GMT\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Length: {}\r\nVary: Cookie\r\nSet-Cookie: theme=dark; Path=/\r\n\r\n{html}",
        html.len()
    )
}

/// Answers that differ in every line.
struct Failure {
    answer: Vec<u8>,
    head: usize,
    state: u64,
}

impl Failure {
    fn new(seed: u64) -> Self {
        let body = format!(
            "Traceback (most recent call last):\n{}ValueError: no price\n",
            LINE.repeat(LINES)
        );
        let head = format!(
            "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Self {
            head: head.len() + "Traceback (most recent call last):\n".len(),
            answer: (head + &body).into_bytes(),
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    fn next(&mut self) -> &[u8] {
        let trace = self.answer.get_mut(self.head..).unwrap_or_default();
        for line in trace.chunks_exact_mut(LINE.len()).take(LINES) {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            let digits = line.iter_mut().skip(NUMBER).take(16);
            for (place, digit) in digits.enumerate() {
                *digit = b'a' + ((self.state >> (4 * place)) & 15) as u8;
            }
        }
        &self.answer
    }
}
