//! What the app says: heads and bodies as a broken app in production would send them.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Sent where HTTP is expected.
pub(super) const GARBAGE: &[u8] = b"*** worker 3 (pid 2117) died on signal 11, state follows ***\n\
    argv=/srv/shop/worker --queue orders\n\
    env QUEUE_URL=amqp://shop:ivory-compass-95@queue.internal:5672/orders\n\
    rip=00007f3a91c2e4b0 rsp=00007ffd2a80c3d8 ****************************\n";

/// Bytes of the long error.
const LARGE: usize = 2 * 1024 * 1024;

/// An answer before it is framed.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status code and the reason phrase.
    pub(super) status: &'static str,
    pub(super) fields: Vec<(&'static str, &'static str)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    fn new(status: &'static str, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            fields: vec![("Content-Type", content_type)],
            body: body.into(),
        }
    }

    pub(super) fn html(status: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "text/html; charset=utf-8", body)
    }

    fn text(status: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body)
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.fields.push((name, value));
        self
    }

    /// The head for a body of known length.
    pub(super) fn head_with_length(&self, keep_alive: bool) -> Vec<u8> {
        let framing = format!("Content-Length: {}", self.body.len());
        self.head(&framing, keep_alive)
    }

    /// The head for a body in chunks.
    pub(super) fn head_chunked(&self, keep_alive: bool) -> Vec<u8> {
        self.head("Transfer-Encoding: chunked", keep_alive)
    }

    fn head(&self, framing: &str, keep_alive: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {}\r\n{framing}\r\n", self.status);
        for (name, value) in &self.fields {
            // Writing to a string does not fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str(if keep_alive {
            "\r\n"
        } else {
            "Connection: close\r\n\r\n"
        });
        head.into_bytes()
    }
}

pub(super) fn debug_page() -> Answer {
    Answer::html(
        "500 Internal Server Error",
        include_str!("texts/debug.html"),
    )
    .with("Server", "gunicorn/21.2.0")
    .with("X-Frame-Options", "DENY")
}

pub(super) fn json_error() -> Answer {
    let body = include_str!("texts/error.json");
    Answer::new("500 Internal Server Error", "application/json", body)
        .with("X-Powered-By", "Express")
}

pub(super) fn plain_trace() -> Answer {
    Answer::text("500 Internal Server Error", include_str!("texts/trace.txt"))
}

pub(super) fn gzip_trace() -> Answer {
    let body = gzip(include_bytes!("texts/nightly.txt"));
    Answer::text("500 Internal Server Error", body)
        .with("Content-Encoding", "gzip")
        .with("Vary", "Accept-Encoding")
}

pub(super) fn leaking_head() -> Answer {
    let status = "500 login failed for shop:amber-kettle-88@db.internal";
    Answer::text(status, "error\n")
        .with(
            "X-Debug-Dsn",
            "mysql://shop:amber-kettle-88@db.internal/shop",
        )
        .with("Set-Cookie", "debug_session=amber-kettle-88; Path=/")
}

pub(super) fn empty_error() -> Answer {
    Answer {
        status: "500 Internal Server Error",
        fields: Vec::new(),
        body: Vec::new(),
    }
}

pub(super) fn large_error() -> Answer {
    let line = "2026-03-14T09:26:53Z WARN shop.ledger retrying ledger://clerk:silver-thistle-27@ledger.internal after a timeout\n";
    let body = line.repeat(LARGE.div_ceil(line.len()));
    Answer::text("500 Internal Server Error", body)
}

pub(super) fn slow_trace() -> Answer {
    Answer::text("500 Internal Server Error", include_str!("texts/slow.txt"))
}

pub(super) fn busy() -> Answer {
    let body =
        "no connection left in the pool for redis://:cedar-violin-34@cache.internal:6379/0\n";
    Answer::text("503 Service Unavailable", body).with("Retry-After", "30")
}

pub(super) fn failed_order() -> Answer {
    Answer::html(
        "500 Internal Server Error",
        include_str!("texts/order.html"),
    )
    .with("X-Powered-By", "PHP/7.4.33")
}

pub(super) fn catalogue() -> Answer {
    Answer::html("200 OK", include_str!("texts/catalogue.html"))
}

pub(super) fn not_found() -> Answer {
    Answer::html("404 Not Found", include_str!("texts/missing.html"))
}

pub(super) fn own_page() -> Answer {
    Answer::html("503 Service Unavailable", include_str!("texts/own.html"))
        .with("X-Pardon-Pass", "1")
}

pub(super) fn stream() -> Answer {
    Answer::text(
        "200 OK",
        "the kettle is on, one line at a time\n".repeat(18),
    )
    .with("X-Content-Type-Options", "nosniff")
}

pub(super) fn elsewhere() -> Answer {
    let body = "Pardon's demo leads this path to a port where nothing listens.\n\
        You have asked the app itself, which is running.\n";
    Answer::text("404 Not Found", body)
}

/// A failure to compress in memory would leave the body empty; a test sees that it does not.
fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(text);
    written.and_then(|()| encoder.finish()).unwrap_or_default()
}
