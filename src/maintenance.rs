//! What `pardon maintenance` has ordered: in a small file beside the store, which the running process looks at.
//!
//! The file outlives the process and can be written while none runs. It is replaced as a whole, and removed when
//! nothing is ordered. Bounds: 64 KiB of file, 500 characters of message.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::tls::{Stamp, stamp};

/// Characters of a message.
pub const LONGEST_MESSAGE: usize = 500;
/// Bytes of the file.
const LARGEST: u64 = 64 << 10;

/// Downtime that was ordered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// When it began.
    pub since: Timestamp,
    /// When it ends by itself; none: when it is told to.
    pub until: Option<Timestamp>,
    /// What the page says beside its own words.
    pub message: String,
}

/// All that is ordered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Orders {
    /// For every route.
    pub all: Option<Order>,
    /// For single routes, by their names.
    pub routes: BTreeMap<String, Order>,
}

/// The orders in force, as all workers see them.
#[derive(Debug, Default)]
pub struct Board {
    /// Whether there are any: what a passing request looks at.
    any: AtomicBool,
    orders: RwLock<Arc<Orders>>,
}

/// The file, looked at for changes.
#[derive(Debug)]
pub struct Watched {
    path: PathBuf,
    seen: Option<Stamp>,
    board: Arc<Board>,
}

impl Order {
    /// Whether its time is not over.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Orders {
    /// Where the orders for the process with this store are.
    #[must_use]
    pub fn beside(store: &Path) -> PathBuf {
        let mut path = store.as_os_str().to_owned();
        path.push(".maintenance");
        path.into()
    }

    /// Reads them; none where there is no file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or understood.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut text = String::new();
        match File::open(path) {
            Ok(file) => file.take(LARGEST).read_to_string(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        Ok(serde_json::from_str(&text)?)
    }

    /// Writes them, all or nothing; the file is gone where nothing is ordered.
    ///
    /// # Errors
    ///
    /// When the file cannot be replaced or removed.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        if self.all.is_none() && self.routes.is_empty() {
            return match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let mut new = path.as_os_str().to_owned();
        new.push(format!(".{}", std::process::id()));
        let new = PathBuf::from(new);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&new)?;
        file.write_all(serde_json::to_string(self)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    }

    /// The order that holds for a route now: its own, or that for all.
    #[must_use]
    pub fn for_route(&self, route: &str, now: Timestamp) -> Option<&Order> {
        let own = self.routes.get(route).filter(|order| order.holds(now));
        own.or_else(|| self.all.as_ref().filter(|order| order.holds(now)))
    }

    /// Drops those whose time is over.
    pub fn tidy(&mut self, now: Timestamp) {
        self.all.take_if(|order| !order.holds(now));
        self.routes.retain(|_, order| order.holds(now));
    }

    /// Whether nothing is ordered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_none() && self.routes.is_empty()
    }
}

impl Board {
    /// The orders, where there are any.
    #[must_use]
    pub fn orders(&self) -> Option<Arc<Orders>> {
        self.any.load(Ordering::Acquire).then(|| {
            let orders = self.orders.read();
            Arc::clone(&orders.unwrap_or_else(PoisonError::into_inner))
        })
    }

    fn set(&self, orders: Orders) {
        let any = !orders.is_empty();
        let mut board = self.orders.write().unwrap_or_else(PoisonError::into_inner);
        *board = Arc::new(orders);
        self.any.store(any, Ordering::Release);
    }
}

impl Watched {
    /// The file of the process with this store, read.
    #[must_use]
    pub fn beside(store: &Path) -> Self {
        let mut watched = Self {
            path: Orders::beside(store),
            seen: None,
            board: Arc::default(),
        };
        watched.look();
        watched
    }

    /// Where its orders stand.
    #[must_use]
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Takes over what the file says, if that has changed. One that cannot be read changes nothing; it is said once.
    pub fn look(&mut self) {
        let now = stamp(&self.path);
        if now == self.seen {
            return;
        }
        self.seen = now;
        match Orders::read(&self.path) {
            Ok(mut orders) => {
                orders.tidy(Timestamp::now());
                let routes: Vec<_> = orders.routes.keys().map(String::as_str).collect();
                tracing::info!(
                    all = orders.all.is_some(),
                    routes = routes.join(", "),
                    "maintenance as ordered"
                );
                self.board.set(orders);
            }
            Err(error) => tracing::error!(
                path = %self.path.display(),
                "the orders for maintenance cannot be read and stay as they were: {error}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(until: Option<i64>) -> Order {
        Order {
            since: Timestamp::UNIX_EPOCH,
            until: until.map(|until| Timestamp::from_second(until).unwrap()),
            message: String::new(),
        }
    }

    #[test]
    fn a_routes_own_order_goes_before_that_for_all_while_it_holds() {
        let now = Timestamp::from_second(100).unwrap();
        let mut orders = Orders {
            all: Some(order(None)),
            routes: [("shop".to_owned(), order(Some(101)))].into(),
        };
        assert_eq!(orders.for_route("shop", now), Some(&order(Some(101))));
        assert_eq!(orders.for_route("blog", now), Some(&order(None)));
        orders.routes.insert("shop".to_owned(), order(Some(100)));
        assert_eq!(orders.for_route("shop", now), Some(&order(None)));
        orders.all = None;
        assert_eq!(orders.for_route("shop", now), None);
        orders.tidy(now);
        assert!(orders.is_empty());
    }
}
