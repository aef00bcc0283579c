//! Checks of certificates and their keys: that they are there, fit each other, and will please clients.

use std::collections::BTreeMap;
use std::path;

use rustls::pki_types::UnixTime;

use super::super::Listen;
use super::{Checks, Path};
use crate::tls::{Files, Pair, Part};

impl Checks<'_> {
    /// `[server.tls]` `certificates`, beside the listeners.
    pub(super) fn certificates(&mut self) {
        let server = &self.config.server;
        let here = Path::of("server").at("tls").at("certificates");
        let listen = Path::of("server").at("listen");
        let secure = |listen: &Listen| matches!(listen, Listen::Tls(_));
        let known = !self.is_gone(&here) && !self.is_gone(&listen);
        let listener = server.listen.iter().position(secure);
        match (listener, server.tls.certificates.is_empty()) {
            (Some(at), true) if known => self.wrong(
                &listen.nth(at),
                "a `tls://` listener without a certificate",
                "say which it shows:\n[server.tls]\ncertificates = [{ chain = \"site.pem\", key = \"site.key\" }]",
            ),
            (None, false) if known => self.warn(
                &here,
                "certificates without a `tls://` listener",
                "nobody is shown them: listen on \"tls://0.0.0.0:8443\" too",
            ),
            _ => {}
        }
        let mut pairs = Vec::new();
        for (at, certificate) in server.tls.certificates.iter().enumerate() {
            let here = here.nth(at);
            let chain = (&here.at("chain"), &certificate.chain);
            let pair = self.pair(chain, (&here.at("key"), &certificate.key));
            pairs.extend(pair.map(|pair| (here.at("chain"), pair)));
        }
        self.overlaps(&pairs);
    }

    /// A chain and its key, each with its place.
    pub(super) fn pair(
        &mut self,
        chain: (&Path, &path::PathBuf),
        key: (&Path, &path::PathBuf),
    ) -> Option<Pair> {
        let files = Files {
            chain: self.config.folder.join(chain.1),
            key: self.config.folder.join(key.1),
        };
        match Pair::read(&files) {
            Ok(pair) => {
                for concern in pair.concerns(UnixTime::now()) {
                    self.warn(chain.0, concern.title, concern.hint);
                }
                Some(pair)
            }
            Err(faults) => {
                for fault in faults {
                    let here = match fault.part {
                        Part::Chain => chain.0,
                        Part::Key => key.0,
                    };
                    self.wrong(here, fault.title, fault.hint);
                }
                None
            }
        }
    }

    /// A name that two certificates have is served by the first; keys of two kinds are two ways to serve it.
    fn overlaps(&mut self, pairs: &[(Path, Pair)]) {
        let mut known = BTreeMap::new();
        for (here, pair) in pairs {
            for name in &pair.names {
                let kind = format!("{:?}", pair.certified.key.algorithm());
                let file = pair.files.chain.display();
                if let Some(earlier) = known.insert((name, kind.clone()), file.to_string()) {
                    let title = format!("`{name}` is in two certificates");
                    self.warn(
                        here,
                        title,
                        format!("`{earlier}` is shown for it, not `{file}`"),
                    );
                    known.insert((name, kind), earlier);
                }
            }
        }
    }
}
