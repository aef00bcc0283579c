//! How the app carries a failure out on the wire.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::answer::{self, Answer};
use super::failures::failures;
use super::request::Request;
use super::start_page;

/// How long a silent answer stays silent, should nobody give up before.
const SILENCE: Duration = Duration::from_mins(5);

/// What the app does with a request.
#[derive(Debug)]
pub(super) enum Act {
    /// Sends a whole answer, correctly.
    Whole(fn() -> Answer),
    /// Sends a whole answer correctly, but in pieces with a pause before each.
    Drip {
        answer: fn() -> Answer,
        pieces: usize,
        pause: Duration,
    },
    /// Announces a whole answer, sends half of its body and hangs up.
    Half(fn() -> Answer),
    /// Sends bytes that are no answer and hangs up.
    Raw(&'static [u8]),
    /// Hangs up.
    Close,
    /// Says nothing.
    Silence,
    /// Is not this app's: Pardon's route leads to a closed port.
    Elsewhere,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It can take another request.
    KeepAlive,
    /// It ends here.
    Close,
}

/// Answers a request in its way. `address` is the app's own.
pub(super) async fn perform(
    stream: &mut TcpStream,
    request: &Request,
    address: SocketAddr,
) -> io::Result<Next> {
    if request.path == "/" {
        return whole(stream, request, &start_page::render(request, address)).await;
    }
    let Some(failure) = failures().iter().find(|row| row.path == request.path) else {
        return whole(stream, request, &answer::not_found()).await;
    };
    match &failure.act {
        Act::Whole(answer) => whole(stream, request, &answer()).await,
        Act::Drip {
            answer,
            pieces,
            pause,
        } => drip(stream, request, &answer(), (*pieces, *pause)).await,
        Act::Half(answer) => half(stream, request, &answer()).await,
        Act::Raw(bytes) => stream.write_all(bytes).await.map(|()| Next::Close),
        Act::Close => Ok(Next::Close),
        Act::Silence => silence(stream).await,
        Act::Elsewhere => whole(stream, request, &answer::elsewhere()).await,
    }
}

async fn whole(stream: &mut TcpStream, request: &Request, answer: &Answer) -> io::Result<Next> {
    let mut bytes = answer.head_with_length(request.keep_alive);
    if request.method != "HEAD" {
        bytes.extend_from_slice(&answer.body);
    }
    stream.write_all(&bytes).await?;
    Ok(next(request))
}

async fn drip(
    stream: &mut TcpStream,
    request: &Request,
    answer: &Answer,
    (pieces, pause): (usize, Duration),
) -> io::Result<Next> {
    let head = answer.head_chunked(request.keep_alive);
    stream.write_all(&head).await?;
    if request.method == "HEAD" {
        return Ok(next(request));
    }
    for piece in answer.body.chunks(answer.body.len().div_ceil(pieces)) {
        sleep(pause).await;
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        stream.write_all(&chunk).await?;
    }
    stream.write_all(b"0\r\n\r\n").await?;
    Ok(next(request))
}

async fn half(stream: &mut TcpStream, request: &Request, answer: &Answer) -> io::Result<Next> {
    let mut bytes = answer.head_with_length(request.keep_alive);
    let half = answer.body.len() / 2;
    bytes.extend_from_slice(answer.body.get(..half).unwrap_or_default());
    stream.write_all(&bytes).await?;
    Ok(Next::Close)
}

/// Waits for the other side to give up, and swallows what it still sends.
async fn silence(stream: &mut TcpStream) -> io::Result<Next> {
    let mut scratch = [0; 1024];
    let patience = async { while matches!(stream.read(&mut scratch).await, Ok(1..)) {} };
    // Whether the other side or the clock came first makes no difference.
    let _ = timeout(SILENCE, patience).await;
    Ok(Next::Close)
}

fn next(request: &Request) -> Next {
    if request.keep_alive {
        Next::KeepAlive
    } else {
        Next::Close
    }
}
