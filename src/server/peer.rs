//! Who is at the other end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderValue;

use super::deadline::Watch;

/// The other end of one client connection, as long as that is open.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    address_text: HeaderValue,
    watch: Arc<Watch>,
}

impl Peer {
    pub(super) fn new(address: SocketAddr, watch: Arc<Watch>) -> Self {
        let ip = address.ip().to_canonical();
        // An address is ASCII, so it is a header value.
        let address_text = HeaderValue::from_str(&ip.to_string())
            .unwrap_or_else(|_| HeaderValue::from_static("unknown"));
        Self {
            address: SocketAddr::new(ip, address.port()),
            address_text,
            watch,
        }
    }

    /// Its address; an IPv4 address that came mapped into IPv6 stands as IPv4.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address without port, as a header value, made once a connection.
    #[must_use]
    pub fn address_text(&self) -> &HeaderValue {
        &self.address_text
    }

    /// The scheme that it speaks.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        "http"
    }

    /// The body of the request under way was read to its end.
    pub fn body_read(&self) {
        self.watch.body_read();
    }

    /// Ends the connection with a reset instead of a clean close, so that an answer whose end is the connection's
    /// end does not look whole.
    pub fn abort(&self) {
        self.watch.abort();
    }
}
