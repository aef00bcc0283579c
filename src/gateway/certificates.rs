//! The certificates of visitors' listeners: read at the start, taken over when their files change.

use std::sync::Arc;

use rustls::pki_types::UnixTime;

use crate::config::{Config, Listen, Report};
use crate::server::Tls;
use crate::tls::{Certificates, Files, Pair, Taken, Watch};

/// TLS with the configured certificates, where anything listens with it, and what looks after their files.
pub(super) fn secure(config: &Config) -> Result<Option<(Arc<Tls>, Watch)>, Report> {
    let settings = &config.server.tls;
    if !(config.server.listen.iter()).any(|listen| matches!(listen, Listen::Tls(_))) {
        return Ok(None);
    }
    let (mut pairs, mut problems) = (Vec::new(), Report::default());
    for certificate in &settings.certificates {
        let files = Files {
            chain: config.folder.join(&certificate.chain),
            key: config.folder.join(&certificate.key),
        };
        match Pair::read(&files) {
            Ok(pair) => pairs.push(pair),
            Err(faults) => faults
                .into_iter()
                .for_each(|fault| problems.add(Report::of(fault.title, fault.hint))),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let certificates = Arc::new(Certificates::new(&pairs));
    let tls = Tls::new(Arc::clone(&certificates), settings.min_version == "1.3")
        .map_err(|error| Report::of(format!("cannot start TLS: {error}"), ""))?;
    Ok(Some((Arc::new(tls), Watch::new(certificates, pairs))))
}

/// Says what became of a certificate whose files have changed.
pub(super) fn tell(taken: Taken) {
    match taken {
        Taken::New(pair) => {
            tracing::info!(chain = %pair.files.chain.display(), "a changed certificate is in use");
            for concern in pair.concerns(UnixTime::now()) {
                tracing::warn!("{}: {}", concern.title, concern.hint);
            }
        }
        Taken::Kept(faults) => {
            let why: Vec<_> = faults.iter().map(ToString::to_string).collect();
            tracing::warn!(
                "a changed certificate cannot be used, and the one before stays: {}",
                why.join("; ")
            );
        }
    }
}
