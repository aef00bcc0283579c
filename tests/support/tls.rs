//! An app that speaks TLS, with a certificate from an authority of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::Origin;

/// An app behind TLS; `authority` is the file of the authority that vouches for it, removed with this value.
pub struct TlsOrigin {
    origin: Origin,
    pub authority: PathBuf,
}

impl TlsOrigin {
    /// An app that answers everything with these bytes, under a certificate for `name`. Where they state no length it
    /// leaves after them, without the farewell of TLS.
    pub fn answering(name: &str, bytes: &'static [u8]) -> Self {
        let (config, authority) = certified(name);
        let origin = Origin::raw(move |stream, _| answer(stream, &config, bytes));
        Self {
            origin,
            authority: written(&authority),
        }
    }

    pub fn url(&self) -> String {
        self.origin.url().replace("http:", "https:")
    }
}

impl Drop for TlsOrigin {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.authority));
    }
}

/// A server's settings with a new certificate for `name`, and the certificate of the authority behind it.
fn certified(name: &str) -> (Arc<ServerConfig>, CertificateDer<'static>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().der().clone();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    (Arc::new(config), authority)
}

/// The certificate in a file of its own.
fn written(certificate: &CertificateDer<'_>) -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("authority-{}-{number}.pem", std::process::id());
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let encoded = BASE64_STANDARD.encode(certificate);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n");
    std::fs::write(&path, pem).unwrap();
    path
}

fn answer(stream: TcpStream, config: &Arc<ServerConfig>, bytes: &[u8]) {
    let session = ServerConnection::new(Arc::clone(config)).unwrap();
    let mut stream = BufReader::new(StreamOwned::new(session, stream));
    let mut line = String::new();
    // A client that does not trust the certificate ends the handshake here.
    while stream.read_line(&mut line).is_ok_and(|size| size > 0) {
        if line == "\r\n" {
            drop(stream.get_mut().write_all(bytes));
            if !bytes.starts_with(b"HTTP/1.1 200 OK\r\nContent-Length") {
                return;
            }
        }
        line.clear();
    }
}
