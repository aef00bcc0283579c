//! The visitor who is as fast as others are slow: asks again and again, and notes how long each answer takes.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(5);
/// The longest that an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// What it saw.
#[derive(Debug)]
pub(crate) struct Ordinary {
    /// How long each answer took, the shortest first.
    took: Vec<Duration>,
    pub(crate) failed: u64,
}

impl Ordinary {
    /// Asks for as long as something else takes.
    pub(crate) fn watched<T>(
        address: SocketAddr,
        meanwhile: impl FnOnce() -> T,
    ) -> io::Result<(Self, T)> {
        let end = AtomicBool::new(false);
        thread::scope(|scope| {
            let asking = scope.spawn(|| Self::ask(address, &end));
            let outcome = meanwhile();
            end.store(true, Ordering::SeqCst);
            let seen = asking.join();
            let seen = seen.map_err(|_| io::Error::other("the ordinary visitor is gone"))?;
            Ok((seen, outcome))
        })
    }

    /// Every fourth request goes out on a connection of its own.
    fn ask(address: SocketAddr, end: &AtomicBool) -> Self {
        let (mut took, mut failed) = (Vec::new(), 0);
        let mut connection = None;
        while !end.load(Ordering::Relaxed) {
            if took.len() % 4 == 0 {
                connection = None;
            }
            let begun = Instant::now();
            if once(address, &mut connection).is_ok() {
                took.push(begun.elapsed());
            } else {
                failed += 1;
                connection = None;
            }
            thread::sleep(PAUSE);
        }
        took.sort_unstable();
        Self { took, failed }
    }

    /// The time that this share of its answers took at most.
    pub(crate) fn share(&self, percent: usize) -> Duration {
        let place = self.took.len().saturating_sub(1) * percent / 100;
        self.took.get(place).copied().unwrap_or_default()
    }
}

fn once(address: SocketAddr, connection: &mut Option<BufReader<TcpStream>>) -> io::Result<()> {
    let stream = if let Some(stream) = connection {
        stream
    } else {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        connection.insert(BufReader::new(stream))
    };
    let request = b"GET / HTTP/1.1\r\nHost: slow.example\r\n\r\n";
    stream.get_mut().write_all(request)?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let mut body = [0; 4];
    stream.read_exact(&mut body)?;
    if head.starts_with("HTTP/1.1 200 ") && &body == b"fine" {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

impl fmt::Display for Ordinary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} answers, half within {:.1?}, 99% within {:.1?}, {} failed",
            self.took.len(),
            self.share(50),
            self.share(99),
            self.failed
        )
    }
}
