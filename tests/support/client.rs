//! A raw HTTP/1.1 client that sends any bytes and sees exactly how an answer ends.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use rustls::{ClientConnection, StreamOwned};

use super::PATIENCE;

/// One connection to a gateway.
pub struct Client {
    wire: BufReader<Box<dyn Wire>>,
}

/// What a connection is made of: a socket, or TLS over one.
trait Wire: Read + Write + Send {}

impl<T: Read + Write + Send> Wire for T {}

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status line, without its line end.
    pub line: String,
    pub status: u16,
    /// Names as they came.
    pub headers: Vec<(String, String)>,
    /// Without its framing.
    pub body: Vec<u8>,
    pub trailers: Vec<String>,
    pub end: End,
    /// Statuses of interim answers that came before.
    pub interim: Vec<u16>,
}

/// How an answer's body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Whole: by its length, by its last chunk, or because it has none.
    Whole,
    /// The connection was closed, which is the end of a body without a length.
    Close,
    /// The connection was closed before the end that the framing promised.
    Cut,
    /// The connection was reset.
    Reset,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    /// Over a connection on which a request was sent.
    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let wire: Box<dyn Wire> = Box::new(stream);
        Self {
            wire: BufReader::new(wire),
        }
    }

    /// Within TLS; the handshake comes with the first bytes.
    pub fn within(tls: StreamOwned<ClientConnection, TcpStream>) -> Self {
        tls.sock.set_read_timeout(Some(PATIENCE)).unwrap();
        let wire: Box<dyn Wire> = Box::new(tls);
        Self {
            wire: BufReader::new(wire),
        }
    }

    /// Sends bytes; a peer that has left is seen when the answer is read.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        drop(self.wire.get_mut().write_all(bytes.as_ref()));
    }

    /// Sends a request and reads the answer.
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        let head_only = request.as_ref().starts_with(b"HEAD ");
        self.send(request);
        self.answer_to(head_only)
    }

    /// Reads the answer to a request other than HEAD.
    pub fn answer(&mut self) -> Answer {
        self.answer_to(false)
    }

    /// Reads one head, interim or final, and no body.
    pub fn head(&mut self) -> Answer {
        self.read_head().expect("an answer's head")
    }

    /// Reads so many bytes of a body.
    pub fn read(&mut self, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        self.wire.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads at most so many bytes, fewer where the connection ends.
    pub fn try_read(&mut self, size: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A reset is an end too.
        drop(
            Read::by_ref(&mut self.wire)
                .take(size)
                .read_to_end(&mut bytes),
        );
        bytes
    }

    /// Whether the gateway has closed the connection; waits for that.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.wire.read_to_end(&mut rest) {
            Ok(_) => rest.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    /// How the connection ends, whatever comes before that.
    pub fn end(&mut self) -> End {
        match self.wire.read_to_end(&mut Vec::new()) {
            Ok(_) => End::Close,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => End::Reset,
            Err(error) => panic!("the connection did not end: {error}"),
        }
    }

    /// The answer, where one comes before the connection ends.
    pub fn try_answer(&mut self) -> Option<Answer> {
        let head = self.read_head()?;
        Some(self.answer_from(head, false))
    }

    fn answer_to(&mut self, head_only: bool) -> Answer {
        let head = self.read_head().expect("an answer's head");
        self.answer_from(head, head_only)
    }

    fn answer_from(&mut self, mut answer: Answer, head_only: bool) -> Answer {
        let mut interim = Vec::new();
        while (100..200).contains(&answer.status) {
            interim.push(answer.status);
            answer = self.read_head().expect("an answer's head");
        }
        answer.interim = interim;
        let bodiless = head_only || [204, 304].contains(&answer.status);
        answer.end = if bodiless {
            End::Whole
        } else {
            self.read_body(&mut answer)
        };
        answer
    }

    fn read_head(&mut self) -> Option<Answer> {
        let line = self.line().ok()??;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        while let Some(field) = self.line().ok()?.filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once(':').expect("a header field");
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let (body, trailers, interim) = (Vec::new(), Vec::new(), Vec::new());
        Some(Answer {
            line,
            status,
            headers,
            body,
            trailers,
            end: End::Whole,
            interim,
        })
    }

    fn read_body(&mut self, answer: &mut Answer) -> End {
        let read = if answer.header("transfer-encoding").is_some() {
            self.read_chunks(answer)
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().unwrap();
            let read = Read::by_ref(&mut self.wire)
                .take(length)
                .read_to_end(&mut answer.body);
            read.map(|size| {
                if size as u64 == length {
                    End::Whole
                } else {
                    End::Cut
                }
            })
        } else {
            self.wire.read_to_end(&mut answer.body).map(|_| End::Close)
        };
        read.unwrap_or_else(|error| match error.kind() {
            io::ErrorKind::ConnectionReset => End::Reset,
            io::ErrorKind::UnexpectedEof => End::Cut,
            _ => panic!("the answer did not end: {error}"),
        })
    }

    fn read_chunks(&mut self, answer: &mut Answer) -> io::Result<End> {
        loop {
            let Some(line) = self.line()? else {
                return Ok(End::Cut);
            };
            let size = usize::from_str_radix(&line, 16).expect("a chunk's size");
            if size == 0 {
                break;
            }
            let begun = answer.body.len();
            let taken = Read::by_ref(&mut self.wire)
                .take(size as u64)
                .read_to_end(&mut answer.body)?;
            assert_eq!(answer.body.len(), begun + taken);
            if taken < size || self.line()?.is_none() {
                return Ok(End::Cut);
            }
        }
        loop {
            match self.line()? {
                None => return Ok(End::Cut),
                Some(line) if line.is_empty() => return Ok(End::Whole),
                Some(line) => answer.trailers.push(line),
            }
        }
    }

    /// A line without its end; none at the connection's end.
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let size = self.wire.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Ok(None);
        }
        assert!(size > 1 && line[size - 2] == b'\r', "lines end in CRLF");
        Ok(Some(
            String::from_utf8_lossy(&line[..size - 2]).into_owned(),
        ))
    }
}

impl Answer {
    /// A header's value; none where it is absent. Fails where it stands more than once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.headers(name);
        assert!(all.len() < 2, "{name} stands once at most: {all:?}");
        all.first().copied()
    }

    /// All values of a header.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let fields = self
            .headers
            .iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| value.as_str()).collect()
    }

    /// The request ID; fails where there is none.
    pub fn id(&self) -> &str {
        self.header("x-request-id")
            .expect("an answer has a request ID")
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a body in JSON")
    }
}
