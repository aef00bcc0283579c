//! The certificates of a listener, and which of them a client is shown.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::Pair;

/// A listener's certificates. What they are may change while handshakes go on: each takes those that it began with.
#[derive(Debug)]
pub(crate) struct Certificates {
    table: RwLock<Arc<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    pairs: Vec<Arc<CertifiedKey>>,
    /// Which of them are for a name, in their order: `shop.example`, `*.example`.
    names: HashMap<String, Vec<usize>>,
}

impl Certificates {
    pub(crate) fn new(pairs: &[Pair]) -> Self {
        Self {
            table: RwLock::new(Arc::new(Table::of(pairs))),
        }
    }

    /// From now on it is these.
    pub(crate) fn replace(&self, pairs: &[Pair]) {
        let table = Arc::new(Table::of(pairs));
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
    }

    /// Whether a request for `host`, without port, on a connection that was opened for `asked` came to the wrong place: another
    /// certificate than the one that its client was shown is for that host (RFC 9110, 7.4 and 15.5.20).
    pub(crate) fn misdirects(&self, asked: &str, host: &str) -> bool {
        if asked.eq_ignore_ascii_case(host) {
            return false;
        }
        let table = self.table();
        let mut meant = table.covering(host).peekable();
        let shown = table.shown(asked);
        meant.peek().is_some() && !meant.any(|one| shown.contains(&one))
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.table();
        let candidates = table.shown(hello.server_name().unwrap_or_default());
        let pairs = || candidates.iter().filter_map(|at| table.pairs.get(*at));
        // Of two for one name, say of RSA and of ECDSA, the one that the client can check.
        let checked = |pair: &&Arc<CertifiedKey>| {
            let schemes = hello.signature_schemes();
            pair.key.choose_scheme(schemes).is_some()
        };
        pairs().find(checked).or_else(|| pairs().next()).cloned()
    }
}

impl Table {
    fn of(pairs: &[Pair]) -> Self {
        let mut table = Self::default();
        for (at, pair) in pairs.iter().enumerate() {
            table.pairs.push(Arc::clone(&pair.certified));
            for name in &pair.names {
                table.names.entry(name.clone()).or_default().push(at);
            }
        }
        table
    }

    /// Those that are for a name, the first where none is: a client that asks for none, or for one that nobody knows, has an
    /// answer too.
    fn shown(&self, name: &str) -> &[usize] {
        let name = normal(name);
        let exact = self.names.get(&name);
        let found = exact.or_else(|| self.names.get(&wildcard(&name)?));
        found.map_or(&[0], Vec::as_slice)
    }

    /// All that are for a name, by itself or by a wildcard.
    fn covering(&self, name: &str) -> impl Iterator<Item = usize> {
        let name = normal(name);
        let wide = wildcard(&name).and_then(|wide| self.names.get(&wide));
        let exact = self.names.get(&name);
        exact.into_iter().chain(wide).flatten().copied()
    }
}

/// A name as it is looked up: in lower case, without the dot of the root.
fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// The wildcard that stands for a name: for one label, the first (RFC 6125, 6.4.3).
fn wildcard(name: &str) -> Option<String> {
    let (_, rest) = name.split_once('.')?;
    Some(format!("*.{rest}"))
}
