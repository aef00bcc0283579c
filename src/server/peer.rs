//! Who is at the other end of a connection.

use std::net::SocketAddr;

use http::HeaderValue;

use super::tls::Secured;

/// The other end of one client connection, as long as that is open.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    address_text: HeaderValue,
    secured: Option<Secured>,
}

impl Peer {
    pub(super) fn new(address: SocketAddr, secured: Option<Secured>) -> Self {
        let ip = address.ip().to_canonical();
        // An address is ASCII, so it is a header value.
        let address_text = HeaderValue::from_str(&ip.to_string())
            .unwrap_or_else(|_| HeaderValue::from_static("unknown"));
        Self {
            address: SocketAddr::new(ip, address.port()),
            address_text,
            secured,
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
        if self.is_secure() { "https" } else { "http" }
    }

    /// Whether the connection is within TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secured.is_some()
    }

    /// Whether a request for `host`, without port, belongs on a connection that was opened for another name: there is a
    /// certificate for it, and this client was shown one that is not for it (RFC 9110, 7.4). A client that named no host was
    /// shown the first. Without TLS nothing is misdirected.
    #[must_use]
    pub fn is_misdirected(&self, host: &str) -> bool {
        (self.secured.as_ref()).is_some_and(|secured| secured.misdirects(host))
    }
}
