//! Visitors who ask again and again, and note the ID of every page that they have received whole.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Visitors at once, each on a connection of its own.
pub(crate) struct Visitors {
    threads: Vec<JoinHandle<Vec<String>>>,
    enough: Arc<AtomicBool>,
    begun: Instant,
}

/// What they have seen.
pub(crate) struct Seen {
    /// The ID of each answer that came whole.
    pub(crate) ids: Vec<String>,
    /// How long it took.
    pub(crate) duration: Duration,
}

impl Visitors {
    /// So many visitors begin to ask for `path`; each ends with the first answer that does not come.
    pub(crate) fn start(count: usize, address: SocketAddr, path: &'static str) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let visitor = |_| {
            let enough = Arc::clone(&enough);
            thread::spawn(move || {
                let mut ids = Vec::new();
                // The proxy is killed at some time: that ends the visit.
                drop(visit(address, path, &enough, &mut ids));
                ids
            })
        };
        Self {
            threads: (0..count).map(visitor).collect(),
            enough,
            begun: Instant::now(),
        }
    }

    /// Has them end, and gives what they have seen.
    pub(crate) fn end(self) -> Seen {
        self.enough.store(true, Ordering::Relaxed);
        let seen = self.threads.into_iter();
        let ids = seen.flat_map(|thread| thread.join().unwrap_or_default());
        Seen {
            ids: ids.collect(),
            duration: self.begun.elapsed(),
        }
    }
}

fn visit(
    address: SocketAddr,
    path: &str,
    enough: &AtomicBool,
    ids: &mut Vec<String>,
) -> io::Result<()> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nAccept: text/html\r\n\r\n");
    let mut answers = BufReader::with_capacity(16 << 10, &stream);
    while !enough.load(Ordering::Relaxed) {
        (&stream).write_all(request.as_bytes())?;
        ids.push(answer(&mut answers)?);
    }
    Ok(())
}

/// Reads a whole answer and gives its ID.
fn answer(stream: &mut impl BufRead) -> io::Result<String> {
    let (mut id, mut length, mut line) = (String::new(), 0, String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().split_once(": ") {
            Some(("x-request-id", value)) => value.clone_into(&mut id),
            Some(("content-length", value)) => length = value.parse().unwrap_or(0),
            None if line == "\r\n" => break,
            _ => {}
        }
    }
    let read = io::copy(&mut stream.take(length), &mut io::sink())?;
    if read < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(id)
}
