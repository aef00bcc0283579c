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

/// What is spoken within TLS, the most wanted first (RFC 7301): here towards visitors and towards apps.
pub(crate) const ALPN: [&[u8]; 1] = [b"http/1.1"];

/// The cryptography of TLS: with this provider AEAD suites with forward secrecy and nothing else.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// [`ALPN`] as rustls takes it.
pub(crate) fn alpn() -> Vec<Vec<u8>> {
    ALPN.map(<[u8]>::to_vec).to_vec()
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
