//! Whom an app's certificate may come from: the authorities of the file's `ca`, or those that the system trusts.
//!
//! The system's are where its programs look for them: what `SSL_CERT_FILE` and `SSL_CERT_DIR` name, else the bundle of the
//! distribution. An image with nothing in it has none; then the built-in ones stand in, which are Mozilla's.

use std::fmt::Display;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls_native_certs::{CertificateResult, Error, ErrorKind, load_native_certs};

/// What names the system's authorities, where something does.
const NAMED_BY: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The authorities of this file, or the system's.
///
/// # Errors
///
/// When the file, or what the environment names, cannot be read or holds no certificate.
pub(super) fn roots(ca: Option<&Path>) -> Result<RootCertStore, String> {
    match ca {
        Some(path) => of_file(path),
        None => of_system(load_native_certs(), &named()),
    }
}

fn of_file(path: &Path) -> Result<RootCertStore, String> {
    let at = |error: &dyn Display| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(|error| at(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_reader_iter(BufReader::new(file)) {
        let certificate = certificate.map_err(|error| at(&unreadable(&error)))?;
        roots.add(certificate).map_err(|error| at(&error))?;
    }
    if roots.is_empty() {
        return Err(at(&"holds no certificate"));
    }
    Ok(roots)
}

/// The environment's words for where they are: `SSL_CERT_FILE=/etc/own.pem`.
fn named() -> Vec<String> {
    let word = |name: &&str| {
        let place = std::env::var_os(name)?;
        Some(format!("{name}={}", place.display()))
    };
    NAMED_BY.iter().filter_map(word).collect()
}

/// What was found of the system's, where the environment says so at the `named` places. Some of a bundle is better than
/// none of it, but nothing at a place that somebody has named is a mistake.
fn of_system(found: CertificateResult, named: &[String]) -> Result<RootCertStore, String> {
    let CertificateResult { certs, errors, .. } = found;
    let faults: Vec<_> = errors.iter().map(fault).collect();
    let mut faults = faults.join("; ");
    let mut roots = RootCertStore::empty();
    let (trusted, unusable) = roots.add_parsable_certificates(certs);
    if faults.is_empty() && unusable > 0 {
        faults = format!("{unusable} of the certificates cannot be used");
    }
    if trusted == 0 && !named.is_empty() {
        let why = if faults.is_empty() {
            "no certificate there"
        } else {
            &faults
        };
        return Err(format!("{}: {why}", named.join(", ")));
    }
    if trusted > 0 {
        tracing::debug!(trusted, "the system's authorities are trusted");
    } else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let trusted = roots.len();
        tracing::debug!(
            trusted,
            "the system has no authorities; the built-in ones are trusted"
        );
    }
    if !faults.is_empty() {
        tracing::warn!("the system's authorities could not all be read: {faults}");
    }
    Ok(roots)
}

fn fault(error: &Error) -> String {
    match &error.kind {
        ErrorKind::Io { inner, path } => format!("{}: {inner}", path.display()),
        ErrorKind::Pem(error) => unreadable(error),
        _ => error.to_string(),
    }
}

/// What is wrong with a PEM file; the library shows an end that is missing as numbers.
fn unreadable(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a certificate in it has no end".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn found(certs: &[&CertificateDer<'static>], unreadable: bool) -> CertificateResult {
        let mut found = CertificateResult::default();
        found.certs.extend(certs.iter().copied().cloned());
        if unreadable {
            found.errors.push(Error {
                context: "opening",
                kind: ErrorKind::Io {
                    inner: io::ErrorKind::PermissionDenied.into(),
                    path: "/etc/own.pem".into(),
                },
            });
        }
        found
    }

    fn authority() -> CertificateDer<'static> {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn the_systems_authorities_are_trusted_and_nobody_else() {
        let own = authority();
        let broken = CertificateDer::from(b"nothing".to_vec());
        let alone = of_system(found(&[&own], false), &[]).unwrap();
        let some = of_system(found(&[&own, &broken], true), &[]).unwrap();
        assert_eq!((alone.len(), some.len()), (1, 1));
    }

    #[test]
    fn where_the_system_has_none_the_built_in_ones_stand_in() {
        for unreadable in [false, true] {
            let roots = of_system(found(&[], unreadable), &[]).unwrap();
            assert_eq!(roots.len(), webpki_roots::TLS_SERVER_ROOTS.len());
        }
    }

    #[test]
    fn where_somebody_has_named_them_they_have_to_be_there() {
        let named = ["SSL_CERT_FILE=/etc/own.pem".to_owned()];
        let broken = CertificateDer::from(b"nothing".to_vec());
        let refusal = |found| of_system(found, &named).unwrap_err();
        for (found, why) in [
            (found(&[], false), "no certificate there"),
            (
                found(&[&broken], false),
                "1 of the certificates cannot be used",
            ),
            (found(&[], true), "/etc/own.pem: permission denied"),
        ] {
            assert_eq!(refusal(found), format!("{}: {why}", named[0]));
        }
        assert!(of_system(found(&[&authority()], false), &named).is_ok());
    }
}
