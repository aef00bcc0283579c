//! A scripted app: it reads requests properly and answers them as its script says, down to the byte.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use socket2::SockRef;

use super::{PATIENCE, eventually};

/// An app on a free loopback port; it ends with this value.
pub struct Origin {
    address: SocketAddr,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    ended: AtomicBool,
    connections: AtomicUsize,
    closed: AtomicUsize,
    requests: Mutex<Vec<Received>>,
}

/// A request as it reached the app.
#[derive(Clone, Debug)]
pub struct Received {
    /// The head, byte for byte, its empty line included.
    pub head: String,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// Trailer lines of a chunked body.
    pub trailers: Vec<String>,
    /// Which connection it came over, counted from 1.
    pub connection: usize,
}

/// One connection while its script runs.
pub struct Visit {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    open: bool,
    log: Arc<Log>,
    /// Which connection it is, counted from 1.
    pub connection: usize,
}

impl Origin {
    /// An app that runs `script` once a request has come whole. The connection stays open for the next one unless the
    /// script ends it.
    pub fn new(script: impl Fn(&mut Visit, &Received) + Send + Sync + 'static) -> Self {
        Self::on_head(move |visit, head| {
            let received = visit.finish(head);
            script(visit, &received);
            Some(received)
        })
    }

    /// An app that answers every request with these bytes.
    pub fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::new(move |visit, _| visit.send(&bytes))
    }

    /// An app that answers every request with this status, these header lines and this body, properly framed.
    pub fn saying(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::answering(format!(
            "HTTP/1.1 {status} Whatever\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        ))
    }

    /// An app that runs `script` as soon as a request's head has come; [`Visit::finish`] reads the rest.
    pub fn on_head(
        script: impl Fn(&mut Visit, String) -> Option<Received> + Send + Sync + 'static,
    ) -> Self {
        Self::on_listener(listener(), script)
    }

    /// As [`Origin::on_head`], on a listener of the test's own.
    pub fn on_listener(
        listener: TcpListener,
        script: impl Fn(&mut Visit, String) -> Option<Received> + Send + Sync + 'static,
    ) -> Self {
        Self::on_sockets(listener, move |stream, connection, log| {
            serve(stream, connection, log, &script);
        })
    }

    /// An app that hands `script` each connection as it is, with its number, counted from 1.
    pub fn raw(script: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Self {
        Self::on_sockets(listener(), move |stream, connection, _| {
            script(stream, connection);
        })
    }

    fn on_sockets(
        listener: TcpListener,
        script: impl Fn(TcpStream, usize, &Arc<Log>) + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Log::default());
        let (shared, script) = (Arc::clone(&log), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let connection = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
                let (shared, script) = (Arc::clone(&shared), Arc::clone(&script));
                thread::spawn(move || {
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    stream.set_nodelay(true).unwrap();
                    script(stream, connection, &shared);
                    shared.closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, log }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Received> {
        self.log.requests.lock().unwrap().clone()
    }

    /// The only request so far.
    pub fn request(&self) -> Received {
        let requests = self.requests();
        assert_eq!(
            requests.len(),
            1,
            "one request reached the app: {requests:#?}"
        );
        requests[0].clone()
    }

    /// Waits until so many requests have come, answered or not.
    pub fn wait_for_requests(&self, count: usize) {
        eventually("requests to reach the app", || {
            (self.requests().len() >= count).then_some(())
        });
    }

    /// How many connections were opened so far.
    pub fn connections(&self) -> usize {
        self.log.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open now, as far as their scripts have noticed.
    pub fn open(&self) -> usize {
        self.connections() - self.log.closed.load(Ordering::SeqCst)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.log.ended.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then ends.
        drop(TcpStream::connect(self.address));
    }
}

/// A listener on a free loopback port.
fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

fn serve(
    stream: TcpStream,
    connection: usize,
    log: &Arc<Log>,
    script: &dyn Fn(&mut Visit, String) -> Option<Received>,
) {
    let reader = BufReader::new(stream.try_clone().unwrap());
    let mut visit = Visit {
        stream,
        reader,
        open: true,
        log: Arc::clone(log),
        connection,
    };
    while visit.open {
        let Some(head) = visit.read_head() else {
            return;
        };
        script(&mut visit, head);
    }
}

impl Visit {
    /// Sends bytes; a peer that has left is no matter.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        if self.stream.write_all(bytes.as_ref()).is_err() {
            self.open = false;
        }
    }

    /// Sends bytes and says whether the peer still takes them.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.open = self.stream.write_all(bytes.as_ref()).is_ok();
        self.open
    }

    /// Closes the connection properly.
    pub fn close(&mut self) {
        self.open = false;
        drop(self.stream.shutdown(Shutdown::Both));
    }

    /// Closes the connection with a reset.
    pub fn reset(&mut self) {
        self.open = false;
        SockRef::from(&self.stream)
            .set_linger(Some(std::time::Duration::ZERO))
            .unwrap();
        // Both handles of the socket have to go for the reset to be sent: the caller drops the visit.
    }

    /// Waits until the peer has closed the connection.
    pub fn wait_for_close(&mut self) {
        self.open = false;
        drop(io::copy(&mut self.reader, &mut io::sink()));
    }

    /// Reads a piece of a body.
    pub fn read(&mut self, piece: &mut [u8]) {
        self.reader.read_exact(piece).unwrap();
    }

    /// The socket, for what its options can do.
    pub fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads the rest of a request whose head has come. From then on it is among the [`Origin::requests`], so that a
    /// client that has its answer finds it there.
    pub fn finish(&mut self, head: String) -> Received {
        let (mut body, mut trailers) = (Vec::new(), Vec::new());
        if let Some(length) = field(&head, "content-length") {
            body.resize(length.parse().unwrap(), 0);
            if self.reader.read_exact(&mut body).is_err() {
                self.open = false;
            }
        } else if field(&head, "transfer-encoding").is_some() {
            self.read_chunks(&mut body, &mut trailers);
        }
        let received = Received {
            head,
            body,
            trailers,
            connection: self.connection,
        };
        let mut requests = self.log.requests.lock().unwrap();
        requests.push(received.clone());
        received
    }

    /// The next request's head; none where the peer has closed the connection.
    fn read_head(&mut self) -> Option<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        Some(head)
    }

    fn read_chunks(&mut self, body: &mut Vec<u8>, trailers: &mut Vec<String>) {
        loop {
            let Some(line) = self.line() else { return };
            let size = usize::from_str_radix(line.split(';').next().unwrap().trim(), 16).unwrap();
            if size == 0 {
                break;
            }
            let mut chunk = vec![0; size + 2];
            if self.reader.read_exact(&mut chunk).is_err() {
                self.open = false;
                return;
            }
            body.extend_from_slice(&chunk[..size]);
        }
        while let Some(line) = self.line().filter(|line| !line.is_empty()) {
            trailers.push(line);
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(size) if size > 0 => Some(line.trim_end().to_owned()),
            _ => {
                self.open = false;
                None
            }
        }
    }
}

impl Received {
    /// A header's value; none where it is absent. Fails where it stands more than once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.headers(name);
        assert!(all.len() < 2, "{name} stands once at most: {all:?}");
        all.first().copied()
    }

    /// All values of a header.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        fields(&self.head)
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, v)| v)
            .collect()
    }

    /// The request line.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }
}

fn fields(head: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = head.lines().skip(1).filter(|line| !line.is_empty());
    lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name, value.trim()))
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    fields(head)
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}
