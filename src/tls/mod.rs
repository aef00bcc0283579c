//! TLS as both sides of the proxy speak it: certificates as files, what is worth knowing about them, and the choice among them.
//!
//! A [`Pair`] can only be had by reading a chain and a key that fit each other, so whatever holds one can be shown to a client.
//! [`Certificates`] chooses among those of a listener by the name that a client asks for, and [`Watch`] gives it those of changed
//! files.

mod certificates;
mod facts;
mod pair;
mod watch;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

pub(crate) use certificates::Certificates;
pub(crate) use pair::{Fault, Files, Pair, Part};
pub(crate) use watch::{Stamp, Taken, Watch, stamp};

/// HTTP/2 within TLS (RFC 7301).
pub(crate) const HTTP2: &[u8] = b"h2";
/// HTTP/1.1 within TLS.
pub(crate) const HTTP1: &[u8] = b"http/1.1";

/// The cryptography of TLS: with this provider AEAD suites with forward secrecy and nothing else.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// What is spoken within TLS, the most wanted first, as rustls takes it.
pub(crate) fn alpn(protocols: &[&[u8]]) -> Vec<Vec<u8>> {
    let own = |protocol: &&[u8]| protocol.to_vec();
    protocols.iter().map(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_is_an_aead_with_forward_secrecy() {
        for suite in &provider().cipher_suites {
            let name = format!("{:?}", suite.suite());
            let aead = name.contains("GCM") || name.contains("POLY1305");
            let forward = name.starts_with("TLS13") || name.starts_with("TLS_ECDHE");
            assert!(aead && forward, "{name}");
        }
    }
}
