//! The apps of the configuration in force, for those who ask how they are.

use std::sync::{Arc, PoisonError, RwLock};

use super::Upstream;

/// The apps that requests go to now. They change with the configuration.
#[derive(Debug)]
pub struct Apps(RwLock<Arc<[Arc<Upstream>]>>);

impl Apps {
    /// These, until others are set.
    #[must_use]
    pub fn new(apps: impl Iterator<Item = Arc<Upstream>>) -> Self {
        Self(RwLock::new(apps.collect()))
    }

    /// Those of this moment.
    #[must_use]
    pub fn now(&self) -> Arc<[Arc<Upstream>]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on it is these.
    pub fn set(&self, apps: impl Iterator<Item = Arc<Upstream>>) {
        let apps = apps.collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = apps;
    }

    /// Whether any of them has an endpoint that can be asked.
    #[must_use]
    pub fn are_usable(&self) -> bool {
        self.now().iter().any(|app| app.is_usable())
    }
}
