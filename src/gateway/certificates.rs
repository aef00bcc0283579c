//! The certificates of visitors' listeners: read at the start, taken over when their files change.

use std::sync::Arc;

use rustls::pki_types::UnixTime;

use crate::config::{Config, Listen, Report};
use crate::server::Tls;
use crate::tls::{Certificates, Files, Pair, Taken, Watch};

/// TLS as visitors' listeners speak it, and what looks after its files.
pub(super) struct Secure {
    pub(super) tls: Arc<Tls>,
    certificates: Arc<Certificates>,
    min_version: String,
    watch: Watch,
}

/// TLS as it is to be, its certificates read.
pub(super) struct Secured {
    tls: Arc<Tls>,
    certificates: Arc<Certificates>,
    min_version: String,
    pairs: Vec<Pair>,
}

impl Secure {
    /// Reads the configured certificates, where anything listens with TLS; `running` is what listeners speak now, of which
    /// tickets stay good.
    pub(super) fn read(config: &Config, running: Option<&Self>) -> Result<Option<Secured>, Report> {
        if !(config.server.listen.iter()).any(|listen| matches!(listen, Listen::Tls(_))) {
            return Ok(None);
        }
        let pairs = pairs(config)?;
        let min_version = config.server.tls.min_version.clone();
        if let Some(running) = running.filter(|it| it.min_version == min_version) {
            return Ok(Some(Secured {
                tls: Arc::clone(&running.tls),
                certificates: Arc::clone(&running.certificates),
                min_version,
                pairs,
            }));
        }
        let certificates = Arc::new(Certificates::new(&pairs));
        let tls = Tls::new(Arc::clone(&certificates), min_version == "1.3")
            .map_err(|error| Report::of(format!("cannot start TLS: {error}"), ""))?;
        Ok(Some(Secured {
            tls: Arc::new(tls),
            certificates,
            min_version,
            pairs,
        }))
    }

    /// Looks at the files, and takes over what has changed.
    pub(super) fn look(&mut self) {
        self.watch.look().into_iter().for_each(tell);
    }
}

impl Secured {
    /// What listeners speak.
    pub(super) fn tls(&self) -> &Arc<Tls> {
        &self.tls
    }

    /// Shows visitors these certificates from now on.
    pub(super) fn show(self) -> Secure {
        self.certificates.replace(&self.pairs);
        Secure {
            tls: self.tls,
            watch: Watch::new(Arc::clone(&self.certificates), self.pairs),
            certificates: self.certificates,
            min_version: self.min_version,
        }
    }
}

fn pairs(config: &Config) -> Result<Vec<Pair>, Report> {
    let (mut pairs, mut problems) = (Vec::new(), Report::default());
    for certificate in &config.server.tls.certificates {
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
    if problems.is_empty() {
        Ok(pairs)
    } else {
        Err(problems)
    }
}

/// Says what became of a certificate whose files have changed.
fn tell(taken: Taken) {
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
