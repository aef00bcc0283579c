//! An app that speaks TLS, with a certificate from an authority of its own.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SignatureAlgorithm,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, ServerConfig,
    ServerConnection, SignatureScheme, StreamOwned, SupportedProtocolVersion,
};

use super::{Answer, Client, Folder, Origin};

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

    /// An app that speaks to those alone whom `clients` vouches for.
    pub fn for_clients_of(clients: &Authority, name: &str, bytes: &'static [u8]) -> Self {
        let authority = Authority::new();
        let mut roots = RootCertStore::empty();
        roots.add(clients.certificate.clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let (certificate, key) =
            authority.issue(&Authority::params(&[name]), &KeyPair::generate().unwrap());
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let config = Arc::new(config);
        let origin = Origin::raw(move |stream, _| answer(stream, &config, bytes));
        Self {
            origin,
            authority: written(&authority.certificate),
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
    let authority = Authority::new();
    let (certificate, key) =
        authority.issue(&Authority::params(&[name]), &KeyPair::generate().unwrap());
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    (Arc::new(config), authority.certificate)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// An authority of a test's own.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub certificate: CertificateDer<'static>,
}

/// A certificate and its key, each as a PEM file holds it.
pub struct Issued {
    pub chain: String,
    pub key: String,
    pub der: CertificateDer<'static>,
}

impl Authority {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("Authority {number}");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// A certificate for these names.
    pub fn certify(&self, names: &[&str]) -> Issued {
        self.sign(&Self::params(names), &KeyPair::generate().unwrap())
    }

    /// One with a key of this kind.
    pub fn certify_as(&self, names: &[&str], kind: &'static SignatureAlgorithm) -> Issued {
        self.sign(&Self::params(names), &KeyPair::generate_for(kind).unwrap())
    }

    /// One that is valid from one day, in days from now, to another.
    pub fn certify_for_days(&self, names: &[&str], from: i64, to: i64) -> Issued {
        let mut params = Self::params(names);
        for (place, days) in [(&mut params.not_before, from), (&mut params.not_after, to)] {
            let day = today() + jiff::Span::new().days(days);
            let number = |part: i8| u8::try_from(part).unwrap();
            *place =
                rcgen::date_time_ymd(day.year().into(), number(day.month()), number(day.day()));
        }
        self.sign(&params, &KeyPair::generate().unwrap())
    }

    fn params(names: &[&str]) -> CertificateParams {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let first = names[0].clone();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, first);
        params
    }

    fn issue(
        &self,
        params: &CertificateParams,
        key: &KeyPair,
    ) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let certificate = params.signed_by(key, &self.issuer).unwrap().der().clone();
        (
            certificate,
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
    }

    fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Issued {
        let (der, key) = self.issue(params, key);
        Issued {
            chain: pem("CERTIFICATE", &der),
            key: pem("PRIVATE KEY", key.secret_der()),
            der,
        }
    }
}

impl Issued {
    /// A server's settings with it, for those who agree on one of these protocols.
    pub fn serving(&self, protocols: &[&[u8]]) -> ServerConfig {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.der.clone()], key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config
    }

    /// Writes `NAME.pem` and `NAME.key`, and gives the configuration that names them.
    pub fn write(&self, folder: &Folder, name: &str) -> String {
        folder.write(&format!("{name}.pem"), &self.chain);
        folder.write(&format!("{name}.key"), &self.key);
        let path = |file: String| folder.path().join(file).display().to_string();
        let (chain, key) = (path(format!("{name}.pem")), path(format!("{name}.key")));
        format!("{{ chain = {chain:?}, key = {key:?} }}")
    }
}

/// The day that it is now (UTC), as certificates count.
pub fn today() -> jiff::civil::Date {
    jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date()
}

fn pem(label: &str, der: &[u8]) -> String {
    let encoded = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = encoded
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// One who speaks TLS to a gateway.
pub struct Visitor {
    config: ClientConfig,
}

/// A connection over TLS.
pub type Secured = StreamOwned<ClientConnection, TcpStream>;

impl Visitor {
    /// One who trusts this authority.
    pub fn trusting(authority: &Authority) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { config }
    }

    /// One who speaks this version only.
    pub fn speaking(authority: &Authority, version: &'static SupportedProtocolVersion) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { config }
    }

    /// One who takes any certificate whose key is of one of these kinds; all where there is none.
    pub fn credulous(schemes: &[SignatureScheme]) -> Self {
        let all = provider()
            .signature_verification_algorithms
            .supported_schemes();
        let schemes = if schemes.is_empty() {
            all
        } else {
            schemes.to_vec()
        };
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Credulous(schemes)))
            .with_no_client_auth();
        Self { config }
    }

    /// One who does not say which host it wants.
    pub fn silent(mut self) -> Self {
        self.config.enable_sni = false;
        self
    }

    /// One who offers these protocols.
    pub fn offering(mut self, protocols: &[&str]) -> Self {
        let bytes = |protocol: &&str| protocol.as_bytes().to_vec();
        self.config.alpn_protocols = protocols.iter().map(bytes).collect();
        self
    }

    /// What it says in its handshakes.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::new(self.config.clone())
    }

    /// Connects and makes the handshake.
    pub fn try_connect(&self, address: SocketAddr, name: &str) -> io::Result<Secured> {
        self.over(TcpStream::connect(address)?, name)
    }

    /// Makes the handshake on a connection.
    pub fn over(&self, socket: TcpStream, name: &str) -> io::Result<Secured> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let session = ClientConnection::new(Arc::new(self.config.clone()), name).unwrap();
        socket.set_read_timeout(Some(super::PATIENCE))?;
        socket.set_nodelay(true)?;
        let mut stream = StreamOwned::new(session, socket);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(stream)
    }

    pub fn connect(&self, address: SocketAddr, name: &str) -> Secured {
        self.try_connect(address, name).unwrap()
    }

    /// Connects, asks and reads the answer.
    pub fn ask(&self, address: SocketAddr, name: &str, request: impl AsRef<[u8]>) -> Answer {
        Client::within(self.connect(address, name)).ask(request)
    }
}

#[derive(Debug)]
struct Credulous(Vec<SignatureScheme>);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

/// The certificate in a file of its own.
fn written(certificate: &CertificateDer<'_>) -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("authority-{}-{number}.pem", std::process::id());
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, pem("CERTIFICATE", certificate)).unwrap();
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
