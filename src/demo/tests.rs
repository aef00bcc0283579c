use std::collections::BTreeSet;
use std::io::Read as _;
use std::time::Duration;

use flate2::read::GzDecoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::act::Act;
use super::{App, Failure, failures};

/// Runs a visit to a served app.
fn visit<T>(visit: impl AsyncFnOnce(TcpStream) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let app = App::bind().await.unwrap();
        let stream = TcpStream::connect(app.address()).await.unwrap();
        let serving = tokio::task::spawn_local(app.serve());
        let outcome = timeout(Duration::from_secs(20), visit(stream)).await;
        serving.abort();
        outcome.unwrap()
    })
}

/// All that the app sends for one request before it ends the connection.
fn answer_to(method: &'static str, path: &'static str) -> Vec<u8> {
    visit(async move |mut stream| {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    })
}

fn parts(answer: &[u8]) -> (String, Vec<u8>) {
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    (head, answer[end + 4..].to_vec())
}

fn length(head: &str) -> usize {
    let field = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    field.unwrap().parse().unwrap()
}

#[test]
fn paths_and_titles_are_unique() {
    let paths: BTreeSet<_> = failures().iter().map(|row| row.path).collect();
    let titles: BTreeSet<_> = failures().iter().map(|row| row.title).collect();

    assert_eq!(paths.len(), failures().len());
    assert_eq!(titles.len(), failures().len());
}

#[test]
fn whole_answers_are_well_framed_and_carry_their_secret() {
    let whole = |row: &&Failure| matches!(row.act, Act::Whole(_));
    for failure in failures().iter().filter(whole) {
        let (head, body) = parts(&answer_to(failure.method, failure.path));

        assert_eq!(length(&head), body.len(), "{}", failure.path);
        let text = if head.contains("Content-Encoding: gzip") {
            let mut text = String::new();
            GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
            text
        } else {
            String::from_utf8(body).unwrap()
        };
        let secret = failure.secret.unwrap_or_default();
        assert!((head + &text).contains(secret), "{}", failure.path);
    }
}

#[test]
fn half_an_answer_is_half_of_what_it_announces() {
    let (head, body) = parts(&answer_to("GET", "/error/broken"));

    assert!(head.starts_with("HTTP/1.1 500 "));
    assert_eq!(body.len(), length(&head) / 2);
    assert!(
        String::from_utf8(body)
            .unwrap()
            .contains("tulip-harbour-42")
    );
}

#[test]
fn hanging_up_sends_nothing() {
    assert_eq!(answer_to("GET", "/closed"), b"");
}

#[test]
fn garbage_is_not_http() {
    assert!(!answer_to("GET", "/garbage").starts_with(b"HTTP/"));
}

#[test]
fn the_long_error_is_two_mebibytes() {
    assert!(answer_to("GET", "/error/large").len() > 2 * 1024 * 1024);
}

#[test]
fn a_head_request_gets_the_head_alone() {
    let (head, body) = parts(&answer_to("HEAD", "/error/html"));

    assert!(length(&head) > 0);
    assert_eq!(body, b"");
}

#[test]
fn an_unknown_path_is_the_apps_own_404() {
    assert!(answer_to("GET", "/nowhere").starts_with(b"HTTP/1.1 404 "));
}

#[test]
fn a_connection_serves_one_request_after_another() {
    let answers = visit(async |mut stream| {
        let form = b"POST /error/form HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na=b+c";
        let last = b"GET /error/empty HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(form).await.unwrap();
        stream.write_all(last).await.unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap();
        answers
    });

    assert_eq!(answers.matches("HTTP/1.1 500 ").count(), 2);
}

#[test]
fn a_slow_answer_comes_in_pieces() {
    let first = visit(async |mut stream| {
        let request = b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut first = String::new();
        while !first.contains("one line at a time") {
            let mut piece = [0; 512];
            let count = stream.read(&mut piece).await.unwrap();
            first.push_str(std::str::from_utf8(&piece[..count]).unwrap());
        }
        first
    });

    assert!(first.contains("Transfer-Encoding: chunked"));
    assert_eq!(first.matches("the kettle is on").count(), 1);
}

#[test]
fn silence_is_silence() {
    let heard = visit(async |mut stream| {
        let request = b"GET /timeout HTTP/1.1\r\nHost: a\r\n\r\n";
        stream.write_all(request).await.unwrap();
        timeout(Duration::from_millis(100), stream.read_u8()).await
    });

    assert!(heard.is_err());
}

#[test]
fn a_connection_too_many_waits_for_its_turn() {
    let (before, after) = visit(async |first| {
        let address = first.peer_addr().unwrap();
        let mut crowd = vec![first];
        while crowd.len() < super::MAX_CONNECTIONS {
            crowd.push(TcpStream::connect(address).await.unwrap());
        }
        let mut late = TcpStream::connect(address).await.unwrap();
        let request = b"GET /error/empty HTTP/1.1\r\nHost: a\r\n\r\n";
        late.write_all(request).await.unwrap();
        let before = timeout(Duration::from_millis(100), late.read_u8()).await;
        crowd.clear();
        (before, late.read_u8().await)
    });

    assert!(before.is_err());
    assert_eq!(after.unwrap(), b'H');
}

#[test]
fn a_head_without_end_is_cut_short() {
    let answer = visit(async |mut stream| {
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let mut sent = 0;
        while sent < 1024 * 1024 && stream.write_all(&[b'a'; 1024]).await.is_ok() {
            sent += 1024;
        }
        let mut answer = Vec::new();
        // The app may well reset a connection that goes on sending.
        let _ = stream.read_to_end(&mut answer).await;
        answer
    });

    assert_eq!(answer, b"");
}
