//! Those who are too slow: each holds a connection for as long as it is left to it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Between two bytes.
const PAUSE: Duration = Duration::from_millis(500);
/// Who holds a connection for so long is not shed.
const PATIENCE: Duration = Duration::from_mins(1);
/// What a slow reader's kernel takes ahead, in bytes.
const AHEAD: usize = 4096;

/// In what they are slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Heads,
    Bodies,
    Readers,
    Silent,
}

/// How many were shed, and after how long.
#[derive(Debug, Default)]
pub(crate) struct Shed {
    all: usize,
    after: Vec<Duration>,
    /// Those that heard why: an answer with a status.
    told: usize,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Heads, Self::Bodies, Self::Readers, Self::Silent];

    /// What is sent at once.
    const fn begins(self) -> &'static [u8] {
        match self {
            Self::Heads => b"GET / HTTP/1.1\r\nHost: slow.example\r\nX-Slow: ",
            Self::Bodies => {
                b"POST / HTTP/1.1\r\nHost: slow.example\r\nContent-Length: 1000000\r\n\r\n"
            }
            Self::Readers => b"GET /large HTTP/1.1\r\nHost: slow.example\r\n\r\n",
            Self::Silent => b"",
        }
    }
}

/// So many of each kind at once, until the last has gone.
pub(crate) fn attack(address: SocketAddr, each: usize) -> io::Result<Vec<Shed>> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut attackers = JoinSet::new();
        for _ in 0..each {
            for kind in Kind::ALL {
                attackers.spawn(hold(address, kind));
            }
        }
        let mut shed: Vec<Shed> = Kind::ALL.iter().map(|_| Shed::of(each)).collect();
        while let Some(ended) = attackers.join_next().await {
            let (kind, outcome) = ended.map_err(io::Error::other)?;
            let place = Kind::ALL.iter().position(|one| *one == kind);
            let Some(shed) = place.and_then(|place| shed.get_mut(place)) else {
                continue;
            };
            if let Some((after, told)) = outcome {
                shed.after.push(after);
                shed.told += usize::from(told);
            }
        }
        for shed in &mut shed {
            shed.after.sort_unstable();
        }
        Ok(shed)
    })
}

/// Holds a connection; after how long it was gone and whether there was an answer, where it was.
async fn hold(address: SocketAddr, kind: Kind) -> (Kind, Option<(Duration, bool)>) {
    let begun = Instant::now();
    let held = timeout(PATIENCE, dawdle(address, kind)).await;
    let outcome = held
        .ok()
        .map(|told| (begun.elapsed(), told.unwrap_or(false)));
    (kind, outcome)
}

/// Ends when the connection does; whether an answer came that says why.
async fn dawdle(address: SocketAddr, kind: Kind) -> io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    if kind == Kind::Readers {
        SockRef::from(&stream).set_recv_buffer_size(AHEAD)?;
    }
    stream.write_all(kind.begins()).await?;
    let mut heard = Vec::new();
    let mut byte = [0; 1];
    loop {
        if kind == Kind::Readers {
            sleep(PAUSE).await;
            // What its kernel has taken ahead can be read after a reset too.
            if stream.take_error()?.is_some() {
                return Ok(false);
            }
        }
        match timeout(PAUSE, stream.read(&mut byte)).await {
            Ok(Ok(0) | Err(_)) => return Ok(heard.starts_with(b"HTTP/1.1 408 ")),
            Ok(Ok(_)) => heard.extend(byte),
            Err(_) if matches!(kind, Kind::Heads | Kind::Bodies) => {
                // Who is shed reads no more; what was said before is read first.
                drop(stream.write_all(b"x").await);
            }
            Err(_) => {}
        }
    }
}

impl Shed {
    fn of(all: usize) -> Self {
        Self {
            all,
            ..Self::default()
        }
    }

    pub(crate) fn is_all(&self) -> bool {
        self.after.len() == self.all
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Heads => "slow heads",
            Self::Bodies => "slow bodies",
            Self::Readers => "slow readers",
            Self::Silent => "silent connections",
        })
    }
}

impl fmt::Display for Shed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} shed", self.after.len())?;
        if let (Some(first), Some(last)) = (self.after.first(), self.after.last()) {
            write!(
                f,
                " after {first:.1?} to {last:.1?}, {} told why",
                self.told
            )?;
        }
        Ok(())
    }
}
