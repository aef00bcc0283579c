//! A visitor who sends requests in lock-step: one on each connection, then all answers are read.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take: under valgrind all is some fifty times slower.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Visitor(Vec<BufReader<TcpStream>>);

impl Visitor {
    pub(crate) fn new(address: SocketAddr, connections: u32) -> io::Result<Self> {
        let connect = |_| {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(BufReader::with_capacity(16 << 10, stream))
        };
        (0..connections)
            .map(connect)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Asks so many times on each connection.
    ///
    /// # Errors
    ///
    /// When an answer does not come, or has another status.
    pub(crate) fn ask(&mut self, request: &str, status: u16, rounds: u32) -> io::Result<()> {
        for _ in 0..rounds {
            for connection in &mut self.0 {
                connection.get_mut().write_all(request.as_bytes())?;
            }
            for connection in &mut self.0 {
                let found = answer(connection)?;
                if found != status {
                    let wrong = format!("an answer is {found} where it should be {status}");
                    return Err(io::Error::other(wrong));
                }
            }
        }
        Ok(())
    }
}

/// Reads a whole answer and gives its status.
fn answer(stream: &mut impl BufRead) -> io::Result<u16> {
    let (mut status, mut length, mut line) = (0, 0, String::new());
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut words = line.split_whitespace();
        match (
            words.next(),
            words.next().and_then(|word| word.parse().ok()),
        ) {
            (Some("HTTP/1.1"), Some(number)) => status = number,
            (Some("content-length:"), Some(number)) => length = number,
            _ => {}
        }
    }
    let length = u64::from(length);
    let read = io::copy(&mut stream.take(length), &mut io::sink())?;
    if read < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(status)
}
