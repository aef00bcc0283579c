//! Who is at the other end of a connection.

use std::net::SocketAddr;

use http::HeaderValue;

/// The other end of one client connection, as long as that is open.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    address_text: HeaderValue,
}

impl Peer {
    pub(super) fn new(address: SocketAddr) -> Self {
        let ip = address.ip().to_canonical();
        // An address is ASCII, so it is a header value.
        let address_text = HeaderValue::from_str(&ip.to_string())
            .unwrap_or_else(|_| HeaderValue::from_static("unknown"));
        Self {
            address: SocketAddr::new(ip, address.port()),
            address_text,
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
}
