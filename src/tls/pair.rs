//! A certificate chain and its key, read from their files.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{self, Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys};
use webpki::EndEntityCert;

use super::watch::{Stamps, stamps};

/// The most that is read of a file, in bytes: a chain of ten has 20 KiB.
const LARGEST: u64 = 1024 * 1024;

/// Where a chain and its key stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Chain,
    Key,
}

/// Why a chain and its key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The file that it is seen in.
    pub(crate) part: Part,
    /// What is wrong, with the file's name.
    pub(crate) title: String,
    /// What to do about it.
    pub(crate) hint: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.title, self.hint)
    }
}

/// A chain, its leaf first, and the key that fits the leaf.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) files: Files,
    pub(crate) certified: Arc<CertifiedKey>,
    /// The DNS names that the leaf is for, in lower case; `*.example.com` among them.
    pub(crate) names: Vec<String>,
    /// How the files looked before they were read.
    pub(super) stamps: Stamps,
}

impl Pair {
    /// Reads both files.
    ///
    /// # Errors
    ///
    /// What is wrong with each of them, or with both together.
    pub(crate) fn read(files: &Files) -> Result<Self, Vec<Fault>> {
        let stamps = stamps(files);
        match (chain(&files.chain), key(&files.key)) {
            (Ok(chain), Ok(key)) => {
                Self::join(files, stamps, chain, key).map_err(|fault| vec![fault])
            }
            (chain, key) => Err(chain.err().into_iter().chain(key.err()).collect()),
        }
    }

    fn join(
        files: &Files,
        stamps: Stamps,
        chain: Vec<CertificateDer<'static>>,
        key: Arc<dyn SigningKey>,
    ) -> Result<Self, Fault> {
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            // A kind of key that cannot be compared.
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => return Err(misfit(files, &certified)),
        }
        Ok(Self {
            names: certified.cert.first().map(names).unwrap_or_default(),
            files: files.clone(),
            certified: Arc::new(certified),
            stamps,
        })
    }
}

/// The names of a certificate that could be read.
fn names(leaf: &CertificateDer<'_>) -> Vec<String> {
    let Ok(leaf) = EndEntityCert::try_from(leaf) else {
        return Vec::new();
    };
    let mut names: Vec<_> = leaf
        .valid_dns_names()
        .map(str::to_ascii_lowercase)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Why a key does not fit a chain: it belongs elsewhere, or further down.
fn misfit(files: &Files, certified: &CertifiedKey) -> Fault {
    let (chain, key) = (files.chain.display(), files.key.display());
    let own = certified.key.public_key();
    let fits = |certificate: &CertificateDer<'_>| {
        let parsed = EndEntityCert::try_from(certificate);
        parsed.is_ok_and(|parsed| Some(parsed.subject_public_key_info()) == own)
    };
    match certified.cert.iter().position(fits) {
        Some(at) => Fault {
            part: Part::Chain,
            title: format!("`{chain}` does not begin with the certificate of `{key}`"),
            hint: format!(
                "that is number {}: it comes first, then each that vouches for the one before",
                at + 1
            ),
        },
        None => Fault {
            part: Part::Key,
            title: format!("`{key}` is not the key of the certificate in `{chain}`"),
            hint: "each belongs to another one: was only one of the files renewed?".to_owned(),
        },
    }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let fault = |title, hint| Fault {
        part: Part::Chain,
        title,
        hint,
    };
    let shown = path.display();
    let text = read(path, Part::Chain)?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let chain = found.map_err(|error| broken(path, Part::Chain, &error))?;
    if chain.is_empty() {
        let title = format!("no certificate in `{shown}`");
        return Err(fault(title, what_is_there(&text, "CERTIFICATE")));
    }
    for (at, certificate) in chain.iter().enumerate() {
        EndEntityCert::try_from(certificate).map_err(|error| {
            let title = format!("certificate {} in `{shown}` cannot be used", at + 1);
            fault(
                title,
                format!("it is not one of X.509 version 3: {error:?}"),
            )
        })?;
    }
    Ok(chain)
}

fn key(path: &Path) -> Result<Arc<dyn SigningKey>, Fault> {
    let fault = |title, hint: &str| Fault {
        part: Part::Key,
        title,
        hint: hint.to_owned(),
    };
    let shown = path.display();
    let text = read(path, Part::Key)?;
    if is_encrypted(&text) {
        let title = format!("the key in `{shown}` is encrypted");
        let hint = "nobody is there to type its password: `openssl pkey -in FILE -out PLAIN` writes it without";
        return Err(fault(title, hint));
    }
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let title = format!("no key in `{shown}`");
            fault(title, &what_is_there(&text, "PRIVATE KEY"))
        }
        error => broken(path, Part::Key, &error),
    })?;
    let loaded = super::provider().key_provider.load_private_key(key);
    loaded.map_err(|_| {
        let title = format!("the key in `{shown}` cannot be used");
        let hint = "it may be ECDSA on P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits";
        fault(title, hint)
    })
}

/// Whether a file holds a key under a password: of PKCS #8, or the way before that (RFC 1421).
fn is_encrypted(text: &[u8]) -> bool {
    let has = |part: &str| memchr::memmem::find(text, part.as_bytes()).is_some();
    has("-----BEGIN ENCRYPTED PRIVATE KEY-----") || has("Proc-Type: 4,ENCRYPTED")
}

/// What a file has that was looked for in vain.
fn what_is_there(text: &[u8], wanted: &str) -> String {
    let text = String::from_utf8_lossy(text);
    let label = text
        .lines()
        .find_map(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix("-----"));
    match label {
        Some(label) => {
            let label: String = label.chars().filter(|c| !c.is_control()).take(40).collect();
            format!("it holds a `{label}`, and a `{wanted}` is needed")
        }
        None => format!("it has to have a line `-----BEGIN {wanted}-----` (PEM)"),
    }
}

fn broken(path: &Path, part: Part, error: &pem::Error) -> Fault {
    let hint = match error {
        pem::Error::MissingSectionEnd { .. } => "it ends within a section".to_owned(),
        pem::Error::IllegalSectionStart { .. } => {
            "a line that begins a section is wrong".to_owned()
        }
        pem::Error::Base64Decode(_) => "what stands between BEGIN and END is not base64".to_owned(),
        error => error.to_string(),
    };
    Fault {
        part,
        title: format!("`{}` is broken", path.display()),
        hint,
    }
}

fn read(path: &Path, part: Part) -> Result<Vec<u8>, Fault> {
    let unreadable = |error: io::Error| Fault {
        part,
        title: format!("cannot read `{}`", path.display()),
        hint: match error.kind() {
            io::ErrorKind::NotFound => {
                let whole = path::absolute(path);
                let whole = whole.as_deref().unwrap_or(path);
                format!("there is no `{}`", whole.display())
            }
            io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
            _ => error.to_string(),
        },
    };
    let mut text = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(LARGEST)
        .read_to_end(&mut text)
        .map_err(unreadable)?;
    Ok(text)
}
