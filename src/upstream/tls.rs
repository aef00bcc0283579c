//! How an app is trusted: the authorities, the name that its certificate has to have, and what this side shows of itself.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::roots::roots;
use crate::config;
use crate::tls::{Fault, Files, Pair};

/// TLS to an endpoint.
pub(super) struct Tls {
    pub(super) connector: TlsConnector,
    /// For what has to be HTTP/1.1.
    pub(super) http1: TlsConnector,
    pub(super) server_name: ServerName<'static>,
}

/// TLS as the configuration wants it; `folder` is where its relative paths start.
///
/// # Errors
///
/// When the authorities cannot be read or there are none, the client certificate cannot be used, or the server name is not one.
pub(super) fn tls(
    (host, protocol): (&str, config::Protocol),
    settings: &config::UpstreamTls,
    folder: &Path,
) -> Result<Tls, String> {
    let name = settings.server_name.as_deref().unwrap_or(host).to_owned();
    let server_name = ServerName::try_from(name.clone())
        .map_err(|_| format!("`{name}` is not a name that a certificate can have"))?;
    let provider = crate::tls::provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let client = if settings.insecure {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified(provider)))
    } else {
        let roots = Arc::new(roots(
            settings.ca.as_deref().map(|ca| folder.join(ca)).as_deref(),
        )?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|error| error.to_string())?;
        builder.with_webpki_verifier(verifier)
    };
    let mut client = match own_certificate(settings, folder)? {
        None => client.with_no_client_auth(),
        Some(pair) => {
            client.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair.certified)))
        }
    };
    client.alpn_protocols = crate::tls::alpn(&[crate::tls::HTTP1]);
    let http1 = TlsConnector::from(Arc::new(client.clone()));
    client.alpn_protocols = crate::tls::alpn(match protocol {
        config::Protocol::Auto => &[crate::tls::HTTP2, crate::tls::HTTP1],
        config::Protocol::Http1 => &[crate::tls::HTTP1],
        config::Protocol::Http2 => &[crate::tls::HTTP2],
    });
    Ok(Tls {
        connector: TlsConnector::from(Arc::new(client)),
        http1,
        server_name,
    })
}

/// What this side shows of itself where the app asks for it.
fn own_certificate(settings: &config::UpstreamTls, folder: &Path) -> Result<Option<Pair>, String> {
    let (Some(chain), Some(key)) = (&settings.certificate, &settings.key) else {
        return Ok(None);
    };
    let files = Files {
        chain: folder.join(chain),
        key: folder.join(key),
    };
    let said = |faults: Vec<Fault>| {
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        faults.join("; ")
    };
    Pair::read(&files).map(Some).map_err(said)
}

/// Accepts any certificate: `insecure = true`. The handshake's own signature is still checked.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
